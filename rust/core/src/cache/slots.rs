//! Where the records of long pieces are: hashes and places, four to look at for each.
//!
//! Naive: a hash map. Idea: a table of a fixed size, without a count of what is in it and without moving anything: of the
//! four places of a hash, which share a cache line, the one that was written longer ago is written anew.
//! Cost: one cache line, asked for with the hash. Memory: 16 bytes a place, fixed.
//! Invariant: a hash that is equal says nothing yet: [`super::records::Records::get`] compares the bytes.

use crate::prefetch::prefetch;
use crate::table::fold;

/// The longest piece that is kept.
pub(super) const LONGEST: usize = 256;
const WAYS: usize = 4;

/// What a piece hashes to, and where its record is; the place counts from 1.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u64,
    at: u64,
}

/// The hash of a piece of any length: of its sixteen bytes each, the last sixteen being those at the end, whatever they
/// have in common with the ones before. So most pieces take no loop, and no copy of bytes whose number nobody foresees.
#[inline]
fn hash(piece: &[u8]) -> u64 {
    let mix = |hash: u64, bytes: &[u8; 16]| {
        let word = u128::from_le_bytes(*bytes);
        fold(hash ^ word as u64, (word >> 64) as u64 ^ 0x2D35_8DCC_AA6C_78A5)
    };
    let hash = piece.len() as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let (Some(first), Some(last)) = (piece.first_chunk(), piece.last_chunk()) else {
        let mut all = [0; 16];
        all[..piece.len()].copy_from_slice(piece);
        return mix(hash, &all);
    };
    let mut hash = mix(hash, first);
    let mut rest = &piece[16..];
    while let Some((next, after)) = rest.split_first_chunk().filter(|(_, after)| !after.is_empty()) {
        hash = mix(hash, next);
        rest = after;
    }
    fold(mix(hash, last), 0x8BB8_4B93_962E_ACC9)
}

/// A bounded table from hashes to places.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    /// The number of places: a power of two.
    fn len_for(places: usize) -> usize {
        1 << places.max(WAYS).ilog2()
    }

    /// Bytes of memory for one of about so many places.
    pub(super) fn bytes_for(places: usize) -> usize {
        Self::len_for(places) * size_of::<Slot>()
    }

    /// One of about so many places.
    pub(super) fn with_places(places: usize) -> Self {
        Self(vec![Slot::default(); Self::len_for(places)])
    }

    /// The hash of a piece, 0 where it is too long to be kept; asks for its places.
    #[inline]
    pub(super) fn ask(&self, piece: &[u8]) -> u64 {
        if piece.len() > LONGEST {
            return 0;
        }
        let hash = hash(piece);
        prefetch(&self.0, hash as usize & (self.0.len() - 1));
        hash
    }

    /// The place that was put for a hash.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<u64> {
        let first = hash as usize & (self.0.len() - 1);
        let mut slots = (0..WAYS).map(|way| self.0[first ^ way]);
        slots.find(|slot| slot.hash == hash && slot.at != 0).map(|slot| slot.at - 1)
    }

    /// Puts a place; says whether it took room that was free.
    pub(super) fn put(&mut self, hash: u64, at: u64) -> bool {
        let first = hash as usize & (self.0.len() - 1);
        let oldest = (0..WAYS).map(|way| first ^ way).min_by_key(|&slot| self.0[slot].at).unwrap_or(first);
        let free = self.0[oldest].at == 0;
        self.0[oldest] = Slot { hash, at: at + 1 };
        free
    }

    /// Takes over all of another table; returns how much more room is taken.
    pub(super) fn take_over(&mut self, old: Self) -> usize {
        let taken = old.0.into_iter().filter(|slot| slot.at != 0);
        taken.map(|slot| usize::from(self.put(slot.hash, slot.at - 1))).sum()
    }
}
