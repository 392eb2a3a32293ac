//! Ids -> text while they arrive: a character is given out as soon as its last byte is there.
//!
//! Naive: decode each id alone; a character of several tokens then comes out as replacement characters, and the space
//! that some tokenizers take away at the beginning of a text is taken away everywhere. Idea: decode to bytes, and keep
//! back only what a later token can still change: the beginning of a character, at most three bytes, and what a change
//! of the whole text may still have to do with.
//! Cost: the bytes of the tokens, and a look at the last few.
//! Invariant: what is given out, joined, is the decoding of all ids at once, whatever the bytes are and however the ids
//! are cut into calls. Bytes are kept back only where they begin a valid character; so nothing waits for ever.

use crate::decode::Change;
use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// The text of ids that arrive bit by bit.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// Whether an id has arrived.
    begun: bool,
    /// For each change of the whole text.
    stages: Vec<Stage>,
    /// The beginning of a character.
    pending: Vec<u8>,
}

/// What a change of the whole text keeps between calls.
#[derive(Debug, Clone)]
struct Stage {
    change: Change,
    /// Characters that may still be taken away at the beginning.
    left: usize,
    held: Vec<u8>,
}

/// How many bytes at the end of `text` begin `word`, without being all of it.
fn begun_at_the_end(text: &[u8], word: &[u8]) -> usize {
    (1..word.len().min(text.len() + 1)).rev().find(|&len| text.ends_with(&word[..len])).unwrap_or(0)
}

impl Stage {
    fn new(change: &Change) -> Self {
        let left = if let Change::Strip { start, .. } = change { *start } else { 0 };
        Self { change: change.clone(), left, held: Vec::new() }
    }

    /// Takes the next bytes and gives those that are certain; `last`: there are no more.
    fn pass(&mut self, bytes: &[u8], last: bool) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        match &self.change {
            Change::DropInFirst(_) => std::mem::take(&mut self.held),
            Change::Replace { pattern, content } => {
                let (mut out, mut done) = (Vec::new(), 0);
                for at in memchr::memmem::find_iter(&self.held, pattern) {
                    out.extend_from_slice(&self.held[done..at]);
                    out.extend_from_slice(content.as_bytes());
                    done = at + pattern.len();
                }
                let rest = &self.held[done..];
                let kept = if last { 0 } else { begun_at_the_end(rest, pattern.as_bytes()) };
                out.extend_from_slice(&rest[..rest.len() - kept]);
                self.held.drain(..self.held.len() - kept);
                out
            }
            Change::Strip { content, stop, .. } => {
                let mut buffer = [0; 4];
                let content = content.encode_utf8(&mut buffer).as_bytes();
                while self.left > 0 {
                    if self.held.starts_with(content) {
                        self.held.drain(..content.len());
                        self.left -= 1;
                    } else if !last && content.starts_with(&self.held) {
                        return Vec::new();
                    } else {
                        self.left = 0;
                    }
                }
                let begun = if last || *stop == 0 { 0 } else { begun_at_the_end(&self.held, content) };
                let mut certain = self.held.len() - begun;
                for _ in 0..*stop {
                    if self.held[..certain].ends_with(content) {
                        certain -= content.len();
                    }
                }
                let kept = self.held.split_off(certain);
                let out = std::mem::replace(&mut self.held, kept);
                if last {
                    self.held.clear();
                }
                out
            }
        }
    }
}

impl Stream {
    /// Takes the next ids, and gives the bytes that no later id can change. An unknown id is an error, and none is taken.
    pub fn feed(&mut self, tokenizer: &Tokenizer, ids: &[u32]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokenizer.vocabulary().join(tokenizer.rows(), ids, !self.begun, &mut bytes)?;
        if !self.begun && !ids.is_empty() {
            self.begun = true;
            let whole = tokenizer.decoder().map_or(&[][..], |decoder| &decoder.whole);
            self.stages = whole.iter().map(Stage::new).collect();
        }
        for stage in &mut self.stages {
            bytes = stage.pass(&bytes, false);
        }
        let mut all = std::mem::take(&mut self.pending);
        all.append(&mut bytes);
        self.pending = all.split_off(complete(&all));
        Ok(all)
    }

    /// Gives what was kept back; the stream is then as new.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for stage in &mut self.stages {
            bytes = stage.pass(&bytes, true);
        }
        let mut all = std::mem::take(self).pending;
        all.append(&mut bytes);
        all
    }
}

