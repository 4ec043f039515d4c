//! What the measuring programs share: CPU time, repetition, and one line a result.
//!
//! CPU time is the measure, not wall time: it says the same on a machine where something else runs. Of several repetitions
//! the one with the least CPU time counts, since disturbances only ever add.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Work is repeated until it takes as long as this; clocks are too coarse for less.
const SHORTEST: Duration = Duration::from_millis(120);

/// What one piece of work took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU seconds of this process, user and system.
    pub(crate) cpu: f64,
    /// Seconds on the clock.
    pub(crate) wall: f64,
}

/// CPU time of this process so far.
fn cpu_time() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0)).as_secs_f64()
}

/// The cost of doing `work` once: the cheapest of `times` measurements.
pub(crate) fn cheapest(
    times: u32,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    let mut rounds = 1_u32;
    let mut best = measure(rounds, &mut work)?;
    while best.wall * f64::from(rounds) < SHORTEST.as_secs_f64() {
        rounds = rounds.saturating_mul(2);
        best = measure(rounds, &mut work)?;
    }
    for _ in 1..times {
        let cost = measure(rounds, &mut work)?;
        if cost.cpu < best.cpu {
            best = cost;
        }
    }
    Ok(best)
}

fn measure(rounds: u32, work: &mut impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    let (cpu, wall) = (cpu_time(), Instant::now());
    (0..rounds).try_for_each(|_| work())?;
    let (cpu, wall) = (cpu_time() - cpu, wall.elapsed().as_secs_f64());
    Ok(Cost { cpu: cpu / f64::from(rounds), wall: wall / f64::from(rounds) })
}

/// True under `cargo bench`. `cargo test --all-targets` starts these programs too, and must not wait for them.
pub(crate) fn asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Prints one result: MB and things per CPU second.
#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a result, for a person")]
pub(crate) fn print(name: &str, bytes: u64, things: u64, cost: Cost) {
    println!(
        "{name:<52} {:>8.0} MB/s {:>9.2} M/s {:>10.1} ns each, per CPU second",
        bytes as f64 / cost.cpu / 1e6,
        things as f64 / cost.cpu / 1e6,
        cost.cpu / things as f64 * 1e9,
    );
}
