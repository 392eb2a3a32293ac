//! Ids -> text while they arrive: a character is given out as soon as its last byte is there.
//!
//! Naive: decode each id alone; a character of several tokens then comes out as replacement characters. Idea: decode to
//! bytes, and keep back the bytes at the end that a later token may complete: at most three.
//! Cost: the bytes of the tokens, and a look at the last three.
//! Invariant: what is given out, joined, is the decoding of all ids at once, whatever the bytes are and however the ids
//! are cut into calls. Bytes are kept back only where they begin a valid character; so nothing waits for ever.

/// The bytes of tokens, cut where characters end.
#[derive(Debug, Clone, Default)]
pub struct CharacterStream {
    /// The beginning of a character.
    pending: Vec<u8>,
}

impl CharacterStream {
    /// Takes the next bytes, and gives all that no later byte can change.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        self.pending = all.split_off(complete(&all));
        all
    }

    /// Gives what was kept back; the stream is then as new.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
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
    use proptest::prelude::*;

    #[test]
    fn a_character_comes_with_its_last_byte() {
        let mut stream = CharacterStream::default();
        assert_eq!(stream.feed(b"a\xE4"), b"a");
        assert_eq!(stream.feed(b"\xB8"), b"");
        assert_eq!(stream.feed(b"\xADb"), "\u{4E2D}b".as_bytes());
        assert_eq!(stream.feed(b"\xF0\x9F"), b"");
        assert_eq!(stream.finish(), b"\xF0\x9F");
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn what_is_no_character_does_not_wait() {
        let mut stream = CharacterStream::default();
        for bytes in [&b"\xFF"[..], b"\x80\x80", b"\xC0", b"\xED\xA0", b"\xF5\x80"] {
            assert_eq!(stream.feed(bytes), bytes);
        }
    }

    proptest! {
        #[test]
        fn text_joins(bytes in prop::collection::vec(prop::sample::select(&b"a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\xFF\xED"[..]), 0..60), sizes in prop::collection::vec(1usize..5, 60)) {
            let (mut stream, mut text, mut rest) = (CharacterStream::default(), String::new(), &bytes[..]);
            for size in sizes {
                let (part, after) = rest.split_at(size.min(rest.len()));
                text += &String::from_utf8_lossy(&stream.feed(part));
                rest = after;
                prop_assert!(stream.pending.len() < 4);
            }
            text += &String::from_utf8_lossy(&stream.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
