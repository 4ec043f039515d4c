//! The first differing records of two sequences that are in the same order, in bounded memory.

use std::collections::VecDeque;

use serde::Serialize;

use crate::error::Result;

/// Records that are looked ahead on both sides for the place from which on they agree again.
const WINDOW: usize = 200;
/// Bytes of a record that are shown.
const SHOWN: usize = 500;
/// Bytes of records that are looked ahead.
const WINDOW_BYTES: usize = 64 << 20;

/// Whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The source has it and the output has not.
    Source,
    /// The output has it and the source has not.
    Output,
}

/// A record that only one side has: its text, at most some hundred bytes of it.
pub(super) type Differing = (Side, String);

/// Gives the records of the output, one by one.
pub(super) type Records<'r> = dyn FnMut() -> Result<Option<Vec<u8>>> + Send + 'r;

/// Compares records of the source, as they come, with those of the output.
pub(super) struct Differ<'r> {
    output: Box<Records<'r>>,
    /// Records of both sides that were not seen to agree.
    ours: VecDeque<Vec<u8>>,
    theirs: VecDeque<Vec<u8>>,
    output_ended: bool,
    bytes: usize,
    most: usize,
    found: Vec<Differing>,
}

impl<'r> Differ<'r> {
    /// Against `output`; at most `most` records are told.
    pub(super) fn new(output: Box<Records<'r>>, most: usize) -> Self {
        Self {
            output,
            ours: VecDeque::new(),
            theirs: VecDeque::new(),
            output_ended: false,
            bytes: 0,
            most,
            found: Vec::new(),
        }
    }

    /// The next record of the source; false if enough was found.
    pub(super) fn source(&mut self, record: &[u8]) -> Result<bool> {
        if self.ours.is_empty() {
            self.fill(1)?;
            if self.theirs.front().is_some_and(|first| first == record) {
                self.drop_theirs();
                return Ok(true);
            }
        }
        self.bytes += record.len();
        self.ours.push_back(record.to_vec());
        if self.ours.len() >= WINDOW || self.bytes >= WINDOW_BYTES {
            self.settle(false)?;
        }
        Ok(self.found.len() < self.most)
    }

    /// The source has ended: what differs.
    pub(super) fn finish(mut self) -> Result<Vec<Differing>> {
        while self.found.len() < self.most {
            self.fill(1)?;
            if self.ours.is_empty() && self.theirs.is_empty() {
                break;
            }
            self.settle(true)?;
        }
        self.found.truncate(self.most);
        Ok(self.found)
    }

    /// What was found up to here.
    pub(super) fn into_found(mut self) -> Vec<Differing> {
        self.found.truncate(self.most);
        self.found
    }

    fn drop_theirs(&mut self) {
        if let Some(record) = self.theirs.pop_front() {
            self.bytes -= record.len().min(self.bytes);
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<()> {
        while !self.output_ended
            && self.theirs.len() < wanted
            && (self.theirs.is_empty() || self.bytes < WINDOW_BYTES)
        {
            match (self.output)()? {
                Some(record) => {
                    self.bytes += record.len();
                    self.theirs.push_back(record);
                }
                None => self.output_ended = true,
            }
        }
        Ok(())
    }

    /// Finds the nearest place where both sides agree again, and tells what lies before it. At the end of the source
    /// everything is settled that is at hand.
    fn settle(&mut self, at_end: bool) -> Result<()> {
        self.fill(WINDOW)?;
        let (skip_ours, skip_theirs) = self.nearest().unwrap_or_else(|| {
            // Nothing agrees: half of what is at hand is told, or all of it where no more comes.
            let half = |len: usize| if at_end { len } else { len.div_ceil(2) };
            (half(self.ours.len()), half(self.theirs.len()))
        });
        for _ in 0..skip_ours {
            if let Some(record) = self.ours.pop_front() {
                self.bytes -= record.len().min(self.bytes);
                self.tell(Side::Source, &record);
            }
        }
        for _ in 0..skip_theirs {
            if let Some(record) = self.theirs.pop_front() {
                self.bytes -= record.len().min(self.bytes);
                self.tell(Side::Output, &record);
            }
        }
        // What agrees from here on.
        while let (Some(ours), Some(theirs)) = (self.ours.front(), self.theirs.front()) {
            if ours != theirs {
                break;
            }
            self.bytes -= (2 * ours.len()).min(self.bytes);
            self.ours.pop_front();
            self.theirs.pop_front();
            self.fill(1)?;
        }
        Ok(())
    }

    /// How many records to skip on each side, the fewest in total.
    fn nearest(&self) -> Option<(usize, usize)> {
        (0..self.ours.len() + self.theirs.len()).find_map(|total| {
            (0..=total).map(|skip| (skip, total - skip)).find(|(ours, theirs)| {
                matches!((self.ours.get(*ours), self.theirs.get(*theirs)), (Some(a), Some(b)) if a == b)
            })
        })
    }

    fn tell(&mut self, side: Side, record: &[u8]) {
        if self.found.len() < self.most {
            let shown = record.get(..SHOWN).unwrap_or(record);
            let mut text = String::from_utf8_lossy(shown).into_owned();
            if shown.len() < record.len() {
                text.push('…');
            }
            self.found.push((side, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differing(source: &[&str], output: &[&str], most: usize) -> Vec<String> {
        let mut records = output.iter().map(|record| record.as_bytes().to_vec());
        let mut differ = Differ::new(Box::new(move || Ok(records.next())), most);
        let shown = |found: Vec<Differing>| -> Vec<String> {
            let sign = |side| if side == Side::Source { "+" } else { "-" };
            found.into_iter().map(|(side, text)| format!("{}{text}", sign(side))).collect()
        };
        for record in source {
            if !differ.source(record.as_bytes()).unwrap() {
                return shown(differ.into_found());
            }
        }
        shown(differ.finish().unwrap())
    }

    #[test]
    fn what_one_side_has_alone_is_told() {
        assert_eq!(differing(&["a", "b", "c"], &["a", "b", "c"], 9), [""; 0]);
        assert_eq!(differing(&["a", "B", "c"], &["a", "b", "c"], 9), ["+B", "-b"]);
        assert_eq!(differing(&["a", "c"], &["a", "b", "c"], 9), ["-b"]);
        assert_eq!(differing(&["a", "b", "c"], &["b", "c"], 9), ["+a"]);
        assert_eq!(differing(&["a"], &[], 9), ["+a"]);
        assert_eq!(differing(&[], &["a", "b"], 9), ["-a", "-b"]);
        assert_eq!(
            differing(&["a", "x", "b", "c", "y"], &["a", "b", "z", "c"], 9),
            ["+x", "-z", "+y"]
        );
        assert_eq!(differing(&["1", "2", "3"], &["4", "5", "6"], 2).len(), 2);
    }

    #[test]
    fn long_sequences_agree_again_behind_a_difference() {
        let all: Vec<String> = (0..2000).map(|i| format!("row {i}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let without: Vec<&str> =
            all.iter().copied().filter(|row| !["row 7", "row 999"].contains(row)).collect();
        assert_eq!(differing(&all, &without, 9), ["+row 7", "+row 999"]);
        assert_eq!(differing(&without, &all, 9), ["-row 7", "-row 999"]);
        assert_eq!(differing(&without, &all, 1), ["-row 7"]);
        let others: Vec<String> = (0..2000).map(|i| format!("other {i}")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        assert_eq!(differing(&all, &others, 10).len(), 10);
    }
}
