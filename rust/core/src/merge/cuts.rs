//! Where a long piece may be cut without a change of its ids: between two characters that no token spans.
//!
//! Naive: Chinese and Japanese have no spaces, so a piece is a sentence, and hardly one comes twice: each is merged anew, or
//! kept for nothing.
//! Idea: whatever is merged is a token. If no token holds the last byte of one character and the first of the next, nothing
//! is ever merged across; so the piece comes to the ids of its two sides, which are short and come again. Filters know
//! which neighbours tokens hold: one of pairs of bytes; between characters of three bytes, whose bytes say little, one of
//! pairs of characters, for places where a token has both whole, and one of pairs of bytes, for those where it begins or ends
//! amid one of them. Only texts with such characters are looked at.
//! Cost: two look-ups a character of long pieces, and a glance at all text for such characters. Memory: 144 KiB. A bit that
//! two pairs share loses a cut, no more.
//! Invariant: the ids of the parts are those of the piece, for any bytes: a character is here whatever looks like one, in
//! text as in tokens.
//! Measured: 1 MB of random white space beyond ASCII is encoded at 56 MB/s, without cuts between bytes at 33; emoji that are
//! joined at 98 and 49. Looked at between characters of three bytes as well, they took Chinese from 131 to 108.
//! Chinese text is encoded at 48 MB/s fresh and 180 seen before (without cuts 28 and 43), Japanese at 64 and 119
//! (29 and 38); 100 MB of mixed text with some of it take 1-9 % less.
//! Source: the filter was measured in the experiments that this crate began with.

use crate::table::fold;

/// Bytes of the characters that are looked at.
const WIDTH: usize = 3;
/// The first byte of three; 0xE2 begins dashes and quotes, which stand alone.
const FIRST: std::ops::RangeInclusive<u8> = 0xE0..=0xEF;
/// Longer pieces are cut; shorter ones have a key.
const LONGEST: usize = crate::table::SHORT;
/// Bits of a hash of two characters.
const HASH: u32 = 20;

/// Which neighbours stand together in some token.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    /// A bit for each hash of two whole characters.
    characters: Vec<u64>,
    /// A bit for each two bytes, where the token does not hold both characters.
    bytes: Vec<u64>,
    /// A bit for each two bytes of any token.
    together: Vec<u64>,
}

/// A character of three bytes that begins here.
#[inline]
fn character(bytes: &[u8]) -> Option<u32> {
    let &[first, second, third] = bytes.first_chunk::<WIDTH>()?;
    let is_one = FIRST.contains(&first) && second & 0xC0 == 0x80 && third & 0xC0 == 0x80;
    is_one.then(|| u32::from_le_bytes([first, second, third, 0]))
}

/// Word and bit of two characters.
#[inline]
fn place(left: u32, right: u32) -> (usize, u32) {
    let hash = fold(u64::from(left) << 24 | u64::from(right), 0x9E37_79B9_7F4A_7C15) >> 7 & ((1 << HASH) - 1);
    ((hash >> 6) as usize, hash as u32 & 63)
}

/// Word and bit of two bytes.
#[inline]
fn place_of_bytes(left: u8, right: u8) -> (usize, u32) {
    (usize::from(left) << 2 | usize::from(right >> 6), u32::from(right) & 63)
}

impl Cuts {
    /// For a vocabulary of these tokens: all that a piece can come to.
    pub(super) fn new<'t>(tokens: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut cuts =
            Self { characters: vec![0; 1 << (HASH - 6)], bytes: vec![0; 1 << 10], together: vec![0; 1 << 10] };
        for token in tokens {
            for at in 1..token.len() {
                let (word, bit) = place_of_bytes(token[at - 1], token[at]);
                cuts.together[word] |= 1 << bit;
                if !FIRST.contains(&token[at]) {
                    continue;
                }
                if at < WIDTH || at + WIDTH > token.len() {
                    let (word, bit) = place_of_bytes(token[at - 1], token[at]);
                    cuts.bytes[word] |= 1 << bit;
                } else if let (Some(left), Some(right)) = (character(&token[at - WIDTH..]), character(&token[at..])) {
                    let (word, bit) = place(left, right);
                    cuts.characters[word] |= 1 << bit;
                }
            }
        }
        cuts
    }

    /// Whether no token spans the border of two characters.
    #[inline]
    fn is_free(&self, left: u32, right: u32) -> bool {
        let (word, bit) = place(left, right);
        let (left, right) = (left.to_le_bytes(), right.to_le_bytes());
        let (byte_word, byte_bit) = place_of_bytes(left[WIDTH - 1], right[0]);
        (self.characters[word] >> bit | self.bytes[byte_word] >> byte_bit) & 1 == 0
    }

    /// The ends of pieces, counted from `base`, with the cuts of long ones, in `room`. A piece with a part that is an
    /// exception by itself, but not inside a piece, stays whole.
    #[inline]
    pub(super) fn refine(
        &self,
        (text, base): (&[u8], usize),
        ends: &[u32],
        room: &mut Vec<u32>,
        is_exception: impl Fn(usize, usize) -> bool,
    ) {
        room.clear();
        let mut from = 0;
        for &end in ends {
            if (end - from) as usize > LONGEST {
                let before = room.len();
                self.cut(&text[base + from as usize..base + end as usize], from, room);
                let starts = std::iter::once(&from).chain(&room[before..]);
                let parts = starts.zip(room[before..].iter().chain([&end]));
                if room.len() > before
                    && parts.into_iter().any(|(&from, &end)| is_exception(base + from as usize, base + end as usize))
                {
                    room.truncate(before);
                }
            }
            room.push(end);
            from = end;
        }
    }

    /// Appends the places, `offset` added, where a piece may be cut.
    fn cut(&self, piece: &[u8], offset: u32, room: &mut Vec<u32>) {
        let mut at = 0;
        let mut left = None;
        while at < piece.len() {
            let here = character(&piece[at..]);
            let is_free = match (left, here) {
                (Some(left), Some(here)) => self.is_free(left, here),
                _ => at > 0 && !self.are_together(piece[at - 1], piece[at]),
            };
            if is_free {
                room.push(offset + at as u32);
            }
            at += if here.is_some() { WIDTH } else { 1 };
            left = here;
        }
    }

    /// Whether some token holds these bytes side by side.
    #[inline]
    fn are_together(&self, left: u8, right: u8) -> bool {
        let (word, bit) = place_of_bytes(left, right);
        self.together[word] >> bit & 1 == 1
    }
}

