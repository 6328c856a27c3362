use std::ops::Range;

/// One `length key=value` record of a pax header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaxRecord<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Of the whole record.
    pub(crate) at: Range<usize>,
}

/// Splits the data of a pax header into its records; strict, since readers differ in what they
/// make of a malformed one.
pub(crate) fn parse(data: &[u8]) -> Result<Vec<PaxRecord<'_>>, &'static str> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
        let record = parse_one(rest, at).ok_or("its pax header is malformed")?;
        at = record.at.end;
        records.push(record);
    }
    Ok(records)
}

fn parse_one(rest: &[u8], at: usize) -> Option<PaxRecord<'_>> {
    let space = rest.iter().take(20).position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(rest.get(..space)?).ok()?;
    let length: usize = if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        digits.parse().ok()?
    } else {
        return None;
    };
    let body = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=').filter(|equals| *equals > 0)?;
    let (key, value) = body.split_at_checked(equals)?;
    let value = value.get(1..)?;
    Some(PaxRecord { key, value, at: at..at.checked_add(length)? })
}

/// Keys by which a reader tells what a member is.
const DECISIVE: [&[u8]; 4] = [b"path", b"linkpath", b"size", b"type"];

/// Checks that readers of lines find what readers of lengths find.
///
/// node-tar, under npm, splits the data at line ends and takes each line for a record that states
/// the length of that line; all others follow the lengths. They differ where a value holds a line
/// end. node-tar also takes the kind of a member from a record `type`, which no standard knows.
pub(crate) fn read_alike(data: &[u8], records: &[PaxRecord<'_>]) -> Result<(), &'static str> {
    let decisive = |key: &[u8]| DECISIVE.contains(&key);
    let by_length = records.iter().filter(|record| decisive(record.key));
    if by_length.clone().any(|record| record.key == b"type") {
        return Err("its pax header states a kind, which most readers ignore");
    }
    let lines = data.split_inclusive(|byte| *byte == b'\n');
    let by_line = lines.filter_map(|line| parse_one(line, 0)).filter(|record| decisive(record.key));
    if by_length
        .map(|record| (record.key, record.value))
        .ne(by_line.map(|line| (line.key, line.value)))
    {
        return Err("its pax header holds a line end by which readers differ");
    }
    Ok(())
}

/// The value of `key`; an error if two records give it.
pub(crate) fn find<'r, 'a>(
    records: &'r [PaxRecord<'a>],
    key: &[u8],
) -> Result<Option<&'r PaxRecord<'a>>, &'static str> {
    let mut found = records.iter().filter(|record| record.key == key);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err("its pax header states a value twice"),
    }
}

/// A record with its own length in front.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    // Space, equals sign and line end.
    let body = key.len() + value.len() + 3;
    let digits = |number: usize| number.to_string().len();
    let mut length = body + digits(body);
    if digits(length) != digits(body) {
        length = body + digits(length);
    }
    let mut bytes = format!("{length} ").into_bytes();
    bytes.extend_from_slice(key);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
    bytes
}

/// The data with the value of `key` changed where there is such a record, every other byte kept.
/// `None` if there is none.
pub(crate) fn replace(data: &[u8], key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let records = parse(data).ok()?;
    let found = records.iter().find(|record| record.key == key)?;
    let mut bytes = data.get(..found.at.start)?.to_vec();
    bytes.extend_from_slice(&record(key, value));
    bytes.extend_from_slice(data.get(found.at.end..)?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_length(b"path=a\n")]
    #[case::no_equals(b"9 patha\n\n")]
    #[case::no_key(b"5 =a\n")]
    #[case::no_line_end(b"9 path=ab")]
    #[case::longer_than_the_data(b"99 path=a\n")]
    #[case::shorter_than_itself(b"1 path=a\n")]
    #[case::signed(b"+10 path=a\n")]
    #[case::zeros_behind(b"10 path=a\n\0")]
    #[case::huge(b"99999999999999999999999 path=a\n")]
    fn malformed_records_are_refused(#[case] data: &[u8]) {
        assert_eq!(parse(data), Err("its pax header is malformed"));
    }

    #[test]
    fn records_that_a_reader_of_lines_takes_otherwise_are_refused() {
        let check = |data: &[u8]| read_alike(data, &parse(data).unwrap());
        assert!(
            check(&[record(b"path", b"a"), record(b"SCHILY.xattr.x", b"a\nb")].concat()).is_ok()
        );
        assert!(check(&record(b"path", b"a\nb")).is_err());
        let hidden = [&b"x\n"[..], &record(b"path", b"b")].concat();
        assert!(check(&record(b"comment", &hidden)).is_err());
        assert!(check(&record(b"type", b"SymbolicLink")).is_err());
    }

    #[test]
    fn a_value_given_twice_is_refused() {
        let data = [record(b"path", b"a"), record(b"path", b"b")].concat();
        let records = parse(&data).unwrap();
        assert!(find(&records, b"path").is_err());
        assert_eq!(find(&records, b"size"), Ok(None));
    }

    proptest! {
        #[test]
        fn a_record_states_its_own_length(value in prop::collection::vec(any::<u8>(), 0..1200)) {
            let data = record(b"path", &value);
            let records = parse(&data).unwrap();
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!(records[0].value, &value[..]);
            prop_assert_eq!(records[0].at.clone(), 0..data.len());
        }

        #[test]
        fn replacing_a_value_keeps_the_other_records(
            before in "[a-z]{0,120}", after in "[a-z]{0,120}", value in "[a-z]{0,120}",
        ) {
            let data = [
                record(b"mtime", before.as_bytes()),
                record(b"size", b"12"),
                record(b"path", after.as_bytes()),
            ].concat();
            let changed = replace(&data, b"size", value.as_bytes()).unwrap();
            let values: Vec<_> = parse(&changed).unwrap().iter().map(|r| r.value.to_vec()).collect();
            prop_assert_eq!(values, vec![before.into_bytes(), value.into_bytes(), after.into_bytes()]);
            prop_assert_eq!(replace(&data, b"size", b"12").unwrap(), data.clone());
            prop_assert_eq!(replace(&data, b"linkpath", b""), None);
        }
    }
}
