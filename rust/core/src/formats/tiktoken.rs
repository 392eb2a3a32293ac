//! `.tiktoken`: a line a token, `base64(bytes) SPACE rank`. The rank is the id and the order of merges at once.
//!
//! Source: tiktoken `load.py`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fault;
use crate::error::Error;
use crate::model::{Alphabet, Model};
use crate::pretokenize::Pretokenizer;
use crate::special::SpecialToken;
use crate::tokenizer::Tokenizer;

/// The rank of one line, and its token's bytes at the end of `tokens`.
pub(super) fn parse_line(line: &[u8], tokens: &mut Vec<u8>) -> Result<u32, String> {
    let line = line.trim_ascii_end();
    let space = memchr::memchr(b' ', line).ok_or("is not 'base64 SPACE rank'")?;
    STANDARD.decode_vec(&line[..space], tokens).map_err(|error| format!("its token is not base64: {error}"))?;
    let rank = std::str::from_utf8(&line[space + 1..]).ok().and_then(|text| text.parse().ok());
    rank.filter(|&rank| rank < u32::MAX - 1).ok_or_else(|| {
        format!("its rank {:?} is not a number below 2^32 - 2", String::from_utf8_lossy(&line[space + 1..]))
    })
}

pub(super) fn read(bytes: &[u8], pattern: &str, specials: Vec<SpecialToken>) -> Result<Tokenizer, Fault> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut ranks = Vec::with_capacity(bytes.len() / 16);
    for (number, line) in
        bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
    {
        // Whisper's file holds the place of a rank that no token has with an empty token.
        if line.starts_with(b"= ") {
            continue;
        }
        let start = text.len();
        let rank = parse_line(line, &mut text).map_err(|reason| format!("line {} {reason}", number + 1))?;
        ranks.push((start..text.len(), rank));
    }
    let tokens: Vec<(&[u8], u32)> = ranks.into_iter().map(|(span, rank)| (&text[span], rank)).collect();
    let model = Model::from_ranks(&tokens)?;
    Ok(Tokenizer::new(Pretokenizer::new(Some(pattern))?, model, specials, (Vec::new(), Vec::new()))?)
}

pub(super) fn write(tokenizer: &Tokenizer) -> Result<Vec<u8>, Error> {
    let model = tokenizer.model();
    if *model.alphabet() != Alphabet::Bytes {
        return Err(Error::TokenizerFile {
            origin: "tiktoken".into(),
            reason: "ranks are of bytes, and cannot hold a vocabulary of characters; save it as tokenizer.json".into(),
        });
    }
    let mut text = String::with_capacity(model.len() * 16);
    for id in 0..model.len() as u32 {
        if let Some(token) = model.token(id) {
            STANDARD.encode_string(token, &mut text);
            // Writing to a String cannot fail.
            let _ = writeln!(text, " {id}");
        }
    }
    Ok(text.into_bytes())
}
