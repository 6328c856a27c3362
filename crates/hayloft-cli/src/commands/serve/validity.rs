//! How long a certificate is valid.

use bcder::decode::{Constructed, DecodeError, Primitive, SliceSource, Source};
use bcder::{Mode, Tag};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When an X.509 certificate ends; `None` if it cannot be read.
///
/// Format: <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>
pub(super) fn end(certificate: &[u8]) -> Option<Timestamp> {
    let text = Constructed::decode(SliceSource::new(certificate), Mode::Der, |whole| {
        whole.take_sequence(|certificate| {
            let end = certificate.take_sequence(|signed| {
                signed.take_opt_constructed_if(Tag::CTX_0, skip)?;
                // Serial number, algorithm and issuer.
                signed.take_primitive_if(Tag::INTEGER, skip_number)?;
                signed.take_sequence(skip)?;
                signed.take_sequence(skip)?;
                let end = signed.take_sequence(|validity| {
                    time(validity)?;
                    time(validity)
                })?;
                skip(signed)?;
                Ok(end)
            })?;
            skip(certificate)?;
            Ok(end)
        })
    });
    moment(&text.ok()?)
}

fn skip<S: Source>(content: &mut Constructed<'_, S>) -> Result<(), DecodeError<S::Error>> {
    content.skip_all()
}

fn skip_number<S: Source>(number: &mut Primitive<'_, S>) -> Result<(), DecodeError<S::Error>> {
    number.skip_all()
}

/// Digits with the century, whichever of the two forms it has.
fn time<S: Source>(content: &mut Constructed<'_, S>) -> Result<String, DecodeError<S::Error>> {
    content.take_primitive(|tag, primitive| {
        let text = primitive.take_all()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if tag == Tag::UTC_TIME {
            let century = if text.as_str() < "50" { "20" } else { "19" };
            return Ok(format!("{century}{text}"));
        }
        Ok(text)
    })
}

fn moment(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["h.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        // From 2050 on the year has four digits.
        for year in [2031, 2049, 2050, 4096] {
            let end = end(&certificate(year)).unwrap();
            assert_eq!(end.to_string(), format!("{year}-03-04T00:00:00Z"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2031);
        for length in 0..whole.len() {
            assert_eq!(end(&whole[..length]), None);
        }
        assert_eq!(end(b"not a certificate"), None);
    }
}
