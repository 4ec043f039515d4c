//! What a run did and is doing: the books that must balance, the report, events, and the clock.

pub mod clock;
mod counters;
mod events;
mod report;
mod ticker;

pub use clock::UnixMillis;
pub use counters::{Books, NotRead};
pub use events::{Events, NoEvents};
pub use report::{
    CommitLogReport, OffsetRange, OverlaidSegment, Quarantine, REPORT_VERSION, Report, TableReport,
    TokenSpan,
};
pub use ticker::Ticker;
