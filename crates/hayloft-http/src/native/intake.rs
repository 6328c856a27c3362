//! Bodies of native requests, taken apart by the form that the feed type names.

mod json;
mod multipart;

use std::io::Write;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;
use hayloft::Staged;
use hayloft::feed_type::native::{Deframe, Field, Fields, Framing, Piece, Refusal, query_pairs};
use tokio::sync::OwnedSemaphorePermit;

use self::json::JsonParser;
use self::multipart::MultipartParser;
use super::executor::Worded;
use crate::transfer::{
    FileWriter, SMALL_TEXT, is_multipart, next_frame, receive as receive_file, receive_text_of,
    upload_limit,
};
use crate::{ApiError, App, Visitor};

/// Most bytes of all fields together.
const KEPT: usize = 1 << 20;
/// Most bytes of a body beside its file.
const BESIDE: u64 = 64 << 20;
/// Bytes of a compressed body that are unfolded at a time: a few mebibytes at most.
const SLICE: usize = 4 << 10;

/// What a body held.
pub(super) struct Received {
    /// Its fields.
    pub(super) fields: Fields,
    /// Its file, and what the client calls it.
    pub(super) file: Option<(Staged, Option<String>)>,
}

/// What a parser has found in the bytes it was given.
#[derive(Debug, Default)]
struct Found {
    fields: Vec<Field>,
    kept: usize,
    /// True once the file has begun.
    begun: bool,
    file_name: Option<String>,
    file: Vec<u8>,
}

impl Found {
    fn field(&mut self, path: Vec<String>, value: String) -> Result<(), String> {
        let names: usize = path.iter().map(String::len).sum();
        self.kept = self.kept.saturating_add(names).saturating_add(value.len()).saturating_add(32);
        if self.kept > KEPT {
            return Err(format!("the fields of the body have more than {KEPT} bytes"));
        }
        self.fields.push(Field { path, value });
        Ok(())
    }
}

/// Takes a body apart as it comes, holding no more than its fields.
trait Parser: Send {
    fn push(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String>;
    fn finish(&mut self, found: &mut Found) -> Result<(), String>;
    /// Bytes that it holds beside what it has found.
    fn kept(&self) -> usize;
}

/// A framing of a type's own.
struct CustomParser {
    deframe: Box<dyn Deframe>,
    /// Bytes that went in since something last came out.
    kept: usize,
}

impl Parser for CustomParser {
    fn push(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        self.kept = self.kept.saturating_add(bytes.len());
        let kept = &mut self.kept;
        let mut give = |piece: Piece<'_>| {
            *kept = 0;
            match piece {
                Piece::Field { name, value } => found
                    .field(vec![name.to_owned()], value.to_owned())
                    .map_err(hayloft::feed_type::native::DeframeError),
                Piece::File(bytes) => {
                    found.begun = true;
                    found.file.extend_from_slice(bytes);
                    Ok(())
                }
            }
        };
        self.deframe.push(bytes, &mut give).map_err(|error| error.to_string())
    }

    fn finish(&mut self, _: &mut Found) -> Result<(), String> {
        self.deframe.finish().map_err(|error| error.to_string())
    }

    fn kept(&self) -> usize {
        self.kept
    }
}

/// Reads a body by its form.
pub(super) async fn receive(
    app: &App,
    visitor: &Visitor,
    framing: Framing,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Worded> {
    let nothing = Received { fields: Fields::default(), file: None };
    // Who shows a key that opens nothing has not come so far.
    let known = visitor.may_be_known();
    let parser: Box<dyn Parser> = match framing {
        Framing::None => return Ok(nothing),
        Framing::Form => {
            let text = receive_text_of(app, known, body).await?;
            let pairs = query_pairs(&text);
            let fields = pairs.map(|(name, value)| Field { path: vec![name], value }).collect();
            return Ok(Received { fields: Fields(fields), ..nothing });
        }
        Framing::Multipart { file, fields } if is_multipart(headers) => {
            Box::new(MultipartParser::new(headers, file, fields).map_err(Refusal::Invalid)?)
        }
        Framing::Raw | Framing::Multipart { .. } => {
            let file = receive_file(app, headers, body).await;
            let file = file.map_err(|error| too_large(app, error))?;
            return Ok(Received { file: Some((file, None)), ..nothing });
        }
        Framing::Json { wanted, file } => Box::new(JsonParser::new(wanted, file)),
        Framing::Custom(deframe) => Box::new(CustomParser { deframe, kept: 0 }),
        other => {
            return Err(Refusal::Unsupported(format!("{other:?} bodies are not read here")).into());
        }
    };
    taken_apart(app, known, parser, is_gzip(headers)?, body).await
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Worded> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        Ok("gzip" | "x-gzip") => Ok(true),
        Ok("" | "identity") => Ok(false),
        _ => Err(Refusal::Unsupported("only gzip bodies are unpacked here".to_owned()).into()),
    }
}

