//! Whether what was written reads back as the same tokenizer: part by part, every token by its bytes, and then by the
//! ids of a sample of text.
//!
//! The parts should decide all ids. The sample is there for what the parts do not show: it goes through the very calls
//! that users make, with special tokens found and not found, with and without what a template adds.
//! Cost: one pass over the vocabulary, and some kilobytes encoded four times.

use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::special::Which;
use crate::tokenizer::{EncodeOptions, Tokenizer};

/// Scripts, digits, spaces, contractions, code, marks, emoji, and what patterns look ahead at.
const SAMPLE: [&str; 12] = [
    "The quick brown fox's den isn't far; we'll see, THEY'VE said, I'M sure you'd agree. O'Neill's co-op re-opened!",
    "  two spaces,   three,\ttab,\u{A0}no-break,\u{3000}wide, \u{2028}line \r\n\r\n  \n\t\n end   ",
    "0 12 345 6789 01234567890 3.14159 1,000,000 1e-9 0xFF \u{BD} \u{B2} \u{664}\u{662} \u{967}\u{968} \u{2167}",
    "fn main() {\n    let mut x: Vec<u8> = vec![0; 10]; // a comment\n\tif x[0] != 1 && y >= 2 { return; }\n}\n",
    "def f(self, *args, **kwargs) -> dict[str, int]:\n    return {\"a\": 1, 'b': [x for x in range(10)]}\n\n\nhttps://example.org/a/b?c=d#e",
    "Stra\u{DF}e na\u{EF}ve \u{C5}ngstr\u{F6}m fa\u{E7}ade e\u{301}te\u{301} \u{130}stanbul \u{1C5}em \u{17F}ee \u{FB01}n Ti\u{1EBF}ng Vi\u{1EC7}t z\u{323}\u{307}\u{301}",
    "\u{41F}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43C}\u{438}\u{440}! \u{395}\u{3BB}\u{3BB}\u{3B7}\u{3BD}\u{3B9}\u{3BA}\u{3AC} \u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{645}\u{631}\u{62D}\u{628}\u{627} \u{548}\u{582} \u{10D8}\u{10D0}",
    "\u{4F60}\u{597D}\u{4E16}\u{754C}\u{FF0C}2026\u{5E74}\u{3002}\u{3053}\u{3093}\u{306B}\u{3061}\u{306F} \u{30AB}\u{30BF}\u{30AB}\u{30CA} \u{C548}\u{B155}\u{D558}\u{C138}\u{C694} \u{20000}",
    "\u{928}\u{92E}\u{938}\u{94D}\u{924}\u{947} \u{9AC}\u{9BE}\u{982}\u{9B2}\u{9BE} \u{BA4}\u{BAE}\u{BBF}\u{BB4}\u{BCD} \u{E44}\u{E17}\u{E22}\u{E33} \u{1781}\u{17D2}\u{1798}\u{17C2}\u{179A} \u{1200}",
    "\u{1F600}\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} \u{1F1E9}\u{1F1EA} \u{2764}\u{FE0F} \u{2211}x\u{2260}\u{221E} \u{201C}so\u{201D} \u{2014} \u{2581}_\u{2581}\u{2581} <0x0A> [INST] <|x|> \u{0}\u{7F}\u{FEFF}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa==================--------------''''''''\"\"\"\"////////\n\n\n\n\n\n\n\n                        x",
    "'s 'S 't 're 've 'm 'll 'd 'LL 'Ve !'s 1'st a'b'c //\n/ ...\n\n.\r\n\u{E9}\n \n",
];

/// What is different of `back`, if anything decides other ids.
pub(super) fn same(tokenizer: &Tokenizer, back: &Tokenizer) -> Result<(), String> {
    same_parts(tokenizer, back)?;
    same_on_sample(tokenizer, back)
}

/// The same tokens, and merges that act alike.
fn same_parts(a: &Tokenizer, b: &Tokenizer) -> Result<(), String> {
    if a.pretokenizer().pattern() != b.pretokenizer().pattern() {
        return Err("the pattern is lost".into());
    }
    if a.normalizer() != b.normalizer() || a.preparation() != b.preparation() {
        return Err("the normalizer is lost".into());
    }
    if a.model().alphabet() != b.model().alphabet() || a.decoder() != b.decoder() {
        return Err("what pieces consist of, or how they are decoded, comes back changed".into());
    }
    for id in 0..a.vocab_size().max(b.vocab_size()) as u32 {
        if a.token_bytes(id) != b.token_bytes(id) {
            return Err(format!("id {id} comes back with other bytes"));
        }
    }
    if a.specials().tokens() != b.specials().tokens() {
        return Err("the special tokens come back changed".into());
    }
    if a.template() != b.template() {
        return Err("the ids that add_special_tokens adds are lost".into());
    }
    // Merges that never happen decide nothing: files list every pair that joins to a token.
    let ((of_a, a_reached), (of_b, b_reached)) = (a.model().effective_merges(), b.model().effective_merges());
    if (a.model().ignores_merges() && !a_reached) != (b.model().ignores_merges() && !b_reached) {
        return Err("tokens that no merge makes are found otherwise".into());
    }
    if of_a != of_b || a.model().tied_ranks() != b.model().tied_ranks() {
        return Err("the merges come back in another order".into());
    }
    Ok(())
}

