//! What a command may tell the user, and how the user stops it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::args::LogFormat;
use super::logging::{self, Loudness};
use super::progress::Progress;
use super::screen::Screen;
use super::settings::Settings;
use super::supervisor::Supervisor;
use super::{exit, message, signals};
use crate::error::{Error, Result};
use crate::progress::{Board, Events};
use crate::serve::{Server, View};
use crate::store::host_name;

/// Standard output, messages, progress and signals.
#[derive(Debug)]
pub struct Ui {
    screen: Screen,
    loudness: Loudness,
    format: LogFormat,
    progress: Arc<Progress>,
    board: Arc<Board>,
    cancel: Arc<AtomicI32>,
    /// Signals set it.
    listens: AtomicBool,
}

/// As long as it lives, a job can be looked at from outside.
#[derive(Debug)]
pub struct Observation {
    // In this order: the service manager hears of the end before the page goes.
    _supervisor: Option<Supervisor>,
    _server: Option<Server>,
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
        if format == LogFormat::Json {
            message::install_json_panic_hook();
        }
        let progress = Arc::new(Progress::new(screen.clone(), quiet, global.progress_interval));
        let board = Arc::new(Board::new(Arc::clone(&progress) as Arc<dyn Events>));
        Self {
            screen,
            loudness,
            format,
            progress,
            board,
            cancel: Arc::default(),
            listens: AtomicBool::new(false),
        }
    }

    /// Where a job tells what it does.
    pub fn events(&self) -> Arc<dyn Events> {
        Arc::clone(&self.board) as Arc<dyn Events>
    }

    /// Lets the job be looked at: by the service manager, if there is one that wants to hear, and at `listen`. The job is
    /// `command`, writes to `output`, and may use `memory` bytes.
    pub fn observe(
        &self,
        command: &'static str,
        output: String,
        memory: u64,
        listen: Option<SocketAddr>,
    ) -> Result<Observation> {
        // Whoever reads where it listens may stop it.
        self.cancel()?;
        self.board.introduce(command, host_name(), output, memory);
        let server = match listen {
            Some(address) => Some(self.serve(address, Arc::clone(&self.board) as Arc<dyn View>)?),
            None => None,
        };
        let supervisor = Supervisor::start(Arc::clone(&self.board), Arc::clone(&self.cancel));
        Ok(Observation { _supervisor: supervisor, _server: server })
    }

    /// Shows `view` at `address`, and says where that is.
    pub fn serve(&self, address: SocketAddr, view: Arc<dyn View>) -> Result<Server> {
        let server = Server::start(address, view)?;
        tracing::info!(target: logging::PROGRESS, "listening on http://{}/", server.address());
        Ok(server)
    }

    /// The flag that is set to the number of a signal when the user wants to stop, and 0 before. From this call on
    /// signals no longer end the process: the job has to look at the flag.
    pub fn cancel(&self) -> Result<Arc<AtomicI32>> {
        if !self.listens.swap(true, Ordering::Relaxed) {
            let (screen, loudness, format) = (self.screen.clone(), self.loudness, self.format);
            let say = move |words| say(&screen, loudness, format, words);
            signals::listen(Arc::clone(&self.cancel), say)?;
        }
        Ok(Arc::clone(&self.cancel))
    }

    /// Says something at the end of a run, on standard error; nothing with -q.
    pub fn say(&self, words: &str) {
        say(&self.screen, self.loudness, self.format, words);
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

fn say(screen: &Screen, loudness: Loudness, format: LogFormat, words: &str) {
    if loudness == Loudness::Quiet {
        return;
    }
    let words = words.trim_end();
    match format {
        LogFormat::Text => screen.write(&format!("{words}\n")),
        LogFormat::Json => tracing::info!(target: logging::PROGRESS, "{words}"),
    }
}
