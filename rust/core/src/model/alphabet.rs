//! What a piece consists of before any merge: its bytes; its bytes, the last one marked as the end of a word; or its
//! characters, where one that is no token is written as its bytes or as the unknown token.
//!
//! Cost: one load a byte; for characters one look-up each.
//! Invariant: bytes that are no UTF-8 are characters of their own, which no token is.
//! Source: Hugging Face tokenizers 0.23.3, `BPE::merge_word`; `SentencePiece` 0.2, `bpe_model.cc`.

use super::{Fault, Model};

/// What a piece consists of before any merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alphabet {
    /// Its bytes.
    Bytes,
    /// Its bytes, the last one with this behind it (CLIP's `</w>`).
    MarkedBytes(String),
    /// Its characters (`SentencePiece`).
    Characters {
        /// What a character becomes that is no token; without it, nothing.
        unknown: Option<u32>,
        /// Whether several of these in a row become one.
        fuse_unknown: bool,
        /// Whether its bytes are used instead, which are tokens spelled `<0x0A>`.
        byte_fallback: bool,
    },
}

/// Whether a vocabulary may lack this byte: control characters, what no UTF-8 holds, and what begins characters of
/// planes 4 to 16.
pub(crate) fn may_be_absent(byte: u8) -> bool {
    matches!(byte, 0..=0x1F | 0x7F | 0xC0 | 0xC1 | 0xF1..=0xFF)
}

impl Model {
    /// Finds the tokens of single bytes that the alphabet needs.
    pub(super) fn find_bytes(&mut self) -> Result<(), Fault> {
        let missing = |spelling: String| {
            Err(format!(
                "the single byte {spelling} is not in the vocabulary; a byte-level BPE vocabulary holds all 256 single bytes"
            ))
        };
        match &self.alphabet {
            Alphabet::Characters { byte_fallback, .. } => {
                for byte in 0..=255u8 {
                    let id = self.id(format!("<0x{byte:02X}>").as_bytes()).filter(|_| *byte_fallback);
                    self.byte_ids[byte as usize] = id.unwrap_or(u32::MAX);
                }
                return Ok(());
            }
            Alphabet::MarkedBytes(suffix) => {
                let mut last = Box::new([0; 256]);
                for byte in 0..=255u8 {
                    match self.id(&[&[byte], suffix.as_bytes()].concat()) {
                        Some(id) => last[byte as usize] = id,
                        None => return missing(format!("0x{byte:02X} at the end of a word")),
                    }
                }
                self.last_byte_ids = Some(last);
            }
            Alphabet::Bytes => {}
        }
        let is_missing = |&byte: &u8| self.byte_id(byte) == u32::MAX;
        let absent: Vec<u8> = (0..=255u8).filter(is_missing).collect();
        self.all_bytes = absent.is_empty();
        match absent.iter().find(|byte| !may_be_absent(**byte)) {
            Some(byte) => missing(format!("0x{byte:02X}")),
            None => Ok(()),
        }
    }

