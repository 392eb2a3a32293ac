//! Two symbols to the symbol they make: a perfect hash table, small enough for the second cache and without a search.
//!
//! Naive: open addressing at half load: 4 MiB for 100,000 pairs, and a loop whose end nobody can predict.
//! Idea: pairs are known when a vocabulary is loaded. They are thrown into buckets; for each bucket, the largest first, a
//! displacement is found that sends its pairs to free slots. A look-up reads the displacement, then one slot, and
//! compares the pair: two loads, no branch, about 1 MiB for 100,000 pairs. Many pairs that are looked up make nothing:
//! sixteen bits beside the displacement know most of these, which then read one slot that is always near.
//! Cost: linear to build (6 ms for 100,000 pairs). Worst case: a seed that fails is replaced by another.
//! Invariant: a pair that was not put in gives [`NONE`]: the slot holds the whole pair.
//! Source: Belazzougui, Botelho and Dietzfelbinger, *Hash, displace, and compress* (2009).

use crate::prefetch::prefetch;
use crate::table::fold;

/// No symbol.
pub(super) const NONE: u32 = u32::MAX;
/// Symbols are below this: two of them and their product fit into 60 bits.
pub(super) const MOST: usize = (1 << 20) - 1;
/// How many seeds are tried.
const SEEDS: u64 = 64;

/// Pairs of symbols to symbols.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    /// Left, right and product, 20 bits each; all ones where there is no pair.
    pub(super) slots: Vec<u64>,
    /// The displacement of each bucket, and above it a bit for each of the values that some bits of hashes have: whether a
    /// pair has it.
    pub(super) buckets: Vec<u32>,
    pub(super) hashing: Hashing,
}

/// How pairs are hashed: in words of 32 bits, of which vectors have sixteen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hashing {
    /// Odd numbers: two for each of two sums, and one that mixes the first of them.
    pub(super) factors: [u32; 5],
    /// So many bits are left out to get a bucket or a slot.
    pub(super) bucket_shift: u32,
    pub(super) slot_shift: u32,
}

/// The bits of a bucket that are its displacement.
pub(super) const DISPLACEMENT: u32 = 0xFFFF;
/// The other bits of a bucket, and where they begin.
pub(super) const BITS: u32 = 16;
pub(super) const BITS_FROM: u32 = 16;

/// How far the upper bits of a sum are brought down.
pub(super) const DOWN: u32 = 15;

/// Two hashes of a pair that have nothing to do with each other.
#[derive(Debug, Clone, Copy)]
struct Hash {
    mixed: u32,
    sum: u32,
}

impl Hash {
    /// The bit of a bucket that says that a pair may be in it.
    #[inline]
    fn bit(self) -> u32 {
        1 << (BITS_FROM + self.mixed % BITS)
    }
}

impl Hashing {
    #[inline]
    fn hash(&self, left: u32, right: u32) -> Hash {
        let [a, b, c, d, mix] = self.factors;
        let sum = |a: u32, b: u32| left.wrapping_mul(a).wrapping_add(right.wrapping_mul(b));
        let first = sum(a, b);
        Hash { mixed: (first ^ first >> DOWN).wrapping_mul(mix), sum: sum(c, d) }
    }

    #[inline]
    fn bucket(&self, hash: Hash) -> usize {
        (hash.mixed >> self.bucket_shift) as usize
    }

    #[inline]
    fn slot(&self, hash: Hash, displacement: u32) -> usize {
        let place = hash.sum.wrapping_add((hash.mixed | 1).wrapping_mul(displacement));
        (place >> self.slot_shift) as usize
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 20 | u64::from(right)
}

impl Pairs {
    /// A table of `pairs`: left, right, product, all below [`MOST`], no pair twice.
    pub(super) fn new(pairs: &[(u32, u32, u32)]) -> Option<Self> {
        let slots = (pairs.len() + pairs.len() / 6 + 16).next_power_of_two();
        let buckets = (pairs.len() / 6 + 2).next_power_of_two();
        (1..SEEDS).find_map(|seed| {
            let factor = |at: u64| fold(seed, at.wrapping_mul(0x9E37_79B9_7F4A_7C15)) as u32 | 1;
            let mut table = Self {
                slots: vec![u64::MAX; slots],
                buckets: vec![0; buckets],
                hashing: Hashing {
                    factors: [1, 2, 3, 4, 5].map(factor),
                    bucket_shift: 32 - buckets.ilog2(),
                    slot_shift: 32 - slots.ilog2(),
                },
            };
            table.fill(pairs).then_some(table)
        })
    }

