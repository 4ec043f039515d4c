//! `/metrics`: a snapshot as families of numbers.
//!
//! Names follow Prometheus: base units as suffix, counters end in `_total`. Every family is described on every scrape, those
//! without a number at the moment too, so that it can be seen what there is.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::process::ProcessCounts;
use crate::error::{Error, Result};
use crate::progress::vitals::{TrafficCounts, traffic};
use crate::progress::{AgentStanding, SequencedTable, Snapshot, StreamStanding, TableStanding};

/// The content type of what [`render()`] writes.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of what [`as_prometheus()`] makes of it.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// What a scrape is made of.
#[derive(Debug)]
struct Scrape {
    snapshot: Snapshot,
    traffic: TrafficCounts,
    process: ProcessCounts,
}

/// The metrics as OpenMetrics.
pub(super) fn render(snapshot: Snapshot) -> Result<String> {
    let scrape = Scrape { snapshot, traffic: traffic().read(), process: ProcessCounts::read() };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| Error::Bug(format!("the metrics have no text: {error}")))?;
    Ok(text)
}

/// The names of all samples that a scrape can have, as queries name them.
pub fn metric_names() -> BTreeSet<String> {
    // A family is described whether or not it has a sample.
    let text = as_prometheus(&render(Snapshot::default()).unwrap_or_default());
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// OpenMetrics in Prometheus's older text format: there a counter is called as its sample is, and there are no units.
pub(super) fn as_prometheus(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            if let Some((_, words)) = help.take() {
                out.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Writes families one after the other.
struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_counter::<Labels, _, f64>(&value, None)?;
            } else {
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floating-point numbers")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "samples are floating-point numbers")]
fn signed(count: i64) -> f64 {
    count as f64
}

fn alone(value: Option<f64>) -> Option<(Labels, f64)> {
    value.map(|value| (Labels::new(), value))
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families { encoder };
        self.general(&mut out)?;
        self.tables(&mut out)?;
        self.streams(&mut out)?;
        self.sequencer(&mut out)?;
        self.agents(&mut out)?;
        self.s3(&mut out)?;
        self.process(&mut out)
    }
}

impl Scrape {
    fn general(&self, out: &mut Families<'_>) -> fmt::Result {
        let found = &self.snapshot;
        let info = vec![("version", found.version.clone()), ("command", found.command.clone())];
        // Not an info of OpenMetrics: its older sister has none, and both are to be called the same.
        out.gauge("cassport_build_info", "Version and command of the process", [(info, 1.0)])?;
        out.gauge(
            "cassport_healthy",
            "1 as long as the work goes on, or there is none",
            alone(Some(flag(found.unhealthy.is_none()))),
        )?;
        out.gauge(
            "cassport_ready",
            "1 once the process has what it needs, while the store is in reach",
            alone(Some(flag(found.not_ready.is_none()))),
        )?;
        out.gauge(
            "cassport_work_silence_seconds",
            "Time since the work last moved",
            alone(found.silent_seconds),
        )?;
        out.counter("cassport_warnings", "Warnings given", alone(Some(number(found.warnings))))?;
        out.counter(
            "cassport_errors",
            "Tables that failed and damages that were skipped",
            alone(Some(number(found.errors))),
        )?;
        let memory = found.memory;
        out.gauge(
            "cassport_memory_budget_bytes",
            "Memory that may be allocated (--memory)",
            alone(memory.map(|memory| number(memory.bytes_budget))),
        )?;
        out.gauge(
            "cassport_memory_used_bytes",
            "Memory allocated, without the page cache of mapped files",
            alone(memory.map(|memory| number(memory.bytes_used))),
        )
    }

    fn tables(&self, out: &mut Families<'_>) -> fmt::Result {
        let of = |value: fn(&TableStanding) -> f64| {
            self.snapshot.tables.iter().map(move |table| (table_labels(table), value(table)))
        };
        out.counter("cassport_rows", "Rows written", of(|t| number(t.rows)))?;
        out.counter(
            "cassport_read_bytes",
            "Uncompressed bytes read",
            of(|t| number(t.bytes_read)),
        )?;
        out.counter("cassport_written_bytes", "Bytes of records", of(|t| number(t.bytes_written)))?;
        out.gauge(
            "cassport_planned_bytes",
            "Uncompressed bytes to read",
            of(|t| number(t.bytes_planned)),
        )?;
        out.gauge("cassport_progress_ratio", "How far it is, 0 to 1", of(|t| t.percent / 100.0))?;
        out.gauge("cassport_splits", "Splits to do", of(|t| number(t.splits)))?;
        out.gauge(
            "cassport_splits_done",
            "Splits done, those of a former run included",
            of(|t| number(t.splits_done)),
        )?;
        out.counter("cassport_table_errors", "Errors it failed with", of(|t| number(t.errors)))?;
        out.counter(
            "cassport_damages",
            "Damages that something was lost to",
            of(|t| number(t.damages)),
        )?;
        out.counter(
            "cassport_quarantined_rows",
            "Rows that the profile cannot carry",
            of(|t| number(t.rows_refused)),
        )?;
        out.gauge(
            "cassport_left_seconds",
            "Time until all tables are done, at the pace so far",
            alone(self.snapshot.seconds_left.map(number)),
        )
    }

    fn streams(&self, out: &mut Families<'_>) -> fmt::Result {
        let streams = &self.snapshot.streams;
        let label = |stream: &StreamStanding| vec![("host", stream.host_id.clone())];
        let of = |value: fn(&StreamStanding) -> f64| {
            streams.iter().map(move |stream| (label(stream), value(stream)))
        };
        let maybe = |value: fn(&StreamStanding) -> Option<f64>| {
            streams.iter().filter_map(move |stream| Some((label(stream), value(stream)?)))
        };
        out.gauge(
            "cassport_tail_lag_seconds",
            "Time since everything written to the host was shipped",
            maybe(|s| s.lag_seconds),
        )?;
        out.gauge(
            "cassport_tail_shipped_until_timestamp_seconds",
            "Everything written to the host before is shipped",
            maybe(|s| s.shipped_until_millis.map(|millis| signed(millis) / 1000.0)),
        )?;
        out.gauge(
            "cassport_tail_position_segment",
            "Id of the commit-log segment up to which all is shipped",
            of(|s| signed(s.segment)),
        )?;
        out.gauge("cassport_tail_position_offset_bytes", "Offset in it", of(|s| number(s.offset)))?;
        out.gauge(
            "cassport_tail_segments",
            "Segments that are followed",
            of(|s| number(s.segments_followed)),
        )?;
        out.counter(
            "cassport_tail_segments_shipped",
            "Segments shipped to their end",
            of(|s| number(s.segments_shipped)),
        )?;
        out.counter("cassport_tail_mutations", "Mutations read", of(|s| number(s.mutations)))?;
        out.counter("cassport_tail_read_bytes", "Bytes of them", of(|s| number(s.bytes_read)))?;
        out.counter("cassport_tail_records", "Records shipped", of(|s| number(s.records)))?;
        out.counter("cassport_tail_objects", "Objects stored", of(|s| number(s.objects)))?;
        out.counter(
            "cassport_tail_written_bytes",
            "Bytes of objects stored",
            of(|s| number(s.bytes_written)),
        )?;
        out.gauge(
            "cassport_tail_held_mutations",
            "Mutations that wait for the definition of their table",
            of(|s| number(s.held)),
        )?;
        out.counter(
            "cassport_tail_damages",
            "Parts of segments that cannot be read",
            of(|s| number(s.damages)),
        )?;
        out.counter(
            "cassport_tail_lost_ranges",
            "Ranges of changes that vanished before they were read",
            of(|s| number(s.lost)),
        )?;
        let space = self.snapshot.cdc_space;
        out.gauge(
            "cassport_cdc_used_bytes",
            "Bytes of all files in cdc_raw",
            alone(space.map(|space| number(space.bytes_used))),
        )?;
        out.gauge(
            "cassport_cdc_limit_bytes",
            "Bytes in cdc_raw from which on Cassandra refuses writes to tables with CDC",
            alone(space.map(|space| number(space.bytes_limit))),
        )
    }

    fn sequencer(&self, out: &mut Families<'_>) -> fmt::Result {
        let sequencer = self.snapshot.sequencer.as_ref();
        let of = |value: fn(&SequencedTable) -> f64| {
            let tables = sequencer.into_iter().flat_map(|sequencer| &sequencer.tables);
            tables.map(move |table| {
                let labels =
                    vec![("keyspace", table.keyspace.clone()), ("table", table.table.clone())];
                (labels, value(table))
            })
        };
        out.gauge(
            "cassport_sequence_held_back",
            "1 while nothing is written because the extract is not sealed",
            alone(sequencer.map(|s| flag(s.held_back))),
        )?;
        out.gauge(
            "cassport_sequence_lag_seconds",
            "Time since everything that all hosts were written was in change files",
            alone(sequencer.and_then(|s| s.lag_seconds)),
        )?;
        out.gauge(
            "cassport_sequence_pending_objects",
            "Objects of change records that are listed and not read",
            alone(sequencer.map(|s| number(s.objects_pending))),
        )?;
        out.counter(
            "cassport_sequence_batches",
            "Batches done, of all processes",
            alone(sequencer.map(|s| number(s.batches))),
        )?;
        out.counter(
            "cassport_sequence_files",
            "Change files written",
            alone(sequencer.map(|s| number(s.files))),
        )?;
        out.counter(
            "cassport_sequence_written_bytes",
            "Bytes of change files written",
            alone(sequencer.map(|s| number(s.bytes_written))),
        )?;
        out.counter(
            "cassport_sequence_rows",
            "Rows written to change files, of all processes",
            of(|t| number(t.rows)),
        )?;
        out.gauge(
            "cassport_sequence_held_records",
            "Change records not used, as their table is stopped or unknown",
            of(|t| number(t.held)),
        )?;
        out.counter(
            "cassport_sequence_refused_rows",
            "Rows that the profile cannot carry",
            of(|t| number(t.refused)),
        )?;
        out.gauge(
            "cassport_sequence_stopped",
            "1 where nothing of the table is written any more",
            of(|t| flag(t.stopped.is_some())),
        )
    }

    fn agents(&self, out: &mut Families<'_>) -> fmt::Result {
        let agents = &self.snapshot.agents;
        let label = |agent: &AgentStanding| {
            vec![("agent", agent.agent.to_string()), ("host", agent.host.clone())]
        };
        let of = |value: fn(&AgentStanding) -> f64| {
            agents.iter().map(move |agent| (label(agent), value(agent)))
        };
        out.gauge(
            "cassport_agent_progress_ratio",
            "How far an agent of the output is, 0 to 1",
            of(|a| a.percent / 100.0),
        )?;
        out.counter("cassport_agent_rows", "Rows it has written", of(|a| number(a.rows)))?;
        out.gauge(
            "cassport_agent_failed",
            "1 if it was stopped by an error",
            of(|a| flag(a.phase == "failed")),
        )?;
        let silent = agents.iter().filter_map(|a| Some((label(a), signed(a.silent_seconds?))));
        out.gauge(
            "cassport_agent_silence_seconds",
            "Time since it last said how far it is, unless it is complete",
            silent,
        )
    }

    fn s3(&self, out: &mut Families<'_>) -> fmt::Result {
        let counts = &self.traffic;
        let requests = counts.requests.iter().map(|(operation, count)| {
            (vec![("operation", operation.as_str().to_owned())], number(*count))
        });
        out.counter("cassport_s3_requests", "Requests sent, repeated ones included", requests)?;
        let one = |value: u64| alone(Some(number(value)));
        out.counter("cassport_s3_retries", "Requests sent again", one(counts.retries))?;
        out.counter("cassport_s3_failures", "Requests given up", one(counts.given_up))?;
        out.counter("cassport_s3_sent_bytes", "Bytes of bodies sent", one(counts.bytes_sent))?;
        out.counter(
            "cassport_s3_received_bytes",
            "Bytes of objects received",
            one(counts.bytes_received),
        )?;
        out.gauge(
            "cassport_s3_failing_attempts",
            "Attempts that failed since S3 last answered",
            one(counts.failing.into()),
        )
    }

    fn process(&self, out: &mut Families<'_>) -> fmt::Result {
        let found = &self.process;
        out.counter(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds",
            alone(found.cpu_seconds),
        )?;
        out.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds",
            alone(found.start_seconds),
        )?;
        out.gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            alone(found.resident_bytes.map(number)),
        )?;
        out.gauge(
            "process_open_fds",
            "Number of open file descriptors",
            alone(found.open_files.map(number)),
        )?;
        out.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors",
            alone(found.open_files_limit.map(number)),
        )
    }
}

