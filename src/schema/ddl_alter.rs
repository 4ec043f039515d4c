//! ALTER and DROP: what changes the tables and types that were created before.

use super::ddl_build::{RawTable, add_column, drop_column};
use super::ddl_lexer::{Kind, error_at};
use super::ddl_parse::{Parser, apply_keyspace};
use crate::error::Result;

impl Parser<'_> {
    pub(super) fn alter(&mut self, start: usize) -> Result<()> {
        if self.eat("keyspace") || self.eat("schema") {
            self.eat_all(&["if", "exists"]);
            let name = self.name()?;
            let properties = self.with()?;
            apply_keyspace(self.draft.keyspace(&name), properties);
            Ok(())
        } else if self.eat("type") {
            self.alter_type()
        } else if self.eat("table") || self.eat("columnfamily") {
            self.alter_table()
        } else if self.eat_all(&["materialized", "view"]) {
            self.eat_all(&["if", "exists"]);
            let (keyspace, name) = self.qualified()?;
            let properties = self.with()?;
            let mut table = self.take_table(&keyspace, &name)?;
            self.apply_table(&mut table, properties)?;
            self.draft.keyspace(&keyspace).tables.insert(name, table);
            Ok(())
        } else {
            self.pos = start;
            self.skip_noted();
            Ok(())
        }
    }

    fn take_table(&mut self, keyspace: &str, name: &str) -> Result<RawTable> {
        let found = self.draft.keyspace(keyspace).tables.remove(name);
        found.ok_or_else(|| {
            self.error(format!("table {keyspace}.{name} is not created before it is altered"))
        })
    }

    fn alter_type(&mut self) -> Result<()> {
        self.eat_all(&["if", "exists"]);
        let (keyspace, name) = self.qualified()?;
        let Some(mut fields) = self.draft.keyspace(&keyspace).types.remove(&name) else {
            return Err(
                self.error(format!("type {keyspace}.{name} is not created before it is altered"))
            );
        };
        if self.eat("add") {
            let tolerant = self.if_not_exists();
            let field = (self.name()?, self.type_text()?);
            if !tolerant || fields.iter().all(|(name, _)| *name != field.0) {
                fields.push(field);
            }
        } else if self.eat("rename") {
            self.eat_all(&["if", "exists"]);
            for (from, to) in self.renames()? {
                for (name, _) in fields.iter_mut().filter(|(name, _)| *name == from) {
                    to.clone_into(name);
                }
            }
        } else if self.eat("alter") {
            let field = self.name()?;
            self.need("type")?;
            let text = self.type_text()?;
            for (_, old) in fields.iter_mut().filter(|(name, _)| *name == field) {
                text.clone_into(old);
            }
        } else {
            return Err(self.expected("ADD or RENAME"));
        }
        self.draft.keyspace(&keyspace).types.insert(name, fields);
        Ok(())
    }

    fn renames(&mut self) -> Result<Vec<(String, String)>> {
        let mut renames = Vec::new();
        loop {
            let from = self.name()?;
            self.need("to")?;
            renames.push((from, self.name()?));
            if !self.eat("and") {
                return Ok(renames);
            }
        }
    }

    fn alter_table(&mut self) -> Result<()> {
        self.eat_all(&["if", "exists"]);
        let (keyspace, name) = self.qualified()?;
        let mut table = self.take_table(&keyspace, &name)?;
        if self.eat("add") {
            let tolerant = self.if_not_exists();
            let bracket = self.eat_symbol('(');
            loop {
                let at = self.offset();
                let (column, _) = self.column()?;
                add_column(&mut table, column, tolerant)
                    .map_err(|what| error_at(self.text, at, what))?;
                if !self.eat_symbol(',') {
                    break;
                }
            }
            if bracket {
                self.need_symbol(')')?;
            }
        } else if self.eat_all(&["drop", "compact", "storage"]) {
            table.storage_dropped = true;
        } else if self.eat("drop") {
            self.alter_drop(&mut table)?;
        } else if self.eat("rename") {
            self.eat_all(&["if", "exists"]);
            for (from, to) in self.renames()? {
                table.rename(&from, &to);
            }
        } else if self.eat("alter") {
            self.alter_column(&mut table)?;
        } else if self.is_word("with") {
            let properties = self.with()?;
            self.apply_table(&mut table, properties)?;
        } else {
            return Err(self.expected("ADD, DROP, RENAME, ALTER or WITH"));
        }
        self.draft.keyspace(&keyspace).tables.insert(name, table);
        Ok(())
    }

    fn alter_column(&mut self, table: &mut RawTable) -> Result<()> {
        self.eat_all(&["if", "exists"]);
        let name = self.name()?;
        if self.eat_all(&["drop", "masked"]) {
            table.change(&name, |column| column.mask = None);
        } else if self.eat_all(&["masked", "with"]) {
            let mask = self.mask()?;
            table.change(&name, |column| column.mask = Some(mask));
        } else {
            self.need("type")?;
            let text = self.type_text()?;
            table.change(&name, |column| column.type_text = text);
        }
        Ok(())
    }

    fn alter_drop(&mut self, table: &mut RawTable) -> Result<()> {
        let tolerant = self.eat_all(&["if", "exists"]);
        let at = self.offset();
        let names = if self.is_symbol('(') {
            self.names('(', ')')?
        } else {
            let mut names = vec![self.name()?];
            while self.eat_symbol(',') {
                names.push(self.name()?);
            }
            names
        };
        let mut micros = None;
        if self.eat_all(&["using", "timestamp"]) {
            let Some(Kind::Constant(text)) = self.peek() else {
                return Err(self.expected("a timestamp"));
            };
            micros = Some(text.parse().map_err(|_| self.expected("a timestamp in microseconds"))?);
            self.pos += 1;
        }
        for name in names {
            drop_column(table, &name, micros, tolerant)
                .map_err(|what| error_at(self.text, at, what))?;
        }
        Ok(())
    }

    pub(super) fn drop(&mut self, start: usize) -> Result<()> {
        let kinds: [(&[&str], &str); 6] = [
            (&["keyspace"], "keyspace"),
            (&["schema"], "keyspace"),
            (&["type"], "type"),
            (&["table"], "table"),
            (&["materialized", "view"], "table"),
            (&["index"], "index"),
        ];
        let Some((_, kind)) = kinds.into_iter().find(|(words, _)| self.eat_all(words)) else {
            self.pos = start;
            self.skip_noted();
            return Ok(());
        };
        self.eat_all(&["if", "exists"]);
        if kind == "keyspace" {
            let name = self.name()?;
            self.draft.keyspaces.remove(&name);
            return Ok(());
        }
        let (keyspace, name) = self.qualified()?;
        let keyspace = self.draft.keyspace(&keyspace);
        match kind {
            "type" => drop(keyspace.types.remove(&name)),
            "table" => {
                keyspace.tables.remove(&name);
                keyspace.indexes.retain(|index| index.table != name);
            }
            _ => keyspace.indexes.retain(|index| index.name != name),
        }
        Ok(())
    }
}
