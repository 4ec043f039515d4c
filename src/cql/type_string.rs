//! The two syntaxes of types: Java class names (`org.apache.cassandra.db.marshal.…`, in SSTable headers) and CQL
//! (`frozen<list<int>>`, in `system_schema`).
//!
//! ```text
//! marshal   := class [ '(' params ')' ]          class: a name with dots, or without for that package
//! UserType(keyspace, hex(name), hex(field):type, …)   VectorType(type , n)   DynamicCompositeType(a=>type, …)
//! ```
//! An unknown class is not an error: its values are opaque bytes ([`CqlType::Custom`]).

use std::fmt;
use std::sync::Arc;

use super::{CqlType, UdtType};
use crate::error::{DecodeError, DecodeErrorKind};

/// How deep types may be nested; Cassandra itself has no use for more than a few levels.
const MAX_DEPTH: usize = 64;
const MARSHAL: &str = "org.apache.cassandra.db.marshal.";

/// A parsed marshal type: the type, and whether it stood in `ReversedType(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarshalType {
    /// The type.
    pub cql_type: CqlType,
    /// Descending order.
    pub reversed: bool,
}

/// Parses a Java class name with parameters (`TypeParser.parse`). The empty string is `BytesType`.
pub fn parse_marshal_type(text: &str) -> Result<MarshalType, DecodeError> {
    let mut p = Parser { text, pos: 0 };
    p.blanks();
    if p.at_end() {
        return Ok(MarshalType { cql_type: CqlType::Blob, reversed: false });
    }
    let parsed = p.marshal(0)?;
    p.blanks();
    if !p.at_end() {
        return Err(p.error("text behind the type"));
    }
    Ok(parsed)
}

