//! What a command may tell the user, and how the user stops it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use super::args::LogFormat;
use super::logging::{self, Loudness};
use super::progress::Progress;
use super::screen::Screen;
use super::settings::Settings;
use super::{exit, message, signals};
use crate::error::{Error, Result};
use crate::progress::Events;

/// Standard output, messages, progress and signals.
#[derive(Debug)]
pub struct Ui {
    screen: Screen,
    loudness: Loudness,
    format: LogFormat,
    progress: Arc<Progress>,
    cancel: Arc<AtomicI32>,
}

impl Ui {
    /// Starts logging as the options say.
    pub fn new(settings: &Settings) -> Self {
        let global = &settings.args.global;
        // Both can be in force when they come from different places: the stronger place wins.
        let quiet = global.quiet
            && (global.verbose == 0 || settings.origin("quiet") >= settings.origin("verbose"));
        let loudness = match (quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (false, 0) => Loudness::Usual,
            (false, times) => Loudness::Verbose(times),
        };
        let format = global.log_format;
        let bars = !quiet && format == LogFormat::Text;
        let screen = Screen::new(global.color, bars);
        logging::start(loudness, format, &screen);
        let progress = Arc::new(Progress::new(screen.clone(), quiet, global.progress_interval));
        Self { screen, loudness, format, progress, cancel: Arc::default() }
    }

    /// Where a job tells what it does.
    pub fn events(&self) -> Arc<dyn Events> {
        Arc::clone(&self.progress) as Arc<dyn Events>
    }

    /// The flag that is set to the number of a signal when the user wants to stop, and 0 before. From this call on
    /// signals no longer end the process: the job has to look at the flag.
    pub fn cancel(&self) -> Result<Arc<AtomicI32>> {
        let quiet = self.loudness == Loudness::Quiet;
        signals::listen(Arc::clone(&self.cancel), self.screen.clone(), quiet)?;
        Ok(Arc::clone(&self.cancel))
    }

    /// Says something at the end of a run, on standard error; nothing with -q.
    pub fn say(&self, words: &str) {
        if self.loudness == Loudness::Quiet {
            return;
        }
        match self.format {
            LogFormat::Text => self.screen.write(&format!("{}\n", words.trim_end())),
            LogFormat::Json => tracing::info!(target: logging::PROGRESS, "{words}"),
        }
    }

    /// Writes data that the user asked for to standard output.
    pub fn print(&self, data: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()).map_err(|source| {
            Error::Output { action: "write to", path: PathBuf::from("standard output"), source }
        })
    }

    /// Takes the progress bars away; the run is over.
    pub fn close(&self) {
        self.progress.close();
    }

    /// Says why the run failed.
    pub fn error(&self, error: &Error) {
        if exit::is_closed_pipe(error) {
            return;
        }
        match self.format {
            LogFormat::Text => self.screen.write(&message::render_any(error, &self.screen)),
            LogFormat::Json => {
                let (code, causes) =
                    (exit::ExitCode::of_error(error).code(), message::causes(error));
                let hint = error.hint().unwrap_or_default();
                tracing::error!(code, cause = causes.join(": "), hint, "{error}");
            }
        }
    }
}