/// Whether there may be two characters to cut between.
#[inline]
pub(crate) fn may_cut(text: &[u8]) -> bool {
    let is_first = |byte: &u8| u8::from(FIRST.contains(byte) && *byte != 0xE2);
    // A sum without an exit, which compilers make of vectors.
    let holds = |bytes: &[u8]| bytes.iter().fold(0, |holds, byte| holds | is_first(byte)) != 0;
    let (chunks, rest) = text.as_chunks::<256>();
    chunks.iter().any(|chunk| holds(chunk)) || holds(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Merger;
    use crate::model::{Model, merge_all};
    use proptest::prelude::*;

    /// A vocabulary over three characters that share bytes, with tokens that begin and end amid them; of some, no merge
    /// comes to the token.
    fn models() -> impl Strategy<Value = Model> {
        let text = "[\u{4E2D}\u{4E2E}\u{5E2D}x]{2,3}";
        proptest::collection::vec((text, 0..6usize, 2..9usize, 0..4), 0..24).prop_map(|choices| {
            let mut tokens: Vec<(Vec<u8>, u32)> = (0..=255u8).map(|byte| (vec![byte], u32::from(byte))).collect();
            for (text, from, len, alone) in choices {
                let bytes = text.as_bytes();
                let part = &bytes[from.min(bytes.len() - 1)..(from + len).min(bytes.len())];
                for end in 2..=part.len() {
                    if (alone > 0 || end == part.len()) && tokens.iter().all(|token| token.0 != part[..end]) {
                        tokens.push((part[..end].to_vec(), tokens.len() as u32));
                    }
                }
            }
            Model::from_ranks(&tokens).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn parts_come_to_the_ids_of_the_piece(
            model in models(),
            text in "[\u{4E2D}\u{4E2E}\u{5E2D}x]{1,20}",
            broken in proptest::collection::vec((0..64usize, any::<u8>()), 0..4),
        ) {
            let mut text = text.into_bytes();
            for (at, byte) in broken {
                let at = at % text.len();
                text[at] = byte;
            }
            let piece = |text: &[u8], ids: &mut Vec<u32>| match model.whole(text, 0, text.len()) {
                Some(id) => ids.push(id),
                None => merge_all(&model, text, ids),
            };
            let (mut ids, mut expected) = (Vec::new(), Vec::new());
            piece(&text, &mut expected);
            let merger = Merger::new(&model).unwrap();
            let (mut room, mut from) = (Vec::new(), 0);
            merger.refine(&model, (&text, 0), &[text.len() as u32], &mut room);
            for &end in &room {
                piece(&text[from..end as usize], &mut ids);
                from = end as usize;
            }
            prop_assert_eq!(ids, expected);
        }
    }

    #[test]
    fn a_sentence_is_cut_where_no_token_is() {
        let word = "\u{4E2D}\u{6587}".as_bytes();
        let cuts = Cuts::new(std::iter::once(word));
        let text = "\u{4E2D}\u{6587}".repeat(4).into_bytes();
        let refined = |base, end, exception: usize| {
            let mut room = Vec::new();
            cuts.refine((&text, base), &[end], &mut room, |from, _| from == exception);
            room
        };
        assert_eq!(refined(0, 24, 99), [6, 12, 18, 24]);
        assert_eq!(refined(6, 18, 99), [6, 12, 18]);
        assert_eq!(refined(12, 12, 99), [12], "a short piece stays whole");
        assert_eq!(refined(0, 24, 18), [24], "its last part is something else by itself");
        assert!(may_cut(&text) && may_cut(&text[20..]) && !may_cut("\u{2019}\u{E9}a".repeat(99).as_bytes()));
    }
}
