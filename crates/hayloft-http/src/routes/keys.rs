use axum::extract::State;
use axum::{Json, Router};
use hayloft::feed_type::shorten;
use hayloft::{ApiKey, KeyGrant, Store, Timestamp};

use crate::access::{KEYS_CREATE, KEYS_DELETE, KEYS_LIST, Right, Session, Visitor};
use crate::feed_object::bound_feed;
use crate::json_body::json_body;
use crate::parameters::Parameters;
use crate::settings::Settings;
use crate::transfer::TextBody;
use crate::wire::ApiKeyInfo;
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    let router = KEYS_LIST.mount(Router::new(), list);
    let router = KEYS_CREATE.mount(router, create);
    KEYS_DELETE.mount(router, delete)
}

async fn list(State(app): State<App>, visitor: Visitor) -> Result<Json<Vec<ApiKeyInfo>>, ApiError> {
    app.run(visitor, |session| {
        let (all, user) = may_make(session)?;
        let keys = session.store().keys()?.into_iter();
        let shown = keys.filter(|key| {
            let owner = key.grant.user.as_deref();
            all || key.grant.kind == "personal"
                && owner.zip(user).is_some_and(|(owner, user)| owner.eq_ignore_ascii_case(user))
        });
        shown.map(|key| info(session.store(), key, None)).collect::<Result<_, _>>().map(Json)
    })
    .await
}

async fn create(
    State(app): State<App>,
    visitor: Visitor,
    body: TextBody,
) -> Result<Json<ApiKeyInfo>, ApiError> {
    let (asked, visitor) = json_body::<ApiKeyInfo>(&app, visitor, body).await?;
    let chosen = asked.key.as_ref().is_some_and(|text| !text.is_empty());
    if !chosen {
        return app.run(visitor, |session| made(session, asked)).await;
    }
    // Hashing a chosen text is slow; not even waiting for it is for everybody.
    app.run(visitor.clone(), |session| may_make(session).map(drop)).await?;
    app.run_slowly(visitor, |session| made(session, asked)).await
}

/// Whether the caller may make every key, and whose keys in any case.
fn may_make(session: &Session) -> Result<(bool, Option<&str>), ApiError> {
    let all = session.may(Right::Administer, None)?;
    let user = own_user(session);
    if all || user.is_some() { Ok((all, user)) } else { Err(session.denied()) }
}

fn made(session: &Session, asked: ApiKeyInfo) -> Result<Json<ApiKeyInfo>, ApiError> {
    let (all, user) = may_make(session)?;
    let text = asked.key.clone().filter(|text| !text.is_empty());
    let feed = asked.feed.clone().filter(|text| !text.is_empty());
    let mut grant = grant(asked, user)?;
    let own = grant.kind == "personal"
        && grant.user.as_deref().zip(user).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
    if !all && !own {
        return Err(session.denied());
    }
    if text.is_some() && !Settings::of(session.store()).custom_keys()? {
        return Err(ApiError::bad_request(
            "The text of an API key cannot be chosen on this server.",
        ));
    }
    if grant.kind == "feed"
        && let Some(name) = &feed
    {
        grant.feed = Some(session.store().feed(name)?.id);
    }
    let (key, text) = session.store().create_key(grant, text.as_deref(), &session.actor())?;
    info(session.store(), key, Some(text.reveal().to_owned())).map(Json)
}

async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<(), ApiError> {
    app.run(visitor, move |session| {
        KEYS_DELETE.demand(session)?;
        let id = parameters.need(&["id"], "id")?.parse();
        let id = id.map_err(|_| ApiError::bad_request("the parameter `id` is not a number"))?;
        Ok(session.store().delete_key(id, &session.actor())?)
    })
    .await
}

/// The user whose personal key was shown.
fn own_user(session: &Session) -> Option<&str> {
    let key = session.caller().key.as_ref()?;
    (key.grant.kind == "personal").then_some(key.grant.user.as_deref()).flatten()
}

