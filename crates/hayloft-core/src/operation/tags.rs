use crate::file_rows::package_info;
use crate::plan::Plan;
use crate::resolve::{FeedHandle, PackageHandle};
use crate::space::Room;
use crate::versions::{check_tags, set_tags, write_package};
use crate::{
    Action, Actor, Kept, PackageInfo, SelectError, Selector, Store, StoreError, TooLong, Wanted,
};

use super::audit::Entry;

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
    /// Empty or with control characters.
    #[error("the tag is empty or has control characters")]
    Text,
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
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
        Kept::Tag.check_text(tag)?;
        actor.check()?;
        let types = self.types().clone();
        let (feed, tag) = (feed.to_owned(), tag.to_owned());
        let (selector, actor) = (selector.clone(), actor.clone());
        let hints = self.inner.hints(&feed, |feed| feed.wants(&selector));
        self.inner.writer.change_expecting(Room::Needed, WEIGHT, hints, move |plan| {
            let handle = FeedHandle::find(plan, &types, &feed).map_err(SelectError::from)?;
            let version = handle.select_version(plan, &selector)?;
            let mut package = version.package;
            let text = version.record.text;
            if set_tags(&mut package.record, &text, std::slice::from_ref(&tag)) {
                check_tags(&package.record)?;
                write(plan, &handle, &mut package, &tag, &text, &actor)?;
            }
            Ok(package_info(handle.id, &(&package.record).into()))
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
        actor.check()?;
        let types = self.types().clone();
        let (feed, tag, actor) = (feed.to_owned(), tag.to_owned(), actor.clone());
        let (group, name) = (group.to_owned(), name.to_owned());
        let latest = Selector::grouped(&group, &name, Wanted::Latest);
        let hints = self.inner.hints(&feed, |feed| feed.wants(&latest));
        self.inner.writer.change_expecting(Room::Needed, WEIGHT, hints, move |plan| {
            let handle = FeedHandle::find(plan, &types, &feed).map_err(SelectError::from)?;
            let package = remove(plan, &handle, &group, &name, &tag, &actor)?;
            Ok(package_info(handle.id, &(&package.record).into()))
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
    let selector = Selector::grouped(group, name, Wanted::Latest);
    let mut package = handle.select_version(plan, &selector)?.package;
    let Some(at) = package.record.tags.iter().position(|(known, _)| *known == tag) else {
        return Err(TagError::NotFound { tag: hayloft_feed::shorten(tag) });
    };
    let (_, text) = package.record.tags.remove(at);
    write(plan, handle, &mut package, tag, &text, actor)?;
    Ok(package)
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
    !tag.is_empty() && !tag.chars().any(char::is_control)
}
