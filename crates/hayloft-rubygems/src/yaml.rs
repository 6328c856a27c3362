use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use data_encoding::BASE64_NOPAD;
use hayloft_feed::{Account, Exhausted};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deepest nesting of a gemspec.
const DEPTH: usize = 12;
/// Most nodes of a gemspec, those that are not kept included.
const NODES: usize = 200_000;
const ALIASES: usize = 1_000;
/// Bytes that a node takes beside its text, for what is read again through aliases.
const NODE: usize = 16;
/// Bytes of memory of a node, its place in a list and its key in a table of keys, besides its text.
const HELD: usize = 256;
/// What aliases may add to a text of any length, in bytes.
const ALIASED: usize = 64 << 10;

/// A YAML document as data: no Ruby object is ever built from it.
///
/// What an alias names is held once, however often it is named.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) tag: Option<Tag>,
    /// Bytes of the node in the file, its tag and anchor excluded.
    pub(crate) span: Range<usize>,
    /// Bytes of all that is read in it, aliases followed.
    weight: usize,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar { text: Box<str>, plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

/// The tags that a gemspec may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Specification,
    Version,
    Requirement,
    Dependency,
    Platform,
    Symbol,
    /// Base 64.
    Binary,
    /// Text, whatever it looks like.
    Text,
    /// `!`, with which Ruby reads text in quotation marks as if it had none.
    NonSpecific,
    /// Another scalar of YAML itself.
    Plain,
}

/// Text is not YAML that a gemspec may be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The parser's complaint.
    #[error("line {line}: {message}")]
    Syntax {
        /// 1-based.
        line: usize,
        /// In the parser's words.
        message: String,
    },
    /// No document, or more than one.
    #[error("it holds {0} YAML documents instead of one")]
    Documents(usize),
    /// A Ruby class that no gemspec holds.
    #[error("line {line}: tag `{tag}` is not allowed in a gemspec")]
    Tag {
        /// 1-based.
        line: usize,
        /// As written.
        tag: String,
    },
    /// A Ruby symbol that no gemspec holds.
    #[error("line {line}: symbol `{symbol}` is not allowed in a gemspec")]
    Symbol {
        /// 1-based.
        line: usize,
        /// With its colon.
        symbol: String,
    },
    /// A key stands twice in one mapping.
    #[error("line {line}: `{key}` is given more than once")]
    Duplicate {
        /// 1-based.
        line: usize,
        /// The key.
        key: String,
    },
    /// Deeper, longer or more entangled than any gemspec.
    #[error("line {line}: more {what} than a gemspec may have")]
    Limit {
        /// 1-based.
        line: usize,
        /// Of what.
        what: &'static str,
    },
    /// An alias where it is not needed.
    #[error("line {0}: an alias is allowed inside requirements only")]
    Alias(usize),
    /// A key that Ruby reads as another one, or that brings other keys along.
    #[error("line {line}: `{key}` cannot be a key in a gemspec")]
    Key {
        /// 1-based.
        line: usize,
        /// As written.
        key: String,
    },
    /// There is too little memory left for it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// Binary text that does not decode.
    #[error("line {0}: the text is not base 64")]
    Binary(usize),
}

/// Text of a file whose encoding may be older than UTF-8, with the byte of every character.
#[derive(Debug)]
pub(crate) struct SourceText<'b> {
    pub(crate) text: Cow<'b, str>,
    pub(crate) is_utf8: bool,
}

impl<'b> SourceText<'b> {
    /// UTF-8, or else one character per byte.
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: Cow::Borrowed(text), is_utf8: true },
            Err(_) => Self {
                text: Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
                is_utf8: false,
            },
        }
    }
}

/// Turns character positions into byte positions of the file.
struct Positions<'t> {
    text: &'t str,
    /// Byte of every `STRIDE`-th character; empty where characters are bytes.
    marks: Vec<usize>,
}

const STRIDE: usize = 256;

impl<'t> Positions<'t> {
    fn new(source: &'t SourceText<'_>) -> Self {
        let text: &str = &source.text;
        let marks = if source.is_utf8 && !text.is_ascii() {
            text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect()
        } else {
            Vec::new()
        };
        Self { text, marks }
    }

    fn byte(&self, character: usize) -> usize {
        if self.marks.is_empty() {
            return character;
        }
        let Some(mark) = self.marks.get(character / STRIDE) else { return self.text.len() };
        let rest = self.text.get(*mark..).unwrap_or("");
        mark + rest.char_indices().nth(character % STRIDE).map_or(rest.len(), |(byte, _)| byte)
    }
}

