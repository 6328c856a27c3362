use hayloft_http::wire::ApiKeyInfo;
use serde_json::json;

use super::serve::{ADMIN_KEY_FILE, reset};
use super::{PLACE, listing};
use crate::arguments::{Command, Invocation, Opt, Word};
use crate::connection::{Connection, Target, parse};
use crate::console::Console;
use crate::failure::Failure;

const NAME: Opt = Opt::text("name", "Name to show; recorded as the one who acts");
const DESCRIPTION: Opt = Opt::text("description", "What the key is for");
const KEY: Opt = Opt::text("key", "Text of the key, where the server takes one");
const EXPIRATION: Opt = Opt::text("expiration", "Date from which the key is unknown");
const LOGGING: Opt = Opt::one_of(
    "logging",
    &["none", "request", "response", "both"],
    "What the server logs of requests with the key",
);

pub(super) const COMMAND: Command = Command::group(
    "apikeys",
    "API keys of the server or store",
    PLACE,
    &[
        Command::action("list", "Lists keys", &[], list),
        Command::group(
            "create",
            "Creates a key and prints its text",
            &[],
            &[
                Command::action(
                    "system",
                    "Creates a key for the whole server",
                    &[
                        Opt::text("apis", "full-control, or some of feeds,sca,sbom-upload")
                            .required(),
                        NAME,
                        DESCRIPTION,
                        KEY,
                        EXPIRATION,
                        LOGGING,
                    ],
                    create_system,
                ),
                Command::action(
                    "feed",
                    "Creates a key for one feed or a group of feeds",
                    &[
                        Opt::text("feed", "The feed"),
                        Opt::text("group", "The group of feeds"),
                        Opt::text("permissions", "Some of view,add,promote,delete; default all"),
                        NAME,
                        DESCRIPTION,
                        KEY,
                        EXPIRATION,
                        LOGGING,
                    ],
                    create_feed,
                )
                .examples(&["hayloft apikeys create feed --feed=dev --permissions=view,add"]),
                Command::action(
                    "personal",
                    "Creates a key with the rights of a user",
                    &[
                        Opt::text("user", "The user; by default the one who asks"),
                        NAME,
                        DESCRIPTION,
                    ],
                    create_personal,
                ),
            ],
        ),
        Command::action(
            "delete",
            "Deletes a key",
            &[Opt::text("id", "Number of the key").required()],
            delete,
        )
        .words(&[Word::Value("id")]),
        Command::action(
            "reset-admin",
            "Makes a new key for administration of a store on this machine",
            &[ADMIN_KEY_FILE],
            reset,
        ),
    ],
);

fn list(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let answer = connection.fetch(Target::new(&["api", "api-keys", "list"]))?;
    let heads = &["ID", "NAME", "TYPE", "FOR", "MAY", "EXPIRES"];
    let count = listing::table(console, answer, heads, row, |console, key: ApiKeyInfo| {
        console.line(key.display_name.as_deref().unwrap_or("(unnamed key)"))?;
        let id = key.id.map(|id| id.to_string()).unwrap_or_default();
        let expiration = key.expiration.as_deref().unwrap_or("None");
        let expiration = expiration.split('T').next().unwrap_or(expiration);
        let words = |words: Option<Vec<String>>| words.unwrap_or_default().join(", ");
        let mut rows = vec![
            ("Id", id),
            ("Expiration", expiration.to_owned()),
            ("Logging", key.logging),
            ("Type", key.kind.clone()),
        ];
        match key.kind.as_str() {
            "system" => rows.push(("APIs", words(key.system_apis))),
            "personal" => rows.push(("User", key.user.unwrap_or_default())),
            "feed" => {
                rows.push(match key.feed_group {
                    Some(group) => ("Feed group", group),
                    None => ("Feed", key.feed.unwrap_or_default()),
                });
                rows.push(("Permissions", words(key.package_permissions)));
            }
            _ => {}
        }
        rows.iter().try_for_each(|(name, value)| console.line(format_args!("  {name}: {value}")))
    })?;
    if count == 0 {
        console.line("No API keys are defined.")?;
    }
    Ok(())
}

