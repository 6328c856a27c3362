//! The JSON objects of the Packages API, as its clients read and write them.
//!
//! Property names are exact. Every key of an answer is present, nulls included, unless a field says
//! otherwise; unknown keys of requests are ignored.

mod audit;
mod feed;
mod history;
mod key;
mod package;
mod promotion;
mod server;

pub use audit::{AuditLogCheck, AuditLogEntry, AuditLogPage};
pub use feed::{
    FeedInfo, FeedObject, RetentionRule, StorageConfiguration, StorageOption, StorageType,
};
pub use history::{PackageHistory, Published, RepackagedFile, RepackagingData};
pub use key::ApiKeyInfo;
pub use package::{
    Artifact, AuditResult, PackageMetadata, PackageState, PackageStatus, PackageVersionInfo,
    StatusChange, StatusObject,
};
pub use promotion::{PromoteInput, PromotedPackage, PromotionData, RepackageInput};
pub use server::{HealthInfo, SettingInfo, SettingInput};

use serde::{Deserialize, Deserializer};

/// Tells an absent property from an explicit null: absent is the field's default, null is
/// `Some(None)`.
#[expect(clippy::option_option, reason = "absent and null are two things to these clients")]
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
