//! Tokens -> the two tokens that each is merged from, where ranks or scores say the merges.
//!
//! Naive: merge the bytes of each token by the textbook rule, and look up the joined bytes of every two neighbours
//! after every merge: for a token of n bytes n² / 2 look-ups, mostly of what was looked up before.
//! Idea: keep what each two neighbours join to, so that a merge asks for two, and take joins of two bytes from an array.
//! Most neighbours join to no token, and a table of all tokens is far away (8 MiB for `cl100k_base`), so a bit by hash
//! says so first. A token's halves depend on nothing but the set of tokens, so threads share them.
//! Cost: at most 2n look-ups a token of n bytes, and n² steps over an array; `check_work` bounds their sum.
//! Invariant: the halves are the last two parts that the rule brings a token's bytes to; a token whose bytes stop
//! earlier has none.
//! Measured: `cl100k_base` is loaded in 48 ms, with two threads in 38; with what was dropped in 73.
//! Tried and dropped: pairs of smaller ranks, which are known when tokens are taken in order, asked for first in the
//! table of pairs, which one thread alone can do.

use super::{Alphabet, Fault, Model};
use crate::table::{SHORT, fold, short_key};
use crate::threads;

/// Tokens that a thread takes at a time.
const GROUP: usize = 1024;

/// No two parts join to a token.
const NONE: u64 = u64::MAX;

/// What tokens are merged with.
struct Joins<'a, R> {
    model: &'a Model,
    rank_of: R,
    /// By two bytes, the token that they are.
    of_two: Vec<u32>,
    /// A bit for the hash of each token of at most [`SHORT`] bytes.
    filter: Vec<u64>,
}

/// Room for one token: its parts with the place where each ends, and what each joins to with the next.
#[derive(Default)]
struct Room {
    parts: Vec<(u32, usize)>,
    joined: Vec<u64>,
}

/// The halves of each of `ids`, in their order; the smallest rank is merged first, the leftmost of several.
pub(super) fn halves(
    model: &Model,
    ids: &[u32],
    rank_of: impl Fn(u32) -> u32 + Sync,
) -> Result<Vec<Option<(u32, u32)>>, Fault> {
    let mut joins =
        Joins { model, rank_of, of_two: vec![u32::MAX; 1 << 16], filter: vec![0; (ids.len() / 4).next_power_of_two()] };
    for &id in ids {
        let (start, end) = model.spans[id as usize];
        match model.bytes[start as usize..end as usize] {
            [first, second] => joins.of_two[usize::from(first) << 8 | usize::from(second)] = id,
            ref bytes if bytes.len() <= SHORT => {
                let (word, bit) = joins.place(start as usize, end as usize);
                joins.filter[word] |= 1 << bit;
            }
            _ => {}
        }
    }
    let groups: Vec<&[u32]> = ids.chunks(GROUP).collect();
    let state = |_| (Room::default(), Vec::new());
    let found = threads::run(threads::default_threads(), groups.len(), state, |(room, found), group| {
        found.push((group, groups[group].iter().map(|&id| joins.halves(id, room)).collect::<Vec<_>>()));
        Ok(())
    });
    let found = found.map_err(|error| error.to_string())?.into_iter();
    Ok(threads::in_order(found.map(|(_, found)| found)).concat())
}

