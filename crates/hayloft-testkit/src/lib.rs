//! Contract checks and package builders for feed types.
