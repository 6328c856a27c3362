//! Keys of the index rows.
//!
//! Rows of stanzas tell the state of the feed; all others tell what happened to it since the last
//! release, or belong to releases.

use super::section::Section;

/// First bytes of keys.
const STANZA: u8 = b's';
const JOURNAL: u8 = b'j';
const CURRENT: u8 = b'c';
const LIST: u8 = b'l';
const END: u8 = b'e';
const TEXT: u8 = b't';
const PACKED: u8 = b'p';
const IDS: u8 = b'i';
const DIGEST: u8 = b'd';
const KEPT: u8 = b'k';
const GRAVE: u8 = b'g';

/// The header that all compressed indexes begin with.
pub(super) const GZIP_HEADER: &[u8] = b"h";
/// The public key, armored and not.
pub(super) const KEY_ARMORED: &[u8] = b"ka";
pub(super) const KEY_BINARY: &[u8] = b"kb";

/// Whether a key is that of a row which does not follow from the feed's state alone.
pub(crate) fn is_history(key: &[u8]) -> bool {
    key.first() != Some(&STANZA)
}

fn of_suite(first: u8, suite: &str) -> Vec<u8> {
    let mut key = vec![first];
    key.extend_from_slice(suite.as_bytes());
    key.push(0);
    key
}

fn of_section(first: u8, suite: &str, section: &Section) -> Vec<u8> {
    let mut key = of_suite(first, suite);
    for part in [&section.component, &section.architecture] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key.push(if section.installer { b'u' } else { b'd' });
    key
}

