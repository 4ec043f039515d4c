//! Tokens of CQL, as far as schema statements have them.
//!
//! Comments (`--`, `//`, `/* */`) are left out, with one exception: Cassandra 3.x puts a table that CQL cannot express
//! into a comment that begins with a warning, and such a table is read from there.

use crate::error::{Error, Result};

/// What Cassandra and cqlsh write before a table in a comment.
pub(crate) const INCOMPATIBLE: &str = "omitted because it has constructs not compatible with CQL";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword as it stands.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A string literal.
    Text(String),
    /// A number, UUID or blob as it stands.
    Constant(String),
    Symbol(char),
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset behind its last byte.
    pub(super) end: usize,
    /// It stands in a comment about a table that CQL cannot express.
    pub(super) in_comment: bool,
}

/// Line and column of an offset, counted from one.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// An error at an offset of the text.
pub(super) fn error_at(text: &str, offset: usize, what: impl std::fmt::Display) -> Error {
    let (line, column) = position(text, offset);
    Error::Schema { what: format!("line {line}, column {column}: {what}"), hint: None }
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    in_comment: bool,
    tokens: Vec<Token>,
}

/// Takes `text` apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, pos: 0, in_comment: false, tokens: Vec::new() };
    while lexer.step()? {}
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let start = self.pos;
        self.pos += len;
        self.tokens.push(Token { kind, start, end: self.pos, in_comment: self.in_comment });
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        error_at(self.text, self.pos, what)
    }

    /// The length of the rest up to `end`, without it.
    fn until(&self, from: usize, end: &str, what: &str) -> Result<usize> {
        let found = self.rest().get(from..).and_then(|rest| rest.find(end));
        found.map(|at| from + at).ok_or_else(|| self.error(format!("{what} without an end")))
    }

    /// Reads a token or skips something; false at the end.
    fn step(&mut self) -> Result<bool> {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return Ok(false) };
        if c.is_whitespace() || c == '\u{feff}' {
            self.pos += c.len_utf8();
        } else if rest.starts_with("--") || rest.starts_with("//") {
            self.pos += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.comment()?;
        } else if self.in_comment && rest.starts_with("*/") {
            self.push(Kind::Symbol(';'), 2);
            self.in_comment = false;
        } else if rest.starts_with("$$") {
            let end = self.until(2, "$$", "a string in $$")?;
            let value = rest.get(2..end).unwrap_or_default().to_owned();
            self.push(Kind::Text(value), end + 2);
        } else if c == '\'' || c == '"' {
            self.quoted(c)?;
        } else if let Some(len) = uuid_len(rest).or_else(|| number_len(rest)) {
            self.push(Kind::Constant(rest.get(..len).unwrap_or_default().to_owned()), len);
        } else if c.is_alphabetic() || c == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Kind::Word(rest.get(..len).unwrap_or_default().to_owned()), len);
        } else if "(){}[]<>,;.:=*+-!?%/@&".contains(c) {
            self.push(Kind::Symbol(c), c.len_utf8());
        } else {
            return Err(self.error(format!("{c:?} is not part of CQL")));
        }
        Ok(true)
    }

    fn comment(&mut self) -> Result<()> {
        let end = self.until(2, "*/", "a comment")?;
        let comment = self.rest().get(..end).unwrap_or_default();
        match comment.find("CREATE TABLE") {
            Some(table) if comment.contains(INCOMPATIBLE) => {
                self.pos += table;
                self.in_comment = true;
            }
            _ => self.pos += end + 2,
        }
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<()> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            // A quote within is doubled.
            if c != quote || chars.next_if(|(_, next)| *next == quote).is_some() {
                value.push(c);
            } else {
                let kind = if quote == '"' { Kind::Quoted(value) } else { Kind::Text(value) };
                self.push(kind, at + 1);
                return Ok(());
            }
        }
        Err(self.error(if quote == '"' {
            "a quoted name without an end"
        } else {
            "a string without an end"
        }))
    }
}

fn is_name_byte(b: Option<&u8>) -> bool {
    b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

fn uuid_len(text: &str) -> Option<usize> {
    const LEN: usize = 36;
    let uuid = text.get(..LEN)?;
    let fits = uuid.bytes().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (fits && !is_name_byte(text.as_bytes().get(LEN))).then_some(LEN)
}

fn number_len(text: &str) -> Option<usize> {
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    if text.starts_with("0x") || text.starts_with("0X") {
        let hex = text.bytes().skip(2).take_while(u8::is_ascii_hexdigit).count();
        return Some(2 + hex);
    }
    let mut len = usize::from(text.starts_with('-'));
    let whole = digits(len);
    if whole == 0 {
        return None;
    }
    len += whole;
    let byte = |at: usize| text.as_bytes().get(at).copied();
    if byte(len) == Some(b'.') {
        len += 1 + digits(len + 1);
    }
    if matches!(byte(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn comments_strings_and_constants_are_told_apart() {
        let word = |s: &str| Kind::Word(s.into());
        let constant = |s: &str| Kind::Constant(s.into());
        let cases: [(&str, Vec<Kind>); 10] = [
            ("a -- b\n// c\n/* d\n*/ e", vec![word("a"), word("e")]),
            (
                "'it''s -- /*' $$a'b$$",
                vec![Kind::Text("it's -- /*".into()), Kind::Text("a'b".into())],
            ),
            ("\"A\"\"b\"", vec![Kind::Quoted("A\"b".into())]),
            ("1.5e-3", vec![constant("1.5e-3")]),
            ("-12", vec![constant("-12")]),
            ("0xCAfe", vec![constant("0xCAfe")]),
            ("1.0E-5)", vec![constant("1.0E-5"), Kind::Symbol(')')]),
            (
                "5a1c395e-b41f-11e5-9f22-ba0be0483c18",
                vec![constant("5a1c395e-b41f-11e5-9f22-ba0be0483c18")],
            ),
            (
                "fa1c395e-b41f-11e5-9f22-ba0be0483c18;",
                vec![constant("fa1c395e-b41f-11e5-9f22-ba0be0483c18"), Kind::Symbol(';')],
            ),
            (
                "vector<float, 3>",
                vec![
                    word("vector"),
                    Kind::Symbol('<'),
                    word("float"),
                    Kind::Symbol(','),
                    constant("3"),
                    Kind::Symbol('>'),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_table_in_a_warning_comment_is_read() {
        let text = format!("/*\nWarning: Table ks.t {INCOMPATIBLE}.\nCREATE TABLE t\n*/ x");
        let found = tokens(&text).unwrap();
        let comments: Vec<_> = found.iter().map(|token| token.in_comment).collect();
        assert_eq!(comments, [true, true, true, true, false]);
        assert!(tokens("/* CREATE TABLE t */").unwrap().is_empty());
    }

    #[test]
    fn errors_have_line_and_column() {
        for (text, place) in [
            ("a\n b $", "line 2, column 4"),
            ("é 'x", "line 1, column 3"),
            ("\"x", "line 1, column 1"),
            ("/* x", "line 1, column 1"),
            ("a $$ b", "line 1, column 3"),
        ] {
            let error = tokens(text).unwrap_err().to_string();
            assert!(error.contains(place), "{text}: {error}");
        }
    }
}
