//! `$filter`: as much of the expressions of `OData` as clients send, within limits.

use std::cmp::Ordering;

use hayloft_feed::shorten;

use crate::NuGetVersion;

/// Most bytes of an expression.
const LONGEST: usize = 4096;
/// Deepest nesting.
const DEEPEST: usize = 32;

/// A property of a version that expressions and orders may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Property {
    Id,
    Version,
    NormalizedVersion,
    Title,
    Description,
    Summary,
    Tags,
    Authors,
    IsPrerelease,
    IsLatestVersion,
    IsAbsoluteLatestVersion,
    Listed,
    Published,
    DownloadCount,
}

impl Property {
    const ALL: [(&'static str, Self); 14] = [
        ("Id", Self::Id),
        ("Version", Self::Version),
        ("NormalizedVersion", Self::NormalizedVersion),
        ("Title", Self::Title),
        ("Description", Self::Description),
        ("Summary", Self::Summary),
        ("Tags", Self::Tags),
        ("Authors", Self::Authors),
        ("IsPrerelease", Self::IsPrerelease),
        ("IsLatestVersion", Self::IsLatestVersion),
        ("IsAbsoluteLatestVersion", Self::IsAbsoluteLatestVersion),
        ("Listed", Self::Listed),
        ("Published", Self::Published),
        ("DownloadCount", Self::DownloadCount),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, property)| property)
    }

    fn is_condition(self) -> bool {
        matches!(
            self,
            Self::IsPrerelease
                | Self::IsLatestVersion
                | Self::IsAbsoluteLatestVersion
                | Self::Listed
        )
    }

    fn is_version(self) -> bool {
        matches!(self, Self::Version | Self::NormalizedVersion)
    }

    /// Whether the catalog entry has to be read for it.
    fn is_of_entry(self) -> bool {
        matches!(self, Self::Title | Self::Description | Self::Summary | Self::Tags | Self::Authors)
    }
}

/// What an expression comes to. Texts compare without case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Number(f64),
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    SubstringOf,
    StartsWith,
    EndsWith,
    ToLower,
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(CompareKind, Box<Self>, Box<Self>),
    Call(CallKind, Vec<Self>),
    Property(Property),
    Literal(Value),
}

/// Which comparison; opaque outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompareKind(Comparison);

/// Which function; opaque outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallKind(Function);

/// Where properties come from.
pub(crate) trait Row {
    fn property(&self, property: Property) -> Value;
}

