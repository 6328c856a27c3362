use hayloft_feed::native::ViewError;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

/// How far a SHA-256 has come, so that it goes on from there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct HashState(String);

impl HashState {
    pub(super) fn of(hash: &Sha256) -> Self {
        Self(data_encoding::BASE64_NOPAD.encode(&hash.serialize()))
    }

    pub(super) fn hash(&self) -> Result<Sha256, ViewError> {
        let damaged = || ViewError::damaged("the state of an index's hash");
        let bytes = data_encoding::BASE64_NOPAD.decode(self.0.as_bytes()).map_err(|_| damaged())?;
        let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).map_err(|_| damaged())?;
        Sha256::deserialize(&state).map_err(|_| damaged())
    }
}

/// Digests as text.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        digest: &[u8; 32],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&data_encoding::HEXLOWER.encode(digest))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
        let digest = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        digest.ok_or_else(|| serde::de::Error::custom("no SHA-256"))
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    #[test]
    fn a_hash_goes_on_from_its_state() {
        let whole = vec![7; 1000];
        for cut in [0, 1, 63, 64, 65, 999] {
            let mut hash = Sha256::new();
            hash.update(&whole[..cut]);
            let mut hash = HashState::of(&hash).hash().unwrap();
            hash.update(&whole[cut..]);
            assert_eq!(hash.finalize(), Sha256::digest(&whole));
        }
        assert!(HashState("x".to_owned()).hash().is_err());
    }
}