/// Parses a CQL type (`CQLTypeParser`); `udt` finds a user-defined type of the keyspace by name.
pub fn parse_cql_type(
    text: &str,
    udt: &dyn Fn(&str) -> Option<Arc<UdtType>>,
) -> Result<CqlType, DecodeError> {
    let mut p = Parser { text, pos: 0 };
    p.blanks();
    let parsed = p.cql(0, udt)?;
    p.blanks();
    if !p.at_end() {
        return Err(p.error("text behind the type"));
    }
    Ok(parsed)
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn error(&self, what: &str) -> DecodeError {
        DecodeError::invalid(format!("type {:?}: {what} at character {}", self.text, self.pos), 0)
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        if self.rest().starts_with(c) {
            self.pos += c.len_utf8();
            return true;
        }
        false
    }

    fn expect(&mut self, c: char) -> Result<(), DecodeError> {
        if self.eat(c) { Ok(()) } else { Err(self.error(&format!("no {c:?}"))) }
    }

    fn word(&mut self, allowed: impl Fn(char) -> bool) -> &'a str {
        self.blanks();
        let rest = self.rest();
        let len = rest.find(|c| !allowed(c)).unwrap_or(rest.len());
        self.pos += len;
        rest.get(..len).unwrap_or_default()
    }

    fn class_name(&mut self) -> &'a str {
        self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_' | '&' | '$'))
    }

    fn params(&mut self, depth: usize) -> Result<Vec<CqlType>, DecodeError> {
        let mut out = Vec::new();
        if !self.eat('(') {
            return Ok(out);
        }
        while !self.eat(')') {
            out.push(self.marshal(depth + 1)?.cql_type);
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(out)
    }

    fn fixed_params<const N: usize>(&mut self, depth: usize) -> Result<[CqlType; N], DecodeError> {
        let found = self.params(depth)?;
        let count = found.len();
        found.try_into().map_err(|_| self.error(&format!("{count} parameters instead of {N}")))
    }

    fn hex_name(&mut self) -> Result<String, DecodeError> {
        let hex = self.word(|c| c.is_ascii_hexdigit());
        let bytes = hex_simd::decode_to_vec(hex)
            .map_err(|_| self.error("a name that is not hexadecimal"))?;
        String::from_utf8(bytes)
            .map_err(|_| DecodeError::new(DecodeErrorKind::Utf8 { what: "type name" }, 0))
    }

    fn marshal(&mut self, depth: usize) -> Result<MarshalType, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.error("too many levels"));
        }
        let name = self.class_name();
        if name.is_empty() {
            return Err(self.error("no class name"));
        }
        let class = match name.strip_prefix(MARSHAL) {
            Some(class) => class,
            None if !name.contains('.') => name,
            None => "",
        };
        let cql_type = match class {
            "AsciiType" => CqlType::Ascii,
            "LongType" => CqlType::Bigint,
            "BytesType" => CqlType::Blob,
            "BooleanType" => CqlType::Boolean,
            "CounterColumnType" => CqlType::Counter,
            "SimpleDateType" => CqlType::Date,
            "DecimalType" => CqlType::Decimal,
            "DoubleType" => CqlType::Double,
            "DurationType" => CqlType::Duration,
            "EmptyType" => CqlType::Empty,
            "FloatType" => CqlType::Float,
            "InetAddressType" => CqlType::Inet,
            "Int32Type" => CqlType::Int,
            "ShortType" => CqlType::Smallint,
            "UTF8Type" => CqlType::Text,
            "TimeType" => CqlType::Time,
            "TimestampType" => CqlType::Timestamp,
            "DateType" => CqlType::LegacyTimestamp,
            "TimeUUIDType" => CqlType::Timeuuid,
            "ByteType" => CqlType::Tinyint,
            "UUIDType" => CqlType::Uuid,
            "LexicalUUIDType" => CqlType::LexicalUuid,
            "IntegerType" => CqlType::Varint,
            "ListType" => {
                let [element] = self.fixed_params(depth)?;
                CqlType::List { element: Box::new(element.freeze()), frozen: false }
            }
            "SetType" => {
                let [element] = self.fixed_params(depth)?;
                CqlType::Set { element: Box::new(element.freeze()), frozen: false }
            }
            "MapType" => {
                let [key, value] = self.fixed_params(depth)?;
                CqlType::Map {
                    key: Box::new(key.freeze()),
                    value: Box::new(value.freeze()),
                    frozen: false,
                }
            }
            "FrozenType" => {
                let [inner] = self.fixed_params(depth)?;
                inner.freeze()
            }
            "ReversedType" => {
                let [inner] = self.fixed_params(depth)?;
                return Ok(MarshalType { cql_type: inner, reversed: true });
            }
            "TupleType" => {
                CqlType::Tuple(self.params(depth)?.into_iter().map(CqlType::freeze).collect())
            }
            "CompositeType" => CqlType::Composite(self.params(depth)?),
            "UserType" => self.user_type(depth)?,
            "VectorType" => self.vector(depth)?,
            "DynamicCompositeType" => self.dynamic_composite(depth)?,
            _ => {
                let start = self.pos - name.len();
                self.skip_params(depth)?;
                CqlType::Custom(self.text.get(start..self.pos).unwrap_or(name).to_owned())
            }
        };
        Ok(MarshalType { cql_type, reversed: false })
    }

    fn skip_params(&mut self, depth: usize) -> Result<(), DecodeError> {
        if !self.eat('(') {
            return Ok(());
        }
        let mut open = depth + 1;
        let base = depth;
        while open > base {
            if open > MAX_DEPTH {
                return Err(self.error("too many levels"));
            }
            let Some(c) = self.rest().chars().next() else { return Err(self.error("no ')'")) };
            self.pos += c.len_utf8();
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn user_type(&mut self, depth: usize) -> Result<CqlType, DecodeError> {
        self.expect('(')?;
        let keyspace = self.word(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        self.expect(',')?;
        let name = self.hex_name()?;
        let mut fields = Vec::new();
        while self.eat(',') {
            let field = self.hex_name()?;
            self.expect(':')?;
            fields.push((field, self.marshal(depth + 1)?.cql_type.freeze()));
        }
        self.expect(')')?;
        Ok(CqlType::Udt { udt: Arc::new(UdtType { keyspace, name, fields }), frozen: false })
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        self.word(|c| c.is_ascii_digit()).parse().map_err(|_| self.error("no dimension"))
    }

    fn vector(&mut self, depth: usize) -> Result<CqlType, DecodeError> {
        self.expect('(')?;
        let element = self.marshal(depth + 1)?.cql_type.freeze();
        self.expect(',')?;
        let dimension = self.number()?;
        self.expect(')')?;
        Ok(CqlType::Vector { element: Box::new(element), dimension })
    }

    fn dynamic_composite(&mut self, depth: usize) -> Result<CqlType, DecodeError> {
        let mut aliases = Vec::new();
        if self.eat('(') {
            while !self.eat(')') {
                let alias = self.word(|c| c.is_ascii_alphanumeric());
                let &[alias] = alias.as_bytes() else {
                    return Err(self.error("an alias is one character"));
                };
                self.expect('=')?;
                self.expect('>')?;
                aliases.push((alias, self.marshal(depth + 1)?.cql_type));
                self.eat(',');
            }
        }
        Ok(CqlType::DynamicComposite(aliases))
    }

    fn identifier(&mut self) -> Result<(String, bool), DecodeError> {
        self.blanks();
        if !self.rest().starts_with('"') {
            let word = self.word(|c| c.is_alphanumeric() || c == '_');
            if word.is_empty() {
                return Err(self.error("no type name"));
            }
            return Ok((word.to_lowercase(), false));
        }
        self.pos += 1;
        let mut name = String::new();
        loop {
            let mut chars = self.rest().chars();
            let Some(c) = chars.next() else { return Err(self.error("a name without end")) };
            self.pos += c.len_utf8();
            if c != '"' {
                name.push(c);
            } else if self.rest().starts_with('"') {
                self.pos += 1;
                name.push('"');
            } else {
                return Ok((name, true));
            }
        }
    }

    fn cql(
        &mut self,
        depth: usize,
        udt: &dyn Fn(&str) -> Option<Arc<UdtType>>,
    ) -> Result<CqlType, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.error("too many levels"));
        }
        self.blanks();
        if self.rest().starts_with('\'') {
            self.pos += 1;
            let class = self.word(|c| c != '\'');
            self.expect('\'')?;
            return parse_marshal_type(class).map(|parsed| parsed.cql_type);
        }
        let (mut name, quoted) = self.identifier()?;
        if self.eat('.') {
            // A type qualified with its keyspace; user-defined types are those of the same keyspace.
            name = self.identifier()?.0;
        }
        let inner =
            |p: &mut Self| -> Result<CqlType, DecodeError> { Ok(p.cql(depth + 1, udt)?.freeze()) };
        if !quoted {
            let plain = match name.as_str() {
                "ascii" => Some(CqlType::Ascii),
                "bigint" => Some(CqlType::Bigint),
                "blob" => Some(CqlType::Blob),
                "boolean" => Some(CqlType::Boolean),
                "counter" => Some(CqlType::Counter),
                "date" => Some(CqlType::Date),
                "decimal" => Some(CqlType::Decimal),
                "double" => Some(CqlType::Double),
                "duration" => Some(CqlType::Duration),
                "empty" => Some(CqlType::Empty),
                "float" => Some(CqlType::Float),
                "inet" => Some(CqlType::Inet),
                "int" => Some(CqlType::Int),
                "smallint" => Some(CqlType::Smallint),
                "text" | "varchar" => Some(CqlType::Text),
                "time" => Some(CqlType::Time),
                "timestamp" => Some(CqlType::Timestamp),
                "timeuuid" => Some(CqlType::Timeuuid),
                "tinyint" => Some(CqlType::Tinyint),
                "uuid" => Some(CqlType::Uuid),
                "varint" => Some(CqlType::Varint),
                _ => None,
            };
            if let Some(plain) = plain {
                return Ok(plain);
            }
            if matches!(name.as_str(), "list" | "set" | "map" | "tuple" | "frozen" | "vector")
                && self.eat('<')
            {
                let cql_type = match name.as_str() {
                    "list" => CqlType::List { element: Box::new(inner(self)?), frozen: false },
                    "set" => CqlType::Set { element: Box::new(inner(self)?), frozen: false },
                    "map" => {
                        let key = inner(self)?;
                        self.expect(',')?;
                        CqlType::Map {
                            key: Box::new(key),
                            value: Box::new(inner(self)?),
                            frozen: false,
                        }
                    }
                    "tuple" => {
                        let mut elements = vec![inner(self)?];
                        while self.eat(',') {
                            elements.push(inner(self)?);
                        }
                        CqlType::Tuple(elements)
                    }
                    "vector" => {
                        let element = inner(self)?;
                        self.expect(',')?;
                        CqlType::Vector { element: Box::new(element), dimension: self.number()? }
                    }
                    _ => inner(self)?,
                };
                self.expect('>')?;
                return Ok(cql_type);
            }
        }
        match udt(&name) {
            Some(udt) => Ok(CqlType::Udt { udt, frozen: false }),
            None => Err(self.error(&format!("unknown type {name:?}"))),
        }
    }
}

