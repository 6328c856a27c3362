/// How one client is told to use a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSetup {
    /// The client, such as `npm` or `yarn`.
    pub client: &'static str,
    /// Lines for a POSIX shell, in order; comments begin with `#`.
    pub lines: Vec<String>,
}

/// What a program writes into a client's own files to make it use a feed, and can take out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfiguration {
    /// The client, such as `npm` or `pip`.
    pub client: &'static str,
    /// What goes where.
    pub changes: Vec<ClientChange>,
}

/// Lines that go into one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientChange {
    /// Environment variable that names the file, if the client has one.
    pub variable: Option<&'static str>,
    /// Where the file is otherwise.
    pub base: ClientBase,
    /// Path below it.
    pub path: String,
    /// How the file marks a comment.
    pub comment: CommentStyle,
    /// What the file gets.
    pub lines: String,
    /// A document of the feed whose lines follow them.
    pub document: Option<ClientDocument>,
    /// Whether the key is in the lines, so that only its owner may read the file.
    pub secret: bool,
    /// Where the lines may go: the first place that the file has counts.
    pub places: Vec<ClientPlace>,
    /// Beginnings of lines that say otherwise, such as `index-url`; they are turned into comments
    /// until the change is taken back. Blanks and `=` or `:` may follow.
    pub replaces: Vec<String>,
}

/// A document of the feed that goes into a client's file, such as the key it signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDocument {
    /// Segments of its path below the feed, as they are before they are encoded.
    pub path: Vec<String>,
    /// How it begins; something else is not written.
    pub begins: &'static str,
    /// What stands before each of its lines.
    pub indent: &'static str,
    /// What stands for a line that is empty.
    pub empty: &'static str,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPlace {
    /// Which.
    pub anchor: Anchor,
    /// Lines that have to stand before the change there, such as the head of a section. They stay
    /// when the change is taken back, for others may have come to need them.
    pub before: &'static str,
    /// The same behind the change.
    pub after: &'static str,
}

impl ClientPlace {
    /// A place that needs nothing around the change.
    pub const fn plain(anchor: Anchor) -> Self {
        Self { anchor, before: "", after: "" }
    }
}

/// A line that a change goes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The first line that is this, but for blanks around it.
    After(&'static str),
    /// Before all lines.
    Start,
    /// Behind all lines; every file has this.
    End,
    /// In a file that is missing or empty.
    Empty,
}

/// Where a client looks for its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientBase {
    /// The home directory of whoever uses the client.
    Home,
    /// `XDG_CONFIG_HOME`, or `.config` below the home directory.
    Config,
    /// The root of the file system.
    System,
}

/// How a file marks a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentStyle {
    /// From `#` to the end of the line.
    Hash,
    /// `<!--` to `-->`.
    Xml,
}
