use std::fmt;

use super::{ActionKind, Refusal};
use crate::Digests;

/// How the body of a request is to be taken apart.
#[derive(Debug)]
#[non_exhaustive]
pub struct Intake {
    /// The form of the body.
    pub framing: Framing,
    /// The least that the request will do: its rights are demanded before the body is read, those
    /// of the action that is decided after it.
    pub least: ActionKind,
    /// The body says who asks, so what the head shows is not looked at: some clients send name and
    /// password in both, where the name is any and the password is a key.
    pub logs_in: bool,
}

impl Intake {
    /// A body of this form for at least this kind of action.
    pub fn new(framing: Framing, least: ActionKind) -> Self {
        Self { framing, least, logs_in: false }
    }

    /// No body.
    pub fn bodiless(least: ActionKind) -> Self {
        Self::new(Framing::None, least)
    }

    /// A body of this form that has the credential of a login.
    pub fn log_in(framing: Framing) -> Self {
        Self { framing, least: ActionKind::Ask, logs_in: true }
    }
}

/// The form of a request's body.
#[non_exhaustive]
pub enum Framing {
    /// No body is read.
    None,
    /// The body is the file.
    Raw,
    /// `multipart/form-data`; the body is the file if it is none.
    Multipart {
        /// Which part is the file.
        file: FilePart,
        /// Names of the other parts to keep, each up to 64 KiB; `*` keeps all. The rest is dropped.
        fields: &'static [&'static str],
    },
    /// `application/x-www-form-urlencoded`, also in a DELETE; up to 64 KiB.
    Form,
    /// JSON, read as it comes; members that are not wanted are skipped unread.
    Json {
        /// Paths of the members to keep, such as `versions.*.deprecated`, together up to 1 MiB.
        /// An empty path keeps the whole.
        wanted: &'static [&'static str],
        /// Path of a base64 text that is the file, such as `_attachments.*.data`; among several
        /// the first whose `*` ends in `suffix`.
        file: Option<JsonFile>,
    },
    /// Anything else.
    Custom(Box<dyn Deframe>),
}

/// Where the file lies in a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFile {
    /// Path of the text, with one `*`.
    pub path: &'static str,
    /// How the member at `*` must end.
    pub suffix: &'static str,
}

impl fmt::Debug for Framing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "None",
            Self::Raw => "Raw",
            Self::Multipart { .. } => "Multipart",
            Self::Form => "Form",
            Self::Json { .. } => "Json",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Which part of a multipart body is the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// The first one, whatever its name.
    First,
    /// The one of this name.
    Named(&'static str),
}

/// A push parser of a framing of a type's own: pure, holding no more than its fields.
pub trait Deframe: Send {
    /// Takes the next bytes of the body and gives out what they complete.
    fn push(
        &mut self,
        bytes: &[u8],
        give: &mut dyn FnMut(Piece<'_>) -> Result<(), DeframeError>,
    ) -> Result<(), DeframeError>;
    /// The body has ended.
    fn finish(&mut self) -> Result<(), DeframeError>;
}

/// A part of a body.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A field, whole.
    Field {
        /// Name.
        name: &'a str,
        /// Value.
        value: &'a str,
    },
    /// The next bytes of the file.
    File(&'a [u8]),
}

/// A body does not have its form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeframeError(pub String);

/// The fields of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<Field>);

/// One field of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; in JSON the members that lead to it.
    pub path: Vec<String>,
    /// Its value; in JSON the raw text.
    pub value: String,
}

impl Fields {
    /// The value of the first field with this name, not in JSON.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.at(&[name])
    }

    /// The raw value of the first field at this path.
    pub fn at(&self, path: &[&str]) -> Option<&str> {
        let mut fields = self.0.iter();
        fields.find(|field| field.path == path).map(|field| field.value.as_str())
    }

    /// The fields whose path begins with `path`, in the order they came.
    pub fn below<'a>(&'a self, path: &'a [&'a str]) -> impl Iterator<Item = &'a Field> {
        self.0.iter().filter(move |field| {
            field.path.len() >= path.len() && field.path.iter().zip(path).all(|(a, b)| a == b)
        })
    }

    /// The first field with this name, read as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Refusal> {
        let text = self.text(name).unwrap_or("null");
        serde_json::from_str(text)
            .map_err(|error| Refusal::Invalid(format!("`{name}` is not as it has to be: {error}")))
    }

    /// A JSON text at this path, decoded.
    pub fn json_text(&self, path: &[&str]) -> Option<String> {
        serde_json::from_str(self.at(path)?).ok()
    }
}

/// The file that came with a request; it lies in staging and nothing refers to it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StagedCard {
    /// Length in bytes.
    pub size: u64,
    /// Digests of the content.
    pub digests: Digests,
    /// What the client calls it: the file name of a part, or the member at `*`.
    pub file_name: Option<String>,
}

impl StagedCard {
    /// A staged file.
    pub fn new(size: u64, digests: Digests, file_name: Option<String>) -> Self {
        Self { size, digests, file_name }
    }
}
