//! The configuration file of a server: its options under their own names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft::Limits;
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{OPTIONS, Plan};
use crate::arguments::{Command, Invocation, Opt, nearest};
use crate::console::{Console, Table};
use crate::failure::Failure;

pub(super) const FILE: Opt = Opt::text("config", "Configuration file in TOML with these options");

pub(in crate::commands) const COMMAND: Command = Command::group(
    "config",
    "What a server would be told, and whether it is right",
    &[],
    &[
        Command::action(
            "show",
            "Shows every setting of hayloft serve, and where its value comes from",
            OPTIONS,
            show,
        )
        .examples(&["hayloft config show --config=/etc/hayloft/hayloft.toml"]),
        Command::action(
            "check",
            "Checks what hayloft serve would be told, and the files it names",
            OPTIONS,
            check,
        )
        .examples(&["hayloft config check --config=/etc/hayloft/hayloft.toml"]),
    ],
);

/// Bytes of a file.
const LARGEST: u64 = 1 << 20;

/// Where a value comes from; the first one that has it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    CommandLine,
    Variable(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => out.write_str("command line"),
            Self::Variable(name) => out.write_str(name),
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Default => out.write_str("default"),
        }
    }
}

/// What a server is told, all places together.
pub(super) struct Configuration {
    invocation: Invocation,
    origins: BTreeMap<&'static str, Origin>,
}

impl Configuration {
    /// In this order: the command line, `HAYLOFT_NAME`, the file.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failure> {
        let mut all = Self { invocation: invocation.clone(), origins: BTreeMap::new() };
        for option in settings().filter(|option| invocation.given(option.name).is_some()) {
            all.origins.insert(option.name, Origin::CommandLine);
        }
        for option in settings() {
            let name = variable(option.name);
            let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty()) else {
                continue;
            };
            let value =
                value.into_string().map_err(|_| Failure::text(format!("{name} is not Unicode")))?;
            all.fill(option.name, value, Origin::Variable(name));
        }
        let named = invocation.text(FILE.name).map(str::to_owned);
        let named = named.or_else(|| std::env::var(variable(FILE.name)).ok());
        if let Some(path) = named.filter(|path| !path.is_empty()) {
            for (option, value) in read(Path::new(&path))? {
                all.fill(option, value, Origin::File(PathBuf::from(&path)));
            }
        }
        Ok(all)
    }

    fn fill(&mut self, option: &'static str, value: String, origin: Origin) {
        let is_flag = settings().any(|each| each.name == option && each.is_flag());
        if is_flag && !["true", "1", "yes"].contains(&value.to_ascii_lowercase().as_str()) {
            // A flag that is given counts as set, whatever its value.
            return;
        }
        if !self.origins.contains_key(option) {
            self.origins.insert(option, origin);
            self.invocation.fill(option, value);
        }
    }

    /// As if the command line had said it all.
    pub(super) fn into_invocation(self) -> Invocation {
        self.invocation
    }
}

/// The options that may stand in a file.
fn settings() -> impl Iterator<Item = &'static Opt> {
    OPTIONS.iter().filter(|option| option.name != FILE.name)
}

fn variable(option: &str) -> String {
    format!("HAYLOFT_{}", option.to_ascii_uppercase().replace('-', "_"))
}

fn read(path: &Path) -> Result<Vec<(&'static str, String)>, Failure> {
    let context = || format!("the configuration file `{}` cannot be used", path.display());
    let failed = |error: anyhow::Error| Failure::Other(error.context(context()));
    let mut file = fs::File::open(path).map_err(|error| failed(error.into()))?;
    let bytes = Limits::read(&mut file, LARGEST).map_err(|error| failed(error.into()))?;
    let text = String::from_utf8(bytes).map_err(|error| failed(error.into()))?;
    parse(&text).map_err(|failure| {
        let advice = failure.advice();
        let failure = failed(anyhow::Error::msg(failure.to_string()));
        advice.into_iter().fold(failure, Failure::advise)
    })
}

fn parse(text: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let table = DeTable::parse(text).map_err(|error| {
        let before = text.get(..error.span().unwrap_or_default().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Failure::text(format!("line {line}: {}", error.message()))
    })?;
    let mut values = Vec::new();
    for (key, value) in table.get_ref() {
        let key = key.get_ref();
        let Some(option) = settings().find(|option| option.name == key) else {
            let failure =
                Failure::text(format!("`{}` is no setting", hayloft::feed_type::shorten(key)));
            return Err(match nearest(key, settings().map(|option| option.name)) {
                Some(near) => failure.advise(format!("did you mean {near}?")),
                None => failure.advise("hayloft config show lists them"),
            });
        };
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            _ => {
                let text = format!("`{key}` is neither text nor a number");
                return Err(Failure::text(text));
            }
        };
        values.push((option.name, value));
    }
    Ok(values)
}

fn show(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let configuration = Configuration::of(invocation)?;
    let mut shown = Map::new();
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for option in settings() {
        let given = configuration.invocation.text(option.name);
        let set = configuration.invocation.flag(option.name);
        let value = if option.is_flag() {
            Some(if set { "true" } else { "false" })
        } else {
            given.or(option.default)
        };
        let origin = configuration.origins.get(option.name).unwrap_or(&Origin::Default);
        shown.insert(
            option.name.to_owned(),
            json!({ "value": value, "from": origin.to_string(), "about": option.description }),
        );
        if console.is_table() {
            let value = value.unwrap_or_default().to_owned();
            table.row(console, vec![option.name.to_owned(), value, origin.to_string()])?;
        } else {
            // As a file could have it.
            match value {
                Some(value) => {
                    let value = Value::String(value.to_owned());
                    console.line(format_args!("{} = {value}  # {origin}", option.name))?;
                }
                None => console.line(format_args!("# {} is not set", option.name))?,
            }
        }
    }
    table.finish(console)?;
    console.value(&shown)
}

fn check(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let invocation = Configuration::of(invocation)?.into_invocation();
    Plan::of(&invocation)?;
    console.say("The configuration is good.")?;
    console.value(&json!({ "good": true }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn values_of_a_file_are_those_of_options() {
        let found = parse("# mine\naddress = \"0.0.0.0:80\"\ninspection-memory = 64\n").unwrap();
        assert_eq!(
            found,
            [("address", "0.0.0.0:80".to_owned()), ("inspection-memory", "64".to_owned())]
        );
    }

    #[rstest]
    #[case::unknown("adress = \"x\"", "`adress` is no setting", "did you mean address?")]
    #[case::itself("config = \"x\"", "`config` is no setting", "hayloft config show lists them")]
    #[case::table("[address]\nx = 1", "`address` is neither text nor a number", "")]
    #[case::syntax("\naddress = ", "line 2: ", "")]
    fn mistakes_are_told(#[case] text: &str, #[case] expected: &str, #[case] advice: &str) {
        let failure = parse(text).unwrap_err();
        assert!(failure.to_string().starts_with(expected), "{failure}");
        assert_eq!(failure.advice().join("\n"), advice);
    }
}
