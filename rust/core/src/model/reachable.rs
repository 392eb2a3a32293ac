//! Which merges ever happen, and which tokens their own bytes come to, without merging any.
//!
//! Naive: merge the bytes of every token, [`merge_token`](super::merge_token): a heap of millions of entries for a token
//! of millions of bytes, 28 s for the 30 tokens of ten million equal letters.
//! Idea: a token made of two is what its bytes come to if both are, and if no merge across their border comes before.
//! The symbols that ever lie at the border are the last ones on the left and the first ones on the right, each half of
//! the one made after it; so both are taken apart, the later made first, and each two neighbours are looked up.
//! Cost: the depth of the token's tree of merges. Worst case: its length, for a token that grows by one byte a merge.
//! Files may list every pair that joins to a token. Only one of them ever happens (see [`super`]), so the first that passes
//! is taken. A pair may have a part that is made later: it happens as soon as that part is there, out of order. Such tokens
//! are merged, and so is every token that is made of one or meets one across its border; the others never see one.
//! Invariant: the answers are those of the naive way.
//! Measured: Llama 3's tokenizer.json lists 135 such pairs, 86 of which happen; merging all its tokens took 67 ms.
//! Source: H. van Antwerpen and A. Neubeck, *So many tokens, so little time* (2024).

use super::{Merge, Model, merge_token};

const NONE: u32 = u32::MAX;

/// The merges that ever happen.
#[derive(Debug, Clone)]
pub(super) struct Effective {
    /// `None`: all of them.
    pub(super) merges: Option<Vec<Merge>>,
    /// Whether every token is what its own bytes come to.
    pub(super) all_reachable: bool,
}

impl Model {
    /// Whether some token is not what its own bytes come to.
    pub(crate) fn has_unreachable(&self) -> bool {
        !self.effective_merges().1
    }

    /// The merges that ever happen, in order, and whether every token is what its own bytes come to.
    ///
    /// Of all pairs that join to a token, only the one that its own bytes come to ever happens (see the module).
    pub(crate) fn effective_merges(&self) -> (&[Merge], bool) {
        let effective = self.effective.get_or_init(|| match reachable(self) {
            Some((merges, reachable)) => self.effective_of(merges, &reachable),
            None => self.effective_by_merging(),
        });
        (effective.merges.as_deref().unwrap_or(&self.merges), effective.all_reachable)
    }

    /// What is known of the merges that ever happen, and of the tokens that they come to.
    pub(super) fn effective_of(&self, merges: Vec<Merge>, reachable: &[bool]) -> Effective {
        let all_reachable = self.spelled.iter().zip(reachable).all(|(&spelled, &reachable)| reachable || !spelled);
        Effective { merges: (merges != self.merges).then_some(merges), all_reachable }
    }

    /// The same by merging the bytes of every token.
    fn effective_by_merging(&self) -> Effective {
        let (mut parts, mut merges, mut all_reachable) = (Vec::new(), Vec::new(), true);
        for id in (0..self.len() as u32).filter(|&id| self.spelled[id as usize]) {
            parts.clear();
            let last = merge_token(self, self.token(id).unwrap_or_default(), &mut parts);
            all_reachable &= parts == [id];
            if let Some((left, right)) = last.filter(|_| parts == [id]) {
                let rank = self.step(left, right).map_or(u32::MAX, |step| step.rank);
                merges.push((rank, Merge { left, right, product: id }));
            }
        }
        merges.sort_unstable_by_key(|(rank, merge)| (*rank, merge.product));
        let merges: Vec<Merge> = merges.into_iter().map(|(_, merge)| merge).collect();
        Effective { merges: (merges != self.merges).then_some(merges), all_reachable }
    }
}

