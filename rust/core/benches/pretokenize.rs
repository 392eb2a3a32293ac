//! Megabytes a second of every kernel of this processor, scheme by scheme, and whether they cut alike.
//!
//! `cargo bench -p tokfast --bench pretokenize -- [--short] [--check] FILE...`: the first 10 MB of each file, best of
//! five; `--short` measures calls on 10 to 1000 bytes instead; `--check` compares every end with the scalar twin's.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use tokfast::pretokenize::{Ends, Pretokenizer, scheme_names};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    for path in arguments.iter().filter(|argument| !argument.starts_with("--")) {
        let bytes = std::fs::read(path).unwrap();
        let text = &bytes[..bytes.len().min(10_000_000)];
        for scheme in scheme_names().filter(|&name| name != "llama3") {
            let pretokenizer = Pretokenizer::new(Some(scheme)).unwrap();
            let mut line = format!("{path} {scheme}");
            for kernel in Pretokenizer::kernels() {
                let pretokenizer = pretokenizer.clone().with_kernel(kernel).unwrap();
                if asked("--check") {
                    check(&pretokenizer, text);
                    let _ = write!(line, " {kernel} equal");
                } else if asked("--short") {
                    for len in [10, 30, 100, 300, 1000] {
                        let _ = write!(line, " {kernel}/{len} {:.0} ns", nanoseconds(&pretokenizer, text, len));
                    }
                } else {
                    let _ = write!(line, " {kernel} {:.0}", rate(&pretokenizer, text));
                }
            }
            println!("{line}");
        }
    }
}

/// Megabytes a second, best of five.
fn rate(pretokenizer: &Pretokenizer, text: &[u8]) -> f64 {
    let mut room = Ends::default();
    let seconds = (0..5).map(|_| {
        let start = Instant::now();
        count(pretokenizer, &mut room, text);
        start.elapsed().as_secs_f64()
    });
    text.len() as f64 / 1e6 / seconds.fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of a call on `len` bytes: 10,000 different ones, best of five.
fn nanoseconds(pretokenizer: &Pretokenizer, text: &[u8], len: usize) -> f64 {
    let mut room = Ends::default();
    let seconds = (0..5).map(|_| {
        let start = Instant::now();
        for part in text.chunks(len).take(10_000) {
            count(pretokenizer, &mut room, part);
        }
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min) * 1e9 / text.chunks(len).take(10_000).len() as f64
}

fn count(pretokenizer: &Pretokenizer, room: &mut Ends, text: &[u8]) {
    let mut pieces = 0;
    pretokenizer
        .split_batches(room, black_box(text), |_, ends| {
            pieces += ends.len();
            Ok(())
        })
        .unwrap();
    black_box(pieces);
}

/// Panics unless the pieces are those of the scalar twin.
fn check(pretokenizer: &Pretokenizer, text: &[u8]) {
    let (mut got, mut expected) = (Vec::new(), Vec::new());
    pretokenizer
        .split_batches(&mut Ends::default(), text, |base, ends| {
            got.extend(ends.iter().map(|&end| base + end as usize));
            Ok(())
        })
        .unwrap();
    pretokenizer
        .split(text, |_, end| {
            expected.push(end);
            Ok(())
        })
        .unwrap();
    assert!(got == expected);
}
