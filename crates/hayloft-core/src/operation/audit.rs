mod chain;

pub(crate) use self::chain::{Chain, ChainFault};
use crate::plan::Plan;
use crate::records::AuditRecord;
use crate::resolve::VersionHandle;
use crate::rows_pager::{Pager, Rows};
use crate::{Actor, Direction, Store, StoreError, Timestamp, rows, tables};
use std::ops::Bound;

/// What was done; the text in rows and filters is given at each variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// `upload`: a new file.
    Upload,
    /// `replace`: other bytes over an existing file.
    Replace,
    /// `delete`: files or a version.
    Delete,
    /// `status`: listed, allow, deprecated.
    Status,
    /// `promote`.
    Promote,
    /// `repackage`.
    Repackage,
    /// `tag`: a tag set or removed.
    Tag,
    /// `feed-create`.
    FeedCreate,
    /// `feed-update`.
    FeedUpdate,
    /// `feed-delete`.
    FeedDelete,
    /// `key-create`: an API key.
    KeyCreate,
    /// `key-delete`: an API key.
    KeyDelete,
    /// `setting`.
    Setting,
    /// `repair`: derived rows rebuilt.
    Repair,
    /// `lost`: a row of the log that was damaged; the chain does not reach across it.
    Lost,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Upload,
        Self::Replace,
        Self::Delete,
        Self::Status,
        Self::Promote,
        Self::Repackage,
        Self::Tag,
        Self::FeedCreate,
        Self::FeedUpdate,
        Self::FeedDelete,
        Self::KeyCreate,
        Self::KeyDelete,
        Self::Setting,
        Self::Repair,
        Self::Lost,
    ];

    /// The text in rows and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Status => "status",
            Self::Promote => "promote",
            Self::Repackage => "repackage",
            Self::Tag => "tag",
            Self::FeedCreate => "feed-create",
            Self::FeedUpdate => "feed-update",
            Self::FeedDelete => "feed-delete",
            Self::KeyCreate => "key-create",
            Self::KeyDelete => "key-delete",
            Self::Setting => "setting",
            Self::Repair => "repair",
            Self::Lost => "lost",
        }
    }
}

/// One row of the audit log, which only grows and outlives what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRow {
    /// Grows with time.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// The API key used.
    pub key_id: Option<u64>,
    /// Where the request came from.
    pub address: Option<String>,
    /// Text of the [`Action`].
    pub action: String,
    /// Name of the feed; empty if the change has none.
    pub feed: String,
    /// Name of the target feed of a promotion or repackaging.
    pub to_feed: Option<String>,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name; empty if the change has none.
    pub name: String,
    /// Version before, or the only one.
    pub version: String,
    /// Version of the result of a repackaging.
    pub new_version: Option<String>,
    /// Why.
    pub comments: Option<String>,
    /// SHA-256 of the bytes before, where bytes were replaced, deleted, promoted or repackaged.
    pub old_sha256: Option<[u8; 32]>,
    /// SHA-256 of the bytes after.
    pub new_sha256: Option<[u8; 32]>,
    /// More, as a JSON object.
    pub details: String,
    /// BLAKE3 over the chain value of the row before and this row's bytes.
    pub chain: [u8; 32],
}

/// Which rows of the audit log to list; texts compare without ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only rows older than this one, for paging.
    pub before: Option<u64>,
    /// Only rows newer than this one, oldest first.
    pub after: Option<u64>,
    /// Only this feed, as source or target.
    pub feed: Option<String>,
    /// Only this npm scope or universal group; an empty one is none.
    pub group: Option<String>,
    /// Only this package name.
    pub name: Option<String>,
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only before then.
    pub until: Option<Timestamp>,
    /// Only this action.
    pub action: Option<Action>,
}

/// What an operation tells the audit log.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) action: Option<Action>,
    pub(crate) feed: String,
    pub(crate) to_feed: Option<String>,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) new_version: Option<String>,
    pub(crate) comments: Option<String>,
    pub(crate) old_sha256: Option<[u8; 32]>,
    pub(crate) new_sha256: Option<[u8; 32]>,
    pub(crate) details: Option<serde_json::Value>,
}