/// The same ids for the sample, and for the special tokens between its lines.
fn same_on_sample(a: &Tokenizer, b: &Tokenizer) -> Result<(), String> {
    let specials = a.specials().tokens();
    // A few of the first and of the last: files list thousands that stand in for nothing yet.
    let chosen = specials.iter().take(24).chain(specials.iter().skip(24).rev().take(24));
    let between = chosen.zip(SAMPLE.iter().cycle()).map(|(token, line)| {
        let cut = line.char_indices().nth(12).map_or(line.len(), |(at, _)| at);
        format!("{} {}{}", &line[..cut], token.content, &line[cut..])
    });
    let texts: Vec<String> = SAMPLE.map(String::from).into_iter().chain([SAMPLE.concat()]).chain(between).collect();
    for text in &texts {
        for (allowed, add_special_tokens) in [(Which::None, false), (Which::All, true)] {
            // The plain way, so that no table is made for a tokenizer that is dropped at once.
            let options = EncodeOptions { allowed, add_special_tokens, plain: true, ..EncodeOptions::default() };
            let ids = |tokenizer: &Tokenizer| {
                let ids = tokenizer.encode(text.as_bytes(), &options, &Interrupt::never());
                ids.map_err(|error| format!("the sample text {} cannot be encoded: {error}", shown(text)))
            };
            let (ours, theirs) = (ids(a)?, ids(b)?);
            if ours != theirs {
                let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
                return Err(format!(
                    "the sample text {} gets other ids, from place {at}: {:?} instead of {:?}",
                    shown(text),
                    theirs.iter().skip(at).take(4).collect::<Vec<_>>(),
                    ours.iter().skip(at).take(4).collect::<Vec<_>>(),
                ));
            }
        }
    }
    Ok(())
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pretokenizer;
    use crate::special::SpecialToken;
    use crate::words::{Unit, WordCounter};

    fn trained(pattern: &str, specials: Vec<SpecialToken>) -> Tokenizer {
        let never = Interrupt::never();
        let pretokenizer = Pretokenizer::new(Some(pattern)).unwrap();
        // The words are the same under each pattern here, so that only the pattern is different.
        let counter = WordCounter::new(Pretokenizer::new(Some("gpt2")).unwrap(), &[], Unit::Document, 1).unwrap();
        counter.add_documents(&[SAMPLE.concat().as_bytes()], &never).unwrap();
        let words = counter.finish(&never).unwrap();
        let plain =
            Tokenizer::train(&words, pretokenizer.clone(), 400, &[], &crate::TrainOptions::default(), &never).unwrap();
        Tokenizer::new(pretokenizer, plain.model().clone(), specials, (vec![], vec![])).unwrap()
    }

    #[test]
    fn the_sample_shows_another_pattern() {
        let tokenizer = trained("gpt2", vec![]);
        assert_eq!(same(&tokenizer, &tokenizer.clone()), Ok(()));
        let reason = same_on_sample(&tokenizer, &trained("cl100k", vec![])).unwrap_err();
        assert!(reason.contains("gets other ids, from place ") && reason.contains(" instead of "), "{reason}");
    }

    #[test]
    fn the_sample_shows_special_tokens_that_are_found_otherwise() {
        let token = |rstrip| SpecialToken { rstrip, ..SpecialToken::new("<|end|>", 500, true) };
        let tokenizer = trained("gpt2", vec![token(false)]);
        assert_eq!(same_on_sample(&tokenizer, &trained("gpt2", vec![token(false)])), Ok(()));
        let unlike = trained("gpt2", vec![SpecialToken::new("<|end|>", 501, true)]);
        assert!(same_on_sample(&tokenizer, &unlike).unwrap_err().contains("<|end|>"));
        assert!(same_on_sample(&tokenizer, &trained("gpt2", vec![])).is_err());
    }
}
