//! End-to-end tests of Hayloft; each file in `tests/` is one question.
