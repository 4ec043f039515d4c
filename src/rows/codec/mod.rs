//! Encoding of rows.
