mod table;
mod tame;

use std::fmt::Display;
use std::io::{self, BufRead, BufWriter, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hayloft::Store;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use self::table::Table;
use self::tame::{Lines, Tame, TameJson};
use crate::connection::user_of_the_system;
use crate::failure::Failure;
use crate::manner::Manner;

/// Where a command speaks: lines for people, or one JSON value, on standard output; everything
/// else on standard error.
pub(crate) struct Console {
    out: BufWriter<Box<Output>>,
    errors: Mutex<Box<Output>>,
    speech: Speech,
    look: Look,
    quiet: bool,
    lent: Option<Lent>,
}

type Output = dyn Write + Send + Sync;

/// How what is said looks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Look {
    shape: Shape,
    colored_out: bool,
    colored_errors: bool,
}

/// What a command works with that a server carries out for another process.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) store: Store,
    /// Where names of files begin.
    pub(crate) directory: PathBuf,
    /// Whom records name.
    pub(crate) user: String,
    /// Set once nobody waits for the result.
    pub(crate) gone: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// Lines for people.
    Lines,
    /// One JSON value; lines are left out.
    Json,
    /// The bytes of a file; lines are left out.
    Bytes,
}

/// How lists look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// Columns under heads.
    Table,
    /// The lines of the original, which scripts read.
    Plain,
}

/// Colours of a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Color {
    Red,
    Green,
    Yellow,
    Bold,
}

impl Color {
    fn code(self) -> &'static str {
        match self {
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Bold => "1",
        }
    }

    fn paint(self, text: impl Display) -> String {
        format!("\x1b[{}m{text}\x1b[0m", self.code())
    }
}

/// Whether anybody waits for the result of a command. The command's own process would have ended.
#[derive(Debug)]
pub(crate) struct Watch(Option<Arc<AtomicBool>>);

impl Watch {
    /// Calls work off whose result nobody waits for.
    pub(crate) fn go_on(&self) -> ControlFlow<()> {
        match &self.0 {
            Some(gone) if gone.load(Ordering::Acquire) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Console {
    /// The process's own; colours and tables only on terminals, and no colours if `NO_COLOR` is
    /// set.
    pub(crate) fn new() -> Self {
        let colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = io::stdout().is_terminal();
        let tables = terminal && Manner::current() == Manner::Hayloft;
        let look = Look {
            shape: if tables { Shape::Table } else { Shape::Plain },
            colored_out: colors && terminal,
            colored_errors: colors && io::stderr().is_terminal(),
        };
        Self::over(Box::new(io::stdout()), Box::new(io::stderr()), look)
    }

    fn over(out: Box<Output>, errors: Box<Output>, look: Look) -> Self {
        Self {
            out: BufWriter::new(out),
            errors: Mutex::new(errors),
            speech: Speech::Lines,
            look,
            quiet: false,
            lent: None,
        }
    }

    /// Of a process that asked a server to do something.
    #[cfg(unix)]
    pub(crate) fn for_another(
        out: impl Write + Send + Sync + 'static,
        errors: impl Write + Send + Sync + 'static,
        look: Look,
        lent: Lent,
    ) -> Self {
        Self { lent: Some(lent), ..Self::over(Box::new(out), Box::new(errors), look) }
    }

    /// How what is said looks here.
    #[cfg(unix)]
    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// The store that the command is to work on, if it is carried out for another process.
    pub(crate) fn lent_store(&self) -> Option<&Store> {
        self.lent.as_ref().map(|lent| &lent.store)
    }

    /// The file or folder that the one who gave the command means by a name.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        match &self.lent {
            Some(lent) => lent.directory.join(name),
            None => name.as_ref().to_owned(),
        }
    }

    /// Who gave the command; `local` where the system does not tell.
    pub(crate) fn user(&self) -> String {
        self.lent.as_ref().map_or_else(user_of_the_system, |lent| lent.user.clone())
    }

    /// Tells long work whether anybody waits for its result.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.lent.as_ref().map(|lent| lent.gone.clone()))
    }

    /// From now on lists look like this.
    pub(crate) fn shape(&mut self, shape: Shape) {
        self.look.shape = shape;
    }

    /// Whether lists have columns.
    pub(crate) fn is_table(&self) -> bool {
        self.speech == Speech::Lines && self.look.shape == Shape::Table
    }

    /// From now on only results are told, and what went wrong.
    pub(crate) fn hush(&mut self) {
        self.quiet = true;
    }

    /// Whether somebody sits there who can answer a question.
    pub(crate) fn is_conversation(&self) -> bool {
        Manner::current() == Manner::Hayloft
            && self.speech == Speech::Lines
            && self.lent.is_none()
            && io::stdin().is_terminal()
            && io::stderr().is_terminal()
    }

    /// Asks on standard error; anything but a yes is a no.
    pub(crate) fn ask(&mut self, question: impl Display) -> Result<bool, Failure> {
        self.flush()?;
        let question = Tame { text: question, lines: Lines::One };
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        // A line that nobody can mean as an answer is none.
        let mut input = io::stdin().lock().take(1_000);
        input.read_line(&mut answer).map_err(Failure::io("read the answer"))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// From now on standard output gets one JSON value and nothing else.
    pub(crate) fn speak_json(&mut self) {
        self.speech = Speech::Json;
    }

    /// From now on standard output gets the bytes of a file and nothing else.
    pub(crate) fn speak_bytes(&mut self) {
        self.speech = Speech::Bytes;
    }

    /// Whether one JSON value is wanted in place of lines.
    pub(crate) fn is_json(&self) -> bool {
        self.speech == Speech::Json
    }

    /// A line for people. Whoever wrote the text, it stays one line and controls no terminal.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.people(Tame { text, lines: Lines::One })
    }

