//! Reads the schema statements of CQL: `DESCRIBE` output, `schema.cql` of snapshots, and what people write by hand.
//!
//! Understood are CREATE, ALTER and DROP of keyspaces, types, tables, materialized views and indexes, and USE. Other
//! statements are skipped and noted. What the tables become is in [`super::ddl_build`]; ALTER and
//! DROP are in [`super::ddl_alter`].

use std::collections::BTreeMap;

use uuid::Uuid;

use super::ddl::{Identifier, map_literal, text_literal};
use super::ddl_build::{Draft, RawColumn, RawIndex, RawTable, RawView};
use super::ddl_lexer::{Kind, Token, error_at, position, tokens};
use super::{Schema, TableId};
use crate::error::{Error, Result};

/// First words of statements that say nothing about the schema we need.
const SKIPPED: [&str; 16] = [
    "apply",
    "batch",
    "begin",
    "capture",
    "consistency",
    "copy",
    "delete",
    "describe",
    "grant",
    "insert",
    "list",
    "revoke",
    "select",
    "source",
    "truncate",
    "update",
];

/// Parses CQL. `default_keyspace` is that of names without one, until the text says `USE`.
pub fn parse_schema(text: &str, default_keyspace: Option<&str>) -> Result<Schema> {
    let mut builder = SchemaBuilder::default();
    builder.add(text, default_keyspace)?;
    builder.finish()
}

/// A schema from several texts, of which one may need what another defines.
#[derive(Debug, Default)]
pub struct SchemaBuilder {
    draft: Draft,
}

impl SchemaBuilder {
    /// Reads the statements of a text.
    pub fn add(&mut self, text: &str, default_keyspace: Option<&str>) -> Result<()> {
        let tokens = tokens(text)?;
        let keyspace = default_keyspace.map(str::to_owned);
        let mut parser = Parser { text, tokens, pos: 0, keyspace, draft: &mut self.draft };
        while parser.statement()? {}
        Ok(())
    }

    /// Resolves types and views.
    pub fn finish(self) -> Result<Schema> {
        self.draft.build()
    }
}

/// A cursor over the tokens of one text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    pub(super) pos: usize,
    keyspace: Option<String>,
    pub(super) draft: &'a mut Draft,
}

