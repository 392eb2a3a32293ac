//! Schemes against their regular expressions, kernels against the scalar twin.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Every scheme with its expression and each other spelling of it, through the general engine.
static TWINS: LazyLock<Vec<(Pretokenizer, Pretokenizer)>> = LazyLock::new(|| {
    let mut twins = Vec::new();
    for scheme in &scheme::SCHEMES {
        if scheme.is_chain() {
            let general = Chain::new(scheme.splits()).unwrap();
            assert_eq!(general.spelling(), scheme.pattern);
            let general = Kind::Chain(Box::new(general));
            twins.push((Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) }, Pretokenizer { kind: general }));
            continue;
        }
        let spellings =
            meaning::SPELLINGS.iter().filter(|(name, _)| *name == scheme.name).map(|(_, spelling)| spelling);
        for pattern in std::iter::once(&scheme.pattern).chain(spellings) {
            let general = Kind::Regex(Box::new(GeneralRegex::by_backtracking(pattern)));
            twins.push((Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) }, Pretokenizer { kind: general }));
        }
    }
    twins
});

fn pieces(pretokenizer: &Pretokenizer, text: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    pretokenizer
        .split(text, |start, end| {
            pieces.push(text[start..end].to_vec());
            Ok(())
        })
        .unwrap();
    pieces
}

/// Fragments that meet every branch of the grammar.
const FRAGMENTS: [&str; 52] = [
    "a",
    "Z",
    "don",
    "'s",
    "'S",
    "'\u{17F}",
    "'ll",
    "'LL",
    "'lL",
    "'v",
    "'ve",
    "'",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\u{A0}",
    "\u{3000}",
    "\u{2028}",
    "1",
    "12",
    "345",
    "\u{0663}",
    "\u{2167}",
    "!",
    "?!",
    "/",
    "//",
    "_",
    "\u{301}",
    "\u{94D}",
    "\u{4E2D}\u{6587}",
    "\u{1C5}",
    "\u{2B0}",
    "\u{DF}",
    "\u{401}\u{436}",
    "\u{1F468}\u{200D}\u{1F469}",
    "\u{FE0F}",
    "\0",
    "\u{FEFF}",
    "\u{AA}",
    "\u{10FFFF}",
    "\u{30A2}\u{3042}",
    "\u{309A}",
    "\u{3099}\u{3097}",
    "\u{30FB}",
    "\u{9FFF}\u{9FA6}",
    "\x01",
    "\u{200D}",
    "=",
];

fn texts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..14).prop_map(|parts| parts.concat())
}

/// Mixtures of some hundred bytes, of few fragments so that they meet one another.
fn long_texts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 1..8)
        .prop_flat_map(|few| prop::collection::vec(prop::sample::select(few), 0..300).prop_map(|parts| parts.concat()))
}

/// Where the pieces end, by [`Pretokenizer::split_batches`].
fn batched(pretokenizer: &Pretokenizer, room: &mut Ends, text: &[u8]) -> Vec<usize> {
    let mut all = Vec::new();
    pretokenizer
        .split_batches(room, text, |base, ends| {
            assert!(base == all.last().copied().unwrap_or(0) && !ends.is_empty() && ends.len() <= BATCH);
            all.extend(ends.iter().map(|&end| base + end as usize));
            Ok(())
        })
        .unwrap();
    all
}

/// Where the pieces end, by [`Pretokenizer::split`].
fn ends(pretokenizer: &Pretokenizer, text: &[u8]) -> Vec<usize> {
    let mut all = Vec::new();
    pretokenizer
        .split(text, |_, end| {
            all.push(end);
            Ok(())
        })
        .unwrap();
    all
}

/// Cuts `text` with every kernel of this processor and every scheme, and compares with the readable twin.
fn check(room: &mut Ends, text: &[u8]) {
    for scheme in &scheme::SCHEMES {
        let expected = ends(&Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) }, text);
        for tier in Tier::all() {
            let got = batched(&Pretokenizer { kind: Kind::Scheme(scheme, tier) }, room, text);
            if got != expected {
                let at = got.iter().zip(&expected).take_while(|(got, expected)| got == expected).count();
                let place = expected[at.min(expected.len() - 1)];
                let around = String::from_utf8_lossy(&text[place.saturating_sub(20)..(place + 20).min(text.len())]);
                let (got, expected) = (got.get(at), expected.get(at));
                panic!("{} {}: {got:?}, not {expected:?} in {around:?}", scheme.name, tier.name());
            }
        }
    }
}

