//! A vocabulary and merges as files spell them, made into a model: the `model` of a tokenizer.json, and what
//! merges.txt and GGUF hold.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{Alphabet, Model, Silent, may_be_absent};
use crate::pretokenize::alphabet;
use crate::special::SpecialToken;

/// How many merges a vocabulary may have for each of its tokens; real ones have up to 2.3.
const MERGES_A_TOKEN: usize = 16;

#[derive(Deserialize)]
pub(super) struct Bpe<'f> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    vocab: Vocabulary<'f>,
    #[serde(borrow, deserialize_with = "as_written")]
    merges: Merges<'f>,
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

impl<'f> Bpe<'f> {
    /// From tokens with their ids, and merges written with a space between.
    pub(super) fn new(vocab: Vec<(Cow<'f, str>, u32)>, merges: Vec<Cow<'f, str>>) -> Self {
        Self {
            kind: None,
            vocab: Vocabulary(vocab.into_iter().map(|(token, id)| (Text(token), id)).collect()),
            merges: Merges::Lines(merges),
            dropout: None,
            unk_token: None,
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
        }
    }

    /// The same, where a piece that is a token is that token.
    pub(super) fn ignoring_merges(mut self, ignore: bool) -> Self {
        self.ignore_merges = ignore;
        self
    }

    /// The same with the last byte of a word marked.
    pub(super) fn with_suffix(mut self, suffix: &str) -> Self {
        self.end_of_word_suffix = Some(suffix.into());
        self
    }

    /// The same over characters, with this unknown token.
    pub(super) fn with_byte_fallback(mut self, unknown: Option<String>) -> Self {
        (self.byte_fallback, self.fuse_unk, self.unk_token) = (true, true, unknown);
        self
    }

    /// How many tokens are listed.
    pub(super) fn len(&self) -> usize {
        self.vocab.0.len()
    }

    pub(super) fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
}

/// A string, borrowed from the file unless it holds escapes.
#[derive(PartialEq, Eq, Hash)]
struct Text<'f>(Cow<'f, str>);

impl<'de: 'f, 'f> Deserialize<'de> for Text<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

/// The vocabulary in the order of the file, repeated keys kept to be found out.
struct Vocabulary<'f>(Vec<(Text<'f>, u32)>);

impl<'de: 'f, 'f> Deserialize<'de> for Vocabulary<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vocabulary<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tokens with ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(Text<'de>, u32)> = Vec::new();
                // A file of one id a million times is refused before it is in memory.
                let mut seen = vec![0u64; (1 << 20) / 64];
                while let Some((token, id)) = map.next_entry::<Text<'de>, u32>()? {
                    if let Some(word) = seen.get_mut(id as usize / 64) {
                        if *word >> (id % 64) & 1 == 1 {
                            let token = &token.0;
                            return Err(A::Error::custom(format!(
                                "id {id} is given to two tokens, the second is {token:?}"
                            )));
                        }
                        *word |= 1 << (id % 64);
                    }
                    pairs.push((token, id));
                }
                Ok(Vocabulary(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A merge, written as one string with a space or as two strings.
struct Merge<'f>(Text<'f>, Option<Text<'f>>);

impl<'de: 'f, 'f> Deserialize<'de> for Merge<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMerge;
        impl<'de> Visitor<'de> for AsMerge {
            type Value = Merge<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a merge: \"left right\" or [\"left\", \"right\"]")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Merge(Text(Cow::Borrowed(text)), None))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Merge(Text(Cow::Owned(text.to_owned())), None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let two = (parts.next_element()?, parts.next_element()?, parts.next_element::<Text<'_>>()?);
                match two {
                    (Some(left), Some(right), None) => Ok(Merge(left, Some(right))),
                    _ => Err(A::Error::custom("a merge of other than two tokens")),
                }
            }
        }
        deserializer.deserialize_any(AsMerge)
    }
}

impl Merge<'_> {
    fn parts(&self, rank: usize) -> Result<(&str, &str), String> {
        self.1.as_ref().map_or_else(|| two_of(&self.0.0, rank), |right| Ok((&self.0.0, &right.0)))
    }
}

/// The tokens of a merge that is written as one string.
fn two_of(merge: &str, rank: usize) -> Result<(&str, &str), String> {
    merge
        .split_once(' ')
        .filter(|(_, right)| !right.contains(' '))
        .ok_or_else(|| format!("merge {rank} is {merge:?}, not two tokens with a space between"))
}

