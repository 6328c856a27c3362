//! `hayloft upack`: universal packages on this machine.

mod create;
mod install;
mod registry;
mod versions;

use super::{API_KEY, FEED, PASSWORD, SOURCE, STORE, USERNAME};
use crate::arguments::{Command, Opt, Word};

const PACKAGE: Opt =
    Opt::text("package", "Name of the package, after its group: group/name").required();
const VERSION: Opt = Opt::text("version", "Version, or latest (the default), or latest-unstable");
const OVERWRITE: Opt = Opt::flag("overwrite", "Replace files that are there");

pub(super) const COMMAND: Command = Command::group(
    "upack",
    "Create universal packages, and install them on this machine",
    &[],
    &[
        create::COMMAND,
        Command::action(
            "install",
            "Gets a package, unpacks its content and registers it",
            &[
                PACKAGE,
                Opt::text("target", "Directory to unpack into").required(),
                VERSION,
                OVERWRITE,
                Opt::flag("do-not-register", "Has no effect").hidden(),
                FEED,
                SOURCE,
                STORE,
                API_KEY,
                USERNAME,
                PASSWORD,
            ],
            install::install,
        )
        .words(&[Word::Value("feed"), Word::Package, Word::Value("target")])
        .examples(&["hayloft upack install prod tools@1.0.0 /opt/tools"]),
        Command::action("list", "Lists what is registered", &[], install::list),
        Command::action(
            "remove",
            "Takes a package off the register and deletes its directory's content",
            &[PACKAGE],
            install::remove,
        )
        .words(&[Word::Package]),
        Command::action(
            "update",
            "Puts another version in place of the one installed",
            &[PACKAGE, VERSION, FEED, SOURCE, STORE, API_KEY, USERNAME, PASSWORD],
            install::update,
        )
        .words(&[Word::Value("feed"), Word::Package]),
    ],
);
