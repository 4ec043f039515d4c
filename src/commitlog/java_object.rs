//! The few forms of Java's object serialization that a key store of secret keys uses.
//!
//! ```text
//! stream  := ac ed 00 05, content
//! content := 70 null | 71 i32 handle | 73 object: class, values | 74 string: utf16len | 75 array: class, i32 n, values
//!            | 7e enum: class, content (its name)
//! class   := 72 utf16len name, i64 id, u8 flags, u16 n, n × field, annotation, class of its parent | 70 | 71 i32 handle
//! field   := u8 type, utf16len name, [content: name of the type, where the type is '[' or 'L']
//! annotation := content or block (77 u8 n, n bytes)*, 78
//! ```
//! Classes, strings, arrays, objects and enums get handles from 0x7e0000 on in the order in which they begin.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::DecodeError;
use crate::io::ByteReader;

const MAGIC: u32 = 0xaced_0005;
const FIRST_HANDLE: u32 = 0x007e_0000;
/// Objects within objects; a key has two levels.
const MAX_DEPTH: u32 = 16;
/// Enough for a key; a limit for damaged files.
const MAX_HANDLES: usize = 1 << 12;

const SC_WRITE_METHOD: u8 = 0x01;
const SC_SERIALIZABLE: u8 = 0x02;

/// A value, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JavaValue {
    Null,
    Text(String),
    Bytes(Vec<u8>),
    /// Fields by name, those of parent classes included.
    Object(BTreeMap<String, JavaValue>),
    /// A number, a class, or another array.
    Other,
}

#[derive(Debug)]
struct Class {
    name: String,
    flags: u8,
    fields: Vec<(u8, String)>,
    parent: Option<Arc<Class>>,
}

#[derive(Debug, Clone)]
enum Handle {
    Class(Arc<Class>),
    Value(JavaValue),
}

struct Stream<'r, 'a> {
    r: &'r mut ByteReader<'a>,
    handles: Vec<Handle>,
}

/// Reads one serialized object; the cursor stands behind it afterwards.
pub(super) fn read_java_object(r: &mut ByteReader<'_>) -> Result<JavaValue, DecodeError> {
    if r.read_u32("Java object")? != MAGIC {
        return Err(r.invalid("not a serialized Java object"));
    }
    Stream { r, handles: Vec::new() }.content(0)
}

impl Stream<'_, '_> {
    fn unknown(&self, what: &str, tag: u8) -> DecodeError {
        self.r.invalid(format!("serialized Java object: {what} {tag:#04x} is not read here"))
    }

    fn add(&mut self, handle: Handle) -> Result<usize, DecodeError> {
        if self.handles.len() >= MAX_HANDLES {
            return Err(self.r.invalid("serialized Java object: too many objects"));
        }
        self.handles.push(handle);
        Ok(self.handles.len() - 1)
    }

    fn set(&mut self, at: usize, value: &JavaValue) {
        if let Some(place) = self.handles.get_mut(at) {
            *place = Handle::Value(value.clone());
        }
    }

    fn reference(&mut self) -> Result<Handle, DecodeError> {
        let number = self.r.read_u32("handle")?;
        let at = number.checked_sub(FIRST_HANDLE).and_then(|at| usize::try_from(at).ok());
        let found = at.and_then(|at| self.handles.get(at)).cloned();
        found.ok_or_else(|| self.r.invalid("serialized Java object: a handle of nothing"))
    }

    fn content(&mut self, depth: u32) -> Result<JavaValue, DecodeError> {
        let tag = self.r.read_u8("Java object")?;
        self.content_of(tag, depth)
    }

