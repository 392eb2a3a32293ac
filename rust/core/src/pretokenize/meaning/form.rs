//! The rules that hold anywhere in an expression: each of these functions makes a [`Term`] in the one form of parts that
//! are in it already.

use std::collections::BTreeSet;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{MOST_STRINGS, Term, holds, meets};

/// All strings that a term matches, where they are few and there is but one way to each choice.
fn strings(term: &Term) -> Option<Vec<String>> {
    let product = |left: Vec<String>, right: &[String]| {
        (left.len() * right.len() <= MOST_STRINGS)
            .then(|| left.iter().flat_map(|left| right.iter().map(move |right| format!("{left}{right}"))).collect())
    };
    match term {
        Term::Class(class) => {
            let size: usize = class.ranges().iter().map(ClassUnicodeRange::len).sum();
            let all = || class.ranges().iter().flat_map(|range| range.start()..=range.end());
            (size <= MOST_STRINGS / 4).then(|| all().map(String::from).collect())
        }
        Term::Strings(strings) => Some(strings.iter().cloned().collect()),
        Term::Sequence(parts) => {
            parts.iter().try_fold(vec![String::new()], |before, part| product(before, &strings(part)?))
        }
        Term::Alternatives(parts) => {
            let all = parts.iter().map(strings).collect::<Option<Vec<_>>>()?.concat();
            (all.len() <= MOST_STRINGS).then_some(all)
        }
        Term::Repeat { child, least, most, .. } if *most <= 8 => {
            let child = strings(child)?;
            let (mut all, mut power) = (Vec::new(), vec![String::new()]);
            for count in 0..=*most {
                if count > 0 {
                    power = product(power, &child)?;
                }
                if count >= *least {
                    all.extend(power.iter().cloned());
                }
            }
            (all.len() <= MOST_STRINGS).then_some(all)
        }
        Term::Repeat { .. } | Term::Atomic(_) | Term::NotBefore(_) => None,
    }
}

/// The set of these strings, if none of them begins another.
fn as_set(strings: Vec<String>) -> Option<Term> {
    let set: BTreeSet<String> = strings.into_iter().collect();
    // In order, what begins with a string comes right behind it.
    let apart = set.iter().zip(set.iter().skip(1)).all(|(one, next)| !next.starts_with(one.as_str()));
    if !apart || set.is_empty() || set.len() > MOST_STRINGS {
        return None;
    }
    let single = |string: &String| {
        let mut characters = string.chars();
        characters.next().filter(|_| characters.next().is_none())
    };
    let characters: Option<Vec<char>> = set.iter().map(single).collect();
    Some(match characters {
        Some(characters) => {
            Term::Class(ClassUnicode::new(characters.into_iter().map(|one| ClassUnicodeRange::new(one, one))))
        }
        None if set.contains("") => Term::Sequence(vec![]),
        None => Term::Strings(set),
    })
}

pub(super) fn repeat(child: Term, least: usize, most: usize, greedy: bool) -> Term {
    let greedy = greedy || least == most;
    if (least, most) == (1, 1) {
        return child;
    }
    let term = Term::Repeat { child: Box::new(child), least, most, greedy };
    strings(&term).and_then(as_set).unwrap_or(term)
}

