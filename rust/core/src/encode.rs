//! Text -> ids, or only their number.
//!
//! Naive: for every piece, merge the pair of the smallest rank until none is left: quadratic in the piece.
//! Idea: nine pieces in ten are one token, found by one look-up. The others are short: ranks of neighbours in an array
//! on the stack, the smallest found by a scan. Only a piece longer than [`SCAN`] symbols gets a heap of ranks and links
//! between symbols. A piece seen a moment ago is not merged again ([`Cache`]). All end in a [`Sink`], which keeps ids or counts them, so a count is the length of the encoding by
//! construction.
//! Cost: O(bytes) for text, O(n log n) for one piece of n bytes. Worst case: one giant piece, 16 bytes of memory a byte.
//! Invariant: the ids are those of [`merge_all`](crate::model::merge_all) piece by piece, whatever path is taken.
//! Source: tiktoken `_byte_pair_merge` for the scan; Hugging Face `Word::merge_all` for the heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cache::Cache;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::model::{Model, Step};
use crate::pretokenize::Pretokenizer;

/// The most symbols that are merged by a scan.
const SCAN: usize = 64;

/// No merge.
const NONE: Step = Step { rank: u32::MAX, product: u32::MAX };

/// Where the ids of a text go.
pub(crate) trait Sink {
    /// Takes the next ids.
    fn extend(&mut self, ids: &[u32]);
}

impl Sink for Vec<u32> {
    #[inline]
    fn extend(&mut self, ids: &[u32]) {
        self.extend_from_slice(ids);
    }
}

/// Counts ids.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl Sink for Count {
    #[inline]
    fn extend(&mut self, ids: &[u32]) {
        self.0 += ids.len() as u64;
    }
}

/// Encodes text that holds no special tokens.
#[inline]
pub(crate) fn encode(
    model: &Model,
    pretokenizer: &Pretokenizer,
    cache: &mut Cache,
    text: &[u8],
    sink: &mut impl Sink,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    if !model.starts_from_bytes() {
        return encode_symbols(model, pretokenizer, cache, text, sink, interrupt);
    }
    let mut checked = 0;
    pretokenizer.split(text, |start, end| {
        if end - checked > 1 << 20 {
            checked = end;
            interrupt.check()?;
        }
        let key = cache.key(text, start, end);
        if let Some((ids, len)) = key.and_then(|key| cache.get(key)) {
            sink.extend(&ids[..len]);
            return Ok(());
        }
        if end - start > SCAN && model.whole(text, start, end).is_none() {
            return merge_by_heap(model, &text[start..end], sink, interrupt);
        }
        let mut symbols = [0; SCAN];
        let ids = match model.whole(text, start, end) {
            Some(id) => {
                symbols[0] = id;
                &symbols[..1]
            }
            None => merge_by_scan(model, &text[start..end], &mut symbols),
        };
        sink.extend(ids);
        if let Some(key) = key {
            cache.put(key, ids);
        }
        Ok(())
    })
}

/// Encodes with a model whose pieces do not consist of their bytes.
fn encode_symbols(
    model: &Model,
    pretokenizer: &Pretokenizer,
    cache: &mut Cache,
    text: &[u8],
    sink: &mut impl Sink,
    interrupt: &Interrupt<'_>,
) -> Result<()> {
    let (mut checked, mut ids) = (0, Vec::new());
    pretokenizer.split(text, |start, end| {
        if end - checked > 1 << 20 {
            checked = end;
            interrupt.check()?;
        }
        let key = cache.key(text, start, end);
        if let Some((ids, len)) = key.and_then(|key| cache.get(key)) {
            sink.extend(&ids[..len]);
            return Ok(());
        }
        ids.clear();
        encode_piece(model, &text[start..end], &mut ids, interrupt)?;
        sink.extend(&ids);
        if let Some(key) = key {
            cache.put(key, &ids);
        }
        Ok(())
    })
}