fn table_labels(table: &TableStanding) -> Labels {
    vec![("keyspace", table.keyspace.clone()), ("table", table.table.clone())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::SequencerStanding;

    fn sample() -> Snapshot {
        Snapshot {
            version: "1.2.3".into(),
            command: "tail".into(),
            tables: vec![TableStanding {
                keyspace: "ks".into(),
                table: "a\"b\\c\nd".into(),
                rows: 7,
                percent: 25.0,
                ..TableStanding::default()
            }],
            streams: vec![StreamStanding {
                host_id: "h".into(),
                segment: 1_700_000_000_123,
                shipped_until_millis: Some(1_700_000_000_500),
                lag_seconds: Some(1.5),
                ..StreamStanding::default()
            }],
            sequencer: Some(SequencerStanding::default()),
            ..Snapshot::default()
        }
    }

    #[test]
    fn counters_end_in_total_and_labels_are_escaped_in_both_formats() {
        let open = render(sample()).unwrap();
        assert!(open.ends_with("# EOF\n"), "{open}");
        let old = as_prometheus(&open);
        let labels = r#"{keyspace="ks",table="a\"b\\c\nd"}"#;
        for text in [&open, &old] {
            for line in [
                format!("cassport_rows_total{labels} 7"),
                format!("cassport_progress_ratio{labels} 0.25"),
                r#"cassport_tail_lag_seconds{host="h"} 1.5"#.to_owned(),
                r#"cassport_tail_position_segment{host="h"} 1700000000123"#.to_owned(),
                r#"cassport_tail_shipped_until_timestamp_seconds{host="h"} 1700000000.5"#
                    .to_owned(),
                r#"cassport_build_info{version="1.2.3",command="tail"} 1"#.to_owned(),
            ] {
                // One library of floats or another may write `.0`.
                let found = text.lines().any(|l| l.strip_suffix(".0").unwrap_or(l) == line);
                assert!(found, "{line} is not in\n{text}");
            }
        }
        assert!(open.contains("# TYPE cassport_rows counter\n"), "{open}");
        assert!(old.contains("# TYPE cassport_rows_total counter\n"), "{old}");
        assert!(old.contains("# HELP cassport_rows_total Rows written"), "{old}");
        assert!(!old.contains("# EOF") && !old.contains("# UNIT"), "{old}");
    }

    #[test]
    fn every_sample_is_of_a_family_that_is_described_and_every_name_is_known() {
        let old = as_prometheus(&render(sample()).unwrap());
        let names = metric_names();
        assert!(names.len() > 50 && names.contains("cassport_tail_lost_ranges_total"), "{names:?}");
        for line in old.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(names.contains(name), "{name}");
        }
        for name in names {
            let ours = name.starts_with("cassport_") || name.starts_with("process_");
            assert!(ours && !name.contains("millis"), "{name}");
        }
    }
}
