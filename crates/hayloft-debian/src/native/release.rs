//! Releases: what a distribution holds at one moment, as clients are told it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use hayloft_feed::Timestamp;
use hayloft_feed::native::{FeedCard, FeedView, ViewError};
use serde::{Deserialize, Serialize};

use super::pieces::Form;
use super::rows;
use super::section::Section;

/// The release of a distribution that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    /// Counts the releases of the distribution.
    pub(super) generation: u64,
    /// Milliseconds since 1970, whole seconds.
    pub(super) date: i64,
    /// The next name of a piece.
    pub(super) next_piece: u64,
    /// Indexes by their directory.
    pub(super) indexes: BTreeMap<String, IndexCard>,
    /// The text.
    pub(super) text: String,
    /// Signed inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inline: Option<String>,
    /// The signature alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detached: Option<String>,
}

/// One index of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexCard {
    /// The release since which it has been so.
    pub(super) since: u64,
    pub(super) text: Form,
    pub(super) packed: Form,
}

/// What a feed's settings say of its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReleaseSettings {
    /// apt asks before it goes on with a feed whose origin or label changed: they do not follow
    /// the feed's name.
    origin: String,
    label: String,
    pub(super) architectures: BTreeSet<String>,
}

const ORIGIN: &str = "debian.origin";
const LABEL: &str = "debian.label";
const ARCHITECTURES: &str = "debian.architectures";

/// Architectures for which there are indexes whatever is in them: clients want one for their own
/// even where all packages are for all.
const USUAL: &str = "amd64 arm64 armhf i386";

impl ReleaseSettings {
    pub(super) fn of(feed: &FeedCard) -> Self {
        let plain = |name| {
            feed.setting(name).filter(|text| {
                !text.is_empty() && text.len() <= 200 && !text.contains(char::is_control)
            })
        };
        let words = plain(ARCHITECTURES).unwrap_or_else(|| USUAL.to_owned());
        let words = words.split([' ', ',']).filter(|word| {
            *word != super::section::ALL && word.parse::<crate::Architecture>().is_ok()
        });
        let origin = plain(ORIGIN).unwrap_or_else(|| "Hayloft".to_owned());
        Self {
            label: plain(LABEL).unwrap_or_else(|| origin.clone()),
            architectures: words.map(str::to_owned).collect(),
            origin,
        }
    }
}

impl Release {
    /// The release that is served, and its row.
    pub(super) fn read(
        view: &dyn FeedView,
        suite: &str,
    ) -> Result<Option<(Self, Vec<u8>)>, ViewError> {
        let Some(row) = view.row(&rows::current(suite))? else { return Ok(None) };
        let release = serde_json::from_slice(&row);
        let release = release.map_err(|_| ViewError::damaged(format!("the release of {suite}")))?;
        Ok(Some((release, row)))
    }

    /// When it was made.
    pub(super) fn changed(&self) -> Timestamp {
        Timestamp::from_millis(self.date)
    }

    /// Writes the text anew.
    pub(super) fn word(&mut self, suite: &str, settings: &ReleaseSettings) {
        let sections: Vec<Section> = self
            .indexes
            .keys()
            .filter_map(|directory| Section::parse(&directory.split('/').collect::<Vec<_>>()))
            .collect();
        let words = |of: fn(&Section) -> &String| {
            let words: BTreeSet<&str> =
                sections.iter().map(|section| of(section).as_str()).collect();
            words.into_iter().collect::<Vec<_>>().join(" ")
        };
        let date = jiff::Timestamp::from_millisecond(self.date)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .strftime("%a, %d %b %Y %H:%M:%S UTC");
        let mut text = format!(
            "Origin: {}\nLabel: {}\nSuite: {suite}\nCodename: {suite}\nDate: {date}\n\
             Acquire-By-Hash: yes\nArchitectures: {}\nComponents: {}\nSHA256:\n",
            settings.origin,
            settings.label,
            words(|section| &section.architecture),
            words(|section| &section.component),
        );
        for (directory, index) in &self.indexes {
            for (form, name) in [(index.text, "Packages"), (index.packed, "Packages.gz")] {
                let digest = data_encoding::HEXLOWER.encode(&form.sha256);
                // Writing to a text cannot fail.
                let _ = writeln!(text, " {digest} {} {directory}/{name}", form.length);
            }
        }
        self.text = text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_lists_its_indexes_by_sha256() {
        let form = |length, byte| Form { length, sha256: [byte; 32] };
        let index = IndexCard { since: 1, text: form(7, 0xaa), packed: form(5, 0xbb) };
        let mut release = Release {
            generation: 1,
            date: 1_767_323_045_000,
            next_piece: 0,
            indexes: BTreeMap::from([
                ("main/binary-amd64".to_owned(), index.clone()),
                ("main/debian-installer/binary-amd64".to_owned(), index),
            ]),
            text: String::new(),
            inline: None,
            detached: None,
        };
        let mut feed = FeedCard::new("apt");
        feed.settings =
            r#"{"debian.origin":"Acme","debian.architectures":"amd64, all x/y"}"#.to_owned();
        let settings = ReleaseSettings::of(&feed);
        assert_eq!(settings.architectures, BTreeSet::from(["amd64".to_owned()]));
        release.word("stable", &settings);
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        assert_eq!(
            release.text,
            format!(
                "Origin: Acme\nLabel: Acme\nSuite: stable\nCodename: stable\n\
                 Date: Fri, 02 Jan 2026 03:04:05 UTC\nAcquire-By-Hash: yes\n\
                 Architectures: amd64\nComponents: main\nSHA256:\n \
                 {a} 7 main/binary-amd64/Packages\n {b} 5 main/binary-amd64/Packages.gz\n \
                 {a} 7 main/debian-installer/binary-amd64/Packages\n \
                 {b} 5 main/debian-installer/binary-amd64/Packages.gz\n"
            )
        );
        let row = serde_json::to_vec(&release).unwrap();
        assert_eq!(serde_json::from_slice::<Release>(&row).unwrap(), release);
    }
}