/// What the new key may do, but for the feed it is for; `user` is whose personal key it is if the client does not say.
fn grant(asked: ApiKeyInfo, user: Option<&str>) -> Result<KeyGrant, ApiError> {
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    let mut grant = KeyGrant {
        kind: word("type", &asked.kind, &["system", "feed", "personal"])?,
        logging: match asked.logging.as_str() {
            "" => "none".to_owned(),
            text => word("logging", text, &["none", "request", "response", "both"])?,
        },
        display_name: asked.display_name.filter(|text| !text.is_empty()),
        description: asked.description.filter(|text| !text.is_empty()),
        expires: match asked.expiration.as_deref() {
            None | Some("") => None,
            Some(text) => Some(moment("expiration", text)?),
        },
        ..KeyGrant::default()
    };
    match grant.kind.as_str() {
        "system" => {
            let known = ["full-control", "feeds", "sca", "sbom-upload"];
            grant.system_apis = words("systemApis", asked.system_apis, &known)?;
        }
        "feed" => {
            if empty(&asked.feed) == empty(&asked.feed_group) {
                return Err(ApiError::bad_request(
                    "A feed key needs exactly one of feed and feedGroup.",
                ));
            }
            grant.feed_group = asked.feed_group.filter(|text| !text.is_empty());
            let known = ["view", "add", "promote", "delete"];
            grant.package_permissions =
                words("packagePermissions", asked.package_permissions, &known)?;
        }
        _ => {
            let asked_user = asked.user.filter(|text| !text.is_empty());
            let named = asked_user.or_else(|| user.map(str::to_owned));
            let user = named
                .ok_or_else(|| ApiError::bad_request("A personal key needs the property user."))?;
            // The name stands before the colon of `user:password`.
            if user.len() > 100 || user.contains(|c: char| c == ':' || c.is_control()) {
                return Err(ApiError::bad_request(
                    "A user name has at most 100 bytes, without colons and control characters.",
                ));
            }
            grant.user = Some(user);
        }
    }
    Ok(grant)
}

#[cfg(feature = "fuzzing")]
pub(super) fn read_any(body: &str) {
    if let Ok((asked, _)) = crate::json_body::object::<ApiKeyInfo>(body)
        && let Ok(grant) = grant(asked, None)
    {
        assert!(grant.kind != "personal" || grant.user.is_some_and(|user| user.len() <= 100));
    }
}

/// One of the known words, in their case.
fn word(property: &str, text: &str, known: &[&str]) -> Result<String, ApiError> {
    let found = known.iter().find(|word| word.eq_ignore_ascii_case(text));
    found.map(|word| (*word).to_owned()).ok_or_else(|| {
        let known = known.join(", ");
        let text = shorten(text);
        ApiError::bad_request(format!("The property {property} is one of {known}, not {text}."))
    })
}

/// At least one of the known words, each once.
fn words(
    property: &str,
    texts: Option<Vec<String>>,
    known: &[&str],
) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    for text in texts.unwrap_or_default() {
        let word = word(property, &text, known)?;
        if !found.contains(&word) {
            found.push(word);
        }
    }
    if found.is_empty() {
        let known = known.join(", ");
        return Err(ApiError::bad_request(format!(
            "The property {property} needs one of {known}."
        )));
    }
    Ok(found)
}

/// Clients send a date, or a date and time with or without an offset; without one it is UTC.
pub(super) fn moment(property: &str, text: &str) -> Result<Timestamp, ApiError> {
    let with_offset = text.parse::<jiff::Timestamp>();
    let moment = with_offset.or_else(|error| {
        let utc = text.parse::<jiff::civil::DateTime>().map_err(|_| error)?;
        utc.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    moment.map(|moment| Timestamp::from_millis(moment.as_millisecond())).map_err(|_| {
        let text = shorten(text);
        ApiError::bad_request(format!("The property {property} is not a date: {text}."))
    })
}

fn info(store: &Store, key: ApiKey, text: Option<String>) -> Result<ApiKeyInfo, ApiError> {
    let some = |words: Vec<String>| (!words.is_empty()).then_some(words);
    let grant = key.grant;
    Ok(ApiKeyInfo {
        kind: grant.kind,
        logging: grant.logging,
        id: Some(key.id),
        key: text,
        display_name: grant.display_name,
        description: grant.description,
        system_apis: some(grant.system_apis),
        package_permissions: some(grant.package_permissions),
        feed: grant.feed.map(|id| bound_feed(store, id)).transpose()?,
        feed_group: grant.feed_group,
        expiration: grant.expires.map(|expires| expires.to_string()),
        user: grant.user,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::date("2030-01-02", "2030-01-02T00:00:00.000Z")]
    #[case::without_offset("2030-01-02T03:04:05", "2030-01-02T03:04:05.000Z")]
    #[case::seven_digits("2030-01-02T03:04:05.1234567", "2030-01-02T03:04:05.123Z")]
    #[case::utc("2030-01-02T03:04:05Z", "2030-01-02T03:04:05.000Z")]
    #[case::offset("2030-01-02T03:04:05+02:00", "2030-01-02T01:04:05.000Z")]
    fn expirations_come_in_several_forms(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(moment("expiration", text).unwrap().to_string(), expected);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["tomorrow", "2030-13-01", "99999999999999999999"] {
            assert!(moment("expiration", text).is_err(), "{text}");
        }
    }
}
