//! Where this host's stream begins: noted once, for `seal`.

use uuid::Uuid;

use crate::changes::{LogPosition, StreamBeginning, Watermark, beginning_object, watermark_object};
use crate::discover::Source;
use crate::error::Result;
use crate::merge::TieBreak;
use crate::progress::UnixMillis;
use crate::store::Store;

use super::listing::SegmentDirs;

/// The beginning, until it is noted.
#[derive(Debug)]
pub(super) struct Beginning {
    host: Uuid,
    /// None once it is noted.
    pending: Option<StreamBeginning>,
    /// Oldest segment that is in no directory that is followed and will come to one.
    to_come: Option<i64>,
    /// The last watermark of a stream whose state directory is gone.
    went_on_from: Option<Watermark>,
    time: UnixMillis,
}

impl Beginning {
    /// Looks whether it is noted already. `known`: the segments that the state knows; `time`: when this tail began.
    pub(super) fn open(
        store: &dyn Store,
        host: Uuid,
        dirs: &SegmentDirs,
        source: &Source,
        known: impl Iterator<Item = i64>,
        time: UnixMillis,
    ) -> Result<Self> {
        let oldest = known.min();
        let mut this = Self { host, pending: None, to_come: None, went_on_from: None, time };
        let name = beginning_object(host);
        if let Some(noted) = store.get(&name)? {
            this.time = UnixMillis(StreamBeginning::parse(&noted, &store.location(&name))?.time);
            if oldest.is_none() {
                let name = watermark_object(host);
                let mark = store.get(&name)?;
                this.went_on_from = mark
                    .map(|bytes| Watermark::parse(&bytes, &store.location(&name)))
                    .transpose()?;
            }
            return Ok(this);
        }
        let live = SegmentDirs { live: dirs.live.clone(), ..SegmentDirs::default() }.list()?;
        let oldest_segment = source.oldest_segment().into_iter().chain(live.into_keys()).min();
        // Up to 3.11 a segment comes to `cdc_raw` when it is discarded, to an archive when it is complete.
        let comes_later = dirs.archive.is_some()
            || dirs.cdc_raw.is_some() && source.tie_break() != TieBreak::From40;
        this.to_come = oldest_segment.filter(|_| comes_later);
        this.pending = Some(StreamBeginning {
            from: oldest.map(|segment| LogPosition { segment, offset: 0 }),
            oldest_segment,
            reached: if dirs.paths().next().is_none() { flushed_to(source)? } else { None },
            time: time.0,
        });
        Ok(this)
    }

    /// When the stream began: what was written before it is in an extract, if anywhere.
    pub(super) fn time(&self) -> UnixMillis {
        self.time
    }

    /// True until it is noted in the store.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Notes the oldest segment of a listing. Returns words if the stream went on without its state directory, behind segments
    /// that nobody read.
    pub(super) fn listed(&mut self, oldest: Option<i64>) -> Option<(i64, u64, String)> {
        if let Some(pending) = &mut self.pending {
            let from = pending.from.map(|from| from.segment);
            let first = from.into_iter().chain(oldest).chain(self.to_come).min();
            pending.from = first.map(|segment| LogPosition { segment, offset: 0 });
        }
        let mark = self.went_on_from.take()?;
        let oldest = oldest.filter(|&oldest| oldest > mark.segment)?;
        let words = format!(
            "the state directory is a new one, but host {} has a stream that ended at {}:{}, and the oldest segment there now is \
             {oldest}: whether there were others between them cannot be known",
            self.host, mark.segment, mark.offset
        );
        Some((mark.segment, u64::from(mark.offset), words))
    }

    /// Notes it in the store, once everything that was written before the tail began is shipped: `mark` says what is.
    pub(super) fn publish(&mut self, store: &dyn Store, mark: Watermark) -> Result<()> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        if pending.reached.is_none() {
            if mark.time < pending.time || mark.segment <= 0 {
                return Ok(());
            }
            pending.reached = Some(mark.position());
        }
        // One that another run noted meanwhile is as good.
        store.put_if_absent(&beginning_object(self.host), &pending.to_json()?)?;
        self.pending = None;
        Ok(())
    }
}

