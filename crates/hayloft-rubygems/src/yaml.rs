use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

/// Deepest nesting of a gemspec.
const DEPTH: usize = 12;
/// Most nodes of a gemspec, those reached again through aliases included.
const NODES: usize = 200_000;
const ALIASES: usize = 1_000;

/// A YAML document as data: no Ruby object is ever built from it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) tag: Option<String>,
    /// Bytes of the node in the file, its tag and anchor excluded.
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
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
}

/// Text of a file whose encoding may be older than UTF-8, with the byte of every character.
#[derive(Debug)]
pub(crate) struct SourceText<'b> {
    pub(crate) text: Cow<'b, str>,
    is_utf8: bool,
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

/// Reads the one document of `source`.
pub(crate) fn parse(source: &SourceText<'_>) -> Result<Node, YamlError> {
    let mut reader = Reader {
        positions: Positions::new(source),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        aliases: 0,
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| YamlError::Syntax {
            line: error.marker().line(),
            message: error.info().to_owned(),
        })?;
        reader.take(event, span)?;
    }
    let count = reader.documents.len();
    match (reader.documents.pop(), count) {
        (Some(document), 1) => Ok(document),
        _ => Err(YamlError::Documents(count)),
    }
}

struct Open {
    node: Node,
    key: Option<Node>,
    anchor: usize,
}

struct Reader<'t> {
    positions: Positions<'t>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    aliases: usize,
    documents: Vec<Node>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = allowed_tag(tag.as_deref(), line)?;
                let plain = style == ScalarStyle::Plain;
                check_symbol(&text, plain, tag.as_deref(), line)?;
                let value = Value::Scalar { text: text.into_owned(), plain };
                let start = self.positions.byte(span.start.index());
                let end = self.positions.byte(span.end.index());
                self.close(Node { value, tag, span: start..end }, anchor, line)
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
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), YamlError> {
        let line = span.start.line();
        if self.open.len() >= DEPTH {
            return Err(YamlError::Limit { line, what: "nesting" });
        }
        let tag = allowed_tag(tag, line)?;
        let start = self.positions.byte(span.start.index());
        self.open.push(Open { node: Node { value, tag, span: start..start }, key: None, anchor });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), YamlError> {
        self.aliases += 1;
        if self.aliases > ALIASES {
            return Err(YamlError::Limit { line, what: "aliases" });
        }
        let inside_requirements = self.open.first().is_some_and(|outermost| {
            outermost.key.as_ref().and_then(Node::text).is_some_and(|key| {
                matches!(
                    key,
                    "dependencies" | "required_ruby_version" | "required_rubygems_version"
                )
            })
        });
        if !inside_requirements {
            return Err(YamlError::Alias(line));
        }
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(YamlError::Alias(line));
        };
        self.nodes += size;
        self.close(node, 0, line)
    }

    fn close(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(YamlError::Limit { line, what: "nodes" });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), node.size()));
            // The copy kept for the anchor is paid for like any other.
            self.nodes += node.size();
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(pairs) => match parent.key.take() {
                None => {
                    parent.key = Some(node);
                }
                Some(key) => {
                    // Mappings of a gemspec are small except `metadata`; its keys are few too.
                    if let Some(text) = key.text()
                        && pairs.iter().any(|(other, _)| other.text() == Some(text))
                    {
                        return Err(YamlError::Duplicate { line, key: text.to_owned() });
                    }
                    if pairs.len() >= 1_000 {
                        return Err(YamlError::Limit { line, what: "keys" });
                    }
                    pairs.push((key, node));
                }
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn allowed_tag(tag: Option<&Tag>, line: usize) -> Result<Option<String>, YamlError> {
    let Some(tag) = tag else { return Ok(None) };
    let text = format!("{}{}", tag.handle, tag.suffix);
    let known = match text.strip_prefix("!ruby/") {
        Some(ruby) => matches!(
            ruby,
            "object:Gem::Specification"
                | "object:Gem::Version"
                | "object:Gem::Version::Requirement"
                | "object:Gem::Requirement"
                | "object:Gem::Dependency"
                | "object:Gem::Platform"
                | "sym"
                | "symbol"
        ),
        None => {
            matches!(text.as_str(), "!" | "!binary" | "!str")
                || (text.starts_with("tag:yaml.org,2002:")
                    && matches!(
                        tag.suffix.as_str(),
                        "str" | "binary" | "timestamp" | "null" | "int" | "float" | "bool"
                    ))
        }
    };
    if known { Ok(Some(text)) } else { Err(YamlError::Tag { line, tag: text }) }
}

fn check_symbol(text: &str, plain: bool, tag: Option<&str>, line: usize) -> Result<(), YamlError> {
    let tagged = tag.is_some_and(|tag| tag.starts_with("!ruby/sym"));
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
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::Sequence(items) => items.iter().map(Node::size).sum(),
            Value::Mapping(pairs) => pairs.iter().map(|(k, v)| k.size() + v.size()).sum(),
        }
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
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The items of a sequence.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub(crate) fn pairs(&self) -> Option<&[(Node, Node)]> {
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
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// True if the tag names `class`.
    pub(crate) fn is(&self, class: &str) -> bool {
        self.tag.as_deref().and_then(|tag| tag.strip_prefix("!ruby/object:")) == Some(class)
    }
}
