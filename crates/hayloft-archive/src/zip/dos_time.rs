/// A time as zip stores it: a local time of unknown zone, years 1980 to 2107, even seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DosTime {
    date: u16,
    time: u16,
}

impl DosTime {
    /// 1980-01-01T00:00:00, the earliest time there is.
    pub const EARLIEST: Self = Self { date: 0x0021, time: 0 };

    /// From a calendar date and time; `None` if it is none, or outside 1980 to 2107. Odd seconds
    /// lose one.
    pub fn new(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let years = year.checked_sub(1980).filter(|years| *years < 128)?;
        let date = years << 9 | u16::from(month) << 5 | u16::from(day);
        let time = u16::from(hour) << 11 | u16::from(minute) << 5 | u16::from(second / 2);
        let fits = month < 16 && day < 32 && hour < 32 && minute < 64 && second < 60;
        Self::from_fields(date, time).filter(|_| fits)
    }

    /// From the two fields of a zip header; `None` if they hold no date.
    pub(crate) fn from_fields(date: u16, time: u16) -> Option<Self> {
        let found = Self { date, time };
        let (year, month, day, hour, minute, second) = found.parts();
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        ((1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60).then_some(found)
    }

    /// Date and time fields of a zip header.
    pub(crate) fn fields(self) -> (u16, u16) {
        (self.date, self.time)
    }

    /// Year, month, day, hour, minute, second.
    pub fn parts(self) -> (u16, u8, u8, u8, u8, u8) {
        let part = |field: u16, shift: u32, mask: u8| {
            u8::try_from(field >> shift & u16::from(mask)).unwrap_or_default()
        };
        (
            1980 + (self.date >> 9),
            part(self.date, 5, 0x0f),
            part(self.date, 0, 0x1f),
            part(self.time, 11, 0x1f),
            part(self.time, 5, 0x3f),
            part(self.time, 0, 0x1f) * 2,
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::earliest((1980, 1, 1, 0, 0, 0))]
    #[case::leap_day((2024, 2, 29, 23, 59, 58))]
    #[case::last((2107, 12, 31, 23, 59, 58))]
    fn a_date_survives_its_fields(#[case] parts: (u16, u8, u8, u8, u8, u8)) {
        let (year, month, day, hour, minute, second) = parts;
        let time = DosTime::new(year, month, day, hour, minute, second).unwrap();
        assert_eq!(time.parts(), parts);
        let (date, clock) = time.fields();
        assert_eq!(DosTime::from_fields(date, clock), Some(time));
    }

    #[rstest]
    #[case::before(1979, 12, 31, 0)]
    #[case::after(2108, 1, 1, 0)]
    #[case::month_zero(2000, 0, 1, 0)]
    #[case::month_thirteen(2000, 13, 1, 0)]
    #[case::no_leap_day(2100, 2, 29, 0)]
    #[case::hour(2000, 1, 1, 24)]
    #[case::day_that_would_carry(2000, 1, 32, 0)]
    fn what_is_no_date_is_refused(
        #[case] year: u16,
        #[case] month: u8,
        #[case] day: u8,
        #[case] hour: u8,
    ) {
        assert_eq!(DosTime::new(year, month, day, hour, 0, 0), None);
    }
}
