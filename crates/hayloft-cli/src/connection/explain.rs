use serde::Deserialize;

use super::{Answer, Connection, Credential, Method, Payload, Request, Target, parse};
use crate::arguments::nearest;
use crate::failure::Failure;

const NO_KEY: &str =
    "no key was sent: give one with --api-key, or keep it with hayloft sources add";
const UNKNOWN_KEY: &str = "the server does not know this key: it is mistyped, deleted or expired";

impl Connection {
    /// A refusal, with what it means for whoever typed the command. A server tells strangers no
    /// more than it must, so what it leaves open is found out by a second request.
    pub(super) fn explained(&self, failure: Failure) -> Failure {
        let advice = match failure.answer() {
            Some((401 | 403, _)) if self.credential == Credential::None => Some(NO_KEY.to_owned()),
            Some((401, _)) if self.credential == Credential::Shown => {
                Some("the server does not know this key or user".to_owned())
            }
            Some((403, body)) if self.credential == Credential::Shown && is_about_keys(body) => {
                self.about_key()
            }
            Some((404, body)) => missing_feed(body).map(|feed| self.about_feed(feed)),
            _ => None,
        };
        match advice {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }

    /// Whether the key is wrong or only weak: the list of promotions is for everybody who is known.
    fn about_key(&self) -> Option<String> {
        let (_, health) = crate::commands::health::ask(self).ok()?;
        health.hayloft_version?;
        let probe = self.probe(Target::new(&["api", "promotions", "list"]))?;
        Some(match probe.success() {
            Ok(_) => {
                "the key is known, but may not do this; see its rights with apikeys list".to_owned()
            }
            Err(_) => UNKNOWN_KEY.to_owned(),
        })
    }

    /// Why a server that refuses nothing shows nothing: to strangers all lists are empty.
    pub(crate) fn about_nothing(&self) -> Option<&'static str> {
        match self.credential {
            Credential::None => Some(NO_KEY),
            Credential::NotNeeded => None,
            Credential::Shown => {
                let probe = self.probe(Target::new(&["api", "promotions", "list"]))?;
                matches!(probe.status, 401 | 403).then_some(UNKNOWN_KEY)
            }
        }
    }

    /// Which feeds there are in place of one that is not.
    fn about_feed(&self, missing: &str) -> String {
        const SHOWN: usize = 8;
        let place = &self.place;
        let names = self.feed_names().unwrap_or_default();
        if let Some(near) = nearest(missing, names.iter().map(String::as_str)) {
            return format!("{place} has a feed {near}: did you mean that?");
        }
        if names.is_empty() {
            return format!(
                "{place} has no feeds that you may see; hayloft feeds create makes one"
            );
        }
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let shown: Vec<String> = names.into_iter().take(SHOWN).collect();
        format!("{place} has the feeds {}{more}", shown.join(", "))
    }

    fn feed_names(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        /// As many as are worth a look.
        const MOST: usize = 1_000;
        let mut names = Vec::new();
        let answer = self.probe(Target::new(&["api", "management", "feeds", "list"]))?;
        let listed = answer.success().ok()?.each(&mut |element| {
            if names.len() == MOST {
                return Err(Failure::Closed);
            }
            names.push(parse::<Named>(element.get())?.name);
            Ok(())
        });
        matches!(listed, Ok(()) | Err(Failure::Closed)).then_some(names)
    }

    fn probe(&self, target: Target) -> Option<Answer> {
        let request = Request { method: Method::Get, target, payload: Payload::Nothing };
        self.transport.send(request).ok()
    }
}

/// Blocked packages and closed pipelines have the same status.
fn is_about_keys(body: &str) -> bool {
    body.contains("API key") || body.is_empty()
}

/// The name in `Feed x not found.`
fn missing_feed(body: &str) -> Option<&str> {
    body.strip_prefix("Feed ")?.strip_suffix(" not found.")
}
