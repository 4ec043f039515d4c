//! Rules 4, 5 and 10: bytes of a file into records, strictly.

use super::Findings;

/// What stands for NULL, unquoted.
pub(super) const NULL: &str = "\\N";

/// A field as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its text, without quotes.
    pub(super) text: String,
    /// It was quoted.
    pub(super) quoted: bool,
}

impl Field {
    /// The value; none for NULL.
    pub(super) fn value(&self) -> Option<&str> {
        (self.quoted || self.text != NULL).then_some(self.text.as_str())
    }
}

/// A record and the line it starts in.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) fields: Vec<Field>,
}

/// Parses a file; stops at the first error, as everything behind it is guesswork.
pub(super) fn parse(findings: &mut Findings, object: &str, bytes: &[u8]) -> Vec<Record> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        findings.add(object, 4, "is gzip");
        return Vec::new();
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        findings.add(object, 4, "begins with a byte order mark");
    }
    if bytes.last() != Some(&b'\n') {
        findings.add(object, 4, "does not end in a newline");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            findings.add(object, 5, format!("is not UTF-8: {error}"));
            return Vec::new();
        }
    };
    let mut records = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (fields, left) = match record(rest) {
            Ok(parsed) => parsed,
            Err(what) => {
                findings.at(object, line, "", 5, what);
                return records;
            }
        };
        let (raw, _) = rest.split_at(rest.len() - left.len());
        if written(&fields) != raw {
            findings.at(object, line, "", 10, format!("{raw:?} would be written otherwise"));
        }
        records.push(Record { line, fields });
        line += raw.matches('\n').count() as u64;
        rest = left;
    }
    records
}

/// One record and what follows its newline.
fn record(text: &str) -> Result<(Vec<Field>, &str), String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, left) = field(rest)?;
        fields.push(field);
        if let Some(more) = left.strip_prefix(',') {
            rest = more;
        } else if let Some(more) = left.strip_prefix('\n') {
            return Ok((fields, more));
        } else if left.is_empty() {
            return Ok((fields, ""));
        } else {
            return Err("text after a closing quote".to_owned());
        }
    }
}

fn field(text: &str) -> Result<(Field, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (plain, rest) = text.split_at(end);
        if let Some(bad) = plain.chars().find(|c| matches!(c, '"' | '\r')) {
            return Err(format!("{bad:?} in an unquoted field"));
        }
        return Ok((Field { text: plain.to_owned(), quoted: false }, rest));
    };
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let Some((plain, behind)) = rest.split_once('"') else {
            return Err("a quoted field does not end".to_owned());
        };
        value.push_str(plain);
        rest = behind;
        match rest.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((Field { text: value, quoted: true }, rest)),
        }
    }
}

/// The canonical form of a record.
fn written(fields: &[Field]) -> String {
    let mut out = String::new();
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match field.value() {
            Some(value) if needs_quotes(value) => {
                out.push('"');
                out.push_str(&value.replace('"', "\"\""));
                out.push('"');
            }
            Some(value) => out.push_str(value),
            None => out.push_str(NULL),
        }
    }
    out.push('\n');
    out
}

fn needs_quotes(value: &str) -> bool {
    value == NULL
        || value.contains(['"', ',', '\n', '\r'])
        || value.starts_with([' ', '\t'])
        || value.ends_with([' ', '\t'])
}
