//! Token bytes, merges in order, and what encoding looks up in them.
//!
//! A model is made from tokens with ids and merges in rank order (Hugging Face), or from tokens with ranks alone
//! (tiktoken). In the second case two neighbours merge when their *joined bytes* are a token, and the smaller rank
//! goes first. One pair a token says the same: let a and b be neighbours that join to the token t. Nothing has reached
//! across the borders of t so far, so its inside was merged as t alone would be, step by step; the two parts that t's
//! own bytes come to are the only pair that ever stands for it, and a token whose bytes never come to two parts is
//! never made by a merge. So the pairs are found by running the rule on each token's own bytes.
//!
//! `SentencePiece` gives tokens with scores: the same rule, the greatest score first, from characters instead of bytes.
//!
//! What a piece consists of before any merge is the model's [`Alphabet`].
//!
//! Invariants: all single bytes that text is made of are tokens where the alphabet is one of bytes (some real files lack
//! control characters and bytes that no text holds; these come to nothing then, as in Hugging Face); ids are below `u32::MAX`; `whole` is set only for tokens that their
//! own bytes encode to, so that looking a piece up first changes nothing (or where the model says so: `ignore_merges`).

mod alphabet;
mod halves;
mod heap;
mod reachable;

pub use alphabet::Alphabet;
pub(crate) use alphabet::may_be_absent;
pub(crate) use heap::merge_by_heap;
use reachable::Effective;

use std::sync::OnceLock;

use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::table::{ByteTable, PairTable, pair};

/// One merge: two tokens and the token they make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The id of the left token.
    pub left: u32,
    /// The id of the right token.
    pub right: u32,
    /// The id of the joined token.
    pub product: u32,
}

/// What a pair of neighbours does when it is merged. Rank first: the smaller one goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) rank: u32,
    pub(crate) product: u32,
}

/// A token that no text comes to: its bytes are known for decoding alone.
pub type Silent = (Vec<u8>, u32);

/// The vocabulary and the merges of a BPE tokenizer.
#[derive(Debug, Clone)]
pub struct Model {
    bytes: Vec<u8>,
    /// Where the bytes of each id lie; empty where no token has the id.
    spans: Vec<(u32, u32)>,
    merges: Vec<Merge>,
    steps: PairTable<Step>,
    alphabet: Alphabet,
    /// The ids of single bytes; `u32::MAX` where an alphabet of characters has none.
    byte_ids: [u32; 256],
    all_bytes: bool,
    /// Those of bytes at the end of a word, where the alphabet marks them.
    last_byte_ids: Option<Box<[u32; 256]>>,
    /// Id of every token's bytes, but for silent ones.
    ids: ByteTable<u32>,
    /// By id, whether a token's bytes are in `ids`.
    spelled: Vec<bool>,
    /// By id, whether a piece that equals the token is this token.
    whole: Vec<bool>,
    effective: OnceLock<Effective>,
    ignore_merges: bool,
    /// Whether some merges have one rank together, so that the leftmost pair goes first whichever it is.
    tied: bool,
}

/// The greatest sum of squared lengths of tokens; real vocabularies stay below a tenth of it.
const MOST_WORK: u64 = 1 << 28;

/// So many tokens before it is looked at, a slot of a table is asked for.
const AHEAD: usize = 16;

/// The reason why tokens and merges make no model.
type Fault = String;

/// Where ranks or scores say the merges, each token is merged the textbook way: a file of long tokens must not ask for
/// hours.
fn check_work<B: AsRef<[u8]>>(tokens: &[(B, u32)]) -> Result<(), Fault> {
    let lengths = tokens.iter().map(|token| token.0.as_ref().len() as u64);
    if lengths.fold(0u64, |sum, len| sum.saturating_add(len.saturating_mul(len))) <= MOST_WORK {
        return Ok(());
    }
    let longest = tokens.iter().map(|token| token.0.as_ref().len()).max().unwrap_or(0);
    Err(format!("its tokens are too long to be a vocabulary; the longest has {longest} bytes"))
}

fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

impl Model {
    /// From tokens with their ids and merges in rank order. `ignore_merges`: a piece that is a token is that token,
    /// whatever the merges say.
    pub fn from_merges<B: AsRef<[u8]>>(
        tokens: &[(B, u32)],
        merges: Vec<(u32, u32)>,
        ignore_merges: bool,
    ) -> Result<Self, Fault> {
        Self::with_alphabet(Alphabet::Bytes, tokens, &[], merges, ignore_merges)
    }

    /// The same for any alphabet, and with tokens that no text comes to.
    pub fn with_alphabet<B: AsRef<[u8]>>(
        alphabet: Alphabet,
        tokens: &[(B, u32)],
        silent: &[Silent],
        merges: Vec<(u32, u32)>,
        ignore_merges: bool,
    ) -> Result<Self, Fault> {
        let mut model = Self::from_tokens(alphabet, tokens, silent)?;
        model.set_merges(merges, ignore_merges)?;
        Ok(model)
    }

    /// Gives a model that has none its merges.
    pub(crate) fn set_merges(&mut self, merges: Vec<(u32, u32)>, ignore_merges: bool) -> Result<(), Fault> {
        let model = self;
        model.ignore_merges = ignore_merges;
        let mut listed = Vec::with_capacity(merges.len());
        let mut joined = Vec::new();
        for (rank, (left, right)) in merges.into_iter().enumerate() {
            joined.clear();
            for id in [left, right] {
                let part = model.token(id).ok_or_else(|| format!("merge {rank} names id {id}, which no token has"))?;
                joined.extend_from_slice(part);
            }
            let product = model
                .ids
                .get(&joined, 0, joined.len())
                .ok_or_else(|| format!("merge {rank} makes {}, which is not in the vocabulary", shown(&joined)))?;
            listed.push(Merge { left, right, product });
        }
        model.steps = PairTable::with_capacity(listed.len());
        for (rank, merge) in listed.iter().enumerate() {
            // A pair that is listed twice keeps its last rank, as in Hugging Face.
            *model.steps.entry(pair(merge.left, merge.right)) = Step { rank: rank as u32, product: merge.product };
        }
        model.merges = listed;
        model.effective = OnceLock::new();
        if ignore_merges || matches!(model.alphabet, Alphabet::MarkedBytes(_)) {
            model.mark_whole(|_, _| ignore_merges);
        } else if let Some((merges, reachable)) = reachable::reachable(model) {
            model.effective = OnceLock::from(model.effective_of(merges, &reachable));
            model.mark_whole(|_, id| reachable[id as usize]);
        } else {
            model.mark_whole(Self::comes_to_itself);
        }
        Ok(())
    }

    /// From tokens with ranks, which are their ids (tiktoken).
    pub fn from_ranks<B: AsRef<[u8]>>(tokens: &[(B, u32)]) -> Result<Self, Fault> {
        check_work(tokens)?;
        let mut model = Self::from_tokens(Alphabet::Bytes, tokens, &[])?;
        if let Some(byte) = (0..=255u8).find(|&byte| model.byte_id(byte) == u32::MAX) {
            return Err(format!("the single byte 0x{byte:02X} is not in the vocabulary; ranks need all 256 of them"));
        }
        let ids: Vec<u32> =
            (0..model.len() as u32).filter(|&id| model.token(id).is_some_and(|t| t.len() > 1)).collect();
        let found = halves::halves(&model, &ids, |id| id)?;
        let all_whole = found.iter().all(Option::is_some);
        let mut merges = Vec::with_capacity(ids.len());
        for (id, (left, right)) in ids.into_iter().zip(found).filter_map(|(id, halves)| Some((id, halves?))) {
            // The rank is the id, so ranks and products are in one order.
            *model.steps.entry(pair(left, right)) = Step { rank: id, product: id };
            merges.push(Merge { left, right, product: id });
        }
        // tiktoken looks a piece up before it merges, which matters only for tokens that no merge makes.
        model.ignore_merges = !all_whole;
        model.merges = merges;
        model.effective = OnceLock::from(Effective { merges: None, all_reachable: all_whole });
        model.mark_whole(|_, _| true);
        Ok(model)
    }