/// How many bytes stand before a character that is valid so far and not complete.
fn complete(bytes: &[u8]) -> usize {
    for start in (bytes.len().saturating_sub(3)..bytes.len()).rev() {
        if bytes[start] & 0xC0 != 0x80 {
            let unfinished = std::str::from_utf8(&bytes[start..]).is_err_and(|error| error.error_len().is_none());
            return if unfinished { start } else { bytes.len() };
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoder;
    use crate::model::Model;
    use crate::pretokenize::Pretokenizer;
    use proptest::prelude::*;

    /// One whose ids are bytes, with these changes of the whole text.
    fn tokenizer(whole: Vec<Change>) -> Tokenizer {
        let tokens: Vec<([u8; 1], u32)> = (0..=255u8).map(|byte| ([byte], u32::from(byte))).collect();
        let pretokenizer = Pretokenizer::new(None).unwrap();
        let made = Tokenizer::new(pretokenizer, Model::from_ranks(&tokens).unwrap(), vec![], (vec![], vec![])).unwrap();
        if whole.is_empty() { made } else { made.with_decoder(Decoder { whole, ..Decoder::default() }) }
    }

    fn ids(bytes: &[u8]) -> Vec<u32> {
        bytes.iter().map(|&byte| u32::from(byte)).collect()
    }

    #[test]
    fn a_character_comes_with_its_last_byte() {
        let (mut stream, tokenizer) = (Stream::default(), tokenizer(vec![]));
        let mut feed = |bytes: &[u8]| stream.feed(&tokenizer, &ids(bytes)).unwrap();
        assert_eq!(feed(b"a\xE4"), b"a");
        assert_eq!(feed(b"\xB8"), b"");
        assert_eq!(feed(b"\xADb"), "\u{4E2D}b".as_bytes());
        assert_eq!(feed(b"\xF0\x9F"), b"");
        assert_eq!((stream.finish(), stream.finish()), (b"\xF0\x9F".to_vec(), vec![]));
    }

    #[test]
    fn what_is_no_character_does_not_wait() {
        let (mut stream, tokenizer) = (Stream::default(), tokenizer(vec![]));
        for bytes in [&b"\xFF"[..], b"\x80\x80", b"\xC0", b"\xED\xA0", b"\xF5\x80"] {
            assert_eq!(stream.feed(&tokenizer, &ids(bytes)).unwrap(), bytes);
        }
        assert!(stream.feed(&tokenizer, &[97, 256]).is_err());
        assert_eq!(stream.feed(&tokenizer, &[98]).unwrap(), b"b");
    }

    #[test]
    fn the_space_in_front_is_taken_away_once() {
        let strip = Change::Strip { content: ' ', start: 1, stop: 0 };
        let (mut stream, tokenizer) = (Stream::default(), tokenizer(vec![strip]));
        for _ in 0..2 {
            let mut feed = |bytes: &[u8]| stream.feed(&tokenizer, &ids(bytes)).unwrap();
            assert_eq!(
                (feed(b""), feed(b" "), feed(b" a"), feed(b" b")),
                (vec![], vec![], b" a".to_vec(), b" b".to_vec())
            );
            assert_eq!(stream.finish(), b"");
        }
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let strip = (prop::sample::select(vec![' ', '\u{4E2D}']), 0usize..3, 0usize..3)
            .prop_map(|(content, start, stop)| Change::Strip { content, start, stop });
        let replace = prop::sample::select(vec![("a", ""), ("aa", "b"), ("aba", "\u{E9}"), ("\u{4E2D}", " ")]);
        let replace =
            replace.prop_map(|(pattern, content)| Change::Replace { pattern: pattern.into(), content: content.into() });
        prop::collection::vec(prop_oneof![strip, replace], 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn text_joins(
            whole in changes(),
            parts in prop::collection::vec(prop::sample::select(vec!["a", "b", " ", "\u{4E2D}", "\u{E9}", "\u{1F600}"]), 0..20),
            noise in prop::collection::vec(prop::sample::select(&b"a \xE4\xB8\xAD\xF0\x9F\xFF\xED"[..]), 0..8),
            sizes in prop::collection::vec(1usize..5, 90),
        ) {
            let bytes = [parts.concat().as_bytes(), &noise, parts.concat().as_bytes()].concat();
            let tokenizer = tokenizer(whole);
            let (mut stream, mut text, mut rest) = (Stream::default(), Vec::new(), &ids(&bytes)[..]);
            let mut shown = String::new();
            for size in sizes {
                let (part, after) = rest.split_at(size.min(rest.len()));
                let bytes = stream.feed(&tokenizer, part).unwrap();
                shown += &String::from_utf8_lossy(&bytes);
                text.extend(bytes);
                rest = after;
            }
            let bytes_left = stream.finish();
            shown += &String::from_utf8_lossy(&bytes_left);
            text.extend(bytes_left);
            let expected = tokenizer.decode(&ids(&bytes[..bytes.len() - rest.len()])).unwrap();
            prop_assert_eq!(&text, &expected);
            prop_assert_eq!(shown, String::from_utf8_lossy(&expected));
        }
    }
}
