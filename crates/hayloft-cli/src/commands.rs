//! All commands, one file per word below `hayloft`.

mod audit;
mod backup;
mod bundle;
mod completions;
mod demo;
mod doctor;
mod export;
mod feeds;
mod going;
pub(crate) mod health;
mod import;
mod keys;
mod listing;
mod manual;
mod packages;
mod promotions;
mod serve;
mod settings;
mod size;
mod sources;
mod upack;
mod use_feed;
mod verify;

use crate::arguments::{Command, Opt};

const SOURCE: Opt =
    Opt::text("source", "Named source or URL of a server; by default the source Default");
const STORE: Opt = Opt::text(
    "store",
    "Directory of a store on this machine; else HAYLOFT_STORE, else hayloft-data",
);
const API_KEY: Opt = Opt::text("api-key", "API key for the server");
const USERNAME: Opt = Opt::text("username", "User name for the server, in place of a key");
const PASSWORD: Opt = Opt::text("password", "Password of the user");
const FEED: Opt = Opt::text("feed", "Name of the feed; by default that of the source");

/// What all commands take that send requests.
const PLACE: &[Opt] = &[SOURCE, STORE, API_KEY, USERNAME, PASSWORD];
/// The same for commands about one feed.
const PLACE_IN_FEED: &[Opt] = &[FEED, SOURCE, STORE, API_KEY, USERNAME, PASSWORD];

/// The program.
pub(crate) static ROOT: Command = Command::group(
    "hayloft",
    "Package feeds in a store on this machine, or on a server",
    &[
        Opt::flag("json", "Print the objects of the API in place of lines; as --format=json"),
        Opt::one_of(
            "format",
            &["table", "plain", "json"],
            "How results look; by default table on a terminal, else plain",
        ),
        Opt::flag("quiet", "Print results only, not what is being done (-q)"),
    ],
    &[
        sources::COMMAND,
        keys::COMMAND,
        health::COMMAND,
        packages::COMMAND,
        promotions::COMMAND,
        feeds::COMMAND,
        upack::COMMAND,
        settings::COMMAND,
        export::COMMAND,
        import::COMMAND,
        bundle::COMMAND,
        backup::BACKUP,
        backup::RESTORE,
        verify::COMMAND,
        audit::COMMAND,
        doctor::COMMAND,
        use_feed::COMMAND,
        serve::COMMAND,
        serve::CONFIG,
        demo::COMMAND,
        completions::COMMAND,
        completions::COMPLETE,
        manual::COMMAND,
    ],
)
.examples(&[
    "hayloft demo",
    "hayloft feeds create dev nuget",
    "hayloft packages upload dev My.Library.1.0.0-rc.1.nupkg",
    "hayloft packages repackage dev My.Library@1.0.0-rc.1 1.0.0",
    "hayloft packages list dev --source=https://packages.example.com --api-key=KEY",
]);
