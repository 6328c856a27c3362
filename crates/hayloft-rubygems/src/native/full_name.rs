use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, ViewError, Want, encoded};
use hayloft_feed::{FeedType, FileCard, Fragment, PackageHead, Qualifiers, Status, Version};

use super::checked;
use super::fragments::QUICK;
use super::index::{gems, is_shown, number};
use crate::{Platform, RubyGems};

/// Ways to read a full name that are tried; real ones have one or two.
const MOST_READINGS: usize = 8;
/// Bytes of a name, a version and a platform together, at most.
const LONGEST: usize = 640;

/// A gem that a full name names.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) card: FileCard,
    pub(crate) status: Status,
    /// The specification, as it is served.
    pub(crate) quick: Option<Vec<u8>>,
}

/// Looks for `NAME-VERSION[-PLATFORM]`. Names, versions and platforms may have hyphens, so that
/// what is there decides. A platform is known by its normal form, and by the form in which the gem
/// itself spells it, which old clients ask for.
pub(crate) fn find(view: &dyn FeedView, full_name: &str) -> Result<Option<Found>, ViewError> {
    find_with(view, full_name, &[Fragment::MANIFEST])
}

/// As [`find`], with the specification.
pub(crate) fn find_with_quick(
    view: &dyn FeedView,
    full_name: &str,
) -> Result<Option<Found>, ViewError> {
    find_with(view, full_name, &[Fragment::MANIFEST, QUICK])
}

fn find_with(
    view: &dyn FeedView,
    full_name: &str,
    kinds: &[u8],
) -> Result<Option<Found>, ViewError> {
    for reading in readings(full_name) {
        let Some(name) = checked(reading.name) else { continue };
        // Only an odd spelling has to be held against the manifest.
        let kinds = if reading.odd.is_none() { kinds.get(1..).unwrap_or_default() } else { kinds };
        let want = Want::fragments(kinds).files();
        let mut found = None;
        view.version(name.key(), &reading.version, &want, &mut |entry| {
            let card = gems(entry.files).find(|card| card.qualifiers == reading.platform);
            let is_spelled_so = |card: &&FileCard| {
                reading.odd.is_none_or(|odd| {
                    let manifest = entry.fragment_of(card.id.number, Fragment::MANIFEST);
                    manifest.is_some_and(|manifest| original_platform(manifest) == Some(odd.into()))
                })
            };
            let card = card.filter(|_| entry.text == reading.version.text());
            found = card.filter(is_spelled_so).map(|card| Found {
                card: card.clone(),
                status: entry.status.clone(),
                quick: entry.fragment_of(card.id.number, QUICK).map(<[u8]>::to_vec),
            });
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn original_platform(manifest: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spelled {
        original_platform: Option<String>,
    }
    serde_json::from_slice::<Spelled>(manifest).ok()?.original_platform
}

/// One way to read a full name.
struct Reading<'n> {
    name: &'n str,
    version: Version,
    platform: Qualifiers,
    /// The platform as spelled, if that is not its normal form.
    odd: Option<&'n str>,
}

fn readings(full_name: &str) -> impl Iterator<Item = Reading<'_>> {
    let full_name = full_name.get(..).filter(|name| name.len() <= LONGEST).unwrap_or_default();
    full_name
        .match_indices('-')
        .filter_map(move |(at, _)| Some((full_name.get(..at)?, full_name.get(at + 1..)?)))
        .filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
        .take(MOST_READINGS)
        .filter_map(|(name, rest)| {
            let (version, spelled) = match rest.split_once('-') {
                Some((version, platform)) => (version, Some(platform)),
                None => (rest, None),
            };
            let platform = spelled.map_or(Ok(Platform::ruby()), str::parse).ok()?;
            let odd = spelled.filter(|spelled| *spelled != platform.as_str());
            // Blanks around it are none of the name.
            let version = RubyGems.version(version).ok().filter(|read| read.text() == version)?;
            let platform = crate::platform_qualifiers(&platform).ok()?;
            Some(Reading { name, version, platform, odd })
        })
}

/// The paths of a gem: its part of the index, its files and their specifications.
pub(crate) fn paths(
    view: &dyn FeedView,
    head: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let name = head.name.name();
    visit(&format!("/info/{}", encoded(name)));
    view.versions(head.name.key(), &Want::nothing().files(), &mut |version| {
        if !version.status.is_blocked() {
            for file in gems(version.files) {
                let full_name = encoded(&format!("{name}-{}", number(version.text, file)));
                if is_shown(version.status) {
                    visit(&format!("/quick/Marshal.4.8/{full_name}.gemspec.rz"));
                }
                visit(&format!("/gems/{full_name}.gem"));
            }
        }
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(full_name: &str) -> Vec<String> {
        readings(full_name)
            .map(|Reading { name, version, platform, odd }| {
                format!("{name} {version} {platform} {odd:?}")
            })
            .collect()
    }

    #[test]
    fn full_names_are_read_in_every_way_that_makes_sense() {
        assert_eq!(read("hay-1.0"), ["hay 1.0 platform=ruby None"]);
        assert_eq!(read("hay-1.0-jruby"), ["hay 1.0 platform=java Some(\"jruby\")"]);
        assert_eq!(
            read("hx-2.0-x86-1.0-x86-linux"),
            [
                "hx 2.0 platform=x86-linux Some(\"x86-1.0-x86-linux\")",
                "hx-2.0-x86 1.0 platform=x86-linux None"
            ]
        );
        assert!(read("hay").is_empty());
        assert!(read("hay-x").is_empty());
        assert!(read(&"a-1".repeat(200)).len() <= MOST_READINGS);
        assert!(read(&"1-".repeat(1000)).is_empty());
    }
}
