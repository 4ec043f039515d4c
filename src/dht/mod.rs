//! Tokens and the order of partitions.

mod murmur3;
mod token;

pub use murmur3::{murmur3_128, murmur3_token};
pub use token::{Token, TokenRange};
