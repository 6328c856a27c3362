use hayloft_feed::json::quoted;
use hayloft_feed::native::{Action, Answer, Fields, Refusal, Reply, Request};

/// What an audit finds where nothing is known.
pub(super) const NO_FINDINGS: &str = r#"{"actions":[],"advisories":{},"muted":[],"metadata":{"vulnerabilities":{"info":0,"low":0,"moderate":0,"high":0,"critical":0},"dependencies":0,"devDependencies":0,"optionalDependencies":0,"totalDependencies":0}}"#;

pub(super) fn who_am_i<'a>(request: &Request<'_>) -> Answer<'a> {
    of_user(request, |user| format!(r#"{{"username":{user}}}"#))
}

pub(super) fn profile<'a>(request: &Request<'_>) -> Answer<'a> {
    of_user(request, |user| {
        format!(r#"{{"name":{user},"email":"","email_verified":false,"tfa":null}}"#)
    })
}

/// Any user that is asked for: `npm owner` looks one up before it is told that there are no owners.
pub(super) fn named<'a>(request: &Request<'_>, user: &str) -> Answer<'a> {
    let (id, name) = (quoted(&format!("org.couchdb.user:{user}")), quoted(user));
    of_user(request, |_| format!(r#"{{"_id":{id},"name":{name},"email":""}}"#))
}

/// Keys are no tokens of this protocol; a list of none is what `npm token list` takes.
pub(super) fn tokens<'a>(request: &Request<'_>) -> Answer<'a> {
    of_user(request, |_| r#"{"objects":[],"total":0,"urls":{}}"#.to_owned())
}

/// A client would make or end a token, or change a profile.
pub(super) fn unchanged() -> Refusal {
    let text = "tokens are keys here, which whoever runs the server makes and ends";
    Refusal::Forbidden(text.to_owned())
}

fn of_user<'a>(request: &Request<'_>, json: impl FnOnce(String) -> String) -> Answer<'a> {
    match request.user {
        Some(user) => Answer::Reply(Reply::json(200, json(quoted(user)))),
        None => Answer::Refused(Refusal::NoCredential),
    }
}

/// A login by name and password: the password is a key, which becomes the token.
pub(super) fn log_in(user: &str, fields: &Fields) -> Result<Action, Refusal> {
    let name = fields.json_text(&["name"]).unwrap_or_else(|| user.to_owned());
    if name != user {
        return Err(Refusal::Invalid("the URL and the body name different users".to_owned()));
    }
    let key = fields.json_text(&["password"]).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Refusal::Invalid("the password must be a key".to_owned()))?;
    Ok(Action::LogIn { key, user: Some(name) })
}

pub(super) fn logged_in(action: &Action, key: &str, user: &str) -> Reply {
    let asked = match action {
        Action::LogIn { user: Some(asked), .. } => asked.as_str(),
        _ => user,
    };
    let id = quoted(&format!("org.couchdb.user:{asked}"));
    let token = quoted(key);
    Reply::json(201, format!(r#"{{"ok":true,"id":{id},"rev":"1-0","token":{token}}}"#))
}
