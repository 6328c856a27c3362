//! Signatures over releases, and the key that makes them.

/// The two forms in which clients want a release signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signatures {
    /// The text with a signature around it.
    pub(super) inline: String,
    /// A signature of its own.
    pub(super) detached: String,
}

/// The key with which clients check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) armored: Vec<u8>,
    pub(super) binary: Vec<u8>,
}

/// A release cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the release cannot be signed")]
pub(super) struct SigningError(#[source] Box<dyn std::error::Error + Send + Sync>);

#[cfg(feature = "openpgp")]
pub(super) use openpgp::{Signer, secret};
#[cfg(not(feature = "openpgp"))]
pub(super) use unsigned::{Signer, secret};

#[cfg(not(feature = "openpgp"))]
mod unsigned {
    use hayloft_feed::Timestamp;

    use super::{PublicKey, Signatures, SigningError};

    /// There is none in this build.
    pub(crate) enum Signer {}

    pub(crate) fn secret() -> Option<&'static dyn hayloft_feed::native::FeedSecret> {
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "as where keys are")]
    impl Signer {
        pub(crate) fn open(
            _: &str,
            _: Option<&[u8]>,
            _: [u8; 32],
            _: Timestamp,
        ) -> Result<Option<Self>, SigningError> {
            Ok(None)
        }

        pub(crate) fn made(&self) -> Option<Vec<u8>> {
            match *self {}
        }

        pub(crate) fn sign(&self, _: &str, _: Timestamp) -> Result<Signatures, SigningError> {
            match *self {}
        }

        pub(crate) fn public_key(&self) -> Result<PublicKey, SigningError> {
            match *self {}
        }
    }
}

#[cfg(feature = "openpgp")]
mod openpgp {
    use std::io::Cursor;

    use hayloft_feed::Timestamp;
    use hayloft_feed::native::FeedSecret;
    use pgp::composed::{
        ArmorOptions, CleartextSignedMessage, Deserializable, DetachedSignature, KeyType,
        SignedKeyDetails, SignedSecretKey,
    };
    use pgp::crypto::hash::HashAlgorithm;
    use pgp::packet::{
        KeyFlags, PacketTrait, PubKeyInner, SecretKey, SignatureConfig, SignatureType, Subpacket,
        SubpacketData, UserId,
    };
    use pgp::ser::Serialize;
    use pgp::types::{
        EcdsaPublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password, PublicParams,
        SignedUser,
    };
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::{PublicKey, Signatures, SigningError};

    /// A key with which a feed signs its releases.
    pub(crate) struct Signer {
        key: SignedSecretKey,
        made: Option<Vec<u8>>,
    }

    fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SigningError {
        SigningError(error.into())
    }

    /// Signatures count whole seconds.
    fn seconds(now: Timestamp) -> pgp::types::Timestamp {
        let seconds = u32::try_from(now.millis().div_euclid(1000)).unwrap_or_default();
        pgp::types::Timestamp::from_secs(seconds)
    }

    impl Signer {
        /// The feed's key, made of `seed` if there is none yet.
        pub(crate) fn open(
            feed: &str,
            secret: Option<&[u8]>,
            seed: [u8; 32],
            now: Timestamp,
        ) -> Result<Option<Self>, SigningError> {
            if let Some(secret) = secret {
                return Ok(Some(Self { key: read(secret)?, made: None }));
            }
            let key = make(feed, seed, now)?;
            let made = key.to_bytes().map_err(failed)?;
            Ok(Some(Self { key, made: Some(made) }))
        }

        /// What the store is to keep, if the key was just made.
        pub(crate) fn made(&self) -> Option<Vec<u8>> {
            self.made.clone()
        }

        pub(crate) fn sign(&self, text: &str, now: Timestamp) -> Result<Signatures, SigningError> {
            let armor = ArmorOptions { headers: None, include_checksum: true };
            let inline = CleartextSignedMessage::new(
                text,
                self.config(SignatureType::Text, now)?,
                &self.key.primary_key,
                &Password::empty(),
            );
            let inline = inline.and_then(|message| message.to_armored_string(armor.clone()));
            let config = self.config(SignatureType::Binary, now)?;
            let signature = config
                .sign(&self.key.primary_key, &Password::empty(), text.as_bytes())
                .map_err(failed)?;
            let detached = DetachedSignature::new(signature).to_armored_string(armor);
            Ok(Signatures { inline: inline.map_err(failed)?, detached: detached.map_err(failed)? })
        }

        pub(crate) fn public_key(&self) -> Result<PublicKey, SigningError> {
            let key = self.key.to_public_key();
            let binary = key.to_bytes().map_err(failed)?;
            let armored =
                key.to_armored_bytes(ArmorOptions { headers: None, include_checksum: true });
            Ok(PublicKey { armored: armored.map_err(failed)?, binary })
        }

        /// The library's own way of signing asks the clock.
        fn config(
            &self,
            kind: SignatureType,
            now: Timestamp,
        ) -> Result<SignatureConfig, SigningError> {
            let key = &self.key.primary_key;
            config(key, kind, now, Vec::new())
        }
    }

