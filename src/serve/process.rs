//! What the kernel knows of this process, under the names that Prometheus's own libraries have for it.

/// `USER_HZ`: what the kernel counts in for programs, on the machines that we are built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Numbers of the process; none where the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ProcessCounts {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) start_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) open_files_limit: Option<u64>,
}

impl ProcessCounts {
    /// Of this process, now.
    pub(super) fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program is in parentheses and may hold anything.
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect())
            .unwrap_or_default();
        // Fields 14, 15 and 22 of proc_pid_stat(5), of which the third is the first here.
        let field = |number: usize| fields.get(number - 3).copied();
        let seconds = |ticks: u64| as_f64(ticks) / TICKS_PER_SECOND;
        let boot = std::fs::read_to_string("/proc/stat").ok().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok())
        });
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| seconds(user + system)),
            start_seconds: boot.zip(field(22)).map(|(boot, at)| as_f64(boot) + seconds(at)),
            resident_bytes: kilobytes.map(|kilobytes: u64| kilobytes.saturating_mul(1024)),
            open_files: std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| entries.count() as u64),
            open_files_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of a process are below 2^52 ticks")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::clock;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_knows_this_process() {
        let found = ProcessCounts::read();
        let now = as_f64(u64::try_from(clock::now().seconds()).unwrap());
        let started = found.start_seconds.unwrap();
        assert!(started <= now + 1.0 && started > now - 86_400.0 * 365.0, "{found:?}");
        assert!(found.resident_bytes.unwrap() > 1 << 20, "{found:?}");
        assert!(found.open_files.unwrap() >= 3 && found.cpu_seconds.unwrap() >= 0.0, "{found:?}");
    }
}
