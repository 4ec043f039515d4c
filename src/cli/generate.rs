//! The manual page and shell completions, made from the command line's own definition.

use std::io;

use clap_complete::Shell;
use clap_mangen::Man;

/// What the definition of the command line does not know.
const MORE: &str = include_str!("manual.roff");

/// When the manual was last changed: of the page, not of the build, so that one version gives one page.
const DATE: &str = "2026-11-22";

/// The manual page: the tool, then each command with all its options, in one page.
pub(super) fn manual(command: &clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let whole = Man::new(command.clone()).date(DATE).manual("User Commands");
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    for sub in command.get_subcommands() {
        render_command(sub, "cassport", &mut page)?;
    }
    whole.render_extra_section(&mut page)?;
    page.extend_from_slice(MORE.as_bytes());
    // Two breaks in a row are a space, which mandoc would rather be told.
    Ok(String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n").into_bytes())
}

/// A command's own sections, one level below a heading with its name.
fn render_command(command: &clap::Command, parent: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let subs: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let man = Man::new(command.clone().bin_name(name.clone()));
    let mut sections = Vec::new();
    man.render_synopsis_section(&mut sections)?;
    man.render_description_section(&mut sections)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut sections)?;
    }
    let sections = String::from_utf8_lossy(&sections).replace("\n.SH ", "\n.SS ");
    page.extend_from_slice(
        sections
            .strip_prefix(".SH ")
            .map_or(sections.clone(), |rest| format!(".SS {rest}"))
            .as_bytes(),
    );
    for sub in subs {
        render_command(&sub, &name, page)?;
    }
    Ok(())
}

/// Completions for `shell`.
pub(super) fn completions(mut command: clap::Command, shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "cassport", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::cli::args;

    fn flags(command: &clap::Command, into: &mut Vec<String>) {
        let visible = command.get_arguments().filter(|arg| !arg.is_hide_set());
        into.extend(visible.filter_map(|arg| arg.get_long()).map(ToOwned::to_owned));
        command.get_subcommands().for_each(|sub| flags(sub, into));
    }

    fn all_flags() -> Vec<String> {
        let mut all = Vec::new();
        flags(&args::command(), &mut all);
        assert!(all.len() > 25, "{all:?}");
        all
    }

    #[test]
    fn the_manual_mentions_every_flag_and_command() {
        let page = String::from_utf8(manual(&args::command()).unwrap()).unwrap();
        for flag in all_flags() {
            let escaped = format!("\\-\\-{}", flag.replace('-', "\\-"));
            assert!(page.contains(&escaped), "{flag} is not in\n{page}");
        }
        for sub in args::command().get_subcommands() {
            let heading = format!("\n.SH \"CASSPORT {}\"\n", sub.get_name().to_uppercase());
            assert!(page.contains(&heading), "{heading} is not in\n{page}");
        }
        assert!(page.contains("Exit codes"), "{page}");
        for section in ["\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "EXAMPLES", "\"SEE ALSO\""] {
            assert_eq!(page.matches(&format!("\n.SH {section}\n")).count(), 1, "{section}");
        }
        for code in 0..=5 {
            assert!(MORE.contains(&format!("\n.TP\n{code}\n")), "{code} has no meaning");
        }
        assert!(!page.contains("\\-\\-discard"), "hidden options stay hidden");
        assert_eq!(page.matches("\n.SH NAME\n").count(), 1);
        assert_eq!(
            page.matches("\n.SH OPTIONS\n").count()
                + page.matches("\n.SH \"GLOBAL OPTIONS\"\n").count(),
            2
        );
    }

    #[test]
    fn completions_mention_every_flag_in_every_shell() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(args::command(), *shell)).unwrap();
            for flag in all_flags() {
                assert!(script.contains(&flag), "{flag} is not in the completions for {shell}");
            }
        }
    }
}
