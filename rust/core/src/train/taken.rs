//! Strings that no merge may make, because they are tokens already: those of the base and the special tokens.
//!
//! A vocabulary with two tokens of one string could encode it in two ways, and most file formats cannot hold it.
//! Without a base and special tokens this cannot happen: no merge crosses the border of an occurrence before it is one
//! token, so every occurrence of a string is merged in the same way.

use std::collections::HashSet;

use super::TrainOptions;

/// What no merge may make, and the strings of all symbols so far.
#[derive(Debug)]
pub(super) struct Taken<'o> {
    strings: &'o HashSet<Vec<u8>>,
    /// Empty where nothing is taken: then no string is made at all.
    symbols: Vec<Vec<u8>>,
}

impl<'o> Taken<'o> {
    pub(super) fn new(options: &'o TrainOptions) -> Self {
        let mut symbols: Vec<Vec<u8>> = Vec::new();
        if !options.taken.is_empty() {
            symbols.extend(options.byte_order.bytes().map(|byte| vec![byte]));
            for &(left, right) in &options.base {
                symbols.push([&symbols[left as usize][..], &symbols[right as usize]].concat());
            }
        }
        Self { strings: &options.taken, symbols }
    }

    /// Whether the two may be merged; if so, the merge is taken note of.
    pub(super) fn allow(&mut self, left: u32, right: u32) -> bool {
        if self.strings.is_empty() {
            return true;
        }
        let joined = [&self.symbols[left as usize][..], &self.symbols[right as usize]].concat();
        let allowed = !self.strings.contains(&joined);
        if allowed {
            self.symbols.push(joined);
        }
        allowed
    }
}
