use std::collections::BTreeMap;

use hayloft_feed::json;
use hayloft_feed::native::{
    Action, ActionKind, Fields, FilePart, Framing, Intake, Outcome, Refusal, Reply, Request,
    StagedCard, UploadOrder,
};

use super::place::Place;

/// What is compared with the file; the rest of the form repeats what the file says.
const COMPARED: [&str; 6] =
    ["name", "version", "filetype", "md5_digest", "sha256_digest", "blake2_256_digest"];

/// All that is read of a form.
const FIELDS: &[&str] =
    &[":action", "name", "version", "filetype", "md5_digest", "sha256_digest", "blake2_256_digest"];

/// Clients skip a file on a conflict that begins so.
const EXISTS: &str = "File already exists";

pub(crate) fn intake() -> Intake {
    let framing = Framing::Multipart { file: FilePart::Named("content"), fields: FIELDS };
    Intake::new(framing, ActionKind::Upload)
}

pub(crate) fn decide(fields: &Fields, staged: Option<&StagedCard>) -> Result<Action, Refusal> {
    match fields.text(":action").map(str::trim) {
        // What old poetry and devpi send beside the file.
        Some("submit" | "verify") => return Ok(Action::Reply(Reply::text(200, ""))),
        Some("doc_upload") => {
            let text = "documentation is not taken; serve it elsewhere";
            return Ok(Action::Reply(Reply::text(410, text).reason(text)));
        }
        None | Some("" | "file_upload") => {}
        Some(other) => {
            let other = hayloft_feed::shorten(other);
            return Err(Refusal::Invalid(format!("`:action` is `{other}`; send `file_upload`")));
        }
    }
    let Some(staged) = staged else {
        return Err(Refusal::Invalid("the part `content` with the file is missing".to_owned()));
    };
    let hints: BTreeMap<String, String> = COMPARED
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), fields.text(field)?.to_owned())))
        .collect();
    Ok(Action::Upload(UploadOrder {
        file_name: staged.file_name.clone(),
        hints,
        ..UploadOrder::default()
    }))
}

pub(crate) fn success(action: &Action, _: &Outcome) -> Reply {
    match action {
        Action::Reply(reply) => reply.clone(),
        _ => Reply::text(200, ""),
    }
}

/// twine prints the reason phrase, uv the member `code` of a JSON body, poetry and flit the body.
pub(crate) fn refusal(request: &Request<'_>, refusal: &Refusal) -> Reply {
    let status = match refusal {
        // A client that is told 403 asks nobody for a better key.
        Refusal::UnknownKey => 401,
        other => other.status(),
    };
    let is_upload = request.method == "POST"
        && matches!(Place::of(request.path), Some(Place::Upload | Place::Root | Place::Projects));
    if !is_upload {
        return Reply::text(status, refusal.text());
    }
    let text = match refusal {
        Refusal::Conflict(text) => format!("{EXISTS}: {text}"),
        other => other.text(),
    };
    let reason = phrase(&text);
    if accepts_json(request.accept()) {
        let body = format!(
            "{{\"message\":{},\"code\":{},\"title\":{}}}",
            json::quoted(&text),
            json::quoted(&format!("{status} {text}")),
            json::quoted(&reason)
        );
        return Reply::json(status, body).reason(reason);
    }
    Reply::text(status, text).reason(reason)
}

/// One line of printable ASCII.
fn phrase(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .map(|letter| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' })
        .take(200)
        .collect()
}

fn accepts_json(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let name = range.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("application/json")
    })
}
