//! Normalized text, and where each of its bytes comes from.
//!
//! Naive: compare both texts afterwards. Idea: every step says what it takes and gives, one character at a time.
//! Cost: 16 bytes for each byte of normalized text; only callers who ask for places pay it.
//! Invariant: the text is that of [`Normalizer::normalize`]. What a step puts in has the place of the character before
//! it, as in Hugging Face, and what is put in front that of the first one.
//!
//! Source: Hugging Face tokenizers 0.23.3, `NormalizedString::transform_range`.

use unicode_normalization_alignments::UnicodeNormalization;

use super::{Compiled, Normalizer, Pattern, Step, apply};

/// A place in the text as it came.
pub type Place = (usize, usize);

impl Normalizer {
    /// The text after all steps, and for each of its bytes the character of the text that it comes from.
    #[must_use]
    pub fn normalize_aligned(&self, text: &[u8], first: bool) -> (Vec<u8>, Vec<Place>) {
        let mut places = Vec::with_capacity(text.len());
        for chunk in text.utf8_chunks() {
            let sizes = chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1));
            for size in sizes {
                let start = places.len();
                places.extend(std::iter::repeat_n((start, start + size), size));
            }
        }
        let mut text = text.to_vec();
        for (step, compiled) in &self.steps {
            (text, places) = aligned(step, compiled, &text, &places, first);
        }
        (text, places)
    }
}

fn aligned(step: &Step, compiled: &Compiled, text: &[u8], places: &[Place], first: bool) -> (Vec<u8>, Vec<Place>) {
    let steps: fn(&str) -> Vec<(char, isize)> = match step {
        Step::Nfc => |text| text.nfc().collect(),
        Step::Nfd => |text| text.nfd().collect(),
        Step::Nfkc => |text| text.nfkc().collect(),
        Step::Nfkd => |text| text.nfkd().collect(),
        Step::Lowercase => |text| {
            let lower = |character: char| {
                character.to_lowercase().enumerate().map(|(index, lower)| (lower, isize::from(index > 0)))
            };
            text.chars().flat_map(lower).collect()
        },
        Step::Replace { pattern, content } => return replaced(pattern, compiled, content, text, places),
        Step::Strip { .. } | Step::Prepend { .. } | Step::PrependFirst { .. } | Step::PrependOnce { .. } => {
            let changed = apply(step, compiled, text, first).into_owned();
            let more = changed.len().saturating_sub(text.len());
            let skipped = if changed.len() < text.len() {
                // Stripped: where what is left begins.
                memchr::memmem::find(text, &changed).unwrap_or(0)
            } else {
                0
            };
            let kept = &places[skipped..skipped + changed.len() - more];
            // What is put in front has the place of the first character.
            let front = kept.first().copied().unwrap_or((0, 0));
            let places = std::iter::repeat_n(front, more).chain(kept.iter().copied()).collect();
            return (changed, places);
        }
    };
    let (mut changed, mut changed_places) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len()));
    let mut at = 0;
    for chunk in text.utf8_chunks() {
        let mut taken = chunk.valid().chars();
        let end = at + chunk.valid().len();
        for (character, change) in steps(chunk.valid()) {
            // A character that is put in has the place of the one before; any other takes the next one of the text,
            // and as many more as it stands for.
            let place = if change > 0 { at.checked_sub(1) } else { Some(at) };
            let place = place.and_then(|at| places.get(at)).copied().unwrap_or((0, 0));
            let count = if change > 0 { 0 } else { 1 + change.unsigned_abs() };
            at += taken.by_ref().take(count).map(char::len_utf8).sum::<usize>();
            let start = changed.len();
            changed.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            changed_places.extend(std::iter::repeat_n(place, changed.len() - start));
        }
        at = end + chunk.invalid().len();
        changed.extend_from_slice(chunk.invalid());
        changed_places.extend_from_slice(&places[end..at]);
    }
    (changed, changed_places)
}

fn replaced(
    pattern: &Pattern,
    compiled: &Compiled,
    content: &str,
    text: &[u8],
    places: &[Place],
) -> (Vec<u8>, Vec<Place>) {
    let mut found = Vec::new();
    match (pattern, compiled) {
        (Pattern::String(pattern), _) => {
            found.extend(memchr::memmem::find_iter(text, pattern).map(|start| (start, start + pattern.len())));
        }
        (_, Compiled::Expression(regex)) => {
            let mut base = 0;
            for chunk in text.utf8_chunks() {
                found.extend(regex.find_iter(chunk.valid()).map(|part| (base + part.start(), base + part.end())));
                base += chunk.valid().len() + chunk.invalid().len();
            }
        }
        (Pattern::Regex(_), Compiled::Plain) => {}
    }
    let (mut changed, mut changed_places, mut done) = (Vec::new(), Vec::new(), 0);
    for (start, end) in found {
        changed.extend_from_slice(&text[done..start]);
        changed_places.extend_from_slice(&places[done..start]);
        changed.extend_from_slice(content.as_bytes());
        let place = end.checked_sub(1).and_then(|last| places.get(last)).copied().unwrap_or((0, 0));
        changed_places.extend(std::iter::repeat_n(place, content.len()));
        done = end;
    }
    changed.extend_from_slice(&text[done..]);
    changed_places.extend_from_slice(&places[done..]);
    (changed, changed_places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps() -> Vec<Vec<Step>> {
        let replace = |pattern: Pattern, content: &str| Step::Replace { pattern, content: content.into() };
        vec![
            vec![],
            vec![Step::Nfc],
            vec![Step::Nfkd, Step::Lowercase],
            vec![Step::Nfkc, replace(Pattern::Regex(r"\s+".into()), " ")],
            vec![Step::Prepend { prepend: "\u{2581}".into() }, replace(Pattern::String(" ".into()), "\u{2581}")],
            vec![Step::Strip { strip_left: true, strip_right: true }, Step::Nfd],
            vec![Step::PrependOnce { prepend: " ".into(), first: true }],
        ]
    }

    proptest! {
        #[test]
        fn the_text_is_the_normalized_one(text in "[ ae\u{301}\u{E9}\u{FB01}\u{130}\n\u{4E2D}]{0,20}", bytes in prop::collection::vec(any::<u8>(), 0..8), first in any::<bool>()) {
            let mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
            for steps in steps() {
                let normalizer = Normalizer::new(steps).unwrap();
                let (aligned, places) = normalizer.normalize_aligned(&mixed, first);
                prop_assert_eq!(&aligned, &*normalizer.normalize(&mixed, first));
                prop_assert_eq!(aligned.len(), places.len());
                prop_assert!(places.iter().all(|place| place.0 <= place.1 && place.1 <= mixed.len()));
            }
        }
    }

    #[test]
    fn a_composed_character_comes_from_the_first_of_its_parts() {
        let normalizer = Normalizer::new(vec![Step::Nfc]).unwrap();
        let (text, places) = normalizer.normalize_aligned("ae\u{301}b".as_bytes(), true);
        assert_eq!(text, "a\u{E9}b".as_bytes());
        assert_eq!(places, [(0, 1), (1, 2), (1, 2), (4, 5)]);
    }
}
