//! Sorts updates in bounded memory: full arenas become runs in files, many of these become few.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::commitlog::CommitLogPosition;
use crate::dht::Token;
use crate::error::Result;
use crate::rows::PartitionUpdate;

use super::run::{Arena, Run, RunCursor, RunWriter, least};

/// Runs that are read at a time: each takes a window in each worker.
const AT_ONCE: usize = 16;

/// Takes updates in any order.
#[derive(Debug)]
pub(super) struct UpdateSorter {
    budget: usize,
    directory: PathBuf,
    arena: Arena,
    /// Runs in files: of one arena each, of [`AT_ONCE`] of these, and so on.
    levels: Vec<Vec<Arc<Run>>>,
    spilled: u64,
}

impl UpdateSorter {
    /// A sorter that holds `budget` bytes of updates in memory and puts more into files in `directory`.
    pub(super) fn new(budget: usize, directory: &Path) -> Self {
        Self {
            budget,
            directory: directory.to_path_buf(),
            arena: Arena::default(),
            levels: Vec::new(),
            spilled: 0,
        }
    }

    /// Takes an update of the table numbered `table`, of a key with this token; how many bytes it is.
    pub(super) fn add(
        &mut self,
        table: u32,
        token: Token,
        position: CommitLogPosition,
        update: &PartitionUpdate,
    ) -> Result<usize> {
        // Half, for sorting needs memory too, and a vector that grows is for a moment there twice.
        if !self.arena.is_empty() && self.arena.memory() + update.memory() > self.budget / 2 {
            self.spill()?;
        }
        Ok(self.arena.push(table, token, position, update))
    }

    fn spill(&mut self) -> Result<()> {
        let mut arena = std::mem::take(&mut self.arena);
        arena.sort();
        let mut writer = RunWriter::create(&self.directory)?;
        for entry in arena.entries() {
            writer.push(entry)?;
        }
        let run = writer.finish()?;
        self.spilled += run.len();
        let mut run = Arc::new(Run::File(run));
        // Each update is written again once for each level.
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(runs) = self.levels.get_mut(level) else { break };
            runs.push(run);
            if runs.len() < AT_ONCE {
                break;
            }
            let runs = std::mem::take(runs);
            run = self.merged(&runs)?;
        }
        Ok(())
    }

    /// Several runs as one.
    fn merged(&self, runs: &[Arc<Run>]) -> Result<Arc<Run>> {
        let cursors = runs.iter().map(|run| RunCursor::new(run, None));
        let mut cursors = cursors.collect::<Result<Vec<_>>>()?;
        let mut writer = RunWriter::create(&self.directory)?;
        let mut entry = Vec::new();
        while let Some(i) = least(&cursors)? {
            let Some(cursor) = cursors.get_mut(i) else { break };
            entry.clear();
            entry.extend(u32::try_from(cursor.bytes().len()).unwrap_or(u32::MAX).to_be_bytes());
            entry.extend_from_slice(cursor.bytes());
            writer.push(&entry)?;
            cursor.advance()?;
        }
        Ok(Arc::new(Run::File(writer.finish()?)))
    }

    /// The runs, few enough to be read at a time, and how many bytes went into files.
    pub(super) fn finish(mut self) -> Result<(Vec<Arc<Run>>, u64)> {
        let mut runs = Vec::new();
        if !self.arena.is_empty() {
            self.arena.sort();
            runs.push(Arc::new(Run::Memory(std::mem::take(&mut self.arena))));
        }
        // The short ones come first.
        let mut files: Vec<_> = std::mem::take(&mut self.levels).into_iter().flatten().collect();
        while files.len() >= AT_ONCE {
            let rest = files.split_off(AT_ONCE);
            let run = self.merged(&files)?;
            files = rest;
            files.push(run);
        }
        runs.append(&mut files);
        Ok((runs, self.spilled))
    }
}