impl Expression {
    /// Reads a condition; `Err` says what is not known here.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression has more than {LONGEST} bytes"));
        }
        let mut parser = Parser { rest: text };
        let found = parser.or(0)?;
        parser.blanks();
        if !parser.rest.is_empty() {
            return Err(format!("`{}` is not expected in an expression", shorten(parser.rest)));
        }
        found.condition()
    }

    fn condition(self) -> Result<Self, String> {
        let is_condition = match &self {
            Self::And(..) | Self::Or(..) | Self::Not(_) | Self::Compare(..) => true,
            Self::Call(CallKind(function), _) => *function != Function::ToLower,
            Self::Property(property) => property.is_condition(),
            Self::Literal(value) => matches!(value, Value::Flag(_)),
        };
        if is_condition { Ok(self) } else { Err("an expression is no condition".to_owned()) }
    }

    pub(crate) fn matches(&self, row: &dyn Row) -> bool {
        self.value(row) == Value::Flag(true)
    }

    fn value(&self, row: &dyn Row) -> Value {
        match self {
            Self::And(one, other) => Value::Flag(one.matches(row) && other.matches(row)),
            Self::Or(one, other) => Value::Flag(one.matches(row) || other.matches(row)),
            Self::Not(inner) => Value::Flag(!inner.matches(row)),
            Self::Compare(CompareKind(how), one, other) => {
                Value::Flag(Self::compared(*how, one, other, row))
            }
            Self::Call(CallKind(function), arguments) => called(*function, arguments, row),
            Self::Property(property) => row.property(*property),
            Self::Literal(value) => value.clone(),
        }
    }

    fn compared(how: Comparison, one: &Self, other: &Self, row: &dyn Row) -> bool {
        let (left, right) = (one.value(row), other.value(row));
        if one.is_version() || other.is_version() {
            let parse = |value: &Value| match value {
                Value::Text(text) => text.parse::<NuGetVersion>().ok(),
                _ => None,
            };
            return match (parse(&left), parse(&right)) {
                (Some(left), Some(right)) => {
                    let order = left.compare(&right).then_with(|| left.key().cmp(&right.key()));
                    how.holds(order)
                }
                // What is no version equals none.
                _ => how == Comparison::NotEqual,
            };
        }
        let order = match (&left, &right) {
            (Value::Text(left), Value::Text(right)) => {
                Some(left.to_lowercase().cmp(&right.to_lowercase()))
            }
            (Value::Flag(left), Value::Flag(right)) => Some(left.cmp(right)),
            (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
            (Value::Null, Value::Null) => Some(Ordering::Equal),
            _ => None,
        };
        order.map_or(how == Comparison::NotEqual, |order| how.holds(order))
    }

    fn is_version(&self) -> bool {
        match self {
            Self::Property(property) => property.is_version(),
            Self::Call(CallKind(Function::ToLower), arguments) => {
                arguments.iter().any(Self::is_version)
            }
            _ => false,
        }
    }

    /// The conditions that all must hold.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(one, other) => {
                let mut all = one.conjuncts();
                all.extend(other.conjuncts());
                all
            }
            single => vec![single],
        }
    }

    /// The property, if this says that it is true.
    pub(crate) fn flag(&self) -> Option<Property> {
        match self {
            Self::Property(property) if property.is_condition() => Some(*property),
            Self::Compare(CompareKind(Comparison::Equal), one, other) => match (&**one, &**other) {
                (Self::Property(property), Self::Literal(Value::Flag(true)))
                | (Self::Literal(Value::Flag(true)), Self::Property(property)) => Some(*property),
                _ => None,
            },
            _ => None,
        }
    }

    /// The text, if this says that the id equals it.
    pub(crate) fn id(&self) -> Option<&str> {
        let Self::Compare(CompareKind(Comparison::Equal), one, other) = self else { return None };
        let is_id = |side: &Self| match side {
            Self::Property(property) => *property == Property::Id,
            Self::Call(CallKind(Function::ToLower), arguments) => {
                matches!(arguments.as_slice(), [Self::Property(Property::Id)])
            }
            _ => false,
        };
        match (&**one, &**other) {
            (side, Self::Literal(Value::Text(text))) | (Self::Literal(Value::Text(text)), side)
                if is_id(side) =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Whether catalog entries have to be read for it.
    pub(crate) fn needs_entries(&self) -> bool {
        match self {
            Self::And(one, other) | Self::Or(one, other) | Self::Compare(_, one, other) => {
                one.needs_entries() || other.needs_entries()
            }
            Self::Not(inner) => inner.needs_entries(),
            Self::Call(_, arguments) => arguments.iter().any(Self::needs_entries),
            Self::Property(property) => property.is_of_entry(),
            Self::Literal(_) => false,
        }
    }
}

fn called(function: Function, arguments: &[Expression], row: &dyn Row) -> Value {
    let text = |at: usize| match arguments.get(at).map(|argument| argument.value(row)) {
        Some(Value::Text(text)) => Some(text.to_lowercase()),
        _ => None,
    };
    if function == Function::ToLower {
        return text(0).map_or(Value::Null, Value::Text);
    }
    let (Some(first), Some(second)) = (text(0), text(1)) else { return Value::Flag(false) };
    Value::Flag(match function {
        Function::SubstringOf => second.contains(&first),
        Function::StartsWith => first.starts_with(&second),
        Function::EndsWith => first.ends_with(&second),
        Function::ToLower => false,
    })
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a word operator, which blanks, parentheses or the end must follow.
    fn takes(&mut self, word: &str) -> bool {
        self.blanks();
        let Some(rest) = self.rest.strip_prefix(word) else { return false };
        if rest.starts_with(is_name) {
            return false;
        }
        self.rest = rest;
        true
    }

    fn takes_sign(&mut self, sign: char) -> bool {
        self.blanks();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn or(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err(format!("an expression nests deeper than {DEEPEST} levels"));
        }
        let mut found = self.and(depth)?;
        while self.takes("or") {
            let other = self.and(depth)?.condition()?;
            found = Expression::Or(Box::new(found.condition()?), Box::new(other));
        }
        Ok(found)
    }

    fn and(&mut self, depth: usize) -> Result<Expression, String> {
        let mut found = self.unary(depth)?;
        while self.takes("and") {
            let other = self.unary(depth)?.condition()?;
            found = Expression::And(Box::new(found.condition()?), Box::new(other));
        }
        Ok(found)
    }

    fn unary(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEEPEST {
            return Err(format!("an expression nests deeper than {DEEPEST} levels"));
        }
        if self.takes("not") {
            let inner = self.unary(depth + 1)?.condition()?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        let one = self.operand(depth)?;
        for (word, how) in [
            ("eq", Comparison::Equal),
            ("ne", Comparison::NotEqual),
            ("gt", Comparison::Greater),
            ("ge", Comparison::GreaterOrEqual),
            ("lt", Comparison::Less),
            ("le", Comparison::LessOrEqual),
        ] {
            if self.takes(word) {
                let other = self.operand(depth)?;
                return Ok(Expression::Compare(CompareKind(how), Box::new(one), Box::new(other)));
            }
        }
        Ok(one)
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, String> {
        if self.takes_sign('(') {
            let inner = self.or(depth + 1)?;
            return if self.takes_sign(')') {
                Ok(inner)
            } else {
                Err("an expression has a parenthesis that is not closed".to_owned())
            };
        }
        if self.rest.starts_with('\'') {
            let (text, rest) = quoted(self.rest).ok_or("an expression has a text without end")?;
            self.rest = rest;
            return Ok(Expression::Literal(Value::Text(text)));
        }
        let end = self.rest.find(|letter| !is_name(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        let literal = match word {
            "true" => Some(Value::Flag(true)),
            "false" => Some(Value::Flag(false)),
            "null" => Some(Value::Null),
            "datetime" if self.rest.starts_with('\'') => {
                let (text, rest) =
                    quoted(self.rest).ok_or("an expression has a text without end")?;
                self.rest = rest;
                Some(Value::Text(text))
            }
            number
                if number.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') =>
            {
                number.trim_end_matches(['L', 'l']).parse().ok().map(Value::Number)
            }
            _ => None,
        };
        if let Some(literal) = literal {
            return Ok(Expression::Literal(literal));
        }
        let function = match word {
            "substringof" => Some((Function::SubstringOf, 2)),
            "startswith" => Some((Function::StartsWith, 2)),
            "endswith" => Some((Function::EndsWith, 2)),
            "tolower" => Some((Function::ToLower, 1)),
            _ => None,
        };
        if let Some((function, count)) = function {
            return self.call(function, count, depth);
        }
        let unknown = || match word {
            "" => format!("`{}` is not expected in an expression", shorten(self.rest)),
            word => format!("`{}` is not known in expressions", shorten(word)),
        };
        Property::named(word).map(Expression::Property).ok_or_else(unknown)
    }

    fn call(
        &mut self,
        function: Function,
        count: usize,
        depth: usize,
    ) -> Result<Expression, String> {
        let malformed = || "a function of an expression has other arguments than known".to_owned();
        if depth >= DEEPEST || !self.takes_sign('(') {
            return Err(malformed());
        }
        let mut arguments = Vec::new();
        for at in 0..count {
            if at > 0 && !self.takes_sign(',') {
                return Err(malformed());
            }
            self.blanks();
            arguments.push(self.operand(depth + 1)?);
        }
        if !self.takes_sign(')') {
            return Err(malformed());
        }
        Ok(Expression::Call(CallKind(function), arguments))
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '/')
}

/// A text in single quotes, in which two stand for one, and what follows it.
pub(crate) fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut found = String::new();
    loop {
        let (before, after) = rest.split_once('\'')?;
        found.push_str(before);
        match after.strip_prefix('\'') {
            Some(after) => {
                found.push('\'');
                rest = after;
            }
            None => return Some((found, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    struct Sample;

    impl Row for Sample {
        fn property(&self, property: Property) -> Value {
            match property {
                Property::Id => Value::Text("Acme.Core".into()),
                Property::Version => Value::Text("1.10.0.0".into()),
                Property::NormalizedVersion => Value::Text("1.10.0".into()),
                Property::Tags => Value::Text(" PSModule a'b ".into()),
                Property::Published => Value::Text("2026-01-02T03:04:05.000Z".into()),
                Property::DownloadCount => Value::Number(7.0),
                Property::IsLatestVersion | Property::Listed => Value::Flag(true),
                Property::IsAbsoluteLatestVersion | Property::IsPrerelease => Value::Flag(false),
                _ => Value::Null,
            }
        }
    }

    #[rstest]
    #[case("IsLatestVersion", true)]
    #[case("not IsLatestVersion or IsPrerelease", false)]
    #[case("IsPrerelease eq false", true)]
    #[case("(tolower(Id) eq 'acme.core') and IsLatestVersion", true)]
    #[case("Id eq 'ACME.CORE'", true)]
    #[case("tolower(Id) eq 'Acme.Core'", true)]
    #[case("Version eq '1.10'", true)]
    #[case("NormalizedVersion ge '1.9.0' and NormalizedVersion lt '2.0.0'", true)]
    #[case("Version gt '1.9'", true)]
    #[case("Version eq 'x'", false)]
    #[case("substringof('psmodule', Tags) eq true", true)]
    #[case("substringof('PSScript',Tags) eq false", true)]
    #[case("substringof('a''b',tolower(Tags))", true)]
    #[case("startswith(tolower(Id),'acme')", true)]
    #[case("endswith(Id, 'Mod')", false)]
    #[case("((Id ne null) and (Title eq null))", true)]
    #[case("DownloadCount gt 6L", true)]
    #[case("Published gt datetime'2025-01-01T00:00:00'", true)]
    #[case("true and false or true", true)]
    fn conditions_hold_or_not(#[case] text: &str, #[case] holds: bool) {
        assert_eq!(Expression::parse(text).unwrap().matches(&Sample), holds);
    }

    #[rstest]
    #[case("IsApproved and IsLatestVersion", "`IsApproved` is not known")]
    #[case("(IsDownloadCacheAvailable or true)", "`IsDownloadCacheAvailable`")]
    #[case("Id", "no condition")]
    #[case("'x'", "no condition")]
    #[case("Id eq 'x", "text without end")]
    #[case("(Id eq 'x'", "not closed")]
    #[case("Id eq 'x' )", "`)` is not expected")]
    #[case("Id add 1 eq 2", "not expected")]
    #[case("length(Id) eq 2", "`length` is not known")]
    #[case("substringof(Id)", "other arguments")]
    #[case("", "not expected")]
    fn what_is_not_known_is_named(#[case] text: &str, #[case] expected: &str) {
        let error = Expression::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn expressions_have_limits() {
        let deep = "(".repeat(40) + "true" + &")".repeat(40);
        assert!(Expression::parse(&deep).unwrap_err().contains("nests deeper"));
        assert!(Expression::parse(&"not ".repeat(1000)).unwrap_err().contains("nests deeper"));
        let calls = "tolower(".repeat(500);
        assert!(Expression::parse(&calls).is_err());
        assert!(Expression::parse(&" ".repeat(5000)).unwrap_err().contains("4096"));
    }

    #[test]
    fn the_way_in_is_found() {
        let parsed = Expression::parse("IsLatestVersion eq true and 'A.b' eq tolower(Id)").unwrap();
        let conjuncts = parsed.conjuncts();
        assert_eq!(conjuncts[0].flag(), Some(Property::IsLatestVersion));
        assert_eq!(conjuncts[1].id(), Some("A.b"));
        assert!(!parsed.needs_entries());
        assert!(Expression::parse("substringof('x',Tags)").unwrap().needs_entries());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(
            text in "([(),' ]|and|or|not|eq|Id|Tags|tolower|substringof|true|é){0,30}"
        ) {
            if let Ok(parsed) = Expression::parse(&text) {
                parsed.matches(&Sample);
            }
        }
    }
}
