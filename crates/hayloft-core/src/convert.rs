//! Between rows and what callers see.

use hayloft_feed::{Digests, FileRole, Stability};

use crate::records::borrowed::OriginRow;
use crate::records::{
    ActivityValue, AllowValue, DeleteModeValue, DeprecationValue, DigestsValue, FeedRecord,
    FeedState, ListingValue, OriginValue, OverwritingValue, RoleValue, StabilityValue,
    StatusRecord,
};
use crate::{
    Activity, Allow, BlobKey, DeleteMode, Deprecation, FeedDraft, FeedSettings, Listing, Origin,
    Overwriting, Status, Timestamp,
};

/// Two-way mapping of enums without fields.
macro_rules! mapped {
    ($($public:ident <=> $value:ident { $($public_case:ident = $value_case:ident),+ })+) => {
        $(
            impl From<$public> for $value {
                fn from(public: $public) -> Self {
                    match public {
                        $($public::$public_case => Self::$value_case,)+
                    }
                }
            }
            impl From<$value> for $public {
                fn from(value: $value) -> Self {
                    match value {
                        $($value::$value_case => Self::$public_case,)+
                    }
                }
            }
        )+
    };
}

mapped! {
    Activity <=> ActivityValue { Active = Active, Inactive = Inactive }
    Overwriting <=> OverwritingValue { Allowed = Allowed, Refused = Refused }
    DeleteMode <=> DeleteModeValue { Unlist = Unlist, Remove = Remove }
    Listing <=> ListingValue { Listed = Listed, Unlisted = Unlisted }
    Allow <=> AllowValue { Always = Always, Never = Never }
    FileRole <=> RoleValue { Package = Package, Companion = Companion }
    Stability <=> StabilityValue { Stable = Stable, Prerelease = Prerelease }
}

impl From<&Digests> for DigestsValue {
    fn from(digests: &Digests) -> Self {
        Self {
            blake3: digests.blake3,
            md5: digests.md5,
            sha1: digests.sha1,
            sha256: digests.sha256,
            sha512: digests.sha512,
        }
    }
}

impl From<&DigestsValue> for Digests {
    fn from(digests: &DigestsValue) -> Self {
        Self {
            blake3: digests.blake3,
            md5: digests.md5,
            sha1: digests.sha1,
            sha256: digests.sha256,
            sha512: digests.sha512,
        }
    }
}

impl DigestsValue {
    pub(crate) fn key(&self) -> BlobKey {
        BlobKey(self.blake3)
    }
}

impl From<&DeprecationValue> for Deprecation {
    fn from(value: &DeprecationValue) -> Self {
        Self { reason: value.reason.clone(), details: value.details.clone() }
    }
}

impl From<&Deprecation> for DeprecationValue {
    fn from(deprecation: &Deprecation) -> Self {
        Self { reason: deprecation.reason.clone(), details: deprecation.details.clone() }
    }
}

impl From<&OriginValue> for Origin {
    fn from(value: &OriginValue) -> Self {
        match value {
            OriginValue::Uploaded => Self::Uploaded,
            OriginValue::Promoted { from_feed } => Self::Promoted { from_feed: from_feed.clone() },
            OriginValue::Repackaged { from_feed, from_version } => Self::Repackaged {
                from_feed: from_feed.clone(),
                from_version: from_version.clone(),
            },
        }
    }
}

impl From<&OriginRow<'_>> for Origin {
    fn from(row: &OriginRow<'_>) -> Self {
        match *row {
            OriginRow::Uploaded => Self::Uploaded,
            OriginRow::Promoted { from_feed } => Self::Promoted { from_feed: from_feed.to_owned() },
            OriginRow::Repackaged { from_feed, from_version } => Self::Repackaged {
                from_feed: from_feed.to_owned(),
                from_version: from_version.to_owned(),
            },
        }
    }
}

impl StatusRecord {
    /// The status of a version that came at this time, as long as nothing has changed it.
    pub(crate) fn of_new(created: i64) -> Self {
        Self { listing: ListingValue::Listed, allow: None, deprecated: None, changed: created }
    }
}

impl StatusRecord {
    /// What stands for a status that cannot be read.
    pub(crate) fn of_damaged(created: i64) -> Self {
        let (listing, allow) = (ListingValue::Unlisted, Some(AllowValue::Never));
        Self { listing, allow, ..Self::of_new(created) }
    }
}

impl From<&StatusRecord> for Status {
    fn from(record: &StatusRecord) -> Self {
        Self {
            listing: record.listing.into(),
            allow: record.allow.map(Into::into),
            deprecated: record.deprecated.as_ref().map(Into::into),
        }
    }
}

impl FeedRecord {
    /// What stands for a feed whose row cannot be read, while the rest of it is removed.
    pub(crate) fn lost(now: Timestamp) -> Self {
        Self {
            name: String::new(),
            alternates: Vec::new(),
            tag: String::new(),
            state: FeedState::Deleting,
            created: now.millis(),
            description: None,
            activity: ActivityValue::Active,
            overwriting: OverwritingValue::Refused,
            delete_mode: DeleteModeValue::Unlist,
            promote_to: None,
            other: String::new(),
        }
    }

    /// True if a live feed has a name, given as it is folded.
    pub(crate) fn is_called(&self, folded_name: &[u8]) -> bool {
        self.state == FeedState::Live
            && self
                .alternates
                .iter()
                .chain([&self.name])
                .any(|name| crate::resolve::folded(name) == folded_name)
    }

    pub(crate) fn draft(&self) -> FeedDraft {
        FeedDraft {
            name: self.name.clone(),
            alternates: self.alternates.clone(),
            feed_type: self.tag.clone(),
            settings: FeedSettings {
                description: self.description.clone(),
                activity: self.activity.into(),
                overwriting: self.overwriting.into(),
                delete_mode: self.delete_mode.into(),
                promote_to: self.promote_to,
                other: self.other.clone(),
            },
        }
    }

    pub(crate) fn apply(&mut self, draft: FeedDraft) {
        let FeedDraft { name, alternates, feed_type, settings } = draft;
        self.name = name;
        self.alternates = alternates;
        self.tag = feed_type;
        self.description = settings.description;
        self.activity = settings.activity.into();
        self.overwriting = settings.overwriting.into();
        self.delete_mode = settings.delete_mode.into();
        self.promote_to = settings.promote_to;
        self.other = settings.other;
    }
}
