//! The two hash tables of this crate: byte strings to a value, and pairs of ids to a value.
//!
//! Naive: `HashMap<Vec<u8>, V>`: an allocation a key, a pointer to follow on every look-up.
//! Idea: a pretoken is mostly short (84-91 % have at most 7 bytes, 97-99 % at most 15), so a string of at most 15
//! bytes *is* its key: 16 bytes loaded at once, masked, with the length in the last byte. Such keys lie in one flat
//! array, are compared as one number, and are exact: two different strings never have the same key. Longer strings
//! lie in an arena behind an ordinary hash table.
//! Cost: one multiplication and about one cache line a look-up; at most 3/4 of the slots are used. Worst case: keys
//! that collide in the hash; the seed differs in every table, so they cannot be prepared in advance.
//! Invariant: an empty string is never a key (0 marks an empty slot).

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::prefetch::prefetch;

/// The longest string that is its own key.
pub const SHORT: usize = 15;

/// Keeps the first `n` bytes of a loaded key.
const MASK: [u128; SHORT + 1] = {
    let mut mask = [0; SHORT + 1];
    let mut n = 1;
    while n <= SHORT {
        mask[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    mask
};

/// The key of `text[start..end]`, which has 1 to [`SHORT`] bytes.
#[inline]
pub(crate) fn short_key(text: &[u8], start: usize, end: usize) -> u128 {
    let len = end - start;
    let bytes = if let Some(window) = text.get(start..start + 16).and_then(|window| window.try_into().ok()) {
        u128::from_le_bytes(window) & MASK[len]
    } else {
        let mut window = [0; 16];
        window[..len].copy_from_slice(&text[start..end]);
        u128::from_le_bytes(window)
    };
    bytes | (len as u128) << 120
}

/// Mixes two words into one by a full multiplication (the idea of foldhash and wyhash).
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A seed that differs from table to table.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0u8) | 1
}

/// A string longer than [`SHORT`], in the arena.
#[derive(Debug, Clone, Copy)]
struct Long<V> {
    start: usize,
    len: usize,
    value: V,
}

/// Byte strings to values.
#[derive(Debug, Clone)]
pub struct ByteTable<V> {
    slots: Vec<(u128, V)>,
    used: usize,
    seed: u64,
    long: HashTable<Long<V>>,
    hasher: foldhash::fast::RandomState,
    arena: Vec<u8>,
}

impl<V: Copy + Default> Default for ByteTable<V> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<V: Copy + Default> ByteTable<V> {
    /// Room for `n` short strings before the table grows.
    #[must_use]
    pub fn with_capacity(n: usize) -> Self {
        let mut slots = Vec::new();
        // Written in order: fresh memory that is read first, here and there, is brought page by page, and twice.
        slots.resize((n * 4 / 3 + 1).next_power_of_two().max(16), (0, V::default()));
        Self {
            slots,
            used: 0,
            seed: seed(),
            long: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            arena: Vec::new(),
        }
    }

    /// How many strings are in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used + self.long.len()
    }

    /// Whether no string is in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where `key` is looked for first.
    #[inline]
    fn home(&self, key: u128) -> usize {
        let hash = fold(key as u64 ^ self.seed, (key >> 64) as u64 ^ 0x9E37_79B9_7F4A_7C15);
        hash as usize & (self.slots.len() - 1)
    }

    /// Asks for the memory in which `text[start..end]` is looked for.
    #[inline]
    pub(crate) fn prefetch(&self, text: &[u8], start: usize, end: usize) {
        if end - start <= SHORT {
            prefetch(&self.slots, self.home(short_key(text, start, end)));
        }
    }

    /// The index of `key`'s slot, or of the empty slot where it belongs.
    #[inline]
    fn probe(&self, key: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut index = self.home(key);
        loop {
            let found = self.slots[index].0;
            if found == key || found == 0 {
                return index;
            }
            index = (index + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let doubled = vec![(0, V::default()); self.slots.len() * 2];
        let slots = std::mem::replace(&mut self.slots, doubled);
        for slot in slots {
            if slot.0 != 0 {
                let index = self.probe(slot.0);
                self.slots[index] = slot;
            }
        }
    }

    /// The value of `text[start..end]`, if it is there. The text around the string lets the key be loaded at once.
    #[inline]
    #[must_use]
    pub fn get(&self, text: &[u8], start: usize, end: usize) -> Option<V> {
        if end - start <= SHORT {
            let (key, value) = self.slots[self.probe(short_key(text, start, end))];
            return (key != 0).then_some(value);
        }
        let bytes = &text[start..end];
        let hash = self.hasher.hash_one(bytes);
        self.long.find(hash, |entry| self.arena[entry.start..entry.start + entry.len] == *bytes).map(|e| e.value)
    }

    /// The value of `text[start..end]`, made from the default where it is new.
    #[inline]
    pub fn entry(&mut self, text: &[u8], start: usize, end: usize) -> &mut V {
        if end - start <= SHORT {
            let key = short_key(text, start, end);
            let mut index = self.probe(key);
            if self.slots[index].0 == 0 {
                if self.used * 4 >= self.slots.len() * 3 {
                    self.grow();
                    index = self.probe(key);
                }
                self.slots[index].0 = key;
                self.used += 1;
            }
            return &mut self.slots[index].1;
        }
        self.long_entry(&text[start..end])
    }

    #[inline(never)]
    fn long_entry(&mut self, bytes: &[u8]) -> &mut V {
        let Self { long, hasher, arena, .. } = self;
        let hash = hasher.hash_one(bytes);
        let entry = long.entry(
            hash,
            |entry| arena[entry.start..entry.start + entry.len] == *bytes,
            |entry| hasher.hash_one(&arena[entry.start..entry.start + entry.len]),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => &mut entry.into_mut().value,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let start = arena.len();
                let inserted = entry.insert(Long { start, len: bytes.len(), value: V::default() });
                arena.extend_from_slice(bytes);
                &mut inserted.into_mut().value
            }
        }
    }

    /// Calls `visit` with every string and its value, in no order.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], V)) {
        for &(key, value) in self.slots.iter().filter(|slot| slot.0 != 0) {
            visit(&key.to_le_bytes()[..(key >> 120) as usize], value);
        }
        for entry in &self.long {
            visit(&self.arena[entry.start..entry.start + entry.len], entry.value);
        }
    }
}