impl<R: Fn(u32) -> u32> Joins<'_, R> {
    fn halves(&self, id: u32, room: &mut Room) -> Option<(u32, u32)> {
        let token = self.model.token(id)?;
        let Room { parts, joined } = room;
        let first = self.model.spans[id as usize].0 as usize;
        let mut start = first;
        parts.clear();
        if *self.model.alphabet() == Alphabet::Bytes {
            parts.extend(token.iter().zip(start + 1..).map(|(&byte, end)| (self.model.byte_id(byte), end)));
        } else {
            for character in std::str::from_utf8(token).ok()?.chars() {
                let end = start + character.len_utf8();
                parts.push((self.model.ids.get(&self.model.bytes, start, end)?, end));
                start = end;
            }
        }
        joined.clear();
        if parts.len() > 2 {
            joined.extend((1..parts.len()).map(|at| self.join(first, parts, at - 1)));
        }
        while parts.len() > 2 {
            let (at, &least) = joined.iter().enumerate().min_by_key(|(_, key)| *key >> 32)?;
            if least == NONE {
                return None;
            }
            parts[at] = (least as u32, parts[at + 1].1);
            parts.remove(at + 1);
            if parts.len() == 2 {
                break;
            }
            joined.remove(at);
            for at in [at.wrapping_sub(1), at] {
                if let Some(key) = joined.get_mut(at) {
                    *key = self.join(first, parts, at);
                }
            }
        }
        match parts[..] {
            [(left, _), (right, _)] => Some((left, right)),
            _ => None,
        }
    }

    /// The rank and the id of what part `at` and the next one join to, in a token that begins at `first`.
    fn join(&self, first: usize, parts: &[(u32, usize)], at: usize) -> u64 {
        let Model { bytes, ids, .. } = self.model;
        let (start, end) = (at.checked_sub(1).map_or(first, |before| parts[before].1), parts[at + 1].1);
        let id = if let [first, second] = bytes[start..end] {
            self.of_two[usize::from(first) << 8 | usize::from(second)]
        } else if end - start <= SHORT && !self.may_be_token(start, end) {
            return NONE;
        } else {
            ids.get(bytes, start, end).unwrap_or(u32::MAX)
        };
        if id == u32::MAX { NONE } else { u64::from((self.rank_of)(id)) << 32 | u64::from(id) }
    }

    fn may_be_token(&self, start: usize, end: usize) -> bool {
        let (word, bit) = self.place(start, end);
        self.filter[word] >> bit & 1 != 0
    }

    /// The word and the bit of the filter for bytes of the model.
    fn place(&self, start: usize, end: usize) -> (usize, u64) {
        let key = short_key(&self.model.bytes, start, end);
        let hash = fold(key as u64 ^ 0x9E37_79B9_7F4A_7C15, (key >> 64) as u64 ^ 0xA24B_AED4_963E_E407);
        ((hash >> 6) as usize & (self.filter.len() - 1), hash & 63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as it is written.
    fn textbook(model: &Model, token: &[u8], rank_of: impl Fn(u32) -> u32) -> Option<(u32, u32)> {
        let mut parts: Vec<Vec<u8>> = token.iter().map(|&byte| vec![byte]).collect();
        while parts.len() > 2 {
            let ranks =
                parts.windows(2).enumerate().filter_map(|(at, two)| Some((rank_of(model.id(&two.concat())?), at)));
            let (_, at) = ranks.min()?;
            let next = parts.remove(at + 1);
            parts[at].extend(next);
        }
        match &parts[..] {
            [left, right] => Some((model.id(left)?, model.id(right)?)),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn halves_equal_the_textbook(words in prop::collection::btree_set("[abc]{2,20}", 1..60), divisor in 1u32..5) {
            let bytes = (0..=255u8).map(|byte| (vec![byte], u32::from(byte)));
            let tokens: Vec<_> = bytes.chain(words.into_iter().zip(256..).map(|(word, id)| (word.into_bytes(), id))).collect();
            let model = Model::from_tokens(Alphabet::Bytes, &tokens, &[]).unwrap();
            let ids: Vec<u32> = (0..tokens.len() as u32).collect();
            // With ranks that several tokens share.
            let rank_of = |id: u32| id / divisor;
            let found = halves(&model, &ids, rank_of).unwrap();
            for (id, found) in ids.iter().zip(found) {
                prop_assert_eq!(found, textbook(&model, &tokens[*id as usize].0, rank_of));
            }
        }
    }
}