#[test]
fn kernels_cut_borders_of_blocks_and_windows_like_the_twin() {
    let mut room = Ends::default();
    let mixture = FRAGMENTS.concat().repeat(120);
    for padding in 0..130 {
        for unit in ["a", " ", "\u{4E2D}", "!"] {
            check(&mut room, &[unit.repeat(padding).as_bytes(), mixture.as_bytes()].concat()[..2000]);
        }
    }
    // Every length, unaligned, up to the last byte of an allocation.
    for end in (0..300).chain(8150..8330).chain([mixture.len()]) {
        let text = mixture.as_bytes()[..end].to_vec().into_boxed_slice();
        check(&mut room, &text);
        check(&mut room, &text[text.len().min(1)..]);
    }
}

/// The text ends, or begins, where memory does.
#[cfg(target_os = "linux")]
#[test]
#[allow(unsafe_code)]
fn kernels_read_nothing_around_the_text() {
    const PART: usize = 1 << 16;
    let mut map = memmap2::MmapMut::map_anon(3 * PART).unwrap();
    for part in [0, 2] {
        // SAFETY: a part of a mapping of our own, at a border of pages, of which nothing is read from here on.
        let refused = unsafe { libc::mprotect(map[part * PART..].as_mut_ptr().cast(), PART, libc::PROT_NONE) };
        assert_eq!(refused, 0);
    }
    let mut room = Ends::default();
    let mixture = FRAGMENTS.concat().repeat(100);
    for len in (0..200).chain(8185..8200) {
        for from in [0, 1, 100] {
            let text = &mixture.as_bytes()[from..from + len];
            map[PART..PART + len].copy_from_slice(text);
            check(&mut room, &map[PART..PART + len]);
            map[2 * PART - len..2 * PART].copy_from_slice(text);
            check(&mut room, &map[2 * PART - len..2 * PART]);
        }
    }
}

#[test]
fn kernels_know_every_character() {
    let mut room = Ends::default();
    // Planes 4 to 13 hold no characters yet.
    let text = ('\0'..'\u{40000}')
        .chain('\u{E0000}'..'\u{E0200}')
        .flat_map(|character| format!("a{character}1 {character}").into_bytes())
        .collect::<Vec<_>>();
    check(&mut room, &text);
}

#[test]
fn kernels_cut_long_runs() {
    let mut room = Ends::default();
    for unit in [
        "a",
        "A",
        "\u{4E2D}",
        "1",
        " ",
        "\n",
        " \n",
        "!",
        "!\n",
        "/",
        "\u{301}",
        "'s",
        "a's",
        "a'sA",
        "\u{4E2D}A",
        "\u{E9}",
        "\n ",
    ] {
        for (before, after) in [("", ""), ("!!", "!"), ("\u{4E2D}", "b"), ("\n", "\n"), ("\n", "a"), ("7", "1")] {
            for count in [70, 20_000 / unit.len()] {
                check(&mut room, [before, &unit.repeat(count), after].concat().as_bytes());
                check(
                    &mut room,
                    [after, "\n", &unit.repeat(count), before, "\n\u{4E2D}", after, &unit.repeat(count), before]
                        .concat()
                        .as_bytes(),
                );
            }
        }
    }
}

#[test]
fn a_run_of_capitals_ends_with_a_block_before_a_line_break() {
    let mut room = Ends::default();
    for count in 180..200 {
        check(&mut room, ["\u{AA}".repeat(count).as_str(), "\u{1C5}\u{1C5}\n"].concat().as_bytes());
    }
}

