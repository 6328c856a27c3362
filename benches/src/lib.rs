//! Measurements of Hayloft; none are in the tree yet.
