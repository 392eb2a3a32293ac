//! The key-value part of a GGUF file, as much of it as is asked for.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// How a GGUF file begins.
pub(in crate::formats) const MAGIC: &[u8; 4] = b"GGUF";

/// The longest key, and the most keys.
const LONGEST_KEY: u64 = 1 << 16;
const MOST_KEYS: u64 = 1 << 16;

/// A value that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Flag(bool),
    Text(String),
    Texts(Texts),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    /// Of a kind that no tokenizer key has.
    Other,
}

/// Texts one after the other: a file may list millions, most of a few bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Texts {
    joined: String,
    /// Where each one ends.
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.joined.push_str(text);
        self.ends.push(self.joined.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.joined[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

pub(super) struct Header(HashMap<String, Value>);

struct Source<R> {
    reader: BufReader<R>,
    /// How many bytes are left.
    left: u64,
}

type Fault = String;

impl<R: Read + Seek> Source<R> {
    fn take(&mut self, len: u64) -> Result<Vec<u8>, Fault> {
        if len > self.left {
            return Err(format!("ends {} bytes too early", len - self.left));
        }
        let mut bytes = vec![0; len as usize];
        self.reader.read_exact(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
        self.left -= len;
        Ok(bytes)
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let distance = i64::try_from(len).ok().filter(|_| len <= self.left).ok_or("ends too early")?;
        self.reader.seek_relative(distance).map_err(|error| format!("cannot be read: {error}"))?;
        self.left -= len;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        if N as u64 > self.left {
            return Err("ends too early".into());
        }
        self.reader.read_exact(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
        self.left -= N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, Fault> {
        let len = self.u64()?;
        String::from_utf8(self.take(len)?).map_err(|_| "holds a text that is not UTF-8".into())
    }

    /// One number, as its own kind has it.
    fn number(&mut self, kind: u32) -> Result<Option<i64>, Fault> {
        Ok(Some(match kind {
            0 => i64::from(self.array::<1>()?[0]),
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            2 => i64::from(u16::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            4 => i64::from(self.u32()?),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            10 => i64::try_from(self.u64()?).map_err(|_| "holds a number beyond 2^63")?,
            11 => i64::from_le_bytes(self.array()?),
            _ => return Ok(None),
        }))
    }

    fn value(&mut self, kind: u32, wanted: bool) -> Result<Value, Fault> {
        match kind {
            7 => Ok(Value::Flag(self.array::<1>()?[0] != 0)),
            8 if wanted => self.text().map(Value::Text),
            8 => {
                let len = self.u64()?;
                self.skip(len).map(|()| Value::Other)
            }
            9 => self.list(wanted),
            _ => match size(kind) {
                None => Err(format!("holds a value of the unknown kind {kind}")),
                Some(_) if wanted && !matches!(kind, 6 | 12) => {
                    Ok(self.number(kind)?.map_or(Value::Other, Value::Integer))
                }
                Some(size) => self.skip(size).map(|()| Value::Other),
            },
        }
    }

    fn list(&mut self, wanted: bool) -> Result<Value, Fault> {
        let (kind, len) = (self.u32()?, self.u64()?);
        let least = size(kind).unwrap_or(8);
        if len.checked_mul(least).is_none_or(|bytes| bytes > self.left) {
            return Err(format!("ends before the {len} entries of a list"));
        }
        match kind {
            8 if wanted => {
                let mut texts = Texts::default();
                for _ in 0..len {
                    texts.push(&self.text()?);
                }
                Ok(Value::Texts(texts))
            }
            8 => {
                for _ in 0..len {
                    let bytes = self.u64()?;
                    self.skip(bytes)?;
                }
                Ok(Value::Other)
            }
            6 if wanted => {
                let floats = (0..len).map(|_| self.array().map(f32::from_le_bytes));
                floats.collect::<Result<_, _>>().map(Value::Floats)
            }
            0..=5 | 10 | 11 if wanted => {
                let numbers = (0..len).map(|_| self.number(kind).map(Option::unwrap_or_default));
                numbers.collect::<Result<_, _>>().map(Value::Integers)
            }
            0..=7 | 10..=12 => self.skip(len * least).map(|()| Value::Other),
            _ => Err(format!("holds a list of the kind {kind}, which is not known")),
        }
    }
}

/// How many bytes a value of this kind has; texts and lists have no one size.
fn size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

impl Header {
    /// Reads the keys that are wanted, and passes over the others.
    pub(super) fn read(mut reader: impl Read + Seek, wanted: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let io = |error: std::io::Error| format!("cannot be read: {error}");
        let left = reader.seek(SeekFrom::End(0)).map_err(io)?;
        reader.rewind().map_err(io)?;
        let mut source = Source { reader: BufReader::with_capacity(1 << 16, reader), left };
        if source.array::<4>()? != *MAGIC {
            return Err("does not begin with GGUF".into());
        }
        let version = source.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("is of GGUF version {version}; 2 and 3 are supported"));
        }
        let (_tensors, keys) = (source.u64()?, source.u64()?);
        if keys > MOST_KEYS {
            return Err(format!("says it has {keys} keys; at most {MOST_KEYS} are read"));
        }
        let mut values = HashMap::new();
        for _ in 0..keys {
            let len = source.u64()?;
            if len > LONGEST_KEY {
                return Err(format!("has a key of {len} bytes; at most {LONGEST_KEY} are read"));
            }
            let key = String::from_utf8(source.take(len)?).map_err(|_| "has a key that is not UTF-8")?;
            let kind = source.u32()?;
            let value = source.value(kind, wanted(&key))?;
            if wanted(&key) && values.insert(key.clone(), value).is_some() {
                return Err(format!("has the key {key} twice"));
            }
        }
        Ok(Self(values))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&format!("{}{key}", super::PREFIX))
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(&format!("{}{key}", super::PREFIX))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{}{key} is not a text", super::PREFIX)),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Texts>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts)),
            Some(_) => Err(format!("{}{key} is not a list of texts", super::PREFIX)),
        }
    }

    pub(super) fn integers(&mut self, key: &str) -> Result<Option<Vec<i64>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integers(numbers)) => Ok(Some(numbers)),
            Some(_) => Err(format!("{}{key} is not a list of integers", super::PREFIX)),
        }
    }

    pub(super) fn floats(&mut self, key: &str) -> Result<Option<Vec<f32>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Floats(numbers)) => Ok(Some(numbers)),
            Some(_) => Err(format!("{}{key} is not a list of 32-bit floats", super::PREFIX)),
        }
    }

    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }
}