    /// From tokens with scores, over characters (`SentencePiece`): the greatest score is merged first.
    pub fn from_scores<B: AsRef<[u8]>>(
        alphabet: Alphabet,
        tokens: &[(B, u32)],
        scores: &[f32],
        silent: &[Silent],
    ) -> Result<Self, Fault> {
        check_work(tokens)?;
        let mut model = Self::from_tokens(alphabet, tokens, silent)?;
        let mut order: Vec<(f32, u32)> = scores.iter().copied().zip(tokens.iter().map(|token| token.1)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        // Equal scores are one rank: the leftmost pair goes first, whichever token it makes.
        let mut rank_of = vec![u32::MAX; model.spans.len()];
        let (mut rank, mut last) = (0, None);
        for &(score, id) in &order {
            rank += u32::from(last.is_some_and(|last: f32| last.total_cmp(&score).is_ne()));
            last = Some(score);
            rank_of[id as usize] = rank;
        }
        let mut whole = vec![false; model.spans.len()];
        let ids: Vec<u32> = order.iter().map(|token| token.1).collect();
        let found = halves::halves(&model, &ids, |id| rank_of[id as usize])?;
        let mut symbols = Vec::new();
        for (id, halves) in ids.into_iter().zip(found) {
            model.symbols(model.token(id).unwrap_or_default(), &mut symbols);
            whole[id as usize] = symbols == [id];
            if let Some((left, right)) = halves {
                *model.steps.entry(pair(left, right)) = Step { rank: rank_of[id as usize], product: id };
                model.merges.push(Merge { left, right, product: id });
                whole[id as usize] = true;
            }
        }
        model.mark_whole(|_, id| whole[id as usize]);
        model.tied = rank as usize + 1 < order.len();
        Ok(model)
    }

    /// The rank of each merge, where some have the same: what a list of merges in order does not say.
    #[must_use]
    pub fn tied_ranks(&self) -> Option<Vec<u32>> {
        let rank = |merge: &Merge| self.step(merge.left, merge.right).map_or(u32::MAX, |step| step.rank);
        self.tied.then(|| self.merges.iter().map(rank).collect())
    }

    /// Gives each merge its rank; the inverse of [`Self::tied_ranks`].
    pub(crate) fn set_ranks(&mut self, ranks: &[u32]) -> Result<(), Fault> {
        if ranks.len() != self.merges.len() {
            return Err(format!("there are {} ranks for {} merges", ranks.len(), self.merges.len()));
        }
        for (merge, &rank) in self.merges.iter().zip(ranks) {
            self.steps.entry(pair(merge.left, merge.right)).rank = rank;
        }
        self.tied = true;
        self.effective = OnceLock::new();
        self.mark_whole(Self::comes_to_itself);
        Ok(())
    }

    /// A model without merges.
    pub(crate) fn from_tokens<B: AsRef<[u8]>>(
        alphabet: Alphabet,
        tokens: &[(B, u32)],
        silent: &[Silent],
    ) -> Result<Self, Fault> {
        let greatest = tokens.iter().map(|token| token.1).chain(silent.iter().map(|token| token.1)).max();
        let greatest = greatest.unwrap_or(0) as usize;
        // Ids index arrays: a file of a few bytes must not ask for gigabytes.
        if greatest > (tokens.len() + silent.len()) * 4 + 100_000 {
            return Err(format!(
                "the greatest id is {greatest}, but there are only {} tokens; ids must be nearly dense",
                tokens.len()
            ));
        }
        let mut model = Self {
            bytes: Vec::with_capacity(tokens.iter().map(|token| token.0.as_ref().len()).sum()),
            spans: vec![(0, 0); greatest + 1],
            merges: Vec::new(),
            steps: PairTable::with_capacity(tokens.len()),
            alphabet,
            byte_ids: [u32::MAX; 256],
            all_bytes: false,
            last_byte_ids: None,
            ids: ByteTable::with_capacity(tokens.len()),
            spelled: vec![false; greatest + 1],
            whole: vec![false; greatest + 1],
            effective: OnceLock::new(),
            ignore_merges: false,
            tied: false,
        };
        for (bytes, id) in tokens {
            model.add(bytes.as_ref(), *id)?;
        }
        // The table is far away, so a slot is asked for some tokens ahead.
        let span = |place: usize| tokens.get(place).map(|&(_, id)| model.spans[id as usize]);
        for (place, (bytes, id)) in tokens.iter().enumerate() {
            if let Some((start, end)) = span(place + AHEAD) {
                model.ids.prefetch(&model.bytes, start as usize, end as usize);
            }
            let (start, end) = model.spans[*id as usize];
            let before = model.ids.len();
            let other = std::mem::replace(model.ids.entry(&model.bytes, start as usize, end as usize), *id);
            if model.ids.len() == before {
                return Err(format!("the token {} has two ids, {other} and {id}", shown(bytes.as_ref())));
            }
            model.spelled[*id as usize] = true;
            if let [byte] = bytes.as_ref() {
                model.byte_ids[*byte as usize] = *id;
            }
        }
        for (bytes, id) in silent {
            model.add(bytes, *id)?;
        }
        model.find_bytes()?;
        Ok(model)
    }

    /// Keeps the bytes of an id.
    fn add(&mut self, bytes: &[u8], id: u32) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Err(format!("the token with id {id} has no bytes"));
        }
        let span = &mut self.spans[id as usize];
        if span.1 != 0 {
            return Err(format!("id {id} is given to two tokens, the second is {}", shown(bytes)));
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = u32::try_from(self.bytes.len()).map_err(|_| "the tokens have more than 4 GiB".to_owned())?;
        *span = (start as u32, end);
        Ok(())
    }

