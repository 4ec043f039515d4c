//! The cassport binary.
fn main() {}
