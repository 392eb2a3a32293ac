//! The neighbours of one merge on one side: how often each symbol stands there, and where.
//!
//! Naive: update the pair of each occurrence in the table of pairs: two look-ups an occurrence.
//! Idea: one array indexed by symbol adds up; the table of pairs then sees each distinct neighbour once. Positions are
//! noted in one list as they come, and shared out only to the pairs that are frequent enough to be kept: most are not.
//! Cost: 16 bytes a symbol, 8 a position while a merge lasts.
//! Tried and dropped: a list of positions for each neighbour, grown as they come: one more cache miss a position, and
//! memory of twice what is kept.

/// The sum of one neighbour.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: u64,
    occurrences: u32,
    /// One more than the index of the list its positions go to; 0 for none.
    list: u32,
}

/// All neighbours of one side.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    sums: Vec<Sum>,
    seen: Vec<u32>,
    /// Symbol and position of every occurrence, in order.
    occurrences: Vec<(u32, u32)>,
    touched: Vec<(u32, u64)>,
}

impl Neighbours {
    pub(super) fn resize(&mut self, symbols: usize) {
        self.sums.resize(symbols, Sum::default());
    }

    #[inline]
    pub(super) fn add(&mut self, symbol: u32, count: u64, position: u32) {
        let sum = &mut self.sums[symbol as usize];
        if sum.total == 0 {
            self.seen.push(symbol);
        }
        sum.total += count;
        sum.occurrences += 1;
        self.occurrences.push((symbol, position));
    }

    /// The symbols that were added, with their totals.
    pub(super) fn touched(&mut self) -> &[(u32, u64)] {
        self.touched.clear();
        self.touched.extend(self.seen.iter().map(|&symbol| (symbol, self.sums[symbol as usize].total)));
        &self.touched
    }

    /// Hands over total and positions of the symbols that are to be kept, and forgets all.
    pub(super) fn drain(&mut self, keep: impl Fn(u32, u64) -> bool, mut take: impl FnMut(u32, u64, Box<[u32]>)) {
        let mut lists: Vec<(u32, Vec<u32>)> = Vec::new();
        for &symbol in &self.seen {
            let sum = &mut self.sums[symbol as usize];
            if keep(symbol, sum.total) {
                lists.push((symbol, Vec::with_capacity(sum.occurrences as usize)));
                sum.list = lists.len() as u32;
            }
        }
        if !lists.is_empty() {
            for &(symbol, position) in &self.occurrences {
                if let Some(list) = (self.sums[symbol as usize].list as usize).checked_sub(1) {
                    lists[list].1.push(position);
                }
            }
        }
        for (symbol, positions) in lists {
            take(symbol, self.sums[symbol as usize].total, positions.into_boxed_slice());
        }
        for &symbol in &self.seen {
            self.sums[symbol as usize] = Sum::default();
        }
        self.seen.clear();
        // The room of a giant merge is not kept for the small ones that follow.
        if self.occurrences.capacity() > 1 << 20 {
            self.occurrences = Vec::new();
        }
        self.occurrences.clear();
    }
}
