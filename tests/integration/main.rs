//! All integration tests are one program: they share what is slow to build.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test ends where an assumption of its fails, in its helpers too"
)]

mod bti;
mod cli;
mod commitlog;
mod compression;
mod corpora;
mod corrupt;
mod deletes;
mod deploy;
mod dms_contract;
mod fixtures;
mod guide;
mod killed;
mod layers;
mod left_out;
mod loaders;
mod local_partitioner;
mod not_read;
mod observation;
mod open_files;
mod plan;
mod runs;
mod s3;
mod sequence;
mod side_files;
mod skipped;
mod status;
mod stopped;
mod support;
mod tail;
mod typed;
mod unflushed;
mod verify;