    /// Notes which tokens a piece may be looked up for. A silent one may be spelled like another, or not at all.
    fn mark_whole(&mut self, is_whole: impl Fn(&Self, u32) -> bool) {
        let whole = (0..self.len() as u32).map(|id| self.spelled[id as usize] && is_whole(self, id)).collect();
        self.whole = whole;
    }

    /// Whether merging a token's bytes gives it back.
    fn comes_to_itself(&self, id: u32) -> bool {
        let mut parts = Vec::new();
        merge_token(self, self.token(id).unwrap_or_default(), &mut parts);
        parts == [id]
    }

    /// The bytes of a token.
    #[inline]
    #[must_use]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        let &(start, end) = self.spans.get(id as usize)?;
        (end != 0).then(|| &self.bytes[start as usize..end as usize])
    }

    /// The id of a token's bytes.
    #[must_use]
    pub fn id(&self, bytes: &[u8]) -> Option<u32> {
        if bytes.is_empty() { None } else { self.ids.get(bytes, 0, bytes.len()) }
    }

    /// The id of `text[start..end]` if that piece is one token.
    #[inline]
    pub(crate) fn whole(&self, text: &[u8], start: usize, end: usize) -> Option<u32> {
        self.ids.get(text, start, end).filter(|&id| self.whole[id as usize])
    }

    /// The tokens that a piece may be looked up for, by ascending id.
    pub(crate) fn whole_tokens(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let ids = (0..self.len() as u32).filter(|&id| self.whole[id as usize]);
        ids.filter_map(|id| Some((self.token(id)?, id)))
    }

    /// What two neighbours become.
    #[inline]
    pub(crate) fn step(&self, left: u32, right: u32) -> Option<Step> {
        self.steps.get(pair(left, right))
    }

    /// The id of a single byte.
    #[inline]
    pub(crate) fn byte_id(&self, byte: u8) -> u32 {
        self.byte_ids[byte as usize]
    }

    /// One more than the greatest id.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// A model always has tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The merges in rank order.
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Whether a piece that is a token is that token, whatever the merges say.
    #[must_use]
    pub fn ignores_merges(&self) -> bool {
        self.ignore_merges
    }
}