/// Merges as they stand in the file: read one by one when they are wanted, so that they take no memory.
enum Merges<'f> {
    Json(&'f RawValue),
    Lines(Vec<Cow<'f, str>>),
}

fn as_written<'de: 'f, 'f, D: Deserializer<'de>>(deserializer: D) -> Result<Merges<'f>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Merges::Json)
}

impl Merges<'_> {
    /// Calls `visit(rank, left, right)` for every merge, in order.
    fn each(&self, mut visit: impl FnMut(usize, &str, &str) -> Result<(), String>) -> Result<(), String> {
        struct Each<'a, F>(F, &'a mut Option<String>);
        impl<'de, F: FnMut(usize, &str, &str) -> Result<(), String>> Visitor<'de> for Each<'_, F> {
            type Value = ();
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of merges")
            }
            fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
                let mut rank = 0;
                while let Some(merge) = list.next_element::<Merge<'_>>()? {
                    if let Err(fault) = merge.parts(rank).and_then(|(left, right)| (self.0)(rank, left, right)) {
                        *self.1 = Some(fault);
                        return Err(A::Error::custom("a merge that is not as it should be"));
                    }
                    rank += 1;
                }
                Ok(())
            }
        }
        match self {
            Self::Lines(lines) => lines.iter().enumerate().try_for_each(|(rank, line)| {
                let (left, right) = two_of(line, rank)?;
                visit(rank, left, right)
            }),
            Self::Json(raw) => {
                let mut fault = None;
                let read = serde_json::Deserializer::from_str(raw.get()).deserialize_any(Each(visit, &mut fault));
                // The place that the error names is one in the list, not in the file.
                read.map_err(|error| fault.unwrap_or_else(|| format!("its merges, read by themselves: {error}")))
            }
        }
    }
}

/// The bytes that the characters of GPT-2's alphabet stand for; all of them are below U+0144.
struct ByteOf([u16; 0x144]);

impl ByteOf {
    const NONE: u16 = u16::MAX;

    fn new() -> Self {
        let mut table = [Self::NONE; 0x144];
        for (byte, character) in alphabet().into_iter().enumerate() {
            table[character as usize] = byte as u16;
        }
        Self(table)
    }

    /// Appends the bytes that a token stands for; `None` where a character stands for none.
    fn append(&self, token: &str, bytes: &mut Vec<u8>) -> Option<()> {
        let start = bytes.len();
        for character in token.chars() {
            let Some(&byte) = self.0.get(character as usize).filter(|byte| **byte != Self::NONE) else {
                bytes.truncate(start);
                return None;
            };
            bytes.push(byte as u8);
        }
        Some(())
    }
}

/// Added tokens that the vocabulary lists too and no merge makes: text comes to them by their spelling alone.
fn only_added<'a>(
    bpe: &Bpe<'_>,
    specials: &'a [SpecialToken],
    byte_level: bool,
) -> Result<HashSet<(&'a str, u32)>, String> {
    let by_content: HashMap<&str, u32> = specials.iter().map(|token| (token.content.as_str(), token.id)).collect();
    let mut listed = HashSet::new();
    for (token, id) in &bpe.vocab.0 {
        let Some((&content, &added)) = by_content.get_key_value(&*token.0) else { continue };
        if added != *id {
            return Err(format!("the added token {content:?} has id {added}, and id {id} in the vocabulary; keep one"));
        }
        let is_byte = bpe.byte_fallback && content.starts_with("<0x");
        // A single character may be a byte's, unless it is a letter that was added where the byte is lacking.
        let first = content.chars().next().unwrap_or_default();
        let lacking = u8::try_from(first).is_ok_and(|byte| !byte.is_ascii() && may_be_absent(byte));
        if (content.chars().nth(1).is_some() || lacking && byte_level) && !is_byte {
            listed.insert((content, added));
        }
    }
    if listed.is_empty() {
        return Ok(listed);
    }
    let lengths: HashSet<usize> = listed.iter().map(|(content, _)| content.len()).collect();
    let mut joined = String::new();
    bpe.merges.each(|_, left, right| {
        if lengths.contains(&(left.len() + right.len())) {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            if let Some((&content, &id)) = by_content.get_key_value(joined.as_str()) {
                listed.remove(&(content, id));
            }
        }
        Ok(())
    })?;
    Ok(listed)
}