impl Entry {
    /// A change that has no feed.
    pub(crate) fn of(action: Action) -> Self {
        Self { action: Some(action), ..Self::default() }
    }

    /// A change of a feed itself.
    pub(crate) fn of_feed(action: Action, feed: &str) -> Self {
        Self { feed: feed.to_owned(), ..Self::of(action) }
    }

    /// A change of a version.
    pub(crate) fn of_version(action: Action, feed: &str, version: &VersionHandle) -> Self {
        Self {
            group: version.package.record.group.clone(),
            name: version.package.record.name.clone(),
            version: version.record.text.clone(),
            ..Self::of_feed(action, feed)
        }
    }

    /// Appends the row.
    pub(crate) fn write(self, plan: &mut Plan, actor: &Actor) -> Result<u64, StoreError> {
        let record = self.record(plan, actor);
        plan.audit(record)
    }

    /// The row, but for its chain value.
    pub(crate) fn record(self, plan: &Plan, actor: &Actor) -> AuditRecord {
        let at = plan.now().millis();
        AuditRecord {
            at,
            actor: actor.name.clone(),
            key_id: actor.key_id,
            address: actor.address.clone(),
            action: self.action.map_or("", Action::as_str).to_owned(),
            feed: self.feed,
            to_feed: self.to_feed,
            group: self.group,
            name: self.name,
            version: self.version,
            new_version: self.new_version,
            comments: self.comments,
            old_sha256: self.old_sha256,
            new_sha256: self.new_sha256,
            details: self.details.unwrap_or_else(|| serde_json::json!({})).to_string(),
            chain: [0; 32],
        }
    }
}

/// The beginning of a list of names: a row of the log stays small, whatever a change is of.
pub(crate) fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SHOWN: usize = 50;
    let mut names = names.map(hayloft_feed::shorten);
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).collect();
    match names.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown
}

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPage {
    /// Those that the query asks for; perhaps none, though others follow.
    pub rows: Vec<AuditRow>,
    /// The last row that was looked at, unless it was the last of all: where a next query begins,
    /// as its `before` or `after`.
    pub next: Option<u64>,
}

/// What came of checking the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditCheck {
    /// Rows that were read.
    pub rows: u64,
    /// Number of the last row; 0 in an empty log.
    pub last: u64,
    /// Chain value of the last row. Whoever keeps it elsewhere can tell later whether a row up to
    /// that one was changed, by whomever.
    pub chain: [u8; 32],
    /// Rows that were damaged and replaced by a repair; the chain does not reach across them.
    pub lost: u64,
    /// What is wrong, of everything the first hundred.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub fault_count: u64,
}

impl Store {
    /// The audit log, newest first; with [`AuditQuery::after`] oldest first.
    pub fn audit_log(&self, query: &AuditQuery) -> Result<Rows<AuditRow>, StoreError> {
        self.inner.snapshot()?;
        Ok(Rows::new(AuditPager { store: self.clone(), query: query.clone(), at_end: false }))
    }

    /// At most `count` rows of the audit log. Looks at a bounded number of rows, so that a filter
    /// that fits nothing costs no more than another.
    pub fn audit_page(&self, query: &AuditQuery, count: usize) -> Result<AuditPage, StoreError> {
        const SCANS: usize = 100;
        let mut query = query.clone();
        let mut rows = Vec::new();
        for _ in 0..SCANS {
            let scan = self.scan_audit(&query)?;
            for row in scan.rows {
                if rows.len() == count {
                    let next = rows.last().map(|row: &AuditRow| row.id);
                    return Ok(AuditPage { rows, next });
                }
                rows.push(row);
            }
            let Some(last) = scan.next else { return Ok(AuditPage { rows, next: None }) };
            query.go_on(last);
        }
        let next = query.position();
        Ok(AuditPage { rows, next })
    }

