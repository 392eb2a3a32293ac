//! What a regular expression means, so that another spelling of it is the same.
//!
//! Naive: compare the texts, and miss a scheme whose letters stand in another order. Idea: parse the expression and
//! rewrite it into one form; expressions of one form match alike at every place of every text. Only rules that keep
//! the match of a backtracking engine (the first way through, in the order of the alternatives) are used, so equal
//! forms are a proof; expressions that mean the same and come to unequal forms are merely not recognised.
//!
//! - Groups that are not referred to, and nested alternatives and sequences, are taken apart.
//! - A character, a class and alternatives of these are a set of characters, whatever spells it.
//! - Finitely many strings of which none begins another match in one way at most, so they are a set: `'s|'t`,
//!   `'(?:s|t)` and `'[ts]` are one.
//! - Neighbouring repeats of a set add up: `xx*` is `x+`.
//! - Possessive and atomic parts are ordinary ones where giving back would help nothing: what follows cannot begin
//!   with what would be given back, or cannot fail.
//! - At the end of the whole: `A*B+` is `A*B` where A holds B, since `A*` leaves the last B only; `S+$|S+(?!C)` is
//!   `S+(?!C)`, which takes the same run to the end; behind a failed `S+(?!\S)` (S white space, or any other set and its
//!   complement) a run has one character, so `S` and `S+` are one there.
//!
//! Cost: an expression of up to [`LONGEST`] bytes, parsed once when a tokenizer is made.
//! Source: the rules are checked against fancy-regex's engine in this room's tests; it parses the expression here too.

mod end;
mod form;

use std::collections::BTreeSet;

use fancy_regex::{Assertion, Expr, LookAround};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use end::at_end;
use form::{alternatives, repeat, sequence};

/// Longer expressions are not looked at.
const LONGEST: usize = 4096;
/// Sets of more strings stay alternatives.
const MOST_STRINGS: usize = 256;

/// An expression in the one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// One character of a set.
    Class(ClassUnicode),
    /// One of these strings, of which none begins another.
    Strings(BTreeSet<String>),
    /// One after the other; nothing at all where there is none.
    Sequence(Vec<Term>),
    /// The first that leads to a match.
    Alternatives(Vec<Term>),
    /// Again and again; `usize::MAX` for no limit.
    Repeat { child: Box<Term>, least: usize, most: usize, greedy: bool },
    /// The first way through, and no other.
    Atomic(Box<Term>),
    /// No character of a set follows.
    NotBefore(ClassUnicode),
}

/// The meaning of an expression, where it is made of parts that are understood here.
pub(super) fn of(pattern: &str) -> Option<Term> {
    if pattern.len() > LONGEST {
        return None;
    }
    let tree = Expr::parse_tree(pattern).ok()?;
    let term = translate(&tree.expr)?;
    // What one rule leaves may be the beginning of another.
    Some(at_end(at_end(term)))
}

/// White space at the end of an expression, taken away: what stands before `|\s+(?!\S)|\s+`, as an expression without
/// look-around; the whole expression and `false` where it does not end so.
pub(super) fn linear(pattern: &str) -> Option<(String, bool)> {
    let term = of(pattern)?;
    if let Term::Alternatives(mut parts) = term.clone() {
        let end = of(r"\s+(?!\S)|\s+")?;
        if let Term::Alternatives(end) = end
            && parts.len() > end.len()
            && parts.ends_with(&end)
        {
            parts.truncate(parts.len() - end.len());
            return Some((spell(&Term::Alternatives(parts))?, true));
        }
    }
    Some((spell(&term)?, false))
}

// ------------------------------------------------------------------------------------------ from the parser

fn any() -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])
}

fn without(class: &ClassUnicode, other: &ClassUnicode) -> ClassUnicode {
    let mut rest = class.clone();
    rest.difference(other);
    rest
}

fn holds(class: &ClassUnicode, other: &ClassUnicode) -> bool {
    without(other, class).ranges().is_empty()
}

fn meets(class: &ClassUnicode, other: &ClassUnicode) -> bool {
    let mut both = class.clone();
    both.intersect(other);
    !both.ranges().is_empty()
}

