/// A secret that each feed of a type has, such as the key that signs its releases.
///
/// It is in no document, log or audit row. One answer of a server has it, which is never kept and
/// for administrators alone: who owns the store may take it away and bring another one.
pub trait FeedSecret {
    /// A secret that a person brings, in the form in which
    /// [`RefreshOrder::secret`](super::RefreshOrder::secret) gives it back. The error is shown to
    /// the person.
    fn accept(&self, given: &[u8]) -> Result<Vec<u8>, String>;

    /// A secret that is kept, in a form that [`FeedSecret::accept`] and other programs take.
    fn show(&self, kept: &[u8]) -> Result<Vec<u8>, String>;

    /// The subject whose refresh makes the secret where there is none, and sees to it that all that
    /// was made with an earlier one is made anew.
    fn subject(&self) -> &'static [u8];
}
