//! All integration tests are one program: they share what is slow to build.

mod cli;
mod corpora;
mod layers;
mod support;
