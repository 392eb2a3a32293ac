//! `SentencePiece`'s `.model`: a protocol buffer with pieces, scores and kinds. BPE models only.
//!
//! The rule is that of ranks, over characters: two neighbours become one piece when their text is a piece, and the
//! greatest score goes first. What no piece spells becomes the pieces of its bytes, or the unknown piece.
//! Cost: the file is decoded once; about twice its size in memory.
//! Invariant: a normalizer that changes text (`nmt_nfkc`), Unigram and other kinds are refused.
//!
//! Source: `SentencePiece` 0.2.3, `sentencepiece_model.proto`, `bpe_model.cc` and `normalizer.cc`.

use std::collections::HashSet;

use prost::Message;

use super::Fault;
use crate::decode::{Change, Decoder, spelled_byte};
use crate::model::{Alphabet, Model, Silent};
use crate::normalize::{Normalizer, Pattern, Step};
use crate::pretokenize::Pretokenizer;
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<PieceProto>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerProto>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerProto>,
}

#[derive(Clone, PartialEq, Message)]
struct PieceProto {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerProto {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerProto {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    escape_whitespaces: Option<bool>,
}

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    /// The kind of this number, which is the same in `SentencePiece` and in GGUF.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        let kinds = [Self::Normal, Self::Unknown, Self::Control, Self::UserDefined, Self::Unused, Self::Byte];
        kinds.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }
}

/// One entry of the vocabulary.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// The stand-in for a space.
const SPACE: &str = "\u{2581}";

/// Whether these bytes begin like a `.model`: the first field is a piece, and its first field is a text.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [0x0A, _, 0x0A, ..] | [0x0A, _, _, 0x0A, ..])
}

/// The number of a varint, and how many bytes it has.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let number = bytes[..len].iter().rev().fold(0u64, |number, byte| number << 7 | u64::from(byte & 0x7F));
    Some((number, len))
}