    /// A line that tells what is being done, and is no result.
    pub(crate) fn say(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.line(text) }
    }

    /// Lines for people, which the program itself parts.
    pub(crate) fn lines(&mut self, text: impl Display) -> Result<(), Failure> {
        self.people(Tame { text, lines: Lines::Many })
    }

    /// A line for people, in a colour if this is a terminal.
    pub(crate) fn colored(&mut self, color: Color, text: impl Display) -> Result<(), Failure> {
        let text = Tame { text, lines: Lines::One };
        if self.look.colored_out { self.people(color.paint(text)) } else { self.people(text) }
    }

    fn people(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.speech == Speech::Lines {
            writeln!(self.out, "{text}").map_err(written)?;
        }
        Ok(())
    }

    /// The JSON value that the command has to say, if one is wanted.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if self.is_json() {
            let text = serde_json::to_string(value).map_err(anyhow::Error::new)?;
            self.json(&text)?;
            self.json("\n")?;
        }
        Ok(())
    }

    /// JSON text, or punctuation between such texts, on standard output: the same value, also
    /// where its strings hold what would control a terminal.
    pub(crate) fn json(&mut self, text: &str) -> Result<(), Failure> {
        write!(self.out, "{}", TameJson(text)).map_err(written)
    }

    /// Punctuation between JSON texts, if they are wanted.
    pub(crate) fn json_only(&mut self, text: &str) -> Result<(), Failure> {
        if self.is_json() { self.json(text) } else { Ok(()) }
    }

    /// The program's own text on standard output, as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(written)
    }

    /// Everything that `content` holds, on standard output as it is.
    pub(crate) fn copy(&mut self, content: &mut dyn Read) -> Result<u64, Failure> {
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            let read = content.read(&mut buffer).map_err(Failure::io("read the answer"))?;
            if read == 0 {
                return Ok(total);
            }
            self.out.write_all(buffer.get(..read).unwrap_or_default()).map_err(written)?;
            total += read as u64;
        }
    }

    /// A remark on standard error, whatever is wanted on standard output.
    pub(crate) fn note(&self, text: impl Display) {
        self.tell(Color::Yellow, text);
    }

    /// What went wrong.
    pub(crate) fn error(&self, text: impl Display) {
        if self.is_json() {
            let error = json!({ "error": { "message": text.to_string() } });
            self.write_error(format_args!("{}\n", TameJson(&error.to_string())));
        } else {
            self.tell(Color::Red, text);
        }
    }

    /// Why the command failed, and what to do: the last that is said.
    pub(crate) fn fail(&self, failure: &Failure) {
        let advice = failure.advice();
        if self.is_json() {
            let mut error = json!({ "message": failure.to_string(), "hints": advice });
            if let (Some((status, _)), Some(error)) = (failure.answer(), error.as_object_mut()) {
                error.insert("status".to_owned(), status.into());
            }
            let error = json!({ "error": error }).to_string();
            self.write_error(format_args!("{}\n", TameJson(&error)));
            return;
        }
        self.tell(Color::Red, failure);
        if Manner::current() == Manner::Hayloft {
            for advice in advice {
                let advice = Tame { text: advice, lines: Lines::One };
                self.write_error(format_args!("hint: {advice}\n"));
            }
        }
    }

    /// The program's own text on standard error, as it is.
    pub(crate) fn raw_error(&self, text: &str) {
        self.write_error(format_args!("{text}"));
    }

    /// What a server says on standard output, as it is.
    #[cfg(unix)]
    pub(crate) fn pass_on(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(written)?;
        self.flush()
    }

    /// What a server says on standard error, as it is.
    #[cfg(unix)]
    pub(crate) fn pass_on_error(&self, bytes: &[u8]) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = errors.write_all(bytes);
    }

    fn write_error(&self, text: std::fmt::Arguments<'_>) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a standard error there is nobody left to tell.
        let _ = errors.write_fmt(text);
    }

    fn tell(&self, color: Color, text: impl Display) {
        let text = Tame { text, lines: Lines::Many };
        let text = if self.look.colored_errors { color.paint(text) } else { text.to_string() };
        self.write_error(format_args!("{text}\n"));
    }

    /// A bar on standard error, drawn only on a terminal. `length` in bytes, if it is known.
    pub(crate) fn progress(&mut self, length: Option<u64>) -> Result<ProgressBar, Failure> {
        self.flush()?;
        let bar = match length {
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::new_spinner(),
        };
        let template = if length.is_some() {
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{spinner} {bytes} {bytes_per_sec}"
        };
        bar.set_style(ProgressStyle::with_template(template).map_err(anyhow::Error::new)?);
        if io::stderr().is_terminal() && !self.quiet && self.lent.is_none() {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Ok(bar)
    }

    /// Hands everything said so far to the system.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(written)
    }
}

fn written(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::Closed
    } else {
        Failure::io("write to standard output")(error)
    }
}