/// The merges that ever happen, in order, and for every id whether its token's bytes come to it; `None` where only
/// merging tells.
pub(super) fn reachable(model: &Model) -> Option<(Vec<Merge>, Vec<bool>)> {
    // A pair that is listed twice has the rank of its last place, and equal ranks are no order.
    if !model.starts_from_bytes() || model.tied || model.steps.len() != model.merges.len() {
        return None;
    }
    // Symbols are numbered in the order in which they are made, the bytes first.
    let mut ids: Vec<u32> = (0..=255).map(|byte| model.byte_id(byte)).collect();
    let mut symbols = vec![NONE; model.len()];
    for (symbol, &id) in (0..).zip(&ids) {
        if let Some(place) = symbols.get_mut(id as usize) {
            *place = symbol;
        }
    }
    let mut parts: Vec<(u32, u32)> = (0..256).map(|byte| (byte, byte)).collect();
    // Symbols that happen out of order, or are made of one that does.
    let mut strange = vec![false; 256];
    // The place after the last merge that may make each token.
    let mut last = vec![0; model.len()];
    for (merge, place) in model.merges.iter().zip(1..) {
        last[merge.product as usize] = place;
    }
    let mut merges = Vec::with_capacity(model.merges.len());
    let mut room = Vec::new();
    let mut comes_to_itself_by = |merge: &Merge| {
        room.clear();
        let pair = merge_token(model, model.token(merge.product).unwrap_or_default(), &mut room);
        room == [merge.product] && pair == Some((merge.left, merge.right))
    };
    for (merge, place) in model.merges.iter().zip(1..) {
        let (left, right) = (symbols[merge.left as usize], symbols[merge.right as usize]);
        // Only one pair ever comes to a token.
        if symbols[merge.product as usize] != NONE {
            continue;
        }
        let across = |left: u32, right: u32| {
            model.step(ids[left as usize], ids[right as usize]).map_or(NONE, |step| symbols[step.product as usize])
        };
        let new = parts.len() as u32;
        let is_strange = |symbol: u32| strange.get(symbol as usize).copied().unwrap_or(true);
        let in_order = if is_strange(left) || is_strange(right) {
            None
        } else {
            none_comes_before(left, right, new, &parts, across, is_strange)
        };
        // None happens whose part is never made.
        let later = |symbol: u32, id: u32| symbol != NONE || last[id as usize] > place;
        let happens = in_order
            .unwrap_or_else(|| later(left, merge.left) && later(right, merge.right) && comes_to_itself_by(merge));
        if happens {
            symbols[merge.product as usize] = new;
            strange.push(in_order.is_none());
            parts.push((left, right));
            ids.push(merge.product);
            merges.push(*merge);
        }
    }
    Some((merges, symbols.iter().map(|&symbol| symbol != NONE).collect()))
}

/// Whether nothing is made across the border of `left` and `right` before `new` is; `across` is what two symbols make. `None`
/// where that is strange.
fn none_comes_before(
    mut left: u32,
    mut right: u32,
    new: u32,
    parts: &[(u32, u32)],
    across: impl Fn(u32, u32) -> u32,
    is_strange: impl Fn(u32) -> bool,
) -> Option<bool> {
    let mut limit = new;
    loop {
        let made = across(left, right);
        if made < limit {
            return (!is_strange(made)).then_some(false);
        }
        // A byte has no parts. Of two equal merges the left one comes first: it may be the one across the border.
        if left > right && left >= 256 {
            limit = left;
            left = parts[left as usize].1;
        } else if right >= 256 {
            limit = right + 1;
            right = parts[right as usize].0;
        } else {
            return Some(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{merge_all, random_models};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn reachable_equals_merging((model, _) in random_models()) {
            if let Some((merges, reachable)) = reachable(&model) {
                for id in 0..model.len() as u32 {
                    let mut parts = Vec::new();
                    merge_all(&model, model.token(id).unwrap_or_default(), &mut parts);
                    prop_assert_eq!(reachable[id as usize], parts == [id], "{}", id);
                }
                let by_merging = model.effective_by_merging();
                prop_assert_eq!(&merges, by_merging.merges.as_ref().unwrap_or(&model.merges));
                let (effective, all_reachable) = model.effective_merges();
                prop_assert_eq!((effective, all_reachable), (&merges[..], by_merging.all_reachable));
            }
        }
    }
}