/// The characters that an expression for one character matches.
fn class_of(expression: &str, any_case: bool) -> Option<ClassUnicode> {
    let parsed = regex_syntax::ParserBuilder::new().case_insensitive(any_case).build().parse(expression).ok()?;
    match parsed.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.clone()),
        // A set of one character.
        HirKind::Literal(literal) => {
            let mut characters = std::str::from_utf8(&literal.0).ok()?.chars();
            let character = characters.next().filter(|_| characters.clone().next().is_none())?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(character, character)]))
        }
        _ => None,
    }
}

fn translate(expression: &Expr) -> Option<Term> {
    let all = |children: &[Expr]| children.iter().map(translate).collect::<Option<Vec<_>>>();
    Some(match expression {
        Expr::Empty => Term::Sequence(vec![]),
        Expr::Any { newline: true, .. } => Term::Class(any()),
        Expr::Any { newline: false, crlf: false } => Term::Class(class_of(".", false)?),
        Expr::Literal { val, casei } => {
            let class = |character: char| class_of(&regex_syntax::escape(character.encode_utf8(&mut [0; 4])), *casei);
            sequence(val.chars().map(|character| class(character).map(Term::Class)).collect::<Option<_>>()?)
        }
        Expr::Delegate { inner, casei } => Term::Class(class_of(inner, *casei)?),
        Expr::Concat(children) => sequence(all(children)?),
        Expr::Alt(children) => alternatives(all(children)?),
        // Nothing that refers to a group is understood, so none of them matters.
        Expr::Group(child) => translate(child)?,
        Expr::LookAround(child, LookAround::LookAheadNeg) => match translate(child)? {
            Term::Class(class) => Term::NotBefore(class),
            _ => return None,
        },
        Expr::LookAround(child, LookAround::LookAhead) => match translate(child)? {
            // A character of the set, or the end: no other character.
            Term::Alternatives(parts) => match &parts[..] {
                [Term::Class(class), Term::NotBefore(all)] | [Term::NotBefore(all), Term::Class(class)]
                    if *all == any() =>
                {
                    Term::NotBefore(without(all, class))
                }
                _ => return None,
            },
            _ => return None,
        },
        Expr::Assertion(Assertion::EndText) => Term::NotBefore(any()),
        Expr::Repeat { child, lo, hi, greedy } => repeat(translate(child)?, *lo, *hi, *greedy),
        Expr::AtomicGroup(child) => match translate(child)? {
            // There is one way through at most.
            same @ (Term::Class(_) | Term::Strings(_) | Term::Atomic(_) | Term::NotBefore(_)) => same,
            child => Term::Atomic(Box::new(child)),
        },
        _ => return None,
    })
}

// ------------------------------------------------------------------------------------------ spelled again

/// An expression without look-around that means this.
fn spell(term: &Term) -> Option<String> {
    let join = |parts: &[Term], between: &str| Some(parts.iter().map(spell).collect::<Option<Vec<_>>>()?.join(between));
    Some(match term {
        Term::Class(class) if class.ranges().is_empty() => return None,
        Term::Class(class) => {
            let range = |range: &ClassUnicodeRange| {
                format!(r"\x{{{:X}}}-\x{{{:X}}}", u32::from(range.start()), u32::from(range.end()))
            };
            format!("[{}]", class.ranges().iter().map(range).collect::<String>())
        }
        Term::Strings(set) => {
            format!("(?:{})", set.iter().map(|string| regex_syntax::escape(string)).collect::<Vec<_>>().join("|"))
        }
        Term::Sequence(parts) => format!("(?:{})", join(parts, "")?),
        Term::Alternatives(parts) => format!("(?:{})", join(parts, "|")?),
        Term::Repeat { child, least, most, greedy } => {
            let most = if *most == usize::MAX { String::new() } else { most.to_string() };
            format!("(?:{}){{{least},{most}}}{}", spell(child)?, if *greedy { "" } else { "?" })
        }
        Term::NotBefore(class) if *class == any() => r"\z".into(),
        Term::Atomic(_) | Term::NotBefore(_) => return None,
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::SPELLINGS;
