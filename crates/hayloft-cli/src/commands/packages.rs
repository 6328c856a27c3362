//! `hayloft packages`: what a feed holds, and everything that can be done to it.

mod audit;
mod download;
mod history;
mod metadata;
mod package;
mod read;
mod release;
mod remove;
mod status;
mod upload;

use super::PLACE_IN_FEED;
use crate::arguments::{Command, Opt, Word};

pub(super) use read::full_name;
pub(super) use release::promotion_line;

const PACKAGE: Opt = Opt::text("package", "Name of the package, after its group: group/name");
const VERSION: Opt = Opt::text("version", "Version of the package");
const TO_FEED: Opt = Opt::text("to-feed", "Feed that gets the result");
const COMMENT: Opt = Opt::text("comment", "Why; goes into the records");

/// Names one file of a version that has several.
const QUALIFIER: Opt = Opt::text("qualifier", "One file of the version, such as arch=amd64");
const ARCH: Opt = Opt::text("arch", "Architecture of the file").hidden();
const DISTRO: Opt = Opt::text("distro", "Distribution that the file is in").hidden();
const COMPONENT: Opt = Opt::text("component", "Component that the file is in").hidden();
const FILE_NAME: Opt = Opt::text("filename", "Name of the file").hidden();
const PLATFORM: Opt = Opt::text("platform", "Platform of the file").hidden();

/// Scripts for the original set it.
const NO_CONNECTORS: Opt = Opt::flag("no-connectors", "Has no effect").hidden();

/// What names one package version, and maybe one file of it.
const ONE: &[Opt] = &[
    PACKAGE.required(),
    VERSION.required(),
    QUALIFIER,
    ARCH,
    DISTRO,
    COMPONENT,
    FILE_NAME,
    PLATFORM,
    NO_CONNECTORS,
];

/// The same in words.
const ONE_WORDS: &[Word] = &[Word::Value("feed"), Word::Package];

pub(super) const COMMAND: Command = Command::group(
    "packages",
    "List, upload, download, release and remove packages",
    PLACE_IN_FEED,
    &[
        Command::action(
            "list",
            "Lists the latest version of each package",
            &[PACKAGE, Opt::flag("stable", "Only stable versions"), NO_CONNECTORS],
            read::list,
        )
        .words(&[Word::Value("feed"), Word::Package])
        .examples(&["hayloft packages list dev --stable"]),
        Command::action(
            "versions",
            "Lists all versions",
            &[PACKAGE, VERSION, NO_CONNECTORS],
            read::versions,
        )
        .words(&[Word::Value("feed"), Word::Package])
        .examples(&["hayloft packages versions dev initrode/tools"]),
        download::COMMAND,
        upload::COMMAND,
        remove::COMMAND,
        status::COMMAND,
        release::REPACKAGE,
        release::PROMOTE,
        Command::action("audit", "Asks the server to check a package", ONE, audit::audit)
            .words(ONE_WORDS),
        Command::action("metadata", "Shows all about one version", ONE, metadata::metadata)
            .words(ONE_WORDS),
        Command::action(
            "history",
            "Shows what a package was made from and where it went",
            ONE,
            history::history,
        )
        .words(ONE_WORDS)
        .examples(&["hayloft packages history prod tools@1.0.0"]),
    ],
);
