/// Who asks for a change; goes into rows, audit and embedded history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user's name, else the display name of the key, else `API`.
    pub name: String,
    /// The API key that was used.
    pub key_id: Option<u64>,
    /// Where the request came from, such as an IP address.
    pub address: Option<String>,
}

impl Actor {
    /// An actor without a key and address.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), key_id: None, address: None }
    }

    /// A request whose key has no name and no user.
    pub fn api() -> Self {
        Self::named("API")
    }

    /// The store itself: maintenance, repair.
    pub fn system() -> Self {
        Self::named("SYSTEM")
    }
}