    /// Finds a displacement for every bucket; `false` where one has none.
    fn fill(&mut self, pairs: &[(u32, u32, u32)]) -> bool {
        let (hashing, buckets) = (self.hashing, self.buckets.len());
        let mut sizes = vec![0u32; buckets + 1];
        for &(left, right, _) in pairs {
            sizes[hashing.bucket(hashing.hash(left, right)) + 1] += 1;
        }
        let mut starts = sizes.clone();
        for bucket in 0..buckets {
            starts[bucket + 1] += starts[bucket];
        }
        let mut next = starts.clone();
        let mut members = vec![(Hash { mixed: 0, sum: 0 }, 0u64); pairs.len()];
        for &(left, right, product) in pairs {
            let hash = hashing.hash(left, right);
            self.buckets[hashing.bucket(hash)] |= hash.bit();
            let place = &mut next[hashing.bucket(hash)];
            members[*place as usize] = (hash, key(left, right) << 20 | u64::from(product));
            *place += 1;
        }
        let mut order: Vec<u32> = (0..buckets as u32).collect();
        order.sort_by_key(|&bucket| std::cmp::Reverse(sizes[bucket as usize + 1]));
        // Whether a slot is taken, in a bit: they stay in the first cache, as the slots do not.
        let mut taken = vec![0u64; self.slots.len().div_ceil(64)];
        for bucket in order.into_iter().map(|bucket| bucket as usize) {
            let bucket_members = &members[starts[bucket] as usize..starts[bucket + 1] as usize];
            let found = (0..=DISPLACEMENT).find(|&displacement| {
                let mut take = |&(hash, _): &(Hash, u64)| {
                    let slot = hashing.slot(hash, displacement);
                    let is_free = taken[slot / 64] >> (slot % 64) & 1 == 0;
                    taken[slot / 64] |= 1 << (slot % 64);
                    is_free
                };
                let free = bucket_members.iter().take_while(|member| take(member)).count();
                if free < bucket_members.len() {
                    // Those that were taken just now are free again.
                    for &(hash, _) in &bucket_members[..free] {
                        let slot = hashing.slot(hash, displacement);
                        taken[slot / 64] &= !(1 << (slot % 64));
                    }
                }
                free == bucket_members.len()
            });
            let Some(displacement) = found else { return false };
            self.buckets[bucket] |= displacement;
            for &(hash, entry) in bucket_members {
                self.slots[hashing.slot(hash, displacement)] = entry;
            }
        }
        true
    }

    /// The slot that two symbols would have, which is asked for.
    #[inline]
    pub(super) fn ask(&self, left: u32, right: u32) -> Asked {
        let hash = self.hashing.hash(left, right);
        let bucket = self.buckets[self.hashing.bucket(hash)];
        // Most pairs make nothing; what has no bit reads the first slot, which is near, instead of one that is not.
        let there = (bucket & hash.bit()).wrapping_neg().cast_signed() >> 31;
        let slot = self.hashing.slot(hash, bucket & DISPLACEMENT) & there.cast_unsigned() as usize;
        prefetch(&self.slots, slot);
        Asked { key: key(left, right), slot }
    }

    /// What two symbols make that were asked for, or [`NONE`].
    ///
    /// Whether a pair is there cannot be foreseen, and is known late: a branch on it would stop all that goes on
    /// meanwhile. So it is arithmetic, in a form that compilers do not turn into a branch.
    #[inline]
    pub(super) fn take(&self, asked: Asked) -> u32 {
        let entry = self.slots[asked.slot & (self.slots.len() - 1)];
        // 0 if the pair is that of the entry, else 1.
        let differs = (((entry >> 20) ^ asked.key).count_ones() + 63) >> 6;
        entry as u32 & (MOST as u32) | differs.wrapping_neg()
    }

    /// What two symbols make, or [`NONE`].
    #[inline]
    pub(super) fn get(&self, left: u32, right: u32) -> u32 {
        self.take(self.ask(left, right))
    }
}

/// Two symbols that were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    key: u64,
    slot: usize,
}

impl Asked {
    /// Nothing: makes nothing.
    pub(super) const NOTHING: Self = Self { key: u64::MAX, slot: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_pair_is_found_and_no_other() {
        for number in [0, 1, 2, 50, 40_000] {
            let pairs: HashMap<(u32, u32), u32> = (0..number)
                .map(|index: u32| ((index.wrapping_mul(7919) % 1000, index / 3), index % MOST as u32))
                .collect();
            let list: Vec<_> = pairs.iter().map(|(&(left, right), &product)| (left, right, product)).collect();
            let table = Pairs::new(&list).unwrap();
            for left in 0..1000 {
                for right in (0..=number / 3).step_by(41) {
                    assert_eq!(table.get(left, right), pairs.get(&(left, right)).copied().unwrap_or(NONE));
                }
            }
            for (&(left, right), &product) in &pairs {
                assert_eq!(table.get(left, right), product);
            }
            assert_eq!(table.get(MOST as u32, MOST as u32), NONE);
        }
    }
}