/// Appends the ids of one piece, of any model.
pub(crate) fn encode_piece(model: &Model, piece: &[u8], ids: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<()> {
    if let Some(id) = model.whole(piece, 0, piece.len()) {
        ids.push(id);
        return Ok(());
    }
    model.symbols(piece, ids);
    merge_symbols_by_heap(model, ids, interrupt)
}

/// Merges a short piece: the smallest rank is found by a scan over all neighbours.
#[inline(never)]
fn merge_by_scan<'s>(model: &Model, piece: &[u8], symbols: &'s mut [u32; SCAN]) -> &'s [u32] {
    let mut steps = [NONE; SCAN];
    let mut len = piece.len();
    for (symbol, &byte) in symbols.iter_mut().zip(piece) {
        *symbol = model.byte_id(byte);
    }
    let step = |left: u32, right: u32| model.step(left, right).unwrap_or(NONE);
    for at in 1..len {
        steps[at - 1] = step(symbols[at - 1], symbols[at]);
    }
    while len > 1 {
        // The first of several smallest ranks: the leftmost pair.
        let mut at = 0;
        for other in 1..len - 1 {
            if steps[other].rank < steps[at].rank {
                at = other;
            }
        }
        if steps[at].rank == NONE.rank {
            break;
        }
        symbols[at] = steps[at].product;
        symbols.copy_within(at + 2..len, at + 1);
        steps.copy_within(at + 1..len - 1, at);
        len -= 1;
        if at + 1 < len {
            steps[at] = step(symbols[at], symbols[at + 1]);
        }
        if at > 0 {
            steps[at - 1] = step(symbols[at - 1], symbols[at]);
        }
    }
    &symbols[..len]
}

/// Merges a long piece: a heap of ranks, and links between the symbols that are left.
fn merge_by_heap(model: &Model, piece: &[u8], sink: &mut impl Sink, interrupt: &Interrupt<'_>) -> Result<()> {
    let mut symbols = Vec::with_capacity(piece.len());
    model.symbols(piece, &mut symbols);
    merge_symbols_by_heap(model, &mut symbols, interrupt)?;
    sink.extend(&symbols);
    Ok(())
}

