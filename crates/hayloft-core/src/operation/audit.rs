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
    /// Only this feed, as source or target.
    pub feed: Option<String>,
    /// Only this package name.
    pub name: Option<String>,
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

impl Store {
    /// The audit log, newest first.
    pub fn audit_log(&self, query: &AuditQuery) -> Result<Rows<AuditRow>, StoreError> {
        self.inner.snapshot()?;
        Ok(Rows::new(AuditPager {
            store: self.clone(),
            query: query.clone(),
            before: query.before,
            at_end: false,
        }))
    }
}

struct AuditPager {
    store: Store,
    query: AuditQuery,
    before: Option<u64>,
    at_end: bool,
}

impl Pager<AuditRow> for AuditPager {
    fn page(&mut self) -> Result<Option<Vec<AuditRow>>, StoreError> {
        const PAGE: usize = 500;
        let end = self.before.map_or(Bound::Unbounded, |id| Bound::Excluded(tables::number(id)));
        if self.at_end {
            return Ok(None);
        }
        let page = rows::list::<AuditRecord>(
            self.store.inner.snapshot()?.as_ref(),
            tables::AUDIT,
            &(Bound::Unbounded, end),
            Direction::Backward,
            PAGE,
        )?;
        self.before = page.last.as_ref().and_then(|last| tables::u64_at(last, 0));
        self.at_end = self.before.is_none();
        let shown = page.rows.into_iter().filter_map(|(key, record)| {
            let row = shown(tables::u64_at(&key, 0)?, record);
            self.query.fits(&row).then_some(row)
        });
        Ok(Some(shown.collect()))
    }
}

impl AuditQuery {
    fn fits(&self, row: &AuditRow) -> bool {
        let alike = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        (alike(&self.feed, &row.feed)
            || row.to_feed.as_ref().is_some_and(|to| alike(&self.feed, to)))
            && alike(&self.name, &row.name)
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
