//! Tokens, the order of partitions, and who holds them.

mod murmur3;
mod partitioner;
mod replication;
mod ring;
mod token;

pub use murmur3::{murmur3_128, murmur3_token};
pub use partitioner::Partitioner;
pub use replication::Replication;
pub use ring::{Ring, RingMember, common, joined};
pub use token::{Token, TokenRange};
