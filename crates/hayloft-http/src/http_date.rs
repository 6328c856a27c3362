//! Moments as HTTP writes them, to the second.

use hayloft::Timestamp;

const FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// The second in which it was.
pub(crate) fn http_date(moment: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(moment.millis())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime(FORMAT)
        .to_string()
}

/// The next full second, for what is compared with what a client was told before.
pub(crate) fn http_date_rounded_up(moment: Timestamp) -> String {
    let up = moment.millis().saturating_add(999).div_euclid(1000).saturating_mul(1000);
    http_date(Timestamp::from_millis(up))
}

/// Milliseconds since 1970.
pub(crate) fn read_http_date(text: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime(FORMAT, text.trim()).ok()?;
    let moment = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read_to_the_second() {
        let moment = Timestamp::from_millis(1_767_323_045_678);
        assert_eq!(http_date(moment), "Fri, 02 Jan 2026 03:04:05 GMT");
        let up = http_date_rounded_up(moment);
        assert_eq!(up, "Fri, 02 Jan 2026 03:04:06 GMT");
        assert_eq!(read_http_date(&up), Some(1_767_323_046_000));
        assert_eq!(http_date_rounded_up(Timestamp::from_millis(1_767_323_046_000)), up);
        assert_eq!(read_http_date("yesterday"), None);
    }
}
