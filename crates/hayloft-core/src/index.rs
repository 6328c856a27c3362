//! What native indexes are made of: rows, logs and search terms of the feed types' own, derived in
//! the commit of each change, and the view of a feed that their documents read.

mod again;
mod build;
mod hook;
mod log;
mod search;
mod view;

pub(crate) use again::differences;
pub(crate) use build::{begin, build_step, drop_old_lines};
pub(crate) use hook::{Touched, bump, derive, make_dirty, put_row, tidy, untidy};
pub(crate) use log::read_lines;
pub(crate) use search::fold;
pub(crate) use view::{Ground, index_row, is_complete, status_of};