    fn content_of(&mut self, tag: u8, depth: u32) -> Result<JavaValue, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.r.invalid("serialized Java object: nested too deeply"));
        }
        match tag {
            0x70 => Ok(JavaValue::Null),
            0x71 => Ok(match self.reference()? {
                Handle::Value(value) => value,
                Handle::Class(_) => JavaValue::Other,
            }),
            0x73 => {
                let class = self.class(depth + 1)?;
                let at = self.add(Handle::Value(JavaValue::Other))?;
                let mut fields = BTreeMap::new();
                if let Some(class) = class {
                    self.values(&class, &mut fields, depth + 1)?;
                }
                let value = JavaValue::Object(fields);
                self.set(at, &value);
                Ok(value)
            }
            0x74 => {
                let text = self.r.read_utf16len("string")?.to_owned();
                let value = JavaValue::Text(text);
                self.add(Handle::Value(value.clone()))?;
                Ok(value)
            }
            0x75 => {
                let class = self.class(depth + 1)?;
                let at = self.add(Handle::Value(JavaValue::Other))?;
                if class.is_none_or(|class| class.name != "[B") {
                    return Err(self.r.invalid("serialized Java object: an array not of bytes"));
                }
                let value = JavaValue::Bytes(self.r.read_bytes32("array")?.to_vec());
                self.set(at, &value);
                Ok(value)
            }
            0x7e => {
                self.class(depth + 1)?;
                let at = self.add(Handle::Value(JavaValue::Other))?;
                let value = self.content(depth + 1)?;
                self.set(at, &value);
                Ok(value)
            }
            _ => Err(self.unknown("content", tag)),
        }
    }

    fn class(&mut self, depth: u32) -> Result<Option<Arc<Class>>, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.r.invalid("serialized Java object: nested too deeply"));
        }
        match self.r.read_u8("class")? {
            0x70 => Ok(None),
            0x71 => match self.reference()? {
                Handle::Class(class) => Ok(Some(class)),
                Handle::Value(_) => Err(self.r.invalid("serialized Java object: no class")),
            },
            0x72 => {
                let name = self.r.read_utf16len("class name")?.to_owned();
                self.r.skip(8, "class id")?;
                let at = self.add(Handle::Value(JavaValue::Other))?;
                let flags = self.r.read_u8("class flags")?;
                let mut fields = Vec::new();
                for _ in 0..self.r.read_u16("number of fields")? {
                    let kind = self.r.read_u8("field type")?;
                    fields.push((kind, self.r.read_utf16len("field name")?.to_owned()));
                    if matches!(kind, b'[' | b'L') {
                        self.content(depth + 1)?;
                    }
                }
                self.annotation(depth + 1)?;
                let parent = self.class(depth + 1)?;
                let class = Arc::new(Class { name, flags, fields, parent });
                if let Some(place) = self.handles.get_mut(at) {
                    *place = Handle::Class(Arc::clone(&class));
                }
                Ok(Some(class))
            }
            tag => Err(self.unknown("class", tag)),
        }
    }

    fn annotation(&mut self, depth: u32) -> Result<(), DecodeError> {
        loop {
            match self.r.read_u8("annotation")? {
                0x78 => return Ok(()),
                0x77 => {
                    let len = self.r.read_u8("block")?;
                    self.r.skip(len.into(), "block")?;
                }
                tag => {
                    self.content_of(tag, depth)?;
                }
            }
        }
    }

    /// The fields of a class, after those of its parents.
    fn values(
        &mut self,
        class: &Class,
        fields: &mut BTreeMap<String, JavaValue>,
        depth: u32,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.r.invalid("serialized Java object: nested too deeply"));
        }
        if let Some(parent) = &class.parent {
            self.values(parent, fields, depth + 1)?;
        }
        if class.flags & SC_SERIALIZABLE == 0 {
            return Err(self.unknown("class flags", class.flags));
        }
        for (kind, name) in &class.fields {
            let len = match kind {
                b'B' | b'Z' => 1,
                b'C' | b'S' => 2,
                b'I' | b'F' => 4,
                b'J' | b'D' => 8,
                b'[' | b'L' => {
                    let value = self.content(depth + 1)?;
                    fields.insert(name.clone(), value);
                    continue;
                }
                _ => return Err(self.unknown("field type", *kind)),
            };
            self.r.skip(len, "field")?;
            fields.insert(name.clone(), JavaValue::Other);
        }
        if class.flags & SC_WRITE_METHOD != 0 {
            self.annotation(depth + 1)?;
        }
        Ok(())
    }
}
