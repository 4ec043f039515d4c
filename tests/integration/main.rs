//! All integration tests are one program: they share what is slow to build.

mod cli;
mod corpora;
mod corrupt;
mod dms_contract;
mod fixtures;
mod layers;
mod runs;
mod support;
