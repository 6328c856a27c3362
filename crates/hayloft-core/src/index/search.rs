//! Finding packages by words.
//!
//! A commit writes at most one row: what the package is found by from now on. The background folds
//! these rows into rows by term in batches; a query reads both, so that no answer depends on
//! folding.

use std::collections::{BTreeMap, BTreeSet};

use hayloft_feed::SearchRecord;
use hayloft_feed::native::SearchQuery;

use crate::plan::Plan;
use crate::records::{
    SearchChangeRecord, SearchCountRecord, SearchPackageRecord, SearchTermRecord, SearchValue,
};
use crate::tables::{self, SearchKey};
use crate::{Direction, MetaRead, StoreError, codec, rows};

/// Hits that are counted; beyond it a total is a lower bound.
const COUNTED: usize = 10_000;
/// Rows read at a time.
const PAGE: usize = 512;
/// Changes that one commit folds.
const FOLDED: usize = 256;

/// Notes what a package is found by from now on; `None` if it is gone. Writes nothing if that is
/// what it was found by already.
pub(crate) fn note(
    plan: &mut Plan,
    feed: u32,
    name_key: &[u8],
    record: Option<&SearchRecord>,
) -> Result<(), StoreError> {
    let now = record.map(|record| {
        let terms: BTreeSet<String> = record
            .terms
            .iter()
            .filter(|term| (1..=SearchRecord::TERM_LENGTH).contains(&term.len()))
            .filter(|term| !term.contains('\0'))
            .take(SearchRecord::TERMS)
            .cloned()
            .collect();
        SearchValue { flags: record.flags, terms: terms.into_iter().collect() }
    });
    let key = tables::search_change(feed, name_key);
    let before = match plan.get(tables::SEARCH_LOG, &key)? {
        Some(SearchChangeRecord(before)) => before,
        None => folded(plan, feed, name_key)?,
    };
    if before != now {
        plan.put(tables::SEARCH_LOG, key, &SearchChangeRecord(now))?;
    }
    Ok(())
}

/// What the term rows say of a package.
fn folded(
    read: &dyn MetaRead,
    feed: u32,
    name_key: &[u8],
) -> Result<Option<SearchValue>, StoreError> {
    let key = tables::search(feed, SearchKey::Package(name_key));
    Ok(rows::get(read, tables::SEARCH, &key)?.map(|SearchPackageRecord(value)| value))
}

/// Packages found: their name keys in order, and how many there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) total: u64,
    pub(crate) names: Vec<Vec<u8>>,
}

/// Answers a query.
pub(crate) fn find(
    read: &dyn MetaRead,
    feed: u32,
    query: &SearchQuery<'_>,
) -> Result<Found, StoreError> {
    let tail = unfolded(read, feed)?;
    let flags = query.flags;
    let mut words: Vec<&str> = query.words.iter().map(String::as_str).collect();
    let last = words.pop().filter(|word| !word.is_empty());
    let matches = |value: &SearchValue| {
        value.flags & flags == flags
            && words.iter().all(|word| value.terms.iter().any(|term| term == word))
            && last.is_none_or(|last| value.terms.iter().any(|term| term.starts_with(last)))
    };
    let skip = usize::try_from(query.skip).unwrap_or(usize::MAX);
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (name, value) in &tail {
        if value.as_ref().is_some_and(&matches) {
            names.insert(name.clone());
        }
    }
    let (driver, by_beginning) = rarest(read, feed, &words, last)?;
    let alone = words.is_empty();
    let mut complete = true;
    let mut visit = |name: &[u8], of_term: u8| -> Result<bool, StoreError> {
        if tail.contains_key(name) || of_term & flags != flags || names.contains(name) {
            return Ok(true);
        }
        // One word is told by its own rows; for more the package's terms decide.
        if !alone {
            let key = tables::search(feed, SearchKey::Package(name));
            let SearchPackageRecord(value) = rows::need(read, tables::SEARCH, &key)?;
            if !matches(&value) {
                return Ok(true);
            }
        }
        names.insert(name.to_vec());
        complete = names.len() < COUNTED;
        Ok(complete)
    };
    each_with_term(read, feed, driver, by_beginning, &mut visit)?;
    let total = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let total = if !complete && query.words.is_empty() {
        total.max(count(read, feed, "", flags)?)
    } else {
        total
    };
    let exact = query.words.join(" ").to_ascii_lowercase();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| !exact.is_empty() && is_named(name, &exact));
    first.extend(rest);
    Ok(Found { total, names: first.into_iter().skip(skip).take(query.take).collect() })
}

/// True if the name of a key is `text`, without ASCII case.
fn is_named(name_key: &[u8], text: &str) -> bool {
    let name = name_key.split(|byte| *byte == 1).nth(1).unwrap_or_default();
    name.strip_suffix(&[0]).unwrap_or(name).eq_ignore_ascii_case(text.as_bytes())
}

/// The word that fewest packages have, and whether it stands for all terms that begin with it. No
/// word: the empty term, which every package has.
fn rarest<'a>(
    read: &dyn MetaRead,
    feed: u32,
    words: &[&'a str],
    last: Option<&'a str>,
) -> Result<(&'a str, bool), StoreError> {
    let Some(last) = last else {
        return Ok(match words.first() {
            Some(word) => (word, false),
            None => ("", false),
        });
    };
    let mut best = (last, true);
    let mut fewest = u64::MAX;
    for word in words {
        let found = count(read, feed, word, 0)?;
        if found < fewest {
            (best, fewest) = ((*word, false), found);
        }
    }
    Ok(best)
}

