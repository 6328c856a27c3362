use crate::file_rows::package_info;
use crate::plan::Plan;
use crate::resolve::{FeedHandle, PackageHandle};
use crate::versions::{set_tags, write_package};
use crate::{Action, Actor, PackageInfo, SelectError, Selector, Store, StoreError, Wanted};

use super::audit::Entry;

/// Most tags of a package.
const TAGS: usize = 1_000;
/// Longest tag in bytes.
const TAG_LENGTH: usize = 256;
/// Bytes that a change of a tag writes, roughly.
const WEIGHT: usize = 16 << 10;

/// A tag was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The package or version was not found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The package has no such tag.
    #[error("there is no tag `{tag}`")]
    NotFound {
        /// What was asked for.
        tag: String,
    },
    /// Empty, longer than 256 bytes, with control characters, or one too many.
    #[error(
        "the tag is empty, has more than 256 bytes or control characters, or is one of more than 1,000"
    )]
    Text,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Points a tag at a version, in place of the one it pointed at.
    pub fn set_tag(
        &self,
        feed: &str,
        tag: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<PackageInfo, TagError> {
        if !is_tag(tag) {
            return Err(TagError::Text);
        }
        let types = self.types().clone();
        let (feed, tag) = (feed.to_owned(), tag.to_owned());
        let (selector, actor) = (selector.clone(), actor.clone());
        self.inner.writer.change(WEIGHT, move |plan| {
            let handle = FeedHandle::find(plan, &types, &feed).map_err(SelectError::from)?;
            let version = handle.select_version(plan, &selector)?;
            let mut package = version.package;
            let text = version.record.text;
            if set_tags(&mut package.record, &text, std::slice::from_ref(&tag)) {
                check_count(&package)?;
                write(plan, &handle, &mut package, &tag, &text, &actor)?;
            }
            Ok(package_info(handle.id, &package))
        })
    }

    /// Removes a tag.
    pub fn remove_tag(
        &self,
        feed: &str,
        group: &str,
        name: &str,
        tag: &str,
        actor: &Actor,
    ) -> Result<PackageInfo, TagError> {
        let types = self.types().clone();
        let (feed, tag, actor) = (feed.to_owned(), tag.to_owned(), actor.clone());
        let (group, name) = (group.to_owned(), name.to_owned());
        self.inner.writer.change(WEIGHT, move |plan| {
            let handle = FeedHandle::find(plan, &types, &feed).map_err(SelectError::from)?;
            let package = remove(plan, &handle, &group, &name, &tag, &actor)?;
            Ok(package_info(handle.id, &package))
        })
    }
}

/// Removes a tag of a package.
pub(super) fn remove(
    plan: &mut Plan,
    handle: &FeedHandle,
    group: &str,
    name: &str,
    tag: &str,
    actor: &Actor,
) -> Result<PackageHandle, TagError> {
    let selector = Selector::of(name, Wanted::Latest).in_group(group);
    let mut package = handle.select_version(plan, &selector)?.package;
    let Some(at) = package.record.tags.iter().position(|(known, _)| *known == tag) else {
        return Err(TagError::NotFound { tag: hayloft_feed::shorten(tag) });
    };
    let (_, text) = package.record.tags.remove(at);
    write(plan, handle, &mut package, tag, &text, actor)?;
    Ok(package)
}

/// Fails for a package with more tags than it may have.
pub(super) fn check_count(package: &PackageHandle) -> Result<(), TagError> {
    if package.record.tags.len() > TAGS { Err(TagError::Text) } else { Ok(()) }
}

pub(super) fn write(
    plan: &mut Plan,
    handle: &FeedHandle,
    package: &mut PackageHandle,
    tag: &str,
    version: &str,
    actor: &Actor,
) -> Result<(), StoreError> {
    write_package(plan, handle.id, package)?;
    let set = package.record.tags.iter().any(|(known, _)| known == tag);
    let entry = Entry {
        group: package.record.group.clone(),
        name: package.record.name.clone(),
        version: version.to_owned(),
        details: Some(serde_json::json!({ "tag": tag, "set": set })),
        ..Entry::of_feed(Action::Tag, &handle.record.name)
    };
    entry.write(plan, actor)?;
    Ok(())
}

/// True if a text can be a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    (1..=TAG_LENGTH).contains(&tag.len()) && !tag.chars().any(char::is_control)
}
