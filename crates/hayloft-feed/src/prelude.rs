//! What a feed type with a protocol of its own is written with.

pub use crate::native::{
    Action, ActionKind, Answer, BodyHead, Change, ClientSetup, DeframeError, Edit, FeedCard,
    FeedView, Fields, Framing, HeadThenFile, Intake, ListingChange, Native, Outcome, Refusal,
    Reply, Request, Resource, SampleRequest, SearchQuery, StagedCard, UploadOrder, VersionEntry,
    ViewError, Want, find_file, find_package,
};
pub use crate::{
    Detail, FeedType, FeedTypeError, Fragment, HistoryEntry, Identity, Inspected, Limits, NameKey,
    PackageHead, PackageName, ReadSeek, Repackage, Repackaged, SortKey, Stability, Upload, Version,
};