fn row(key: &ApiKeyInfo) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default().join(", ");
    let subject = [&key.user, &key.feed, &key.feed_group].into_iter().find_map(Clone::clone);
    let may = if key.kind.eq_ignore_ascii_case("system") {
        words(&key.system_apis)
    } else {
        words(&key.package_permissions)
    };
    let expires = text(&key.expiration);
    vec![
        key.id.map(|id| id.to_string()).unwrap_or_default(),
        text(&key.display_name),
        key.kind.clone(),
        subject.unwrap_or_default(),
        may,
        expires.split('T').next().unwrap_or_default().to_owned(),
    ]
}

fn create_system(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let apis = chosen(
        invocation.required("apis")?,
        "apis",
        &["full-control", "feeds", "sca", "sbom-upload"],
    )?;
    let key =
        ApiKeyInfo { kind: "System".to_owned(), system_apis: Some(apis), ..ApiKeyInfo::default() };
    create(invocation, console, key)
}

fn create_feed(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let feed = invocation.text("feed").map(str::to_owned);
    let feed_group = invocation.text("group").map(str::to_owned);
    if feed.is_some() == feed_group.is_some() {
        return Err(Failure::option("feed", "give exactly one of --feed and --group"));
    }
    let all = "view,add,promote,delete";
    let permissions = chosen(
        invocation.text("permissions").unwrap_or(all),
        "permissions",
        &["view", "add", "promote", "delete"],
    )?;
    let key = ApiKeyInfo {
        kind: "Feed".to_owned(),
        feed,
        feed_group,
        package_permissions: Some(permissions),
        ..ApiKeyInfo::default()
    };
    create(invocation, console, key)
}

fn create_personal(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let user = invocation.text("user").map(str::to_owned);
    let key = ApiKeyInfo { kind: "Personal".to_owned(), user, ..ApiKeyInfo::default() };
    create(invocation, console, key)
}

/// The words of a list with commas, in the spelling of `known`.
fn chosen(list: &str, option: &str, known: &[&str]) -> Result<Vec<String>, Failure> {
    list.split(',')
        .map(str::trim)
        .map(|word| {
            let found = known.iter().find(|known| known.eq_ignore_ascii_case(word));
            found.map(|known| (*known).to_owned()).ok_or_else(|| {
                let word = hayloft::feed_type::shorten(word);
                Failure::option(option, format!("`{word}` is not one of {}", known.join(", ")))
            })
        })
        .collect()
}

/// Sends the key and prints its text, and nothing else, so that a script can take it.
fn create(
    invocation: &Invocation,
    console: &mut Console,
    mut key: ApiKeyInfo,
) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let text = |name| invocation.text(name).map(str::to_owned);
    if key.kind == "Personal" && key.user.is_none() {
        let user = connection.user().ok_or_else(|| Failure::option("user", "no user is known"))?;
        key.user = Some(user.to_owned());
    }
    key.display_name = text("name");
    key.description = text("description");
    key.key = text("key");
    key.expiration = text("expiration");
    let logging = match invocation.text("logging") {
        Some("request") => "Request",
        Some("response") => "Response",
        Some("both") => "Both",
        _ => "None",
    };
    logging.clone_into(&mut key.logging);
    let text = connection.post_json(Target::new(&["api", "api-keys", "create"]), &key)?.text()?;
    if console.is_json() {
        return listing::value(console, &text);
    }
    let created: ApiKeyInfo = parse(&text)?;
    match created.key {
        Some(text) => console.line(text),
        None => Err(Failure::text("the key was created but the answer does not hold its text")),
    }
}

fn delete(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let connection = Connection::open(invocation, console)?;
    let id = invocation.required("id")?;
    if id.parse::<u64>().is_err() {
        return Err(Failure::option("id", "this is no number"));
    }
    console.say(format_args!("Deleting API key (id={id})..."))?;
    connection.post(Target::new(&["api", "api-keys", "delete"]).query("id", Some(id)))?;
    console.say("API key deleted.")?;
    console.value(&json!({ "id": id, "deleted": true }))
}
