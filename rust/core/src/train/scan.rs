//! Counts all pairs of the layout, and lists the positions of those at or above a threshold.
//!
//! Naive: one table of all pairs, filled by one thread.
//! Idea: pairs are shared out by their hash. Each thread walks all symbols and takes note of its own pairs only, so
//! nothing is added up afterwards, and the tables of rare pairs, which nobody needs, exist one part at a time.
//! The first scan knows no symbol but the 256 bytes, so its table is a plain array; there threads share out the words.
//! Cost: two walks a part, 2-4 ns a symbol each, and one look-up a pair and walk; the first scan 2-4 ns a symbol.

use super::layout::Layout;
use super::merge::Rules;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::table::{PairTable, pair, part_of};
use crate::threads;

/// A pair that is frequent enough.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: u64,
    pub(super) count: u64,
    /// Where it begins, ascending.
    pub(super) positions: Box<[u32]>,
}

pub(super) fn scan(
    layout: &Layout,
    spans: &[u32],
    threshold: u64,
    rules: &Rules,
    threads: usize,
    interrupt: &Interrupt<'_>,
) -> Result<Vec<Found>> {
    // A short layout is walked by one thread in less time than it takes to start another.
    let parts = if layout.symbols.len() < 1 << 16 { 1 } else { threads.clamp(2, 64) };
    let found = threads::run(
        threads,
        parts,
        |_| Vec::new(),
        |found, part| {
            found.extend(scan_part(layout, spans, threshold, rules, (part, parts), interrupt)?);
            Ok(())
        },
    )?;
    Ok(found.into_iter().flatten().collect())
}

/// As [`scan`], while all symbols are single bytes.
pub(super) fn scan_bytes(
    layout: &Layout,
    threshold: u64,
    threads: usize,
    interrupt: &Interrupt<'_>,
) -> Result<Vec<Found>> {
    let parts = if layout.symbols.len() < 1 << 16 { 1 } else { threads.clamp(1, 64) };
    let words = |part: usize| layout.words() * part / parts..layout.words() * (part + 1) / parts;
    let cell = |left: u32, right: u32| (left << 8 | right) as u16 as usize;
    let grids = threads::in_order(threads::run(
        threads,
        parts,
        |_| Vec::new(),
        |grids, part| {
            let mut grid = vec![(0u64, 0u32); 1 << 16];
            layout.for_each_pair_of_bytes(words(part), interrupt, |_, left, right, count| {
                let entry = &mut grid[cell(left, right)];
                entry.0 += count;
                entry.1 += 1;
            })?;
            grids.push((part, grid));
            Ok(())
        },
    )?);
    let total = |at: usize| grids.iter().map(|grid| grid[at].0).sum::<u64>();
    let found: Vec<(usize, u64)> =
        (0..1 << 16).map(|at| (at, total(at))).filter(|&(_, count)| count > 0 && count >= threshold).collect();
    // For each pair that is kept, one more than its index.
    let mut kept = vec![0u32; 1 << 16];
    found.iter().zip(1..).for_each(|(&(at, _), index)| kept[at] = index);
    let mut lists = threads::in_order(threads::run(
        threads,
        parts,
        |_| Vec::new(),
        |lists, part| {
            let grid = &grids[part];
            let mut mine: Vec<Vec<u32>> =
                found.iter().map(|&(at, _)| Vec::with_capacity(grid[at].1 as usize)).collect();
            layout.for_each_pair_of_bytes(words(part), interrupt, |position, left, right, _| {
                if let Some(index) = kept[cell(left, right)].checked_sub(1) {
                    mine[index as usize].push(position as u32);
                }
            })?;
            lists.push((part, mine));
            Ok(())
        },
    )?);
    let found = found.into_iter().enumerate().map(|(index, (at, count))| {
        // The words of a part lie behind those of the part before it.
        let mut parts = lists.iter_mut().map(|lists| std::mem::take(&mut lists[index]));
        let mut positions = parts.next().unwrap_or_default();
        positions.reserve_exact(if parts.len() > 0 {
            grids[1..].iter().map(|grid| grid[at].1 as usize).sum()
        } else {
            0
        });
        parts.for_each(|part| positions.extend(part));
        Found { key: pair((at >> 8) as u32, (at & 0xFF) as u32), count, positions: positions.into_boxed_slice() }
    });
    Ok(found.collect())
}

fn scan_part(
    layout: &Layout,
    spans: &[u32],
    threshold: u64,
    rules: &Rules,
    (part, parts): (usize, usize),
    interrupt: &Interrupt<'_>,
) -> Result<Vec<Found>> {
    let mut totals = PairTable::<(u64, u32)>::with_capacity(1 << 14);
    layout.for_each_pair(spans, interrupt, |_, left, right, count| {
        let key = pair(left, right);
        if part_of(key, parts) == part {
            let entry = totals.entry(key);
            entry.0 += count;
            entry.1 += 1;
        }
    })?;
    let mut found: Vec<(u64, u64, Vec<u32>)> = Vec::new();
    for (key, (count, occurrences)) in totals.iter() {
        if count >= threshold && rules.allow((key >> 32) as u32, key as u32, spans) {
            found.push((key, count, Vec::with_capacity(occurrences as usize)));
        }
    }
    drop(totals);
    let mut lists = PairTable::<u32>::with_capacity(found.len());
    for (index, entry) in found.iter().enumerate() {
        *lists.entry(entry.0) = index as u32;
    }
    layout.for_each_pair(spans, interrupt, |position, left, right, _| {
        let key = pair(left, right);
        if part_of(key, parts) == part
            && let Some(index) = lists.get(key)
        {
            found[index as usize].2.push(position as u32);
        }
    })?;
    Ok(found
        .into_iter()
        .map(|(key, count, positions)| Found { key, count, positions: positions.into_boxed_slice() })
        .collect())
}
