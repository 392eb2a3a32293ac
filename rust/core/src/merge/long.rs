//! The symbols of a very long piece, in linear time.
//!
//! Naive: a heap of all pairs: 16 bytes of memory a byte, and 2-15 MB/s.
//! Idea: an encoding is right exactly where each two neighbours in it are: where merging both together gives the two back.
//! So take the longest token from the left; where it does not go with the one before, take the next shorter one; where
//! none does, step back over the one before and take a shorter one there. A place from which nothing led on is noted,
//! so no place is tried twice. Whether two tokens go together is found by taking both apart, the later-made first.
//! Cost: the longest token's length for each byte at worst, a few look-ups a token in practice.
//! Invariant: every symbol is made of earlier ones, which [`Merger`] checks; else the heap is taken.
//! Source: H. van Antwerpen and A. Neubeck, *So many tokens, so little time* (2024), and rust-gems' `bpe`.

use super::{Merger, NONE};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::table::fold;

/// A trie of all symbols' bytes, and the longest symbol that each begins with.
#[derive(Debug, Clone)]
pub(super) struct Long {
    /// Child nodes by parent and byte, in one open table: parent and byte in the upper half, the child below it.
    children: Vec<u64>,
    /// The child of two bytes, since nearly every search begins there.
    second: Vec<u32>,
    /// The symbol that ends at each node.
    symbols: Vec<u32>,
    /// The longest symbol that is a proper prefix of each symbol.
    prefixes: Vec<u32>,
    /// The length of each symbol in bytes.
    lengths: Vec<u32>,
}

/// Bytes of all symbols together that there are node numbers for.
pub(super) const MOST_BYTES: usize = (1 << 24) - 256;

/// No child lies at an empty place.
const EMPTY: u64 = u64::MAX;

impl Long {
    /// For the symbols of `merger`, each made of earlier ones.
    pub(super) fn new(merger: &Merger) -> Self {
        let number = merger.parts.len();
        let mut bytes: Vec<u8> = (0..=255).collect();
        let mut spans: Vec<(usize, usize)> = (0..256).map(|at| (at, at + 1)).collect();
        for &(left, right) in &merger.parts[256..] {
            let start = bytes.len();
            for part in [left, right] {
                let (from, to) = spans[part as usize];
                bytes.extend_from_within(from..to);
            }
            spans.push((start, bytes.len()));
        }
        let mut trie = Self {
            children: vec![EMPTY; (number * 8).next_power_of_two()],
            second: vec![NONE; 1 << 16],
            symbols: (0..256).collect(),
            prefixes: vec![NONE; number],
            lengths: spans.iter().map(|(start, end)| (end - start) as u32).collect(),
        };
        for symbol in 256..number {
            let token = &bytes[spans[symbol].0..spans[symbol].1];
            let mut node = u32::from(token[0]);
            for &byte in &token[1..] {
                node = trie.child_or_new(node, byte);
            }
            trie.symbols[node as usize] = symbol as u32;
        }
        for symbol in 256..number {
            let token = &bytes[spans[symbol].0..spans[symbol].1];
            trie.prefixes[symbol] = trie.longest(&token[..token.len() - 1]);
        }
        trie
    }

    /// The place of a child in the table, or the empty place where it belongs.
    #[inline]
    fn place(&self, node: u32, byte: u8) -> usize {
        let key = u64::from(node) << 8 | u64::from(byte);
        let mut at = fold(key ^ 0x8BB8_4B93_962E_ACC9, 0x2D35_8DCC_AA6C_78A5) as usize & (self.children.len() - 1);
        while self.children[at] != EMPTY && self.children[at] >> 32 != key {
            at = (at + 1) & (self.children.len() - 1);
        }
        at
    }

    fn child_or_new(&mut self, node: u32, byte: u8) -> u32 {
        let at = self.place(node, byte);
        if self.children[at] != EMPTY {
            return self.children[at] as u32;
        }
        let child = self.symbols.len() as u32;
        self.symbols.push(NONE);
        self.children[at] = (u64::from(node) << 8 | u64::from(byte)) << 32 | u64::from(child);
        if node < 256 {
            self.second[(node << 8) as usize | usize::from(byte)] = child;
        }
        // At most three places in four are taken.
        if self.symbols.len() * 4 > self.children.len() * 3 {
            let doubled = vec![EMPTY; self.children.len() * 2];
            for entry in std::mem::replace(&mut self.children, doubled).into_iter().filter(|&entry| entry != EMPTY) {
                let at = self.place((entry >> 40) as u32, (entry >> 32) as u8);
                self.children[at] = entry;
            }
        }
        child
    }

    /// The longest symbol that `text`, which is not empty, begins with.
    #[inline]
    fn longest(&self, text: &[u8]) -> u32 {
        let mut best = u32::from(text[0]);
        let [first, second, rest @ ..] = text else { return best };
        let mut node = self.second[usize::from(*first) << 8 | usize::from(*second)];
        let mut rest = rest.iter();
        while node != NONE {
            let symbol = self.symbols[node as usize];
            best = if symbol == NONE { best } else { symbol };
            let Some(&byte) = rest.next() else { break };
            let child = self.children[self.place(node, byte)];
            node = if child == EMPTY { NONE } else { child as u32 };
        }
        best
    }

    /// Whether two symbols may stand side by side: whether merging both gives them back.
    fn go_together(merger: &Merger, mut left: u32, mut right: u32) -> bool {
        let mut limit = u32::MAX;
        loop {
            let made = merger.pairs.get(left, right);
            // Their bytes would have been merged across the border before.
            if made != NONE && made < limit {
                return false;
            }
            // What was made last is taken apart first; a byte comes apart into itself.
            for turn in 0..2 {
                if (left > right) == (turn == 0) {
                    limit = left;
                    left = merger.parts[left as usize].1;
                    if left != limit {
                        break;
                    }
                } else {
                    limit = right + 1;
                    right = merger.parts[right as usize].0;
                    if right + 1 != limit {
                        break;
                    }
                }
                if turn == 1 {
                    return true;
                }
            }
        }
    }

    /// Appends the symbols of a piece.
    pub(super) fn encode(
        &self,
        merger: &Merger,
        piece: &[u8],
        symbols: &mut Vec<u32>,
        interrupt: &Interrupt<'_>,
    ) -> Result<()> {
        let base = symbols.len();
        // A bit for each place from which nothing led on.
        let mut dead = vec![0u64; piece.len() / 64 + 1];
        let mut at = 0;
        let mut tries = 0u32;
        let mut candidate = self.longest(piece);
        loop {
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(1 << 16) {
                interrupt.check()?;
            }
            let end = at + self.lengths[candidate as usize] as usize;
            let last = if symbols.len() > base { symbols.last().copied() } else { None };
            if dead[end / 64] >> (end % 64) & 1 == 0
                && last.is_none_or(|last| Self::go_together(merger, last, candidate))
            {
                symbols.push(candidate);
                at = end;
                if at == piece.len() {
                    return Ok(());
                }
                candidate = self.longest(&piece[at..]);
                continue;
            }
            let mut shorter = self.prefixes[candidate as usize];
            while shorter == NONE {
                // Back over the one before, and something shorter there.
                dead[at / 64] |= 1 << (at % 64);
                let Some(last) = (if symbols.len() > base { symbols.pop() } else { None }) else {
                    return Err(crate::error::Error::Internal("a piece has no encoding".into()));
                };
                at -= self.lengths[last as usize] as usize;
                shorter = self.prefixes[last as usize];
            }
            candidate = shorter;
        }
    }
}
