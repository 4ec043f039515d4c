//! All integration tests, in one binary.

#[cfg(test)]
mod dms_contract;