/// Merges a whole piece, the textbook way: the pair of the smallest rank, the leftmost of several, until none is left.
///
/// Quadratic in the length of the piece: for short tokens and for tests.
#[cfg(test)]
pub(crate) fn merge_all(model: &Model, piece: &[u8], parts: &mut Vec<u32>) {
    merge_to_the_last(model, piece, parts);
}

/// Merges the bytes of a token, and returns which pair was merged last. A token may have millions of bytes: training
/// without a pretokenizer on one repeated letter makes such.
fn merge_token(model: &Model, token: &[u8], parts: &mut Vec<u32>) -> Option<(u32, u32)> {
    const SHORT: usize = 128;
    if token.len() <= SHORT {
        return merge_to_the_last(model, token, parts);
    }
    model.symbols(token, parts);
    // An interrupt that never comes is the only error.
    merge_by_heap(model, parts, &Interrupt::never()).unwrap_or_default()
}

/// As [`merge_all`], and which pair was merged last.
fn merge_to_the_last(model: &Model, piece: &[u8], parts: &mut Vec<u32>) -> Option<(u32, u32)> {
    model.symbols(piece, parts);
    let mut last = None;
    while let Some((step, at)) = parts
        .windows(2)
        .enumerate()
        .filter_map(|(at, two)| model.step(two[0], two[1]).map(|step| (step, at)))
        .min_by_key(|(step, at)| (step.rank, *at))
    {
        last = Some((parts[at], parts[at + 1]));
        parts[at] = step.product;
        parts.remove(at + 1);
    }
    last
}

#[cfg(test)]
use proptest::prelude::*;