/// Marks an empty slot; no pair of ids, since ids stay below `u32::MAX`.
const EMPTY: u64 = u64::MAX;

/// Pairs of ids to values.
#[derive(Debug, Clone)]
pub struct PairTable<V> {
    slots: Vec<(u64, V)>,
    used: usize,
    shift: u32,
}

/// The key of a pair: `left` first, so that keys are ordered as pairs are.
#[inline]
#[must_use]
pub const fn pair(left: u32, right: u32) -> u64 {
    (left as u64) << 32 | right as u64
}

/// The hash of a pair, best in its top bits.
#[inline]
const fn hash_pair(key: u64) -> u64 {
    // Both ids reach the top bits: the high half is folded in before Fibonacci hashing.
    (key ^ (key >> 32).wrapping_mul(0xA24B_AED5)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Which of `parts` a pair belongs to, by bits of its hash that say little of its place in a table.
#[inline]
pub(crate) const fn part_of(key: u64, parts: usize) -> usize {
    ((hash_pair(key) >> 16 & 0xFFFF) as usize * parts) >> 16
}

impl<V: Copy + Default> PairTable<V> {
    /// Room for `n` pairs before the table grows.
    #[must_use]
    pub fn with_capacity(n: usize) -> Self {
        let slots = (n * 2).next_power_of_two().max(16);
        Self { slots: vec![(EMPTY, V::default()); slots], used: 0, shift: 64 - slots.trailing_zeros() }
    }

    /// How many pairs are in the table.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Asks for the memory in which a pair is looked for.
    #[inline]
    pub(crate) fn prefetch(&self, key: u64) {
        prefetch(&self.slots, (hash_pair(key) >> self.shift) as usize);
    }

    #[inline]
    fn probe(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut index = (hash_pair(key) >> self.shift) as usize;
        loop {
            let found = self.slots[index].0;
            if found == key || found == EMPTY {
                return index;
            }
            index = (index + 1) & mask;
        }
    }

    /// The value of a pair, if it is there.
    #[inline]
    #[must_use]
    pub fn get(&self, key: u64) -> Option<V> {
        let (found, value) = self.slots[self.probe(key)];
        (found != EMPTY).then_some(value)
    }

    /// The value of a pair, if it is there.
    #[inline]
    pub fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        let index = self.probe(key);
        let (found, value) = &mut self.slots[index];
        (*found != EMPTY).then_some(value)
    }

    /// The value of a pair, made from the default where it is new.
    #[inline]
    pub fn entry(&mut self, key: u64) -> &mut V {
        let mut index = self.probe(key);
        if self.slots[index].0 == EMPTY {
            if self.used * 2 >= self.slots.len() {
                self.grow();
                index = self.probe(key);
            }
            self.slots[index].0 = key;
            self.used += 1;
        }
        &mut self.slots[index].1
    }

    fn grow(&mut self) {
        let doubled = vec![(EMPTY, V::default()); self.slots.len() * 2];
        self.shift -= 1;
        let slots = std::mem::replace(&mut self.slots, doubled);
        for slot in slots {
            if slot.0 != EMPTY {
                let index = self.probe(slot.0);
                self.slots[index] = slot;
            }
        }
    }

    /// Every pair with its value, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, V)> + '_ {
        self.slots.iter().copied().filter(|slot| slot.0 != EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn byte_table_equals_hash_map(words in prop::collection::vec(prop::collection::vec(0u8..4, 1..40), 0..300)) {
            let mut table = ByteTable::<u64>::default();
            let mut expected: HashMap<Vec<u8>, u64> = HashMap::new();
            for word in &words {
                // Once as a text of its own, once with text after it: both ways of loading the key.
                let padded = [word.as_slice(), &[7; 20]].concat();
                *table.entry(word, 0, word.len()) += 1;
                *table.entry(&padded, 0, word.len()) += 1;
                *expected.entry(word.clone()).or_default() += 2;
            }
            prop_assert_eq!(table.len(), expected.len());
            for (word, count) in &expected {
                prop_assert_eq!(table.get(word, 0, word.len()), Some(*count));
            }
            let mut seen = HashMap::new();
            table.for_each(|word, count| { seen.insert(word.to_vec(), count); });
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn pair_table_equals_hash_map(pairs in prop::collection::vec((0u32..50, 0u32..50), 0..500)) {
            let mut table = PairTable::<u64>::with_capacity(0);
            let mut expected: HashMap<u64, u64> = HashMap::new();
            for (left, right) in pairs {
                *table.entry(pair(left, right)) += 1;
                *expected.entry(pair(left, right)).or_default() += 1;
            }
            for (key, count) in &expected {
                prop_assert_eq!(table.get(*key), Some(*count));
            }
            prop_assert_eq!(table.get(pair(99, 99)), None);
            prop_assert_eq!(table.iter().collect::<HashMap<_, _>>(), expected);
        }
    }
}
