//! The last words of a run: what was written, what was not, and what to do next.
