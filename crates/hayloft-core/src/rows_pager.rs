//! Lists that are read as they are asked for.

use std::fmt;

use crate::StoreError;

/// Gives a list page by page; each page is a view of its own.
pub(crate) trait Pager<T>: Send {
    /// The next rows, perhaps none of this page; `None` at the end.
    fn page(&mut self) -> Result<Option<Vec<T>>, StoreError>;
}

/// Rows of a list, read as they are asked for.
///
/// Memory does not grow with the list. Each page of about a thousand rows is a view of its own, so
/// a list under change is not one moment; no row that stands still is missed or repeated. After an
/// error the list is at its end.
pub struct Rows<T> {
    /// `None` once the list is at its end.
    pager: Option<Box<dyn Pager<T>>>,
    page: std::vec::IntoIter<T>,
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Rows").field("at_end", &self.pager.is_none()).finish_non_exhaustive()
    }
}

impl<T> Rows<T> {
    pub(crate) fn new(pager: impl Pager<T> + 'static) -> Self {
        Self { pager: Some(Box::new(pager)), page: Vec::new().into_iter() }
    }
}

impl<T> Iterator for Rows<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.page.next() {
                return Some(Ok(row));
            }
            match self.pager.as_mut()?.page() {
                Ok(Some(page)) => self.page = page.into_iter(),
                Ok(None) => self.pager = None,
                Err(error) => {
                    self.pager = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
