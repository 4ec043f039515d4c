//! What an item weighs.

/// What DynamoDB takes as one item: names and values together.
pub(super) const MAX_ITEM_LEN: usize = 409_600;

/// What a list or map counts beside its members, and for each of them.
pub(super) const CONTAINER: usize = 3;
pub(super) const MEMBER: usize = 1;
/// What NULL and BOOL count.
pub(super) const ONE: usize = 1;