/// Reads the one document of `source`; of the outermost mapping only the keys that `wanted` accepts
/// are kept.
pub(crate) fn parse(
    source: &SourceText<'_>,
    wanted: fn(&str) -> bool,
    account: &Account,
) -> Result<Node, YamlError> {
    let mut reader = Reader {
        account,
        positions: Positions::new(source),
        wanted,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        aliases: 0,
        aliased: 0,
        most_aliased: source.text.len().saturating_mul(2).saturating_add(ALIASED),
        document: None,
        documents: 0,
    };
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| YamlError::Syntax {
            line: error.marker().line(),
            message: error.info().to_owned(),
        })?;
        reader.take(event, span)?;
    }
    let Reader { document, documents, open, anchors, .. } = reader;
    drop((open, anchors));
    match document.map(Rc::try_unwrap) {
        Some(Ok(document)) if documents == 1 => Ok(document),
        _ => Err(YamlError::Documents(documents)),
    }
}

struct Open {
    node: Node,
    key: Option<Rc<Node>>,
    keys: HashSet<Box<str>>,
    anchor: usize,
}

struct Reader<'t> {
    account: &'t Account,
    positions: Positions<'t>,
    wanted: fn(&str) -> bool,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    aliases: usize,
    aliased: usize,
    most_aliased: usize,
    document: Option<Rc<Node>>,
    documents: usize,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = allowed_tag(tag.as_deref(), line)?;
                let plain = style == ScalarStyle::Plain || tag == Some(Tag::NonSpecific);
                check_symbol(&text, plain, tag, line)?;
                let text = match tag {
                    Some(Tag::Binary) => decoded(&text).ok_or(YamlError::Binary(line))?,
                    _ => text.into_owned().into(),
                };
                let weight = NODE + text.len();
                let value = Value::Scalar { text, plain };
                let start = self.positions.byte(span.start.index());
                let end = self.positions.byte(span.end.index());
                self.close(Node { value, tag, span: start..end, weight }, anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Value::Sequence(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Value::Mapping(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let end = self.positions.byte(span.end.index());
                match self.open.pop() {
                    Some(Open { mut node, anchor, .. }) => {
                        node.span.end = end.max(node.span.start);
                        self.close(node, anchor, line)
                    }
                    None => Ok(()),
                }
            }
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(
        &mut self,
        value: Value,
        anchor: usize,
        tag: Option<&saphyr_parser::Tag>,
        span: Span,
    ) -> Result<(), YamlError> {
        let line = span.start.line();
        if self.open.len() >= DEPTH {
            return Err(YamlError::Limit { line, what: "nesting" });
        }
        let tag = allowed_tag(tag, line)?;
        let start = self.positions.byte(span.start.index());
        let node = Node { value, tag, span: start..start, weight: NODE };
        self.open.push(Open { node, key: None, keys: HashSet::new(), anchor });
        Ok(())
    }

    /// The key of the outermost mapping whose value is being read.
    fn outermost_key(&self) -> Option<&str> {
        self.open.first().and_then(|open| open.key.as_ref()).and_then(|key| key.text())
    }

    fn is_kept(&self) -> bool {
        self.outermost_key().is_none_or(self.wanted)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), YamlError> {
        self.aliases += 1;
        if self.aliases > ALIASES {
            return Err(YamlError::Limit { line, what: "aliases" });
        }
        let inside_requirements = matches!(
            self.outermost_key(),
            Some("dependencies" | "required_ruby_version" | "required_rubygems_version")
        );
        if !inside_requirements {
            return Err(YamlError::Alias(line));
        }
        let node = self.anchors.get(&anchor).cloned().ok_or(YamlError::Alias(line))?;
        self.aliased = self.aliased.saturating_add(node.weight);
        if self.aliased > self.most_aliased {
            return Err(YamlError::Limit { line, what: "text behind aliases" });
        }
        self.attach(node, line)
    }

    fn close(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(YamlError::Limit { line, what: "nodes" });
        }
        if anchor > 0 || self.is_kept() {
            let held = HELD + node.text().map_or(0, |text| 2 * text.len());
            self.account.charge(u64::try_from(held).unwrap_or(u64::MAX))?;
        }
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, line)
    }

    fn attach(&mut self, node: Rc<Node>, line: usize) -> Result<(), YamlError> {
        let kept = self.is_kept();
        let Some(parent) = self.open.last_mut() else {
            self.documents += 1;
            self.document = Some(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::Sequence(_) if !kept => {}
            Value::Sequence(items) => {
                parent.node.weight = parent.node.weight.saturating_add(node.weight);
                items.push(node);
            }
            Value::Mapping(pairs) => match parent.key.take() {
                None => {
                    let text = key_text(&node, line)?;
                    if kept && !parent.keys.insert(text.into()) {
                        return Err(YamlError::Duplicate { line, key: text.to_owned() });
                    }
                    parent.key = Some(node);
                }
                Some(_) if !kept => {}
                Some(key) => {
                    if pairs.len() >= 1_000 {
                        return Err(YamlError::Limit { line, what: "keys" });
                    }
                    let weight = key.weight.saturating_add(node.weight);
                    parent.node.weight = parent.node.weight.saturating_add(weight);
                    pairs.push((key, node));
                }
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// The text of a key. Ruby merges what stands behind `<<` into the mapping.
fn key_text(node: &Node, line: usize) -> Result<&str, YamlError> {
    match node.text() {
        Some(text) if text != "<<" => Ok(text),
        other => Err(YamlError::Key { line, key: other.unwrap_or("a list or mapping").to_owned() }),
    }
}

/// Text written in base 64, as old releases wrote what is not ASCII.
fn decoded(text: &str) -> Option<Box<str>> {
    let digits: String = text
        .trim_end()
        .trim_end_matches('=')
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let mut lenient = BASE64_NOPAD.specification();
    lenient.check_trailing_bits = false;
    let bytes = lenient.encoding().ok()?.decode(digits.as_bytes()).ok()?;
    Some(match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => error.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    })
}

fn allowed_tag(tag: Option<&saphyr_parser::Tag>, line: usize) -> Result<Option<Tag>, YamlError> {
    let Some(tag) = tag else { return Ok(None) };
    let text = format!("{}{}", tag.handle, tag.suffix);
    Ok(Some(match text.as_str() {
        "!ruby/object:Gem::Specification" => Tag::Specification,
        "!ruby/object:Gem::Version" => Tag::Version,
        "!ruby/object:Gem::Requirement" | "!ruby/object:Gem::Version::Requirement" => {
            Tag::Requirement
        }
        "!ruby/object:Gem::Dependency" => Tag::Dependency,
        "!ruby/object:Gem::Platform" => Tag::Platform,
        "!ruby/sym" | "!ruby/symbol" => Tag::Symbol,
        "!binary" | "tag:yaml.org,2002:binary" => Tag::Binary,
        "!" => Tag::NonSpecific,
        "!str" | "tag:yaml.org,2002:str" => Tag::Text,
        "tag:yaml.org,2002:timestamp"
        | "tag:yaml.org,2002:null"
        | "tag:yaml.org,2002:int"
        | "tag:yaml.org,2002:float"
        | "tag:yaml.org,2002:bool" => Tag::Plain,
        _ => return Err(YamlError::Tag { line, tag: text }),
    }))
}

fn check_symbol(text: &str, plain: bool, tag: Option<Tag>, line: usize) -> Result<(), YamlError> {
    let tagged = tag == Some(Tag::Symbol);
    // Psych reads a plain scalar with a leading colon as a symbol, quoted inside or not.
    let name = match text.strip_prefix(':') {
        Some(name) if plain && !name.is_empty() => Some(name),
        _ if tagged => Some(text),
        _ => None,
    };
    match name {
        None | Some("development" | "runtime" | ":development" | ":runtime") => Ok(()),
        Some(_) => Err(YamlError::Symbol { line, symbol: text.to_owned() }),
    }
}

impl Node {
    /// Bytes of all that is read in it, aliases followed.
    pub(crate) fn weight(&self) -> u64 {
        u64::try_from(self.weight).unwrap_or(u64::MAX)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// True for what YAML reads as null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// False for what Ruby reads as a truth value, a number or nothing although it has the letters
    /// of a name.
    pub(crate) fn is_word(&self) -> bool {
        let Value::Scalar { text, plain: true } = &self.value else { return true };
        if matches!(self.tag, Some(Tag::Text | Tag::Binary)) {
            return true;
        }
        let lower = text.to_ascii_lowercase();
        let numeric = |prefix: &str, digits: fn(&u8) -> bool| {
            lower.strip_prefix(prefix).is_some_and(|rest| rest.as_bytes().iter().all(digits))
        };
        !matches!(lower.as_str(), "" | "null" | "true" | "false" | "yes" | "no" | "on" | "off")
            && !matches!(lower.as_str(), ".inf" | ".nan")
            && self.tag != Some(Tag::Plain)
            && !numeric("", |byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-'))
            && !numeric("0x", |byte| byte.is_ascii_hexdigit() || *byte == b'_')
            && !numeric("0b", |byte| matches!(byte, b'0' | b'1' | b'_'))
            && !numeric("0o", |byte| matches!(byte, b'0'..=b'7' | b'_'))
    }

    /// The items of a sequence.
    pub(crate) fn items(&self) -> Option<&[Rc<Node>]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub(crate) fn pairs(&self) -> Option<&[(Rc<Node>, Rc<Node>)]> {
        match &self.value {
            Value::Mapping(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of `key` in a mapping; a null counts as missing.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.pairs()?
            .iter()
            .find(|(name, _)| name.text() == Some(key))
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_null())
    }
}
