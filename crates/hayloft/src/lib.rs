//! The facade of Hayloft: will join the store and the built-in feed types; empty so far.