fn refuse_unsupported(bpe: &Bpe<'_>, byte_level: bool) -> Result<(), String> {
    if bpe.dropout.is_some_and(|dropout| dropout > 0.0) {
        return Err("BPE dropout is not supported; encoding with it gives other ids each time".into());
    }
    if bpe.continuing_subword_prefix.as_ref().is_some_and(|text| !text.is_empty()) {
        return Err("continuing_subword_prefix is not supported; BPE models of text do not use it".into());
    }
    if !byte_level && bpe.end_of_word_suffix.as_ref().is_some_and(|text| !text.is_empty()) {
        return Err("end_of_word_suffix without a ByteLevel pre_tokenizer is not supported".into());
    }
    Ok(())
}

pub(super) fn read(bpe: &Bpe<'_>, specials: &[SpecialToken], byte_level: bool) -> Result<Model, String> {
    refuse_unsupported(bpe, byte_level)?;
    let only_added = only_added(bpe, specials, byte_level)?;
    let byte_of = byte_level.then(ByteOf::new);
    // All tokens in one allocation; a token is a place in it.
    let mut arena = Vec::with_capacity(bpe.vocab.0.iter().map(|(token, _)| token.0.len()).sum());
    let (mut places, mut silent) = (Vec::with_capacity(bpe.vocab.0.len()), Vec::<Silent>::new());
    for (token, id) in &bpe.vocab.0 {
        let token = &*token.0;
        if only_added.contains(&(token, *id)) {
            continue;
        }
        let start = arena.len();
        match &byte_of {
            None => arena.extend_from_slice(token.as_bytes()),
            Some(byte_of) => {
                if byte_of.append(token, &mut arena).is_none() {
                    // No text of bytes is spelled like this, but the id is to be decoded.
                    silent.push((token.as_bytes().to_vec(), *id));
                    continue;
                }
            }
        }
        places.push((start..arena.len(), *id));
    }
    let tokens: Vec<(&[u8], u32)> = places.iter().map(|(place, id)| (&arena[place.clone()], *id)).collect();
    let mut model = Model::from_tokens(alphabet_of(bpe, specials, byte_level)?, &tokens, &silent)?;
    let (mut merges, mut bytes) = (Vec::new(), Vec::new());
    let most = bpe.vocab.0.len() * MERGES_A_TOKEN + (1 << 16);
    bpe.merges.each(|rank, left, right| {
        if rank >= most {
            return Err(format!("it has more than {most} merges for {} tokens", bpe.vocab.0.len()));
        }
        let mut id = |token: &str| {
            bytes.clear();
            match &byte_of {
                None => bytes.extend_from_slice(token.as_bytes()),
                Some(byte_of) => byte_of.append(token, &mut bytes).unwrap_or_default(),
            }
            model.id(&bytes).ok_or_else(|| format!("merge {rank} names {token:?}, which is not in the vocabulary"))
        };
        merges.push((id(left)?, id(right)?));
        Ok(())
    })?;
    model.set_merges(merges, bpe.ignore_merges)?;
    Ok(model)
}

/// What a piece consists of before any merge.
fn alphabet_of(bpe: &Bpe<'_>, specials: &[SpecialToken], byte_level: bool) -> Result<Alphabet, String> {
    if byte_level {
        // Every byte is in the alphabet, so nothing is unknown.
        let suffix = bpe.end_of_word_suffix.as_ref().filter(|suffix| !suffix.is_empty());
        return Ok(suffix.map_or(Alphabet::Bytes, |suffix| Alphabet::MarkedBytes(suffix.clone())));
    }
    let unknown = match &bpe.unk_token {
        None => None,
        Some(token) => {
            let in_vocabulary = bpe.vocab.0.iter().find(|(known, _)| known.0 == token.as_str()).map(|(_, id)| *id);
            let added = || specials.iter().find(|known| known.content == *token).map(|known| known.id);
            let id = in_vocabulary.or_else(added);
            Some(id.ok_or_else(|| format!("unk_token is {token:?}, which is not in the vocabulary"))?)
        }
    };
    Ok(Alphabet::Characters { unknown, fuse_unknown: bpe.fuse_unk, byte_fallback: bpe.byte_fallback })
}