/// How many packages have a term, and these flags.
fn count(read: &dyn MetaRead, feed: u32, term: &str, flags: u8) -> Result<u64, StoreError> {
    let key = tables::search(feed, SearchKey::Count(term));
    let record: Option<SearchCountRecord> = rows::get(read, tables::SEARCH, &key)?;
    let counts = record.map(|SearchCountRecord(counts)| counts).unwrap_or_default();
    Ok(counts.iter().filter(|(of, _)| of & flags == flags).map(|(_, count)| count).sum())
}

/// Is shown name key and flags of a package, and tells whether it wants more.
type Take<'a> = &'a mut dyn FnMut(&[u8], u8) -> Result<bool, StoreError>;

/// Visits the packages that have a term, or any term that begins so, until the visitor has enough.
fn each_with_term(
    read: &dyn MetaRead,
    feed: u32,
    term: &str,
    by_beginning: bool,
    visit: Take<'_>,
) -> Result<(), StoreError> {
    let whole = tables::search(feed, SearchKey::Count(term));
    // Without its NUL the key of a term is the beginning of all that begin so.
    let prefix = match whole.split_last() {
        Some((_, beginning)) if by_beginning => beginning.to_vec(),
        _ => whole,
    };
    let of_term = prefix_of_terms(feed);
    let mut range = tables::prefixed(&prefix);
    loop {
        let page = read.scan(tables::SEARCH, range, Direction::Forward, PAGE)?;
        for (key, value) in &page {
            let name = key
                .get(of_term.len()..)
                .and_then(|rest| rest.iter().position(|byte| *byte == 0).map(|at| (rest, at)))
                .and_then(|(rest, at)| rest.get(at + 1..))
                .unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            let SearchTermRecord(flags) = codec::decode(tables::SEARCH, key, value)?;
            if !visit(name, flags)? {
                return Ok(());
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => range = tables::prefixed_after(&prefix, key),
            _ => return Ok(()),
        }
    }
}

/// What the keys of all terms of a feed begin with.
fn prefix_of_terms(feed: u32) -> Vec<u8> {
    let mut key = tables::search(feed, SearchKey::Count(""));
    key.pop();
    key
}

/// What the term rows do not show yet, by name key.
fn unfolded(
    read: &dyn MetaRead,
    feed: u32,
) -> Result<BTreeMap<Vec<u8>, Option<SearchValue>>, StoreError> {
    let mut tail = BTreeMap::new();
    let prefix = tables::feed(feed);
    rows::each(read, tables::SEARCH_LOG, &prefix, |key, value| {
        let SearchChangeRecord(now) = codec::decode(tables::SEARCH_LOG, key, value)?;
        tail.insert(key.get(prefix.len()..).unwrap_or_default().to_vec(), now);
        Ok(())
    })?;
    Ok(tail)
}

/// Folds changes of a feed into its term rows; true if more may be left.
pub(crate) fn fold(plan: &mut Plan, feed: u32) -> Result<bool, StoreError> {
    let prefix = tables::feed(feed);
    let page: Vec<(Vec<u8>, SearchChangeRecord)> = rows::scan(
        plan,
        tables::SEARCH_LOG,
        tables::prefixed(&prefix),
        Direction::Forward,
        FOLDED,
    )?;
    let more = page.len() == FOLDED;
    let mut counts: BTreeMap<String, BTreeMap<u8, i64>> = BTreeMap::new();
    for (key, SearchChangeRecord(now)) in page {
        let name = key.get(prefix.len()..).unwrap_or_default().to_vec();
        plan.delete(tables::SEARCH_LOG, key);
        let before = folded(plan, feed, &name)?;
        for (value, sign) in [(&before, -1), (&now, 1)] {
            let Some(value) = value else { continue };
            for term in std::iter::once("").chain(value.terms.iter().map(String::as_str)) {
                let key = tables::search(feed, SearchKey::Term(term, &name));
                if sign < 0 {
                    plan.delete(tables::SEARCH, key);
                } else {
                    plan.put(tables::SEARCH, key, &SearchTermRecord(value.flags))?;
                }
                let of_term = counts.entry(term.to_owned()).or_default();
                *of_term.entry(value.flags).or_default() += sign;
            }
        }
        let key = tables::search(feed, SearchKey::Package(&name));
        match now {
            Some(value) => plan.put(tables::SEARCH, key, &SearchPackageRecord(value))?,
            None => plan.delete(tables::SEARCH, key),
        }
    }
    for (term, changes) in counts {
        let key = tables::search(feed, SearchKey::Count(&term));
        let before: Option<SearchCountRecord> = plan.get(tables::SEARCH, &key)?;
        let mut by_flags: BTreeMap<u8, u64> = before
            .map(|SearchCountRecord(counts)| counts)
            .unwrap_or_default()
            .into_iter()
            .collect();
        for (flags, change) in changes {
            let count = by_flags.entry(flags).or_default();
            *count = count.saturating_add_signed(change);
        }
        by_flags.retain(|_, count| *count > 0);
        if by_flags.is_empty() {
            plan.delete(tables::SEARCH, key);
        } else {
            let record = SearchCountRecord(by_flags.into_iter().collect());
            plan.put(tables::SEARCH, key, &record)?;
        }
    }
    Ok(more)
}
