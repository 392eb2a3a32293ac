//! Ids -> bytes: the bytes of each token, one after the other.

use crate::error::{Error, Result};
use crate::model::Model;
use crate::special::SpecialTokens;

/// The bytes of one id.
#[inline]
pub(crate) fn token<'t>(model: &'t Model, specials: &'t SpecialTokens, id: u32) -> Option<&'t [u8]> {
    model.token(id).or_else(|| specials.get(id).map(|token| token.content.as_bytes()))
}

/// Appends the bytes of all ids; fails at the first one that has none.
pub(crate) fn decode(
    model: &Model,
    specials: &SpecialTokens,
    ids: &[u32],
    vocab_size: usize,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    for (position, &id) in ids.iter().enumerate() {
        let token = token(model, specials, id).ok_or(Error::TokenId { id: i128::from(id), position, vocab_size })?;
        bytes.extend_from_slice(token);
    }
    Ok(())
}