fn numbered(mut key: Vec<u8>, number: u64) -> Vec<u8> {
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The stanza of one file.
pub(super) fn stanza(suite: &str, section: &Section, id: &[u8; 16]) -> Vec<u8> {
    [stanzas(suite, section).as_slice(), id].concat()
}

/// All stanzas of a section.
pub(super) fn stanzas(suite: &str, section: &Section) -> Vec<u8> {
    of_section(STANZA, suite, section)
}

/// Says that the stanza of a file changed since the last release: in the change of the package
/// that gave it `revision`, or that removed it when it had that. A release that was being made
/// meanwhile removes the entries that it saw, not this one.
pub(super) fn journal(
    suite: &str,
    section: &Section,
    id: &[u8; 16],
    (revision, removed): (u64, bool),
) -> Vec<u8> {
    let mut key = numbered([of_section(JOURNAL, suite, section).as_slice(), id].concat(), revision);
    key.push(u8::from(removed));
    key
}

/// Notes that a distribution is to be signed with another key, told apart by its digest; shorter
/// than the key of any stanza.
pub(super) fn journal_of_key(suite: &str, digest: &[u8; 32]) -> Vec<u8> {
    [journals(suite).as_slice(), digest.split_at(8).0].concat()
}

/// All that changed in a distribution since its last release.
pub(super) fn journals(suite: &str) -> Vec<u8> {
    of_suite(JOURNAL, suite)
}

/// All that changed in all distributions.
pub(super) fn all_journals() -> Vec<u8> {
    vec![JOURNAL]
}

/// The distribution that a key of the journal speaks of, and the end of all its keys.
pub(super) fn suite_of_journal(key: &[u8]) -> Option<(String, Vec<u8>)> {
    let suite = key.strip_prefix(&[JOURNAL])?.split(|byte| *byte == 0).next()?;
    let end = [&[JOURNAL], suite, &[1]].concat();
    Some((std::str::from_utf8(suite).ok()?.to_owned(), end))
}

/// What a key of the journal speaks of.
pub(super) fn journaled(suite: &str, key: &[u8]) -> Option<(Section, [u8; 16])> {
    let rest = key.strip_prefix(journals(suite).as_slice())?;
    let (rest, _stamp) = rest.split_last_chunk::<9>()?;
    let (rest, id) = rest.split_last_chunk::<16>()?;
    let mut parts = rest.split(|byte| *byte == 0);
    let mut text = || Some(std::str::from_utf8(parts.next()?).ok()?.to_owned());
    let (component, architecture) = (text()?, text()?);
    let installer = text()? == "u";
    Some((Section { component, installer, architecture }, *id))
}

/// The release of a distribution that is served.
pub(super) fn current(suite: &str) -> Vec<u8> {
    of_suite(CURRENT, suite)
}

/// All releases that are served.
pub(super) fn all_current() -> Vec<u8> {
    vec![CURRENT]
}

/// The distribution whose release has this key.
pub(super) fn suite_of_current(key: &[u8]) -> Option<String> {
    let rest = key.strip_prefix(&[CURRENT])?.strip_suffix(&[0])?;
    Some(std::str::from_utf8(rest).ok()?.to_owned())
}

/// The pieces of an index as of a release.
pub(super) fn list(suite: &str, section: &Section, generation: u64) -> Vec<u8> {
    numbered(of_section(LIST, suite, section), generation)
}

/// How a compressed index ends as of a release.
pub(super) fn end(suite: &str, section: &Section, generation: u64) -> Vec<u8> {
    numbered(of_section(END, suite, section), generation)
}

/// The text of a piece.
pub(super) fn text(suite: &str, piece: u64) -> Vec<u8> {
    numbered(of_suite(TEXT, suite), piece)
}

/// A piece compressed.
pub(super) fn packed(suite: &str, piece: u64) -> Vec<u8> {
    numbered(of_suite(PACKED, suite), piece)
}

/// Which files have their stanzas in a piece, and how long these are.
pub(super) fn ids(suite: &str, piece: u64) -> Vec<u8> {
    numbered(of_suite(IDS, suite), piece)
}

/// An index by its digest, as of a release.
pub(super) fn digest(
    suite: &str,
    section: &Section,
    sha256: &[u8; 32],
    generation: u64,
) -> Vec<u8> {
    numbered(digests(suite, section, sha256), generation)
}

/// An index by its digest, as of any release.
pub(super) fn digests(suite: &str, section: &Section, sha256: &[u8; 32]) -> Vec<u8> {
    [of_section(DIGEST, suite, section).as_slice(), sha256].concat()
}

/// A package file that only earlier releases list.
pub(super) fn kept(prefix: &[u8; 16], suite: &str) -> Vec<u8> {
    [kept_by_prefix(prefix).as_slice(), suite.as_bytes()].concat()
}

/// The same whatever the distribution.
pub(super) fn kept_by_prefix(prefix: &[u8; 16]) -> Vec<u8> {
    [&[KEPT, 0], prefix.as_slice()].concat()
}

/// Whether a key is one of [`kept`].
pub(super) fn is_kept(key: &[u8]) -> bool {
    key.starts_with(&[KEPT, 0])
}

/// Rows that go at a moment.
pub(super) fn grave(suite: &str, millis: i64, generation: u64) -> Vec<u8> {
    let key = numbered(graves(suite), u64::try_from(millis).unwrap_or_default());
    numbered(key, generation)
}

/// Rows that go some time.
pub(super) fn graves(suite: &str) -> Vec<u8> {
    of_suite(GRAVE, suite)
}

/// When the rows named in a grave go.
pub(super) fn grave_time(suite: &str, key: &[u8]) -> Option<i64> {
    let rest = key.strip_prefix(graves(suite).as_slice())?;
    let (time, _) = rest.split_first_chunk::<8>()?;
    i64::try_from(u64::from_be_bytes(*time)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_journal_read_back_whatever_the_id() {
        let section = Section {
            component: "updates/main".to_owned(),
            installer: true,
            architecture: "amd64".to_owned(),
        };
        for id in [[0; 16], [0xff; 16], [b'u'; 16]] {
            let key = journal("stable/x", &section, &id, (u64::MAX, true));
            assert_eq!(journaled("stable/x", &key), Some((section.clone(), id)));
            assert_eq!(journaled("stable", &key), None);
        }
    }

    #[test]
    fn rows_of_one_distribution_are_not_those_of_another() {
        assert!(!current("stable-updates").starts_with(&current("stable")));
        assert_eq!(suite_of_current(&current("a/b")).as_deref(), Some("a/b"));
        assert_eq!(grave_time("a", &grave("a", 77, 3)), Some(77));
    }

    #[test]
    fn stanzas_alone_follow_from_the_state() {
        let section =
            Section { component: "m".to_owned(), installer: false, architecture: "all".to_owned() };
        assert!(!is_history(&stanza("s", &section, &[0; 16])));
        for key in [current("s"), journals("s"), GZIP_HEADER.to_vec(), KEY_ARMORED.to_vec()] {
            assert!(is_history(&key));
        }
    }
}