    /// Checks that every row of the audit log follows from the one before, and that the last one is
    /// the last that was written; with an anchor, a row and its chain value as they once were, also
    /// that this is still so. Reads the whole log.
    pub fn check_audit_log(
        &self,
        anchor: Option<(u64, [u8; 32])>,
    ) -> Result<AuditCheck, StoreError> {
        const SHOWN: usize = 100;
        let read = self.inner.snapshot()?;
        let mut check = AuditCheck::default();
        let fault = |check: &mut AuditCheck, fault: ChainFault| {
            if let ChainFault::Lost(_) = fault {
                check.lost += 1;
                return;
            }
            check.fault_count += 1;
            if check.faults.len() < SHOWN {
                check.faults.push(fault.to_string());
            }
        };
        let mut chain = Chain::default();
        let mut anchored = anchor.is_none();
        rows::each(read.as_ref(), tables::AUDIT, &[], |key, value| {
            check.rows += 1;
            for found in chain.follow(key, value) {
                fault(&mut check, found);
            }
            if let Some((row, _)) = anchor.filter(|anchor| *anchor == (chain.number, chain.value)) {
                anchored |= row == chain.number && chain.known;
            }
            Ok(())
        })?;
        if let Some(found) = chain.end(read.as_ref())? {
            fault(&mut check, found);
        }
        if let Some((row, _)) = anchor.filter(|_| !anchored) {
            fault(&mut check, ChainFault::Anchor(row));
        }
        (check.last, check.chain) = (chain.number, chain.value);
        Ok(check)
    }

    /// The next few rows that a query asks for.
    fn scan_audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        const PAGE: usize = 500;
        let bound =
            |id: Option<u64>| id.map_or(Bound::Unbounded, |id| Bound::Excluded(tables::number(id)));
        let direction =
            if query.after.is_some() { Direction::Forward } else { Direction::Backward };
        let page = rows::list::<AuditRecord>(
            self.inner.snapshot()?.as_ref(),
            tables::AUDIT,
            &(bound(query.after), bound(query.before)),
            direction,
            PAGE,
        )?;
        let next = page.last.as_ref().and_then(|last| tables::u64_at(last, 0));
        let shown = page.rows.into_iter().filter_map(|(key, record)| {
            let row = shown(tables::u64_at(&key, 0)?, record);
            query.fits(&row).then_some(row)
        });
        Ok(AuditPage { rows: shown.collect(), next })
    }
}

struct AuditPager {
    store: Store,
    query: AuditQuery,
    at_end: bool,
}

impl Pager<AuditRow> for AuditPager {
    fn page(&mut self) -> Result<Option<Vec<AuditRow>>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        let page = self.store.scan_audit(&self.query)?;
        match page.next {
            Some(last) => self.query.go_on(last),
            None => self.at_end = true,
        }
        Ok(Some(page.rows))
    }
}

impl AuditQuery {
    /// Continues behind a row.
    fn go_on(&mut self, last: u64) {
        if self.after.is_some() {
            self.after = Some(last);
        } else {
            self.before = Some(last);
        }
    }

    fn position(&self) -> Option<u64> {
        self.after.or(self.before)
    }

    fn fits(&self, row: &AuditRow) -> bool {
        let alike = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        (alike(&self.feed, &row.feed)
            || row.to_feed.as_ref().is_some_and(|to| alike(&self.feed, to)))
            && alike(&self.group, &row.group)
            && alike(&self.name, &row.name)
            && alike(&self.actor, &row.actor)
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until)
            && self.action.is_none_or(|action| action.as_str() == row.action)
    }
}

fn shown(id: u64, record: AuditRecord) -> AuditRow {
    AuditRow {
        id,
        at: Timestamp::from_millis(record.at),
        actor: record.actor,
        key_id: record.key_id,
        address: record.address,
        action: record.action,
        feed: record.feed,
        to_feed: record.to_feed,
        group: record.group,
        name: record.name,
        version: record.version,
        new_version: record.new_version,
        comments: record.comments,
        old_sha256: record.old_sha256,
        new_sha256: record.new_sha256,
        details: record.details,
        chain: record.chain,
    }
}
