//! Messages on standard error: lines for people, or JSON.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::args::LogFormat;
use super::screen::{Screen, Tone};
use crate::progress::clock;

/// The target of progress messages, which are said at the usual level too.
pub(super) const PROGRESS: &str = "cassport::progress";

/// How much is said: by -q and -v.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loudness {
    /// Errors.
    Quiet,
    /// Warnings and progress.
    Usual,
    /// So many times -v.
    Verbose(u8),
}

impl Loudness {
    fn directives(self) -> &'static str {
        match self {
            Self::Quiet => "error,aws_=off",
            // The AWS SDK warns of every place without credentials, and dumps what it found there; what comes of it is in
            // our own errors.
            Self::Usual => "warn,aws_=off,cassport::progress=info",
            Self::Verbose(0 | 1) => "warn,aws_=off,cassport=debug",
            // Not everybody's: the AWS SDK traces requests with their session tokens.
            Self::Verbose(_) => "warn,aws_=off,cassport=trace",
        }
    }
}

/// Sends all events to standard error from here on. A second call in one process (tests) changes nothing.
pub(super) fn start(level: Loudness, format: LogFormat, screen: &Screen) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level.directives()))
        .with_writer(screen.clone());
    drop(match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.event_format(Lines { screen: screen.clone() }).try_init(),
    });
}

/// `warning: words key=value`, after the time where standard error is not a terminal.
struct Lines {
    screen: Screen,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.screen.is_terminal() {
            write!(writer, "{} ", clock::now())?;
        }
        let target = event.metadata().target();
        match *event.metadata().level() {
            Level::ERROR => write!(writer, "{} ", self.screen.paint(Tone::Error, "error:"))?,
            Level::WARN => write!(writer, "{} ", self.screen.paint(Tone::Warning, "warning:"))?,
            Level::INFO => {}
            Level::DEBUG | Level::TRACE => {
                write!(writer, "{} ", self.screen.paint(Tone::Faint, &format!("{target}:")))?;
            }
        }
        let mut fields = Words::default();
        event.record(&mut fields);
        writeln!(writer, "{}{}", fields.message, fields.rest)
    }
}

#[derive(Default)]
struct Words {
    message: String,
    rest: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.rest.push_str(&format!(" {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.rest.push_str(&format!(" {name}={value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::cli::args::ColorWhen;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Loudness) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(level.directives()))
            .with_writer(move || writer.clone())
            .event_format(Lines { screen: Screen::new(ColorWhen::Never, false) })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("broken");
            tracing::warn!(file = %"a.db", count = 3, "odd");
            tracing::info!(target: PROGRESS, "half done");
            tracing::info!("by the way");
            tracing::debug!("details");
        });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_is_said_depends_on_v_and_q() {
        let words = |level| -> Vec<String> {
            let text = logged(level);
            // A line begins with the time, unless the tests run on a terminal.
            let bare = |line: &str| match line.split_once("Z ") {
                Some((_, rest)) => rest.to_owned(),
                None => line.to_owned(),
            };
            text.lines().map(bare).collect()
        };
        assert_eq!(words(Loudness::Quiet), ["error: broken"]);
        let usual = ["error: broken", "warning: odd file=a.db count=3", "half done"];
        assert_eq!(words(Loudness::Usual), usual);
        let all = words(Loudness::Verbose(1));
        assert_eq!(all.len(), 5, "{all:?}");
        assert_eq!(all[4], "cassport::cli::logging::tests: details");
    }
}
