//! The audit log: `/api/audit`.

use axum::extract::State;
use axum::{Json, Router};
use data_encoding::HEXLOWER_PERMISSIVE;
use hayloft::feed_type::shorten;
use hayloft::{Action, AuditQuery};

use super::keys::moment;
use crate::access::{AUDIT, AUDIT_VERIFY};
use crate::parameters::Parameters;
use crate::wire::{AuditLogCheck, AuditLogPage};
use crate::{ApiError, App, Visitor};

/// Rows of a page, and the most that may be asked for.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

pub(super) fn routes() -> Router<App> {
    let router = AUDIT.mount(Router::new(), list);
    AUDIT_VERIFY.mount(router, verify)
}

async fn list(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Json<AuditLogPage>, ApiError> {
    app.run(visitor, move |session| {
        AUDIT.demand(session)?;
        let query = query(&parameters)?;
        let count = number(&parameters, "count")?;
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&count) {
            return Err(ApiError::bad_request(format!("`count` must be 1 to {LARGEST_PAGE}")));
        }
        let page = session.store().audit_page(&query, count)?;
        Ok(Json(AuditLogPage::from(page)))
    })
    .await
}

async fn verify(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Json<AuditLogCheck>, ApiError> {
    app.run(visitor, move |session| {
        AUDIT_VERIFY.demand(session)?;
        let row = number(&parameters, "row")?;
        let chain = parameters.get(&["chain"]).map(chain_value).transpose()?;
        let anchor = match (row, chain) {
            (Some(row), Some(chain)) => Some((row, chain)),
            (None, None) => None,
            _ => {
                let text = "give `row` and `chain` together, as an earlier check told them";
                return Err(ApiError::bad_request(text));
            }
        };
        Ok(Json(AuditLogCheck::from(session.store().check_audit_log(anchor)?)))
    })
    .await
}

fn query(parameters: &Parameters) -> Result<AuditQuery, ApiError> {
    let text = |names: &[&str]| parameters.get_literal(names).map(str::to_owned);
    let (mut group, mut name) = (text(&["group"]), text(&["package", "name"]));
    if group.is_none()
        && let Some((scope, rest)) = name.as_deref().and_then(|name| name.rsplit_once('/'))
    {
        (group, name) = (Some(scope.to_owned()), Some(rest.to_owned()));
    }
    let time = |name: &str| parameters.get(&[name]).map(|text| moment(name, text)).transpose();
    Ok(AuditQuery {
        before: number(parameters, "before")?,
        after: number(parameters, "after")?,
        feed: text(&["feed"]),
        group,
        name,
        // People's names have blanks.
        actor: parameters.get(&["actor"]).map(str::to_owned),
        since: time("since")?,
        until: time("until")?,
        action: parameters.get(&["action"]).map(action).transpose()?,
    })
}

fn action(text: &str) -> Result<Action, ApiError> {
    let known = Action::ALL.into_iter().find(|each| each.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| {
        let all = Action::ALL.map(Action::as_str).join(", ");
        let text = shorten(text);
        ApiError::bad_request(format!("There is no action {text}; there are {all}."))
    })
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = parameters.get(&[name]) else { return Ok(None) };
    let number = text
        .parse()
        .map_err(|_| ApiError::bad_request(format!("`{name}` is no number: {}", shorten(text))))?;
    Ok(Some(number))
}

fn chain_value(text: &str) -> Result<[u8; 32], ApiError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        ApiError::bad_request("`chain` must be the 64 hexadecimal digits that a check told")
    })
}
