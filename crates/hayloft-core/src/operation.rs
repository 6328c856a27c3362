//! What a store can do: requests, answers and errors of each operation, and its implementation.

mod adopt;
mod api_keys;
mod audit;
mod delete;
mod download;
mod edit;
mod feeds;
mod find;
mod history;
mod list;
mod native;
mod promote;
mod repackage;
mod secret;
mod settings;
mod status;
mod tags;
mod upload;
mod verify;

pub use adopt::AdoptError;
pub use api_keys::{ApiKey, KeyDigest, KeyError, KeyGrant, KeyText, QuickLookup};
pub use audit::{Action, AuditCheck, AuditPage, AuditQuery, AuditRow};
pub(crate) use audit::{Chain, ChainFault, Entry};
pub use delete::{DeleteError, Deleted, Extent};
pub use download::Download;
pub use edit::{EditError, Edited};
pub use find::{Algorithm, FindError, FoundFile};
pub use history::{PackageHistory, Promotion, PromotionQuery, RepackagedFile, Repackaging};
pub use list::{After, Files, LatestQuery, Manifests, Pick, VersionsQuery};
pub use native::{ActError, ContentError, NativeContent, NativeError, NativeView, RefreshError};
pub use promote::{PromoteError, PromoteOutcome, PromoteRequest};
pub use repackage::{RepackageError, RepackageOutcome, RepackageRequest};
pub use secret::SecretError;
pub use settings::SettingError;
pub use status::{DeprecationChange, StatusChange, StatusError, StatusOutcome};
pub use tags::TagError;
pub use upload::{Overwrite, Stored, UploadError, UploadRequest, Uploaded};
pub use verify::{Finding, FindingCode, Repair, VerifyError, VerifyLevel, VerifySummary};

pub(crate) use download::document_of;
pub(crate) use native::{Refreshing, content_of_feed};