async fn taken_apart(
    app: &App,
    known: bool,
    parser: Box<dyn Parser>,
    gzip: bool,
    body: Body,
) -> Result<Received, Worded> {
    let _running = app.traffic().upload();
    let limit = upload_limit(app);
    let mut apart = Apart {
        app,
        known,
        place: None,
        parser,
        found: Found::default(),
        file: None,
        // A file in base64 takes a third more.
        left: limit.saturating_add(limit / 2).saturating_add(BESIDE),
    };
    let mut unpacked = gzip.then(|| MultiGzDecoder::new(Vec::new()));
    let mut frames = body.into_data_stream();
    let broken = |_| Refusal::Invalid("the body is not sound gzip".to_owned());
    while let Some(bytes) = next_frame(&mut frames).await? {
        let Some(decoder) = &mut unpacked else {
            apart.take(&bytes).await?;
            continue;
        };
        for slice in bytes.chunks(SLICE) {
            decoder.write_all(slice).map_err(broken)?;
            let plain = std::mem::take(decoder.get_mut());
            apart.take(&plain).await?;
        }
    }
    if let Some(decoder) = unpacked {
        let plain = decoder.finish().map_err(broken)?;
        apart.take(&plain).await?;
    }
    apart.finish().await
}

/// A body on its way through a parser.
struct Apart<'a> {
    app: &'a App,
    known: bool,
    /// For what is kept of a body, once that is much.
    place: Option<OwnedSemaphorePermit>,
    parser: Box<dyn Parser>,
    found: Found,
    file: Option<FileWriter<'a>>,
    left: u64,
}

impl Apart<'_> {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Worded> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let limit = upload_limit(self.app);
        self.left = self.left.checked_sub(length).ok_or(Refusal::TooLarge { limit })?;
        self.parser.push(bytes, &mut self.found).map_err(Refusal::Invalid)?;
        let kept = self.found.kept.saturating_add(self.parser.kept());
        if self.place.is_none() && kept > SMALL_TEXT {
            self.place = Some(self.app.large_text(self.known).await?);
        }
        self.pass_on().await
    }

    async fn pass_on(&mut self) -> Result<(), Worded> {
        if !self.found.begun {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(FileWriter::begin(self.app).await?),
        };
        let bytes = std::mem::take(&mut self.found.file);
        file.add(&bytes).await.map_err(|error| too_large(self.app, error))
    }

    async fn finish(mut self) -> Result<Received, Worded> {
        self.parser.finish(&mut self.found).map_err(Refusal::Invalid)?;
        self.pass_on().await?;
        let file = match self.file {
            None => None,
            Some(file) => {
                let staged = file.finish().await.map_err(|error| too_large(self.app, error))?;
                Some((staged, self.found.file_name))
            }
        };
        Ok(Received { fields: Fields(self.found.fields), file })
    }
}

/// What is too large is told with its limit, as the type words it.
fn too_large(app: &App, error: ApiError) -> Worded {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::TooLarge { limit: upload_limit(app) }.into();
    }
    error.into()
}

/// Bodies taken apart for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    use axum::http::HeaderMap;
    use hayloft::feed_type::native::{FilePart, JsonFile};

    use super::{Found, JsonParser, KEPT, MultipartParser, Parser};
    use crate::fuzzing::Taken;

    pub(crate) fn multipart(
        headers: &HeaderMap,
        wanted: FilePart,
        fields: &'static [&'static str],
        body: &[u8],
        step: usize,
    ) -> Result<Taken, String> {
        taken(MultipartParser::new(headers, wanted, fields)?, body, step)
    }

    pub(crate) fn json(
        wanted: &[&'static str],
        file: Option<JsonFile>,
        body: &[u8],
        step: usize,
    ) -> Result<Taken, String> {
        taken(JsonParser::new(wanted, file), body, step)
    }

    fn taken(mut parser: impl Parser, body: &[u8], step: usize) -> Result<Taken, String> {
        let mut found = Found::default();
        for piece in body.chunks(step.max(1)) {
            parser.push(piece, &mut found)?;
            assert!(parser.kept() <= 2 * KEPT, "what is held has a limit");
        }
        parser.finish(&mut found)?;
        assert!(found.kept <= KEPT, "fields have a limit");
        let fields = found.fields.into_iter().map(|field| (field.path, field.value)).collect();
        Ok(Taken { fields, file: found.begun.then_some(found.file) })
    }
}