/// How far the SSTables of the node have its commit log: where no segments are followed, that takes the place of a position.
fn flushed_to(source: &Source) -> Result<Option<LogPosition>> {
    let taken = source.taken(&[], &|_| true);
    let flushed = taken.into_iter().filter_map(|node| node.flushed_to).max();
    flushed.map(LogPosition::try_from).transpose()
}

/// Segments that Cassandra made and removed while nobody looked: ids of one process are counted up by one, those of the next
/// begin at the milliseconds of its start.
///
/// `known` is the greatest id known before, `new` the ids that came, in order.
pub(super) fn unseen(known: i64, new: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
    /// A process does not live that short, and a tail that slept through more has lost other segments too.
    const SAME_PROCESS: i64 = 1000;
    let mut gaps = Vec::new();
    let mut last = known;
    for id in new {
        if id > last + 1 && id - last <= SAME_PROCESS {
            gaps.push((last + 1, id - 1));
        }
        last = last.max(id);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    const HOST: Uuid = Uuid::from_u128(5);

    fn pending(to_come: Option<i64>) -> Beginning {
        let beginning =
            StreamBeginning { from: None, oldest_segment: Some(7), reached: None, time: 1000 };
        let time = UnixMillis(1000);
        Beginning { host: HOST, pending: Some(beginning), to_come, went_on_from: None, time }
    }

    #[test]
    fn it_is_noted_once_and_only_when_the_tail_has_caught_up_with_its_own_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).unwrap();
        let mut beginning = pending(None);
        assert_eq!(beginning.listed(Some(9)), None);
        assert_eq!(beginning.listed(Some(8)), None);
        let mark = |time| Watermark { segment: 9, offset: 77, time };
        beginning.publish(&store, mark(999)).unwrap();
        let name = beginning_object(HOST);
        assert!(store.get(&name).unwrap().is_none());
        beginning.publish(&store, mark(1000)).unwrap();
        let noted = StreamBeginning::parse(&store.get(&name).unwrap().unwrap(), &name).unwrap();
        assert_eq!(noted.from, Some(LogPosition { segment: 8, offset: 0 }));
        assert_eq!(noted.reached, Some(LogPosition { segment: 9, offset: 77 }));
        // Nothing changes it later.
        beginning.publish(&store, mark(2000)).unwrap();
        assert_eq!(
            StreamBeginning::parse(&store.get(&name).unwrap().unwrap(), &name).unwrap(),
            noted
        );
    }

    #[test]
    fn segments_that_come_later_belong_to_the_stream() {
        let mut beginning = pending(Some(7));
        assert_eq!(beginning.listed(None), None);
        assert_eq!(beginning.pending.unwrap().from, Some(LogPosition { segment: 7, offset: 0 }));
    }

    #[test]
    fn a_stream_that_goes_on_behind_its_end_without_a_state_is_told() {
        for (oldest, told) in [(Some(9), true), (Some(8), false), (None, false)] {
            let went_on_from = Some(Watermark { segment: 8, offset: 5, time: 0 });
            let (pending, time) = (None, UnixMillis(0));
            let mut beginning =
                Beginning { host: HOST, pending, to_come: None, went_on_from, time };
            assert_eq!(beginning.listed(oldest).is_some(), told, "{oldest:?}");
            assert_eq!(beginning.listed(oldest), None, "only once");
        }
    }

    #[test]
    fn segments_that_nobody_saw_leave_a_gap_in_the_ids() {
        assert_eq!(unseen(10, [11, 12]), []);
        assert_eq!(unseen(10, [12, 13, 16]), [(11, 11), (14, 15)]);
        // A new process begins at the milliseconds of its start.
        assert_eq!(unseen(1_700_000_000_000, [1_700_000_007_000, 1_700_000_007_001]), []);
        assert_eq!(unseen(10, [4, 12]), [(11, 11)]);
    }
}