/// How many pieces are listed, as far as the file is sound.
fn count_pieces(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((key, len)) = varint(bytes) {
        let rest = &bytes[len..];
        let size = match key & 7 {
            0 => varint(rest).map(|(_, len)| len),
            1 => Some(8),
            2 => varint(rest).and_then(|(size, len)| usize::try_from(size).ok()?.checked_add(len)),
            5 => Some(4),
            _ => None,
        };
        let Some(rest) = size.and_then(|size| rest.get(size..)) else { break };
        count += usize::from(key == 0x0A);
        bytes = rest;
    }
    count
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, Fault> {
    // Decoded, a piece takes a hundred bytes; in the file one with a score has at least ten.
    let count = count_pieces(bytes);
    if count > bytes.len() / 8 {
        return Err(Fault::File(format!("has {count} pieces in {} bytes; most of them are empty", bytes.len())));
    }
    let file = ModelProto::decode(bytes).map_err(|error| format!("is no SentencePiece model: {error}"))?;
    let trainer = file.trainer.unwrap_or_default();
    let model_type = trainer.model_type.unwrap_or(1);
    if model_type != 2 {
        let name = ["", "Unigram", "BPE", "Word", "Char"].get(usize::try_from(model_type).unwrap_or(0)).unwrap_or(&"?");
        return Err(Fault::File(format!("its model is {name:?} (model_type {model_type}); only \"BPE\" is supported")));
    }
    let normalizer = file.normalizer.unwrap_or_default();
    let refuse = |what: &str| Err(Fault::File(format!("{what} is not supported")));
    if normalizer.precompiled_charsmap.as_ref().is_some_and(|map| !map.is_empty()) {
        return refuse(&format!("the normalizer {:?} (a character map)", normalizer.name.unwrap_or_default()));
    }
    if normalizer.remove_extra_whitespaces.unwrap_or(true) {
        return refuse("remove_extra_whitespaces");
    }
    if !normalizer.escape_whitespaces.unwrap_or(true) || trainer.treat_whitespace_as_suffix.unwrap_or(false) {
        return refuse("white space that is not written as U+2581 before a word");
    }
    let pieces = file.pieces.into_iter().enumerate().map(|(id, piece)| {
        let number = piece.kind.unwrap_or(1);
        let kind = Kind::from_number(number).ok_or_else(|| format!("piece {id} has the unknown type {number}"))?;
        Ok(Piece { text: piece.piece.unwrap_or_default(), score: piece.score.unwrap_or(0.0), kind })
    });
    let pieces = pieces.collect::<Result<Vec<_>, String>>()?;
    if !pieces.iter().any(|piece| piece.kind == Kind::Unknown) {
        return Err(Fault::File(
            "has no piece for what is unknown; every SentencePiece model has one, such as <unk>".into(),
        ));
    }
    build(pieces, trainer.byte_fallback.unwrap_or(false), normalizer.add_dummy_prefix.unwrap_or(true), true)
}

/// A tokenizer of pieces. `normalized`: whether user-defined pieces are found in normalized text, as `SentencePiece`
/// does, or in the text as it comes, as llama.cpp does.
pub(super) fn build(pieces: Vec<Piece>, fallback: bool, prefix: bool, normalized: bool) -> Result<Tokenizer, Fault> {
    let (mut tokens, mut scores, mut silent, mut specials) = (vec![], vec![], Vec::<Silent>::new(), vec![]);
    let mut unknown = None;
    let mut known = HashSet::with_capacity(pieces.len());
    for (id, piece) in (0u32..).zip(pieces) {
        if !piece.score.is_finite() {
            return Err(Fault::File(format!("piece {id} has the score {}", piece.score)));
        }
        if !known.insert(piece.text.clone()) && matches!(piece.kind, Kind::Normal | Kind::UserDefined) {
            return Err(Fault::File(format!("piece {id}, {:?}, is there twice", piece.text)));
        }
        if piece.kind == Kind::Byte && spelled_byte(piece.text.as_bytes()).is_none() {
            return Err(Fault::File(format!(
                "piece {id}, {:?}, is to stand for a byte; such are <0x00> to <0xFF>",
                piece.text
            )));
        }
        match piece.kind {
            Kind::Normal | Kind::Byte => {
                tokens.push((piece.text.into_bytes(), id));
                // No text is spelled like a byte's piece unless merges made it.
                scores.push(if piece.kind == Kind::Byte { f32::MIN } else { piece.score });
            }
            Kind::Unused => silent.push((piece.text.into_bytes(), id)),
            Kind::UserDefined => {
                specials.push(SpecialToken { normalized, ..SpecialToken::new(piece.text, id, false) });
            }
            Kind::Control => specials.push(SpecialToken::new(piece.text, id, true)),
            Kind::Unknown => {
                unknown = unknown.or(Some(id));
                specials.push(SpecialToken::new(piece.text, id, true));
            }
        }
    }
    let user_defined = specials.iter().any(|token| token.normalized);
    let alphabet = Alphabet::Characters { unknown, fuse_unknown: true, byte_fallback: fallback };
    let model = Model::from_scores(alphabet, &tokens, &scores, &silent)?;
    let space = Step::Replace { pattern: Pattern::String(" ".into()), content: SPACE.into() };
    let first = if user_defined {
        Step::PrependFirst { prepend: SPACE.into() }
    } else {
        Step::Prepend { prepend: SPACE.into() }
    };
    let steps = if prefix { vec![first, space] } else { vec![space] };
    let decoder = Decoder {
        each: vec![Change::Replace { pattern: SPACE.into(), content: " ".into() }],
        byte_fallback: fallback,
        whole: if prefix { vec![Change::Strip { content: ' ', start: 1, stop: 0 }] } else { vec![] },
    };
    let tokenizer = Tokenizer::new(Pretokenizer::new(None)?, model, specials, (Vec::new(), Vec::new()))?;
    Ok(tokenizer.with_normalizer(Normalizer::new(steps)?, Normalizer::default())?.with_decoder(decoder))
}