/// Writes `name` as a CQL identifier: quoted unless it is lower case and cannot be a reserved word.
pub(crate) fn write_identifier(f: &mut impl fmt::Write, name: &str) -> fmt::Result {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { f.write_str(name) } else { write!(f, "\"{}\"", name.replace('"', "\"\"")) }
}

/// `name` as a CQL identifier.
pub(crate) fn quote_name(name: &str) -> String {
    let mut text = String::new();
    match write_identifier(&mut text, name) {
        Ok(()) => text,
        // Writing to a string does not fail.
        Err(_) => name.to_owned(),
    }
}

/// Words that CQL does not take as unquoted names (`ReservedKeywords` of 5.0, which has all of the older ones).
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 60] = [
        "add",
        "allow",
        "alter",
        "and",
        "apply",
        "asc",
        "authorize",
        "batch",
        "begin",
        "by",
        "columnfamily",
        "create",
        "default",
        "delete",
        "desc",
        "describe",
        "drop",
        "entries",
        "execute",
        "from",
        "full",
        "grant",
        "if",
        "in",
        "index",
        "infinity",
        "insert",
        "into",
        "is",
        "keyspace",
        "limit",
        "materialized",
        "mbean",
        "mbeans",
        "modify",
        "nan",
        "norecursive",
        "not",
        "null",
        "of",
        "on",
        "or",
        "order",
        "primary",
        "rename",
        "replace",
        "revoke",
        "schema",
        "select",
        "set",
        "table",
        "to",
        "token",
        "truncate",
        "unlogged",
        "unset",
        "update",
        "use",
        "using",
        "view",
    ];
    RESERVED.binary_search(&name).is_ok() || matches!(name, "where" | "with")
}

