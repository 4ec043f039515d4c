//! What a run did and is doing: the books that must balance, the report, events, the board that gathers them for whoever
//! looks from outside, signs of life, and the clock.

mod board;
pub mod clock;
mod counters;
mod events;
mod report;
mod standing;
mod ticker;
pub mod vitals;

pub use board::Board;
pub use clock::UnixMillis;
pub use counters::{Books, NotRead};
pub use events::{Events, NoEvents};
pub use report::{
    CommitLogReport, OffsetRange, OverlaidSegment, Quarantine, REPORT_VERSION, Report, TableReport,
    TokenSpan,
};
pub use standing::{
    AgentStanding, CdcSpace, MemoryUse, Message, SequencedTable, SequencerStanding, Snapshot,
    StreamStanding, TableStanding,
};
pub use ticker::Ticker;