/// What `WITH` sets.
#[derive(Default)]
pub(super) struct Properties {
    options: BTreeMap<String, String>,
    maps: BTreeMap<String, BTreeMap<String, String>>,
    id: Option<TableId>,
    compact: bool,
    order: Vec<(String, bool)>,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.pos).map(|token| &token.kind)
    }

    pub(super) fn offset(&self) -> usize {
        self.tokens.get(self.pos).map_or(self.text.len(), |token| token.start)
    }

    pub(super) fn error(&self, what: impl std::fmt::Display) -> Error {
        error_at(self.text, self.offset(), what)
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        let found = self.tokens.get(self.pos).and_then(|t| self.text.get(t.start..t.end));
        match found {
            Some(found) => self.error(format!("{what} expected, {found:?} found")),
            None => self.error(format!("{what} expected, the text ends")),
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        let kind = self.tokens.get(self.pos + ahead).map(|token| &token.kind);
        matches!(kind, Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.pos += usize::from(found);
        found
    }

    pub(super) fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(i, word)| self.is_word_at(i, word));
        if found {
            self.pos += words.len();
        }
        found
    }

    pub(super) fn need(&mut self, word: &str) -> Result<()> {
        if self.eat(word) { Ok(()) } else { Err(self.expected(&word.to_uppercase())) }
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(&Kind::Symbol(symbol))
    }

    pub(super) fn eat_symbol(&mut self, symbol: char) -> bool {
        let found = self.is_symbol(symbol);
        self.pos += usize::from(found);
        found
    }

    pub(super) fn need_symbol(&mut self, symbol: char) -> Result<()> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("'{symbol}'"))) }
    }

    pub(super) fn name(&mut self) -> Result<String> {
        let name = match self.peek() {
            Some(Kind::Word(word)) => word.to_lowercase(),
            Some(Kind::Quoted(name)) => name.clone(),
            _ => return Err(self.expected("a name")),
        };
        self.pos += 1;
        Ok(name)
    }

    /// `[keyspace.]name`.
    pub(super) fn qualified(&mut self) -> Result<(String, String)> {
        let at = self.offset();
        let first = self.name()?;
        if self.eat_symbol('.') {
            return Ok((first, self.name()?));
        }
        match &self.keyspace {
            Some(keyspace) => Ok((keyspace.clone(), first)),
            None => Err(Error::Schema {
                what: error_at(self.text, at, format!("{first} has no keyspace"))
                    .to_string()
                    .replacen("schema: ", "", 1),
                hint: Some("write keyspace.name, or put USE keyspace; before it".into()),
            }),
        }
    }

    pub(super) fn names(&mut self, open: char, close: char) -> Result<Vec<String>> {
        self.need_symbol(open)?;
        let mut names = Vec::new();
        while !self.eat_symbol(close) {
            names.push(self.name()?);
            if !self.eat_symbol(',') {
                self.need_symbol(close)?;
                break;
            }
        }
        Ok(names)
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat_all(&["if", "not", "exists"])
    }

    /// The text of tokens `from .. self.pos`, with white space made plain.
    fn source(&self, from: usize) -> String {
        let part = self.tokens.get(from..self.pos).unwrap_or_default();
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return String::new() };
        let mut out = String::new();
        let mut quote = None;
        for c in self.text.get(first.start..last.end).unwrap_or_default().chars() {
            match quote {
                None if c.is_whitespace() => {
                    if !out.ends_with(' ') {
                        out.push(' ');
                    }
                    continue;
                }
                None if c == '\'' || c == '"' => quote = Some(c),
                Some(open) if open == c => quote = None,
                None | Some(_) => {}
            }
            out.push(c);
        }
        out
    }

    fn skip_statement(&mut self) {
        while self.peek().is_some() && !self.is_symbol(';') {
            self.pos += 1;
        }
    }

    /// Notes a statement that is not understood by its first words, up to its name.
    pub(super) fn skip_noted(&mut self) {
        let from = self.pos;
        while let Some(Kind::Word(_) | Kind::Quoted(_) | Kind::Symbol('.')) = self.peek() {
            self.pos += 1;
        }
        let words = self.source(from);
        let short: String = words.chars().take(120).collect();
        self.draft.skipped.insert(short);
        self.skip_statement();
    }

    /// Reads one statement; false at the end.
    fn statement(&mut self) -> Result<bool> {
        while self.eat_symbol(';') {}
        if self.peek().is_none() {
            return Ok(false);
        }
        let start = self.pos;
        if self.eat("use") {
            self.keyspace = Some(self.name()?);
        } else if self.eat("create") {
            self.create(start)?;
        } else if self.eat("alter") {
            self.alter(start)?;
        } else if self.eat("drop") {
            self.drop(start)?;
        } else if SKIPPED.iter().any(|word| self.is_word(word)) {
            self.skip_noted();
        } else {
            return Err(self.expected("a CQL statement"));
        }
        if self.peek().is_some() {
            self.need_symbol(';')?;
        }
        Ok(true)
    }

    fn create(&mut self, start: usize) -> Result<()> {
        self.eat_all(&["or", "replace"]);
        if self.eat("keyspace") || self.eat("schema") {
            self.create_keyspace()
        } else if self.eat("type") {
            self.create_type()
        } else if self.eat("table") || self.eat("columnfamily") {
            self.create_table()
        } else if self.eat_all(&["custom", "index"]) {
            self.create_index(true)
        } else if self.eat("index") {
            self.create_index(false)
        } else if self.eat_all(&["materialized", "view"]) {
            self.create_view()
        } else if self.is_word("function") || self.is_word("aggregate") {
            let what = if self.eat("function") { "function" } else { "aggregate" };
            self.pos += usize::from(what == "aggregate");
            self.if_not_exists();
            let (keyspace, name) = self.qualified()?;
            self.draft.keyspace(&keyspace).not_printed.insert(format!("{what} {name}"));
            self.skip_statement();
            Ok(())
        } else if self.eat("trigger") {
            self.if_not_exists();
            let name = self.name()?;
            self.need("on")?;
            let (keyspace, table) = self.qualified()?;
            let what = format!("trigger {name} on {table}");
            self.draft.keyspace(&keyspace).not_printed.insert(what);
            self.skip_statement();
            Ok(())
        } else {
            self.pos = start;
            self.skip_noted();
            Ok(())
        }
    }

    fn create_keyspace(&mut self) -> Result<()> {
        let tolerant = self.if_not_exists();
        let at = self.offset();
        let name = self.name()?;
        let properties = self.with()?;
        let keyspace = self.draft.keyspace(&name);
        if keyspace.defined {
            return if tolerant {
                Ok(())
            } else {
                Err(error_at(self.text, at, format!("keyspace {name} is created twice")))
            };
        }
        keyspace.defined = true;
        apply_keyspace(keyspace, properties);
        Ok(())
    }

    fn create_type(&mut self) -> Result<()> {
        let tolerant = self.if_not_exists();
        let at = self.offset();
        let (keyspace, name) = self.qualified()?;
        self.need_symbol('(')?;
        let mut fields = Vec::new();
        while !self.eat_symbol(')') {
            fields.push((self.name()?, self.type_text()?));
            if !self.eat_symbol(',') {
                self.need_symbol(')')?;
                break;
            }
        }
        let types = &mut self.draft.keyspace(&keyspace).types;
        if types.contains_key(&name) {
            return if tolerant {
                Ok(())
            } else {
                Err(error_at(self.text, at, format!("type {keyspace}.{name} is created twice")))
            };
        }
        types.insert(name, fields);
        Ok(())
    }

    /// The text of a type.
    pub(super) fn type_text(&mut self) -> Result<String> {
        let from = self.pos;
        self.skip_type(0)?;
        Ok(self.source(from))
    }

    fn skip_type(&mut self, depth: usize) -> Result<()> {
        if depth > 64 {
            return Err(self.error("a type with too many levels"));
        }
        if matches!(self.peek(), Some(Kind::Text(_) | Kind::Constant(_))) {
            self.pos += 1;
            return Ok(());
        }
        self.name()?;
        if self.eat_symbol('.') {
            self.name()?;
        }
        if self.eat_symbol('<') {
            self.skip_type(depth + 1)?;
            while self.eat_symbol(',') {
                self.skip_type(depth + 1)?;
            }
            self.need_symbol('>')?;
        }
        Ok(())
    }

    /// `name type [STATIC] [MASKED WITH …] [PRIMARY KEY]`; true if it is the primary key.
    pub(super) fn column(&mut self) -> Result<(RawColumn, bool)> {
        let at = position(self.text, self.offset());
        let name = self.name()?;
        let type_text = self.type_text()?;
        let mut column = RawColumn { name, type_text, is_static: false, mask: None, at };
        let mut key = false;
        loop {
            if self.eat("static") {
                column.is_static = true;
            } else if self.eat_all(&["masked", "with"]) {
                column.mask = Some(self.mask()?);
            } else if self.eat_all(&["primary", "key"]) {
                key = true;
            } else {
                return Ok((column, key));
            }
        }
    }

    pub(super) fn mask(&mut self) -> Result<String> {
        if self.eat("default") {
            return Ok("system.mask_default()".into());
        }
        let from = self.pos;
        self.name()?;
        if self.eat_symbol('.') {
            self.name()?;
        }
        self.need_symbol('(')?;
        let mut open = 1;
        while open > 0 {
            open += match self.peek() {
                Some(Kind::Symbol('(')) => 1,
                Some(Kind::Symbol(')')) => -1,
                Some(Kind::Symbol(';')) | None => return Err(self.expected("')'")),
                Some(_) => 0,
            };
            self.pos += 1;
        }
        Ok(self.source(from))
    }

    /// `((a, b), c)` after PRIMARY KEY.
    fn primary_key(&mut self, table: &mut RawTable) -> Result<()> {
        self.need_symbol('(')?;
        if self.is_symbol('(') {
            table.partition_key = self.names('(', ')')?;
        } else {
            table.partition_key = vec![self.name()?];
        }
        while self.eat_symbol(',') {
            table.clustering.push(self.name()?);
        }
        self.need_symbol(')')
    }

    fn create_table(&mut self) -> Result<()> {
        let in_comment = self.tokens.get(self.pos).is_some_and(|token| token.in_comment);
        let tolerant = self.if_not_exists();
        let start = self.offset();
        let at = position(self.text, start);
        let (keyspace, name) = self.qualified()?;
        let mut table = RawTable::new(keyspace, name, at);
        table.in_comment = in_comment;
        self.need_symbol('(')?;
        while !self.eat_symbol(')') {
            if self.is_word("primary") && self.is_word_at(1, "key") {
                self.pos += 2;
                self.primary_key(&mut table)?;
            } else {
                let at = self.offset();
                let (column, key) = self.column()?;
                if table.columns.iter().any(|other| other.name == column.name) {
                    return Err(error_at(
                        self.text,
                        at,
                        format!("column {} is there twice", column.name),
                    ));
                }
                if key {
                    table.partition_key = vec![column.name.clone()];
                }
                table.columns.push(column);
            }
            if !self.eat_symbol(',') {
                self.need_symbol(')')?;
                break;
            }
        }
        let properties = self.with()?;
        self.apply_table(&mut table, properties)?;
        if table.partition_key.is_empty() {
            return Err(error_at(
                self.text,
                start,
                format!("table {} has no PRIMARY KEY", table.name),
            ));
        }
        self.insert(table, tolerant, start)
    }

    fn insert(&mut self, table: RawTable, tolerant: bool, at: usize) -> Result<()> {
        let tables = &mut self.draft.keyspace(&table.keyspace).tables;
        if !tables.contains_key(&table.name) {
            tables.insert(table.name.clone(), table);
            return Ok(());
        }
        if tolerant {
            return Ok(());
        }
        let what = format!("table {}.{} is created twice", table.keyspace, table.name);
        Err(error_at(self.text, at, what))
    }

    pub(super) fn apply_table(&self, table: &mut RawTable, properties: Properties) -> Result<()> {
        for (column, descending) in properties.order {
            if !table.clustering.contains(&column) {
                return Err(self.error(format!(
                    "CLUSTERING ORDER BY {column}, which is no clustering column"
                )));
            }
            if descending {
                table.descending.insert(column);
            }
        }
        table.id = properties.id.or(table.id);
        table.compact |= properties.compact;
        table.options.extend(properties.options);
        Ok(())
    }

    fn create_view(&mut self) -> Result<()> {
        let tolerant = self.if_not_exists();
        let start = self.offset();
        let (keyspace, name) = self.qualified()?;
        let mut table = RawTable::new(keyspace, name, position(self.text, start));
        self.need("as")?;
        self.need("select")?;
        let mut selected = Vec::new();
        let all = self.eat_symbol('*');
        if !all {
            selected.push(self.name()?);
            while self.eat_symbol(',') {
                selected.push(self.name()?);
            }
        }
        self.need("from")?;
        let (_, base) = self.qualified()?;
        let mut where_clause = String::new();
        if self.eat("where") {
            let from = self.pos;
            while !(self.is_word("primary") && self.is_word_at(1, "key")) {
                if self.peek().is_none() || self.is_symbol(';') {
                    return Err(self.expected("PRIMARY KEY"));
                }
                self.pos += 1;
            }
            where_clause = self.source(from);
        }
        self.need("primary")?;
        self.need("key")?;
        self.primary_key(&mut table)?;
        let properties = self.with()?;
        self.apply_table(&mut table, properties)?;
        let selected = if all { None } else { Some(selected) };
        table.view = Some(RawView { base, where_clause, selected });
        self.insert(table, tolerant, start)
    }

    fn create_index(&mut self, custom: bool) -> Result<()> {
        self.if_not_exists();
        let name = if self.is_word("on") { None } else { Some(self.qualified_or_plain()?) };
        self.need("on")?;
        let (keyspace, table) = self.qualified()?;
        let from = self.pos;
        self.need_symbol('(')?;
        let mut target = String::new();
        let mut column = String::new();
        if !self.is_symbol(')') {
            let first = self.tokens.get(self.pos).map(|token| token.kind.clone());
            column = self.name()?;
            if let (Some(Kind::Word(function)), true) = (first, self.eat_symbol('(')) {
                column = self.name()?;
                self.need_symbol(')')?;
                target = format!("{}({})", function.to_lowercase(), Identifier(&column));
            } else {
                target = Identifier(&column).to_string();
            }
        }
        if !self.eat_symbol(')') {
            self.pos = from;
            return Err(self.error("an index over something other than one column"));
        }
        let mut options = BTreeMap::new();
        let mut class = None;
        if self.eat("using") {
            let Some(Kind::Text(name)) = self.peek() else {
                return Err(self.expected("a class name"));
            };
            class = Some(name.clone());
            self.pos += 1;
        }
        if self.is_word("with") {
            let mut properties = self.with()?;
            options = properties.maps.remove("options").unwrap_or_default();
        }
        options.insert("target".into(), target);
        let class = class.filter(|class| class != "legacy_local_table");
        let custom = custom || class.is_some();
        if let Some(class) = class {
            options.insert("class_name".into(), class);
        }
        let name = name.unwrap_or_else(|| {
            let plain: String =
                column.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if plain.is_empty() { format!("{table}_idx") } else { format!("{table}_{plain}_idx") }
        });
        self.draft.keyspace(&keyspace).indexes.push(RawIndex { table, name, custom, options });
        Ok(())
    }

    /// An index name; a keyspace before it says nothing new.
    fn qualified_or_plain(&mut self) -> Result<String> {
        let first = self.name()?;
        if self.eat_symbol('.') { self.name() } else { Ok(first) }
    }

    /// `WITH property AND property …`, if it is there.
    pub(super) fn with(&mut self) -> Result<Properties> {
        let mut properties = Properties::default();
        if !self.eat("with") {
            return Ok(properties);
        }
        loop {
            self.property(&mut properties)?;
            if !self.eat("and") {
                return Ok(properties);
            }
        }
    }

    fn property(&mut self, properties: &mut Properties) -> Result<()> {
        if self.eat_all(&["compact", "storage"]) {
            properties.compact = true;
            return Ok(());
        }
        if self.eat_all(&["clustering", "order", "by"]) {
            self.need_symbol('(')?;
            loop {
                let column = self.name()?;
                let descending = self.eat("desc");
                if !descending {
                    self.eat("asc");
                }
                properties.order.push((column, descending));
                if !self.eat_symbol(',') {
                    return self.need_symbol(')');
                }
            }
        }
        let name = self.name()?.to_lowercase();
        self.need_symbol('=')?;
        if name == "id" {
            let (Some(Kind::Constant(text) | Kind::Text(text)), at) = (self.peek(), self.offset())
            else {
                return Err(self.expected("a table id"));
            };
            let id = Uuid::try_parse(text)
                .map_err(|_| error_at(self.text, at, format!("{text:?} is not a table id")))?;
            self.pos += 1;
            properties.id = Some(TableId(id));
            return Ok(());
        }
        if self.is_symbol('{') {
            let map = self.map()?;
            let literal = map_literal(&map);
            properties.options.insert(name.clone(), literal);
            properties.maps.insert(name, map);
            return Ok(());
        }
        let literal = match self.peek() {
            Some(Kind::Text(text)) => text_literal(text),
            Some(Kind::Constant(text)) => text.clone(),
            Some(Kind::Word(word)) => word.to_lowercase(),
            Some(Kind::Quoted(_) | Kind::Symbol(_)) | None => return Err(self.expected("a value")),
        };
        self.pos += 1;
        properties.options.insert(name, literal);
        Ok(())
    }

    fn map(&mut self) -> Result<BTreeMap<String, String>> {
        self.need_symbol('{')?;
        let mut map = BTreeMap::new();
        while !self.eat_symbol('}') {
            let key = self.scalar()?;
            self.need_symbol(':')?;
            map.insert(key, self.scalar()?);
            if !self.eat_symbol(',') {
                self.need_symbol('}')?;
                break;
            }
        }
        Ok(map)
    }

    fn scalar(&mut self) -> Result<String> {
        let text = match self.peek() {
            Some(Kind::Text(text) | Kind::Constant(text)) => text.clone(),
            Some(Kind::Word(word)) => word.to_lowercase(),
            Some(Kind::Quoted(_) | Kind::Symbol(_)) | None => return Err(self.expected("a value")),
        };
        self.pos += 1;
        Ok(text)
    }
}

pub(super) fn apply_keyspace(
    keyspace: &mut super::ddl_build::RawKeyspace,
    mut properties: Properties,
) {
    if let Some(replication) = properties.maps.remove("replication") {
        keyspace.replication = replication;
    }
    if let Some(durable) = properties.options.get("durable_writes") {
        keyspace.durable_writes = durable == "true";
    }
}

#[cfg(test)]
#[path = "ddl_parse_tests.rs"]
mod tests;