impl fmt::Display for CqlType {
    /// Writes the type as CQL, as `system_schema.columns.type` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn maybe_frozen(
            f: &mut fmt::Formatter<'_>,
            frozen: bool,
            text: fmt::Arguments<'_>,
        ) -> fmt::Result {
            if frozen { write!(f, "frozen<{text}>") } else { f.write_fmt(text) }
        }
        match self {
            Self::Ascii => f.write_str("ascii"),
            Self::Bigint => f.write_str("bigint"),
            Self::Blob => f.write_str("blob"),
            Self::Boolean => f.write_str("boolean"),
            Self::Counter => f.write_str("counter"),
            Self::Date => f.write_str("date"),
            Self::Decimal => f.write_str("decimal"),
            Self::Double => f.write_str("double"),
            Self::Duration => f.write_str("duration"),
            Self::Empty => f.write_str("empty"),
            Self::Float => f.write_str("float"),
            Self::Inet => f.write_str("inet"),
            Self::Int => f.write_str("int"),
            Self::Smallint => f.write_str("smallint"),
            Self::Text => f.write_str("text"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::LegacyTimestamp => write!(f, "'{MARSHAL}DateType'"),
            Self::Timeuuid => f.write_str("timeuuid"),
            Self::Tinyint => f.write_str("tinyint"),
            Self::Uuid => f.write_str("uuid"),
            Self::LexicalUuid => write!(f, "'{MARSHAL}LexicalUUIDType'"),
            Self::Varint => f.write_str("varint"),
            Self::List { element, frozen } => {
                maybe_frozen(f, *frozen, format_args!("list<{element}>"))
            }
            Self::Set { element, frozen } => {
                maybe_frozen(f, *frozen, format_args!("set<{element}>"))
            }
            Self::Map { key, value, frozen } => {
                maybe_frozen(f, *frozen, format_args!("map<{key}, {value}>"))
            }
            Self::Tuple(elements) => {
                f.write_str("frozen<tuple<")?;
                for (i, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(">>")
            }
            Self::Udt { udt, frozen } => {
                let mut name = String::new();
                write_identifier(&mut name, &udt.name)?;
                maybe_frozen(f, *frozen, format_args!("{name}"))
            }
            Self::Vector { element, dimension } => write!(f, "vector<{element}, {dimension}>"),
            Self::Composite(_) | Self::DynamicComposite(_) | Self::Custom(_) => {
                write!(f, "'{}'", marshal_name(self).replace('\'', "''"))
            }
        }
    }
}