/// Merges symbols: a heap of ranks, and links between those that are left.
fn merge_symbols_by_heap(model: &Model, symbols: &mut Vec<u32>, interrupt: &Interrupt<'_>) -> Result<()> {
    /// The end of the links.
    const NOWHERE: usize = usize::MAX;
    /// A symbol that was merged into its left neighbour.
    const GONE: u32 = u32::MAX;

    let mut next: Vec<usize> = (1..symbols.len()).chain([NOWHERE]).collect();
    let mut previous: Vec<usize> = std::iter::once(NOWHERE).chain(0..symbols.len().saturating_sub(1)).collect();
    // Rank, position, and the symbols expected there: an entry whose symbols have changed is stale.
    let entry = |symbols: &[u32], at: usize, right: usize| {
        model
            .step(symbols[at], symbols[right])
            .map(|step| Reverse((step.rank, at, step.product, symbols[at], symbols[right])))
    };
    let mut heap: BinaryHeap<_> = (1..symbols.len()).filter_map(|right| entry(symbols, right - 1, right)).collect();
    let mut pops = 0u32;
    while let Some(Reverse((_, at, product, left, right))) = heap.pop() {
        pops = pops.wrapping_add(1);
        if pops.is_multiple_of(1 << 16) {
            interrupt.check()?;
        }
        let after = next[at];
        if symbols[at] != left || after == NOWHERE || symbols[after] != right {
            continue;
        }
        symbols[at] = product;
        symbols[after] = GONE;
        next[at] = next[after];
        if next[at] != NOWHERE {
            previous[next[at]] = at;
            heap.extend(entry(symbols, at, next[at]));
        }
        if previous[at] != NOWHERE {
            heap.extend(entry(symbols, previous[at], at));
        }
    }
    symbols.retain(|&id| id != GONE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::merge_all;
    use proptest::prelude::*;

    /// A vocabulary over few letters, from random merges; some tokens may be unreachable, as in real files.
    /// The second part of the pair: whether it is made from ranks.
    fn models() -> impl Strategy<Value = (Model, bool)> {
        (prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30), any::<bool>())
            .prop_map(|(choices, ranks)| {
                let mut tokens: Vec<(Vec<u8>, u32)> = (0..=255u8).map(|byte| (vec![byte], u32::from(byte))).collect();
                let mut letters: Vec<u32> = b"abc".iter().map(|&byte| u32::from(byte)).collect();
                let mut merges = Vec::new();
                for (left, right) in choices {
                    let (left, right) = (*left.get(&letters), *right.get(&letters));
                    let joined = [tokens[left as usize].0.clone(), tokens[right as usize].0.clone()].concat();
                    if joined.len() < 12 && tokens.iter().all(|token| token.0 != joined) {
                        letters.push(tokens.len() as u32);
                        tokens.push((joined, tokens.len() as u32));
                        merges.push((left, right));
                    }
                }
                let model = if ranks { Model::from_ranks(&tokens) } else { Model::from_merges(&tokens, merges, false) };
                (model.unwrap(), ranks)
            })
    }

    /// tiktoken's own rule: the leftmost pair whose joined bytes have the smallest rank.
    fn merge_by_joined_bytes(model: &Model, piece: &[u8]) -> Vec<u32> {
        let mut parts: Vec<Vec<u8>> = piece.iter().map(|&byte| vec![byte]).collect();
        while let Some((_, at)) = (1..parts.len())
            .filter_map(|at| Some((model.id(&[parts[at - 1].as_slice(), &parts[at]].concat())?, at)))
            .min()
        {
            let right = parts.remove(at);
            parts[at - 1].extend(right);
        }
        parts.iter().map(|part| model.id(part).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn scan_and_heap_equal_the_textbook((model, ranks) in models(), piece in "[abc]{2,64}|a{2,64}|(ab){1,32}") {
            let piece = piece.as_bytes();
            let mut expected = Vec::new();
            merge_all(&model, piece, &mut expected);
            let (mut symbols, mut heaped) = ([0; SCAN], Vec::new());
            let scanned = merge_by_scan(&model, piece, &mut symbols);
            merge_by_heap(&model, piece, &mut heaped, &Interrupt::never()).unwrap();
            prop_assert_eq!(scanned, &expected);
            prop_assert_eq!(&heaped, &expected);
            if ranks {
                prop_assert_eq!(&merge_by_joined_bytes(&model, piece), &expected);
            }
        }

        #[test]
        fn whole_pieces_and_the_cache_change_nothing((model, ranks) in models(), cached in any::<bool>(), text in "([abc]{1,9} ?){0,20}[abc]{0,200}") {
            let pretokenizer = Pretokenizer::new(Some("gpt2")).unwrap();
            let (mut ids, mut count, mut expected) = (Vec::new(), Count::default(), Vec::new());
            let mut cache = if cached { Cache::for_text(4096) } else { Cache::default() };
            encode(&model, &pretokenizer, &mut cache, text.as_bytes(), &mut ids, &Interrupt::never()).unwrap();
            encode(&model, &pretokenizer, &mut cache, text.as_bytes(), &mut count, &Interrupt::never()).unwrap();
            pretokenizer.split(text.as_bytes(), |start, end| {
                let piece = &text.as_bytes()[start..end];
                match model.id(piece).filter(|_| ranks) {
                    Some(id) => expected.push(id),
                    None => merge_all(&model, piece, &mut expected),
                }
                Ok(())
            }).unwrap();
            prop_assert_eq!(count.0, ids.len() as u64);
            prop_assert_eq!(ids, expected);
        }
    }
}
