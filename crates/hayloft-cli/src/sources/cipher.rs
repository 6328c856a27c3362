use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use data_encoding::BASE64;

/// pgutil's own key, public since it is in its source: texts are hidden from a glance, no more.
const KEY: [u8; 16] = [
    0xcf, 0x85, 0xe3, 0x1d, 0xe7, 0x17, 0x3b, 0x23, 0x4f, 0x78, 0xf0, 0xe6, 0xe7, 0x0f, 0xf3, 0xad,
];

/// The text as the config file holds it: base64 of a random block and AES-128-CBC.
pub(super) fn hide(text: &str) -> Result<String, getrandom::Error> {
    let mut start = [0; 16];
    getrandom::fill(&mut start)?;
    let hidden = cbc::Encryptor::<Aes128>::new(&KEY.into(), &start.into())
        .encrypt_padded_vec::<Pkcs7>(text.as_bytes());
    Ok(BASE64.encode(&[&start[..], &hidden].concat()))
}

/// The text that [`hide`] or pgutil has hidden; `None` if it is none.
pub(super) fn reveal(hidden: &str) -> Option<String> {
    let bytes = BASE64.decode(hidden.as_bytes()).ok()?;
    let (start, hidden) = bytes.split_first_chunk::<16>()?;
    let text = cbc::Decryptor::<Aes128>::new(&KEY.into(), start.into())
        .decrypt_padded_vec::<Pkcs7>(hidden)
        .ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("a key")]
    #[case("exactly 16 bytes")]
    #[case("päßwörd, rather longer than one block of the cipher")]
    fn what_is_hidden_is_revealed(#[case] text: &str) {
        let hidden = hide(text).unwrap();
        assert!(!hidden.contains(text) || text.is_empty());
        assert_eq!(reveal(&hidden).as_deref(), Some(text));
        assert_ne!(hide(text).unwrap(), hidden);
    }

    /// Made with `openssl enc -aes-128-cbc`.
    #[test]
    fn reads_what_other_programs_hide() {
        let hidden = "AAECAwQFBgcICQoLDA0OD5JGwUiy8JVlMh4s/i+soGQ=";
        assert_eq!(reveal(hidden).as_deref(), Some("secret token"));
    }

    #[rstest]
    #[case::not_base64("%%%")]
    #[case::short("AAEC")]
    #[case::no_block("AAECAwQFBgcICQoLDA0ODw==")]
    #[case::half_a_block("AAECAwQFBgcICQoLDA0OD4O7kEg=")]
    #[case::bad_padding("AAECAwQFBgcICQoLDA0ODwAAAAAAAAAAAAAAAAAAAAA=")]
    fn other_text_is_none(#[case] hidden: &str) {
        assert_eq!(reveal(hidden), None);
    }
}
