//! Bodies of native requests, taken apart by the form that the feed type names.

use axum::body::Body;
use axum::http::HeaderMap;
use hayloft::Staged;
use hayloft::feed_type::native::{Field, Fields, Framing, Refusal, query_pairs};

use super::executor::Worded;
use crate::App;
use crate::transfer::{receive as receive_file, receive_text};

/// What a body held.
pub(super) struct Received {
    /// Its fields.
    pub(super) fields: Fields,
    /// Its file, and what the client calls it.
    pub(super) file: Option<(Staged, Option<String>)>,
}

/// Reads a body by its form.
pub(super) async fn receive(
    app: &App,
    framing: Framing,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Worded> {
    let mut fields = Fields::default();
    let mut file = None;
    match framing {
        Framing::None => drop(body),
        Framing::Raw => file = Some((receive_file(app, headers, body).await?, None)),
        Framing::Form => {
            let text = receive_text(app, body).await?;
            fields
                .0
                .extend(query_pairs(&text).map(|(name, value)| Field { path: vec![name], value }));
        }
        other => {
            return Err(Refusal::Unsupported(format!("{other:?} bodies are not read here")).into());
        }
    }
    Ok(Received { fields, file })
}
