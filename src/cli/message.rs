//! Errors as the user sees them: what failed, where, why, and what to do.

use std::error::Error as StdError;
use std::panic::PanicHookInfo;

use super::args::ColorWhen;
use super::screen::{Screen, Tone};
use crate::error::Error;
use crate::progress::clock;

const REPORT: &str =
    "please report this message with the command line; nothing half written counts as complete";

/// Labels are as wide as this, so that values stand below each other.
const INDENT: &str = "         ";

/// The error with its causes and its hint, ready to print.
///
/// ```text
/// error: cannot open /data/nb-1-big-Data.db
///   cause  Permission denied (os error 13)
///   hint   run as a user that may read Cassandra's files
/// ```
pub(super) fn render(error: &Error, screen: &Screen) -> String {
    let mut text = format!("{} {error}", screen.paint(Tone::Error, "error:"));
    for cause in causes(error) {
        text.push_str("\n  cause  ");
        text.push_str(&cause.replace('\n', &format!("\n{INDENT}")));
    }
    if let Some(hint) = error.hint() {
        text.push_str("\n  hint   ");
        text.push_str(&hint.replace('\n', &format!("\n{INDENT}")));
    }
    text.push('\n');
    text
}

/// The sources of an error, outermost first, each once.
pub(super) fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if causes.last() != Some(&words) {
            causes.push(words);
        }
        source = cause.source();
    }
    causes
}

/// Prints an error that came before any option was known.
pub(super) fn print_error_plainly(error: &Error) {
    let screen = Screen::new(ColorWhen::Auto, false);
    screen.write(&render(error, &screen));
}

/// Makes panics of any thread read as what they are: bugs of ours. The exit code of one in the main thread is 101
/// already; a worker's is passed on to the main thread by whoever waits for it.
pub(super) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let screen = Screen::new(ColorWhen::Auto, false);
        screen.write(&render_panic(info, &screen));
    }));
}

/// The same where messages are JSON.
pub(super) fn install_json_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let words = info.payload_as_str().unwrap_or("no words");
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(code = 101, at, hint = REPORT, "internal error: {words}");
    }));
}

/// Prints what clap says of a command line that cannot be, as one line of JSON: nothing else speaks JSON yet.
pub(super) fn print_usage_as_json(words: &str, code: u8) {
    let line = serde_json::json!({
        "timestamp": clock::now().to_string(),
        "level": "ERROR",
        "target": "cassport::cli",
        "message": words.trim(),
        "code": code,
    });
    Screen::new(ColorWhen::Never, false).write(&format!("{line}\n"));
}

fn render_panic(info: &PanicHookInfo<'_>, screen: &Screen) -> String {
    let words = info.payload_as_str().unwrap_or("no words");
    let place = info.location().map_or_else(String::new, |at| format!("\n  at     {at}"));
    bug(words, &place, screen)
}

fn bug(words: &str, place: &str, screen: &Screen) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{} internal error: {words}{place}\n  cause  a bug in cassport {version}\n  hint   {REPORT}\n",
        screen.paint(Tone::Error, "error:"),
    )
}

/// Adds to an [`Error::Bug`] what [`render_panic`] says of a panic.
pub(super) fn render_any(error: &Error, screen: &Screen) -> String {
    match error {
        Error::Bug(words) => bug(words, "", screen),
        Error::Stopped(number) => format!(
            "{} stopped by signal {number}\n  hint   what is finished stays; the same command again continues\n",
            screen.paint(Tone::Error, "error:"),
        ),
        _ => render(error, screen),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::error::DecodeError;

    fn plain() -> Screen {
        Screen::new(ColorWhen::Never, false)
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::Input { action: "open", path: "/d/x-Data.db".into(), source };
        assert_eq!(
            render(&error, &plain()),
            "error: cannot open /d/x-Data.db\n  cause  permission denied\n  hint   run as a user that may read \
             Cassandra's files\n"
        );
        let error = Error::Usage { what: "no".into(), hint: Some("one\ntwo".into()) };
        assert_eq!(render(&error, &plain()), "error: no\n  hint   one\n         two\n");
    }

    #[test]
    fn damage_names_file_offset_and_cause() {
        let error = DecodeError::invalid("row says 512 bytes, 37 left in the partition", 107_252)
            .in_file(Path::new("nb-12-big-Data.db"))
            .map_damage(|damage| {
                damage.what = Some("partition".into());
                damage.format = Some("nb, LZ4".into());
                damage.table = Some("shop.orders".into());
                damage.chunk = Some(6);
                damage.partition_key = Some("'c-42'".into());
                damage.hint = Some("--on-corrupt=skip goes on without it".into());
            });
        assert_eq!(
            render(&error, &plain()),
            "error: partition not readable\n  file   nb-12-big-Data.db (format nb, LZ4), table shop.orders\n  at     \
             offset 107252, chunk 6, partition key 'c-42'\n  cause  row says 512 bytes, 37 left in the partition\n  hint   \
             --on-corrupt=skip goes on without it\n"
        );
    }

    #[test]
    fn colours_are_used_when_told() {
        let screen = Screen::new(ColorWhen::Always, false);
        assert!(render(&Error::usage("x"), &screen).starts_with("\x1b[1;31merror:\x1b[0m x"));
    }

    #[test]
    fn a_panic_reads_as_a_bug_of_ours() {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&seen);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Other tests panic in their own threads while this hook is in place.
            if info.payload_as_str() == Some("split 7 was lost") {
                *sink.lock().unwrap() = render_panic(info, &plain());
            }
        }));
        let outcome = std::panic::catch_unwind(|| panic!("split {} was lost", 7));
        std::panic::set_hook(hook);
        assert!(outcome.is_err());
        let text = seen.lock().unwrap().clone();
        assert!(
            text.starts_with(
                "error: internal error: split 7 was lost\n  at     src/cli/message.rs:"
            ),
            "{text}"
        );
        assert!(text.contains("please report"), "{text}");
        assert!(render_any(&Error::Bug("x".into()), &plain()).contains("please report"));
    }

    #[test]
    fn a_stopped_run_says_how_to_go_on() {
        let text = render_any(&Error::Stopped(15), &plain());
        assert!(text.contains("signal 15") && text.contains("continues"), "{text}");
    }
}
