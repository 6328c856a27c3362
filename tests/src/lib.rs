//! End-to-end tests of Hayloft; none are in the tree yet.
