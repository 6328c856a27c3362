use std::time::Duration;

use hayloft_http::{RequestLimits, ServeOptions};

use crate::arguments::Invocation;
use crate::failure::Failure;

/// What strangers may cost a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    pub(super) connections: ServeOptions,
    pub(super) requests: RequestLimits,
}

/// An option whose value is a number, and what it sets.
struct Limit {
    name: &'static str,
    /// Zero would stop the server from doing anything.
    least: u64,
    set: fn(&mut Limits, u64),
}

const LIMITS: &[Limit] = &[
    limit("max-connections", 1, |all, value| all.connections.max_connections = count(value)),
    limit("max-connections-per-address", 1, |all, value| {
        all.connections.max_connections_per_address = count(value);
    }),
    limit("health-reserve", 1, |all, value| all.connections.reserve = count(value)),
    limit("place-timeout", 0, |all, value| all.connections.place_timeout = seconds(value)),
    limit("handshake-timeout", 1, |all, value| {
        all.connections.handshake_timeout = seconds(value);
    }),
    limit("head-timeout", 1, |all, value| all.connections.head_timeout = seconds(value)),
    limit("idle-timeout", 1, |all, value| all.connections.idle_timeout = seconds(value)),
    limit("stall-timeout", 1, |all, value| {
        all.connections.write_timeout = seconds(value);
        all.requests.patience = seconds(value);
    }),
    limit("least-rate", 1, |all, value| {
        all.connections.least_rate = value;
        all.requests.least_rate = value;
    }),
    limit("request-timeout", 1, |all, value| all.requests.deadline = seconds(value)),
    limit("text-timeout", 1, |all, value| all.requests.text_deadline = seconds(value)),
    limit("drain-timeout", 0, |all, value| all.requests.drain_time = seconds(value)),
    limit("drain-size", 0, |all, value| all.requests.drain_bytes = mebibytes(value)),
    limit("max-upload", 1, |all, value| all.requests.max_upload = Some(mebibytes(value))),
    limit("send-memory", 1, |all, value| all.requests.send_memory = count(mebibytes(value))),
    limit("cache", 0, |all, value| all.requests.cache_memory = count(mebibytes(value))),
    limit("key-threads", 1, |all, value| all.requests.key_threads = count(value)),
    limit("key-queue", 0, |all, value| all.requests.key_queue = count(value)),
    limit("wrong-keys", 1, |all, value| {
        all.requests.wrong_keys = u32::try_from(value).unwrap_or(u32::MAX);
    }),
    limit("wrong-key-pause", 1, |all, value| all.requests.wrong_key_pause = seconds(value)),
    limit("address-rate", 0, |all, value| all.requests.address_rate = rate(value)),
    limit("key-rate", 0, |all, value| all.requests.key_rate = rate(value)),
    limit("rate-burst", 0, |all, value| all.requests.rate_burst = seconds(value)),
    limit("shutdown-timeout", 0, |all, value| all.connections.drain = seconds(value)),
];

const fn limit(name: &'static str, least: u64, set: fn(&mut Limits, u64)) -> Limit {
    Limit { name, least, set }
}

impl Limits {
    /// The defaults, but for what the options say.
    pub(super) fn read(invocation: &Invocation) -> Result<Self, Failure> {
        let mut all = Self::default();
        for limit in LIMITS {
            let Some(text) = invocation.text(limit.name) else { continue };
            let value = text.parse().ok().filter(|value| *value >= limit.least);
            let value = value.ok_or_else(|| {
                let least = limit.least;
                Failure::option(limit.name, format!("this is no whole number from {least} on"))
            })?;
            (limit.set)(&mut all, value);
        }
        Ok(all)
    }
}

/// Far more than any machine has, and few enough to be added up.
const MOST: u64 = 1 << 28;

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn rate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn seconds(value: u64) -> Duration {
    Duration::from_secs(value.min(MOST))
}

fn mebibytes(value: u64) -> u64 {
    value.min(MOST) << 20
}

#[cfg(test)]
mod tests {
    use super::super::COMMAND;
    use super::*;

    /// What an option says its default is, and what it is.
    fn defaults() -> Vec<(&'static str, u64)> {
        let Limits { connections, requests } = Limits::default();
        let count = |count: usize| u64::try_from(count).unwrap();
        vec![
            ("max-connections", count(connections.max_connections)),
            ("max-connections-per-address", count(connections.max_connections_per_address)),
            ("health-reserve", count(connections.reserve)),
            ("place-timeout", connections.place_timeout.as_secs()),
            ("handshake-timeout", connections.handshake_timeout.as_secs()),
            ("head-timeout", connections.head_timeout.as_secs()),
            ("idle-timeout", connections.idle_timeout.as_secs()),
            ("stall-timeout", requests.patience.as_secs()),
            ("stall-timeout", connections.write_timeout.as_secs()),
            ("least-rate", requests.least_rate),
            ("least-rate", connections.least_rate),
            ("request-timeout", requests.deadline.as_secs()),
            ("text-timeout", requests.text_deadline.as_secs()),
            ("drain-timeout", requests.drain_time.as_secs()),
            ("drain-size", requests.drain_bytes >> 20),
            ("send-memory", count(requests.send_memory >> 20)),
            ("cache", count(requests.cache_memory >> 20)),
            ("key-queue", count(requests.key_queue)),
            ("wrong-keys", u64::from(requests.wrong_keys)),
            ("wrong-key-pause", requests.wrong_key_pause.as_secs()),
            ("address-rate", u64::from(requests.address_rate)),
            ("key-rate", u64::from(requests.key_rate)),
            ("rate-burst", requests.rate_burst.as_secs()),
            ("shutdown-timeout", connections.drain.as_secs()),
        ]
    }

    #[test]
    fn every_limit_is_an_option_that_tells_its_default() {
        let defaults = defaults();
        for limit in LIMITS {
            let option = COMMAND.options.iter().find(|option| option.name == limit.name);
            let option = option.unwrap_or_else(|| panic!("--{} is no option", limit.name));
            // These depend on the machine and the store.
            if ["max-upload", "key-threads"].contains(&limit.name) {
                continue;
            }
            let mut told = defaults.iter().filter(|(name, _)| *name == limit.name).peekable();
            assert!(told.peek().is_some(), "the default of --{} is not known", limit.name);
            for (_, value) in told {
                let default = option.default.and_then(|text| text.parse().ok());
                assert_eq!(default, Some(*value), "--{}", limit.name);
            }
        }
    }
}