    /// Appends what a piece consists of before any merge.
    pub(crate) fn symbols(&self, piece: &[u8], symbols: &mut Vec<u32>) {
        let Alphabet::Characters { unknown, fuse_unknown, byte_fallback } = self.alphabet else {
            symbols.extend(piece.iter().map(|&byte| self.byte_id(byte)).filter(|&id| id != u32::MAX));
            if let (Some(last_ids), Some(last), Some(byte)) = (&self.last_byte_ids, symbols.last_mut(), piece.last()) {
                *last = last_ids[*byte as usize];
            }
            return;
        };
        // An unknown token waits until a known character follows, as in Hugging Face.
        let mut waiting = false;
        let mut at = 0;
        for chunk in piece.utf8_chunks() {
            let characters = chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1));
            for len in characters {
                let bytes = &piece[at..at + len];
                if let Some(id) = self.ids.get(piece, at, at + len) {
                    symbols.extend(unknown.filter(|_| std::mem::take(&mut waiting)));
                    symbols.push(id);
                } else if byte_fallback && bytes.iter().all(|&byte| self.byte_id(byte) != u32::MAX) {
                    symbols.extend(bytes.iter().map(|&byte| self.byte_id(byte)));
                } else {
                    symbols.extend(unknown.filter(|_| waiting && !fuse_unknown));
                    waiting = true;
                }
                at += len;
            }
        }
        symbols.extend(unknown.filter(|_| waiting));
    }

    /// How many bytes of a piece each of its ids stands for.
    pub(crate) fn lengths(&self, piece: &[u8], ids: &[u32]) -> Vec<usize> {
        let mut at = 0;
        let mut lengths: Vec<usize> = ids
            .iter()
            .map(|&id| {
                let rest = &piece[at..];
                let token = self.token(id).unwrap_or_default();
                let marked = token.len() - self.suffix_len(token);
                let len = if self.byte_ids.contains(&id) && !rest.starts_with(token) {
                    rest.len().min(1)
                } else if marked > 0 && rest.starts_with(&token[..marked]) {
                    marked
                } else {
                    self.unknown_len(rest)
                };
                at += len;
                len
            })
            .collect();
        // What comes to nothing belongs to the last one.
        if let Some(last) = lengths.last_mut() {
            *last += piece.len() - at;
        }
        lengths
    }

    /// How much of a token is the mark of the end of a word.
    fn suffix_len(&self, token: &[u8]) -> usize {
        match &self.alphabet {
            Alphabet::MarkedBytes(suffix) if token.ends_with(suffix.as_bytes()) => suffix.len(),
            _ => 0,
        }
    }

    /// How many bytes at the beginning the unknown token stands for.
    fn unknown_len(&self, text: &[u8]) -> usize {
        let fuses = matches!(self.alphabet, Alphabet::Characters { fuse_unknown: true, .. });
        let mut at = 0;
        for chunk in text.utf8_chunks() {
            let lengths = chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1));
            for len in lengths {
                if at > 0 && (!fuses || self.ids.get(text, at, at + len).is_some()) {
                    return at;
                }
                at += len;
            }
        }
        at
    }

    /// Whether a piece consists of its bytes, so that [`Self::byte_id`] is all that is needed.
    #[inline]
    pub(crate) fn starts_from_bytes(&self) -> bool {
        self.all_bytes && self.last_byte_ids.is_none()
    }

    /// What a piece consists of before any merge.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The characters that a merge joins to a `marker` behind them; `None` where pieces cannot be cut there at all.
    pub(crate) fn joined_before(&self, marker: &str) -> Option<Vec<char>> {
        // The marker has to be a symbol of its own, and no merge may touch what stands in for a character.
        let Alphabet::Characters { unknown, .. } = self.alphabet else { return None };
        // Where a character comes to nothing, its neighbours meet.
        if unknown.is_none() && self.byte_ids.contains(&u32::MAX) {
            return None;
        }
        self.id(marker.as_bytes())?;
        let stand_in = |id: u32| Some(id) == unknown || self.byte_ids.contains(&id);
        let mut joined = Vec::new();
        for merge in &self.merges {
            if stand_in(merge.left) || stand_in(merge.right) {
                return None;
            }
            let token = std::str::from_utf8(self.token(merge.product)?).ok()?;
            for (at, _) in token.match_indices(marker) {
                let before = token[..at].chars().next_back();
                joined.extend(before.filter(|&before| !marker.starts_with(before) && !joined.contains(&before)));
            }
        }
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::merge_all;

    fn encode(model: &Model, piece: &str) -> Vec<u32> {
        let mut parts = Vec::new();
        merge_all(model, piece.as_bytes(), &mut parts);
        parts
    }

    /// A vocabulary of characters, one of them unknown, and of the bytes `<0x..>`.
    fn of_characters(words: &[(&str, f32)], unknown: Option<u32>, byte_fallback: bool) -> Model {
        let bytes = (0..=255u8).map(|byte| (format!("<0x{byte:02X}>").into_bytes(), u32::from(byte)));
        let words_with_ids = words.iter().zip(256..).map(|((word, _), id)| (word.as_bytes().to_vec(), id));
        let tokens: Vec<(Vec<u8>, u32)> = bytes.chain(words_with_ids).collect();
        let scores: Vec<f32> = vec![0.0; 256].into_iter().chain(words.iter().map(|word| word.1)).collect();
        let alphabet = Alphabet::Characters { unknown, fuse_unknown: true, byte_fallback };
        Model::from_scores(alphabet, &tokens, &scores, &[]).unwrap()
    }

    #[test]
    fn scores_decide_among_characters() {
        let words = [
            ("\u{E9}", -9.0),
            ("t", -9.0),
            ("e", -9.0),
            ("t\u{E9}", -2.0),
            ("te", -2.0),
            ("et", -1.0),
            ("t\u{E9}t\u{E9}", -3.0),
        ];
        let model = of_characters(&words, None, true);
        assert_eq!(encode(&model, "t\u{E9}t\u{E9}"), [262]);
        assert_eq!(encode(&model, "tete"), [257, 261, 258], "the greater score first");
        assert_eq!(encode(&model, "e\u{4E2D}"), [258, 0xE4, 0xB8, 0xAD], "bytes for what is no token");
        assert_eq!(model.whole("t\u{E9}".as_bytes(), 0, 3), Some(259));
    }

    #[test]
    fn unknown_characters_are_one_token() {
        let model = of_characters(&[("a", -1.0), ("?", -2.0)], Some(257), false);
        assert_eq!(encode(&model, "xya\u{4E2D}"), [257, 256, 257]);
        assert_eq!(encode(&of_characters(&[("a", -1.0)], None, false), "xya"), [256]);
    }

    #[test]
    fn the_last_byte_of_a_word_is_marked() {
        let mut tokens: Vec<(Vec<u8>, u32)> = (0..=255u8).map(|byte| (vec![byte], u32::from(byte))).collect();
        tokens.extend((0..=255u8).map(|byte| ([&[byte][..], b"</w>"].concat(), 256 + u32::from(byte))));
        tokens.push((b"ab</w>".to_vec(), 512));
        let merges = vec![(97, 256 + 98)];
        let model = Model::with_alphabet(Alphabet::MarkedBytes("</w>".into()), &tokens, &[], merges, false).unwrap();
        assert_eq!(encode(&model, "ab"), [512]);
        assert_eq!(encode(&model, "aba"), [97, 98, 256 + 97]);
    }
}