    fn config(
        key: &SecretKey,
        kind: SignatureType,
        now: Timestamp,
        more: Vec<SubpacketData>,
    ) -> Result<SignatureConfig, SigningError> {
        let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512);
        let data = [
            SubpacketData::SignatureCreationTime(seconds(now)),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
        ];
        config.hashed_subpackets = data
            .into_iter()
            .chain(more)
            .map(Subpacket::regular)
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        // For gpgv of old.
        let issuer = Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()));
        config.unhashed_subpackets = vec![issuer.map_err(failed)?];
        Ok(config)
    }

    /// An Ed25519 key of version 4 in the form that every `GnuPG` since 2.1 knows.
    fn make(feed: &str, seed: [u8; 32], now: Timestamp) -> Result<SignedSecretKey, SigningError> {
        let kind = KeyType::Ed25519Legacy;
        let (public, secret) = kind.generate(ChaCha20Rng::from_seed(seed)).map_err(failed)?;
        let public = PubKeyInner::new(KeyVersion::V4, kind.to_alg(), seconds(now), None, public);
        let public = public.and_then(pgp::packet::PublicKey::from_inner).map_err(failed)?;
        let key = SecretKey::new(public.clone(), secret).map_err(failed)?;
        let user = UserId::from_str(PacketHeaderVersion::default(), format!("{feed} (Hayloft)"));
        let user = user.map_err(failed)?;
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(true);
        let more = vec![SubpacketData::KeyFlags(flags), SubpacketData::IsPrimary(true)];
        let certification = config(&key, SignatureType::CertPositive, now, more)?
            .sign_certification(&key, &public, &Password::empty(), user.tag(), &user)
            .map_err(failed)?;
        let user = SignedUser::new(user, vec![certification]);
        let details = SignedKeyDetails::new(Vec::new(), Vec::new(), vec![user], Vec::new());
        Ok(SignedSecretKey::new(key, details, Vec::new(), Vec::new()))
    }

    /// What may be done with the keys of feeds.
    struct Keys;

    #[expect(clippy::unnecessary_wraps, reason = "as where keys are not")]
    pub(crate) fn secret() -> Option<&'static dyn FeedSecret> {
        Some(&Keys)
    }

    impl FeedSecret for Keys {
        fn accept(&self, given: &[u8]) -> Result<Vec<u8>, String> {
            let key = read(given)
                .map_err(|error| format!("this is no secret key of OpenPGP: {}", error.0))?;
            fit(&key)?;
            key.to_bytes().map_err(|error| error.to_string())
        }

        fn show(&self, kept: &[u8]) -> Result<Vec<u8>, String> {
            let key = read(kept).map_err(|error| error.0.to_string())?;
            let armor = ArmorOptions { headers: None, include_checksum: true };
            key.to_armored_bytes(armor).map_err(|error| error.to_string())
        }

        fn subject(&self) -> &'static [u8] {
            super::super::refresh::KEY
        }
    }

    /// Bytes of the parameters of an RSA key with 2048 bits: a number behind its length, and the
    /// length of the exponent.
    const RSA_2048: usize = 2 + 2048 / 8 + 2;

    /// Says why apt would not take what a key signs: that of Debian 12 asks little, later ones want
    /// no short or rare key and no SHA-1 in what binds a key to its name.
    fn fit(key: &SignedSecretKey) -> Result<(), String> {
        let primary = &key.primary_key;
        if primary.secret_params().is_encrypted() {
            return Err("the key has a passphrase: export it without one".to_owned());
        }
        if primary.version() != KeyVersion::V4 {
            return Err("the key is not of version 4, which is all that every apt takes".to_owned());
        }
        match primary.public_params() {
            PublicParams::RSA(key) if key.write_len() < RSA_2048 => {
                return Err("the RSA key is shorter than 2048 bits".to_owned());
            }
            PublicParams::RSA(_)
            | PublicParams::EdDSALegacy(_)
            | PublicParams::ECDSA(
                EcdsaPublicParams::P256 { .. }
                | EcdsaPublicParams::P384 { .. }
                | EcdsaPublicParams::P521 { .. },
            ) => {}
            _ => {
                let text = "apt takes RSA, Ed25519 in its older form, and ECDSA with NIST curves; \
                            the key is of another kind";
                return Err(text.to_owned());
            }
        }
        let faults = |error| format!("the key does not hold together: {error}");
        key.verify_bindings().map_err(faults)?;
        let strong = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
        let mut bindings = key.details.users.iter().flat_map(|user| &user.signatures);
        if !bindings.any(|bound| {
            bound.key_flags().sign() && bound.hash_alg().is_some_and(|hash| strong.contains(&hash))
        }) {
            let text = "the key must be for signing, and bound to its name with SHA-256 or better";
            return Err(text.to_owned());
        }
        Ok(())
    }

    /// A key that was kept, or one that a person brought, armored or not.
    fn read(secret: &[u8]) -> Result<SignedSecretKey, SigningError> {
        let key = if secret.starts_with(b"-----") {
            SignedSecretKey::from_armor_single(Cursor::new(secret)).map(|(key, _)| key)
        } else {
            SignedSecretKey::from_bytes(Cursor::new(secret))
        };
        key.map_err(failed)
    }
}

#[cfg(all(test, feature = "openpgp"))]
mod tests {
    use hayloft_feed::Timestamp;

    use super::{Signer, secret};

    #[test]
    fn a_key_that_was_taken_away_comes_back() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let made = Signer::open("a", None, [7; 32], now).unwrap().unwrap();
        let kept = made.made().unwrap();
        let keys = secret().unwrap();
        let shown = keys.show(&kept).unwrap();
        assert!(shown.starts_with(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n"));
        assert_eq!(keys.accept(&shown).unwrap(), kept);
        assert_eq!(keys.accept(&kept).unwrap(), kept);
        let public = made.public_key().unwrap().armored;
        for given in [public.as_slice(), b"", b"-----", b"\x99\x01"] {
            assert!(keys.accept(given).unwrap_err().starts_with("this is no secret key"));
        }
    }
}
