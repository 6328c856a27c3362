//! Sizes for people.

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/// A number of bytes in the unit that suits it.
pub(super) fn shown(bytes: u64) -> String {
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    if bytes < 1024 {
        return format!("{bytes} {unit}");
    }
    // In tenths, so that no fraction gets lost.
    let mut tenths = bytes.saturating_mul(10);
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths = tenths.div_ceil(1024);
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 bytes")]
    #[case(1023, "1023 bytes")]
    #[case(1024, "1.0 KiB")]
    #[case(1536, "1.5 KiB")]
    #[case(5 << 20, "5.0 MiB")]
    #[case(3 << 40, "3.0 TiB")]
    fn sizes_have_a_unit(#[case] bytes: u64, #[case] expected: &str) {
        assert_eq!(shown(bytes), expected);
    }
}
