//! Standard error, shared by messages and progress bars.

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;

use super::args::ColorWhen;

/// Standard error; writing to it goes around the bars, where there are any.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    bars: Option<MultiProgress>,
    color: bool,
    terminal: bool,
}

/// How a word is to stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Error,
    Warning,
    Faint,
}

impl Screen {
    /// Looks at standard error; bars are drawn if it is a terminal and they are wanted.
    pub(super) fn new(color: ColorWhen, bars_wanted: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let color = match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        let bars = (terminal && bars_wanted).then(MultiProgress::new);
        Self { bars, color, terminal }
    }

    /// The bars, on a terminal.
    pub(super) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// `word` in colour, if colours are in force.
    pub(super) fn paint(&self, tone: Tone, word: &str) -> String {
        let code = match tone {
            Tone::Error => "1;31",
            Tone::Warning => "1;33",
            Tone::Faint => "2",
        };
        if self.color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// Writes whole lines. What cannot be said on standard error cannot be said anywhere, so errors end here.
    pub(super) fn write(&self, text: &str) {
        let write = || drop(io::stderr().lock().write_all(text.as_bytes()));
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Screen::write(self, &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
