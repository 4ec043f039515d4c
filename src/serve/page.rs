//! The status page: one document, made of its three parts when the server starts.

use super::headers::policy;

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The document, and the policy that it is sent with.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) html: String,
    pub(super) policy: String,
}

impl Page {
    pub(super) fn new() -> Self {
        let html = FRAME.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
        Self { html, policy: policy(SCRIPT, STYLE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_its_policy_fits() {
        let page = Page::new();
        let between = |open: &str, close: &str| {
            let rest = page.html.split_once(open).unwrap().1;
            rest.split_once(close).unwrap().0.to_owned()
        };
        let (script, style) = (between("<script>", "</script>"), between("<style>", "</style>"));
        assert_eq!(page.policy, policy(&script, &style), "what is hashed is what is sent");
        for elsewhere in ["http://", "https://", "//cdn", "src=", "@import", "url("] {
            let found = page.html.contains(elsewhere);
            assert!(!found, "{elsewhere}");
        }
        // Words of others are put in as text, never as markup.
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(markup), "{markup}");
        }
        assert!(page.html.len() < 64 << 10);
    }
}