/// A vocabulary over few letters, from random merges; some tokens may be unreachable, as in real files.
/// The second part of the pair: whether it is made from ranks.
#[cfg(test)]
pub(crate) fn random_models() -> impl Strategy<Value = (Model, bool)> {
    (prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30), any::<bool>())
        .prop_map(|(choices, ranks)| {
            let mut tokens: Vec<(Vec<u8>, u32)> = (0..=255u8).map(|byte| (vec![byte], u32::from(byte))).collect();
            let mut letters: Vec<u32> = b"abc".iter().map(|&byte| u32::from(byte)).collect();
            let mut merges = Vec::new();
            for (left, right) in choices {
                let (left, right) = (*left.get(&letters), *right.get(&letters));
                let joined = [tokens[left as usize].0.clone(), tokens[right as usize].0.clone()].concat();
                if joined.len() >= 12 {
                    continue;
                }
                if tokens.iter().any(|token| token.0 == joined) {
                    // Another pair that joins to it, as some files list them all.
                    if !merges.contains(&(left, right)) {
                        merges.insert((left * 7 + right) as usize % (merges.len() + 1), (left, right));
                    }
                } else {
                    letters.push(tokens.len() as u32);
                    tokens.push((joined, tokens.len() as u32));
                    merges.push((left, right));
                }
            }
            let model = if ranks { Model::from_ranks(&tokens) } else { Model::from_merges(&tokens, merges, false) };
            (model.unwrap(), ranks)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_and(words: &[&str]) -> Vec<(Vec<u8>, u32)> {
        let bytes = (0..=255u8).map(|byte| (vec![byte], u32::from(byte)));
        bytes
            .chain(words.iter().enumerate().map(|(index, word)| (word.as_bytes().to_vec(), 256 + index as u32)))
            .collect()
    }

    fn encode(model: &Model, piece: &str) -> Vec<u32> {
        let mut parts = Vec::new();
        merge_all(model, piece.as_bytes(), &mut parts);
        parts
    }

    #[test]
    fn ranks_give_their_merges() {
        let model = Model::from_ranks(&bytes_and(&["ab", "abc", "bc"])).unwrap();
        assert_eq!(
            model.merges().iter().map(|m| (m.left, m.right)).collect::<Vec<_>>(),
            [(97, 98), (256, 99), (98, 99)]
        );
        assert_eq!(encode(&model, "abcbc"), [257, 258]);
    }

    #[test]
    fn a_token_of_later_parts_is_found_by_its_bytes() {
        // "abcd" is "ab", "c", "d" under smaller ranks; the later "cd" brings it to two parts.
        let model = Model::from_ranks(&bytes_and(&["ab", "abcd", "cd", "xcd"])).unwrap();
        assert_eq!(model.merges().len(), 4);
        assert!(!model.ignores_merges());
        assert_eq!(encode(&model, "abcd"), [257]);
        assert_eq!(encode(&model, "xcd"), [259]);
    }

    #[test]
    fn a_token_that_no_merge_makes_is_found_whole_only() {
        let model = Model::from_ranks(&bytes_and(&["xyz"])).unwrap();
        assert_eq!((model.merges().len(), model.ignores_merges()), (0, true));
        assert_eq!(encode(&model, "xyz"), [120, 121, 122]);
        assert_eq!(model.whole(b"xyz", 0, 3), Some(256));
    }

    #[test]
    fn whole_tokens_are_those_their_bytes_encode_to() {
        // "bc" is merged before "ab", so "abc" is never "ab" + "c".
        let tokens = bytes_and(&["bc", "ab", "abc"]);
        let model = Model::from_merges(&tokens, vec![(98, 99), (97, 98), (257, 99)], false).unwrap();
        assert_eq!((model.whole(b"abc", 0, 3), model.whole(b"ab", 0, 2)), (None, Some(257)));
        let model = Model::from_merges(&tokens, vec![(98, 99), (97, 98), (257, 99)], true).unwrap();
        assert_eq!(model.whole(b"abc", 0, 3), Some(258));
    }

    #[test]
    fn a_silent_token_is_known_but_never_made() {
        let silent = [(b"ab".to_vec(), 256), (b"a".to_vec(), 257)];
        let model = Model::with_alphabet(Alphabet::Bytes, &bytes_and(&[]), &silent, vec![], true).unwrap();
        assert_eq!((model.token(256), model.id(b"ab"), model.id(b"a")), (Some(&b"ab"[..]), None, Some(97)));
        assert_eq!(model.whole(b"ab", 0, 2), None);
    }

    #[test]
    fn faulty_vocabularies_are_named() {
        let fault =
            |tokens: &[(Vec<u8>, u32)], merges: Vec<(u32, u32)>| Model::from_merges(tokens, merges, false).unwrap_err();
        let without = |byte: u8| [&bytes_and(&[])[..byte as usize], &bytes_and(&[])[byte as usize + 1..]].concat();
        assert!(fault(&without(b'a'), vec![]).contains("0x61 is not in the vocabulary"));
        assert!(Model::from_merges(&without(0xC0), vec![], false).is_ok_and(|model| !model.starts_from_bytes()));
        assert!(fault(&bytes_and(&["ab", "ab"]), vec![]).contains("\"ab\" has two ids, 256 and 257"));
        assert!(fault(&bytes_and(&["ab"]), vec![(97, 99)]).contains("makes \"ac\""));
        assert!(fault(&bytes_and(&["ab"]), vec![(97, 999)]).contains("id 999"));
        assert!(
            fault(&[bytes_and(&[]), vec![(b"ab".to_vec(), u32::MAX - 1)]].concat(), vec![]).contains("greatest id")
        );
        assert!(
            fault(&[bytes_and(&[]), vec![(b"ab".to_vec(), 5)]].concat(), vec![])
                .contains("id 5 is given to two tokens")
        );
    }
}