/// A greedy repeat of a set of characters, or the set.
pub(super) fn as_run(term: &Term) -> Option<(&ClassUnicode, usize, usize)> {
    match term {
        Term::Class(class) => Some((class, 1, 1)),
        Term::Repeat { child, least, most, greedy: true } => match &**child {
            Term::Class(class) => Some((class, *least, *most)),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn sequence(parts: Vec<Term>) -> Term {
    let mut flat: Vec<Term> = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Term::Sequence(inner) => flat.extend(inner),
            Term::Strings(set) if set.len() == 1 => {
                let one = |one: char| Term::Class(ClassUnicode::new([ClassUnicodeRange::new(one, one)]));
                flat.extend(set.iter().flat_map(|string| string.chars()).map(one));
            }
            part => flat.push(part),
        }
    }
    // All of it is a set of strings, or what is left is put together.
    if let Some(set) = strings(&Term::Sequence(flat.clone())).and_then(as_set) {
        return set;
    }
    let mut joined: Vec<Term> = Vec::with_capacity(flat.len());
    for part in flat {
        let sum = match (joined.last().and_then(as_run), as_run(&part)) {
            (Some((class, least, most)), Some((same, more_least, more_most))) if class == same => {
                Some((class.clone(), least.saturating_add(more_least), most.saturating_add(more_most)))
            }
            _ => None,
        };
        match sum {
            Some((class, least, most)) => {
                joined.pop();
                joined.push(Term::Repeat { child: Box::new(Term::Class(class)), least, most, greedy: true });
            }
            None => joined.push(part),
        }
    }
    let mut index = 0;
    while index < joined.len() {
        if let Term::Atomic(child) = &joined[index]
            && let Some((class, ..)) = as_run(child)
            && refuses(&joined[index + 1..], class)
        {
            joined[index] = (**child).clone();
        }
        index += 1;
    }
    if joined.len() == 1 { joined.remove(0) } else { Term::Sequence(joined) }
}

/// Whether a sequence fails wherever a character of this set is next.
fn refuses(sequence: &[Term], class: &ClassUnicode) -> bool {
    for part in sequence {
        match part {
            Term::NotBefore(other) if holds(other, class) => return true,
            Term::NotBefore(_) => {}
            _ => {
                let (first, may_be_empty) = begins_with(part);
                if meets(&first, class) {
                    return false;
                }
                if !may_be_empty {
                    return true;
                }
            }
        }
    }
    false
}

/// Characters that a match may begin with (all of them, and maybe more), and whether it may be empty.
fn begins_with(term: &Term) -> (ClassUnicode, bool) {
    match term {
        Term::Class(class) => (class.clone(), false),
        Term::Strings(set) => {
            let first = set.iter().filter_map(|string| string.chars().next());
            (ClassUnicode::new(first.map(|one| ClassUnicodeRange::new(one, one))), false)
        }
        Term::Sequence(parts) => {
            let mut all = ClassUnicode::empty();
            for part in parts {
                let (first, may_be_empty) = begins_with(part);
                all.union(&first);
                if !may_be_empty {
                    return (all, false);
                }
            }
            (all, true)
        }
        Term::Alternatives(parts) => {
            let (mut all, mut empty) = (ClassUnicode::empty(), false);
            for part in parts {
                let (first, may_be_empty) = begins_with(part);
                all.union(&first);
                empty |= may_be_empty;
            }
            (all, empty)
        }
        Term::Repeat { child, least, .. } => {
            let (first, may_be_empty) = begins_with(child);
            (first, may_be_empty || *least == 0)
        }
        Term::Atomic(child) => begins_with(child),
        Term::NotBefore(_) => (ClassUnicode::empty(), true),
    }
}

pub(super) fn alternatives(parts: Vec<Term>) -> Term {
    let mut flat: Vec<Term> = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Term::Alternatives(inner) => flat.extend(inner),
            part => flat.push(part),
        }
    }
    let mut joined: Vec<Term> = Vec::with_capacity(flat.len());
    for part in flat {
        let both = joined.last().and_then(|last| match (last, &part) {
            (Term::Class(one), Term::Class(other)) => {
                let mut union = one.clone();
                union.union(other);
                Some(Term::Class(union))
            }
            _ => as_set([strings(last)?, strings(&part)?].concat()),
        });
        match both {
            Some(both) => {
                joined.pop();
                joined.push(both);
            }
            // The same again leads nowhere new.
            None if joined.contains(&part) => {}
            None => joined.push(part),
        }
    }
    if joined.len() == 2 && joined[1] == Term::Sequence(vec![]) && !begins_with(&joined[0]).1 {
        return repeat(joined.swap_remove(0), 0, 1, true);
    }
    if joined.len() == 1 { joined.remove(0) } else { Term::Alternatives(joined) }
}