/// The Java class name of a type, as SSTable headers have it (`AbstractType.toString`); frozen types in `FrozenType(…)`.
pub(crate) fn marshal_name(cql_type: &CqlType) -> String {
    fn class(name: &str) -> String {
        format!("{MARSHAL}{name}")
    }
    fn list(types: &[CqlType]) -> String {
        types.iter().map(marshal_name).collect::<Vec<_>>().join(",")
    }
    fn maybe_frozen(frozen: bool, text: String) -> String {
        if frozen { format!("{MARSHAL}FrozenType({text})") } else { text }
    }
    match cql_type {
        CqlType::Ascii => class("AsciiType"),
        CqlType::Bigint => class("LongType"),
        CqlType::Blob => class("BytesType"),
        CqlType::Boolean => class("BooleanType"),
        CqlType::Counter => class("CounterColumnType"),
        CqlType::Date => class("SimpleDateType"),
        CqlType::Decimal => class("DecimalType"),
        CqlType::Double => class("DoubleType"),
        CqlType::Duration => class("DurationType"),
        CqlType::Empty => class("EmptyType"),
        CqlType::Float => class("FloatType"),
        CqlType::Inet => class("InetAddressType"),
        CqlType::Int => class("Int32Type"),
        CqlType::Smallint => class("ShortType"),
        CqlType::Text => class("UTF8Type"),
        CqlType::Time => class("TimeType"),
        CqlType::Timestamp => class("TimestampType"),
        CqlType::LegacyTimestamp => class("DateType"),
        CqlType::Timeuuid => class("TimeUUIDType"),
        CqlType::Tinyint => class("ByteType"),
        CqlType::Uuid => class("UUIDType"),
        CqlType::LexicalUuid => class("LexicalUUIDType"),
        CqlType::Varint => class("IntegerType"),
        CqlType::List { element, frozen } => {
            maybe_frozen(*frozen, format!("{}({})", class("ListType"), marshal_name(element)))
        }
        CqlType::Set { element, frozen } => {
            maybe_frozen(*frozen, format!("{}({})", class("SetType"), marshal_name(element)))
        }
        CqlType::Map { key, value, frozen } => maybe_frozen(
            *frozen,
            format!("{}({},{})", class("MapType"), marshal_name(key), marshal_name(value)),
        ),
        CqlType::Tuple(elements) => format!("{}({})", class("TupleType"), list(elements)),
        CqlType::Udt { udt, frozen } => {
            let hex = |text: &str| {
                hex_simd::encode_to_string(text.as_bytes(), hex_simd::AsciiCase::Lower)
            };
            let fields: String = udt
                .fields
                .iter()
                .map(|(name, t)| format!(",{}:{}", hex(name), marshal_name(t)))
                .collect();
            maybe_frozen(
                *frozen,
                format!("{}({},{}{fields})", class("UserType"), udt.keyspace, hex(&udt.name)),
            )
        }
        CqlType::Vector { element, dimension } => {
            format!("{}({} , {dimension})", class("VectorType"), marshal_name(element))
        }
        CqlType::Composite(elements) => format!("{}({})", class("CompositeType"), list(elements)),
        CqlType::DynamicComposite(aliases) => {
            let inner: Vec<_> = aliases
                .iter()
                .map(|(a, t)| format!("{}=>{}", char::from(*a), marshal_name(t)))
                .collect();
            format!("{}({})", class("DynamicCompositeType"), inner.join(","))
        }
        CqlType::Custom(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> CqlType {
        parse_cql_type(text, &|name| {
            (name == "u" || name == "Odd").then(|| {
                Arc::new(UdtType {
                    keyspace: "k".into(),
                    name: name.into(),
                    fields: vec![("f".into(), CqlType::Int)],
                })
            })
        })
        .unwrap()
    }

    #[test]
    fn every_cql_type_reads_back_from_its_cql_and_from_its_class_name() {
        for text in [
            "ascii",
            "bigint",
            "blob",
            "boolean",
            "counter",
            "date",
            "decimal",
            "double",
            "duration",
            "float",
            "inet",
            "int",
            "smallint",
            "text",
            "time",
            "timestamp",
            "timeuuid",
            "tinyint",
            "uuid",
            "varint",
            "list<int>",
            "frozen<set<text>>",
            "map<text, frozen<list<int>>>",
            "frozen<tuple<int, text>>",
            "u",
            "frozen<u>",
            "frozen<\"Odd\">",
            "vector<float, 3>",
            "'org.example.Own(a,b(c))'",
        ] {
            let cql_type = parsed(text);
            assert_eq!(cql_type.to_string(), text);
            let name = marshal_name(&cql_type);
            assert_eq!(parse_marshal_type(&name).unwrap().cql_type, cql_type, "{name}");
        }
    }

    #[test]
    fn a_reversed_class_says_so_and_what_is_in_a_frozen_class_is_frozen() {
        let reversed =
            parse_marshal_type("ReversedType(org.apache.cassandra.db.marshal.Int32Type)").unwrap();
        assert_eq!(reversed, MarshalType { cql_type: CqlType::Int, reversed: true });
        let frozen =
            parse_marshal_type("FrozenType(ListType(SetType(UTF8Type)))").unwrap().cql_type;
        assert_eq!(frozen.to_string(), "frozen<list<frozen<set<text>>>>");
        assert_eq!(parse_marshal_type("").unwrap().cql_type, CqlType::Blob);
    }

    #[test]
    fn broken_type_strings_are_errors_at_every_length() {
        let text =
            "UserType(ks,61,62:ListType(FrozenType(MapType(UTF8Type,VectorType(FloatType , 3)))))";
        for len in 1..text.len() {
            let cut = text.get(..len).unwrap();
            // A cut class name is a custom class; anything with an open parenthesis must fail.
            if cut.contains('(') {
                assert!(parse_marshal_type(cut).is_err(), "{cut}");
            }
        }
        assert!(parse_marshal_type(&"FrozenType(".repeat(10_000)).is_err());
        assert!(parse_marshal_type(&"x(".repeat(10_000)).is_err());
        assert!(parse_cql_type(&"frozen<".repeat(10_000), &|_| None).is_err());
        assert!(parse_cql_type("nothing_like_it", &|_| None).is_err());
    }

    #[test]
    fn names_are_quoted_where_cql_needs_it() {
        for (name, cql) in [
            ("a", "a"),
            ("A", "\"A\""),
            ("select", "\"select\""),
            ("a\"b", "\"a\"\"b\""),
            ("1a", "\"1a\""),
            ("with", "\"with\""),
        ] {
            let mut out = String::new();
            write_identifier(&mut out, name).unwrap();
            assert_eq!(out, cql);
        }
    }
}