#[test]
fn batches_are_the_pieces() {
    let pretokenizer = Pretokenizer::new(Some("cl100k")).unwrap();
    let mut room = Ends::default();
    for text in ["", "a", &FRAGMENTS.concat().repeat(400)] {
        assert_eq!(batched(&pretokenizer, &mut room, text.as_bytes()), ends(&pretokenizer, text.as_bytes()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_scheme_equals_its_regular_expression(text in texts()) {
        for (fast, general) in TWINS.iter() {
            prop_assert_eq!(pieces(fast, text.as_bytes()), pieces(general, text.as_bytes()), "{:?}", general.pattern());
        }
    }

    #[test]
    fn any_bytes_are_cut_as_if_invalid_ones_were_replaced(bytes in prop::collection::vec(any::<u8>(), 0..40), text in texts()) {
        let mixed = [text.as_bytes(), &bytes, text.as_bytes()].concat();
        for (fast, general) in TWINS.iter() {
            let fast = pieces(fast, &mixed);
            prop_assert_eq!(fast.concat(), &mixed[..]);
            prop_assert_eq!(fast, pieces(general, &mixed), "{:?}", general.pattern());
        }
    }

    #[test]
    fn kernels_cut_mixtures_like_the_twin(text in long_texts(), bytes in prop::collection::vec(any::<u8>(), 0..3), at in any::<prop::sample::Index>()) {
        let mut room = Ends::default();
        check(&mut room, text.as_bytes());
        let mut broken = text.into_bytes();
        let at = at.index(broken.len() + 1);
        broken.splice(at..at, bytes);
        check(&mut room, &broken);
    }

    #[test]
    fn only_the_last_two_pieces_change_when_a_text_goes_on(text in texts(), more in texts()) {
        for scheme in &scheme::SCHEMES {
            let pretokenizer = Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) };
            let short = pieces(&pretokenizer, text.as_bytes());
            let long = pieces(&pretokenizer, [&*text, &more].concat().as_bytes());
            let sure = short.len().saturating_sub(2);
            prop_assert_eq!(&long[..sure], &short[..sure], "{}", scheme.name);
        }
    }

    #[test]
    fn a_cut_changes_nothing(text in texts()) {
        for scheme in &scheme::SCHEMES {
            let pretokenizer = Pretokenizer { kind: Kind::Scheme(scheme, Tier::Scalar) };
            let text = text.as_bytes();
            let whole = pieces(&pretokenizer, text);
            for at in (0..text.len()).filter(|&at| pretokenizer.is_cut(text, at)) {
                prop_assert_eq!(&[pieces(&pretokenizer, &text[..at]), pieces(&pretokenizer, &text[at..])].concat(), &whole, "{} {}", scheme.name, at);
            }
        }
    }
}

#[test]
fn text_between_matches_is_kept() {
    let pretokenizer = Pretokenizer::new(Some(r"\d+")).unwrap();
    assert_eq!(pieces(&pretokenizer, b"ab12cd\xFF3"), [&b"ab"[..], b"12", b"cd\xFF", b"3"]);
    assert_eq!(pieces(&Pretokenizer::new(None).unwrap(), b"ab 12"), [b"ab 12"]);
}

/// regex-automata reads `{1,3}+` as a repeat of a repeat.
#[test]
fn a_possessive_repeat_is_one() {
    for pattern in [r"\p{N}{1,3}+", r"\p{N}{1,3}+|\s+(?!\S)|\s+"] {
        assert_eq!(pieces(&Pretokenizer::new(Some(pattern)).unwrap(), b"12345"), [b"123".to_vec(), b"45".to_vec()]);
    }
    assert_eq!(pieces(&Pretokenizer::new(Some("x?+a|b++c")).unwrap(), b"xxabbc"), [&b"x"[..], b"xa", b"bbc"]);
    // One digit, not a run of them.
    assert_eq!(pieces(&Pretokenizer::new(Some(r"\p{N}{1}+")).unwrap(), b"12"), [b"1", b"2"]);
}

#[test]
fn what_is_no_pattern_is_refused() {
    let message = Pretokenizer::new(Some("(")).unwrap_err().to_string();
    assert!(message.contains("not a scheme name (gpt2, cl100k"), "{message}");
}

#[test]
fn splits_that_come_to_a_scheme_are_that() {
    let split =
        |text: &str| Split::Split { pattern: Pattern::Regex(text.into()), behavior: Behavior::Isolated, invert: false };
    let digits = Split::Digits { individual_digits: true };
    let byte_level = |use_regex| Split::ByteLevel { use_regex };
    let deepseek = Pretokenizer::new(Some("deepseek-v3")).unwrap();
    for (splits, name) in [
        ([deepseek.splits(), vec![byte_level(false)]].concat(), "deepseek-v3"),
        (vec![digits.clone(), byte_level(true)], "starcoder"),
        (vec![split("[0-9\\p{N}]"), split(scheme::find("gpt2").unwrap().pattern), byte_level(false)], "starcoder"),
    ] {
        let pretokenizer = Pretokenizer::from_splits(&splits).unwrap();
        let Kind::Scheme(scheme, _) = pretokenizer.kind else { panic!("{splits:?} is no scheme") };
        assert_eq!(scheme.name, name);
        assert_eq!(Pretokenizer::new(pretokenizer.pattern()).unwrap().pattern(), pretokenizer.pattern());
        assert_eq!(Pretokenizer::from_splits(&pretokenizer.splits()).unwrap().pattern(), pretokenizer.pattern());
    }
    for splits in [
        vec![byte_level(true), digits.clone()],
        vec![Split::Digits { individual_digits: false }, byte_level(true)],
        deepseek.splits()[..2].to_vec(),
    ] {
        assert!(matches!(Pretokenizer::from_splits(&splits).unwrap().kind, Kind::Chain(_)), "{splits:?}");
    }
}
