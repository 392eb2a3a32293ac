//! The rules that hold where nothing follows: the first way through is the match.

use regex_syntax::hir::ClassUnicode;

use super::form::{alternatives, as_run, repeat, sequence};
use super::{Term, any, holds, without};

/// The same where nothing follows.
pub(super) fn at_end(term: Term) -> Term {
    match term {
        Term::Alternatives(parts) => white_space(&parts.into_iter().map(at_end).collect::<Vec<_>>()),
        Term::Atomic(child) => at_end(*child),
        Term::Repeat { child, least, most: 1, greedy } => repeat(at_end(*child), least, 1, greedy),
        Term::Sequence(mut parts) => {
            for index in (0..parts.len()).rev() {
                let part = std::mem::replace(&mut parts[index], Term::Sequence(vec![]));
                // Only parts that cannot fail stand behind this one.
                let part = match part {
                    Term::Atomic(child) => *child,
                    part if index + 1 == parts.len() => at_end(part),
                    part => part,
                };
                let may_fail = !matches!(part, Term::Repeat { least: 0, .. });
                parts[index] = part;
                if may_fail {
                    break;
                }
            }
            if let [.., before, last] = &parts[..]
                && let (Some((all, 0, usize::MAX)), Some((some, 1, usize::MAX))) = (as_run(before), as_run(last))
                && holds(all, some)
            {
                let some = some.clone();
                parts.pop();
                parts.push(Term::Class(some));
            }
            sequence(parts)
        }
        term => term,
    }
}

/// Alternatives for runs of white space, at the end of all.
fn white_space(parts: &[Term]) -> Term {
    // A run that something may or may not follow: its set, and what may not follow.
    let run_before = |term: &Term| match term {
        Term::Sequence(parts) => match &parts[..] {
            [run, Term::NotBefore(after)] => match as_run(run) {
                Some((class, 1, usize::MAX)) => Some((class.clone(), after.clone())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    let mut kept: Vec<Term> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let next = parts.get(index + 1).and_then(run_before);
        if let (Some((class, after)), Some((same, _))) = (run_before(part), next)
            && after == any()
            && class == same
        {
            continue;
        }
        let one = match as_run(part) {
            Some((class, 1, 1 | usize::MAX)) => Some(class),
            _ => None,
        };
        let tried = |class: &ClassUnicode| {
            kept.iter().filter_map(run_before).any(|(run, after)| run == *class && after == without(&any(), class))
        };
        match one.filter(|class| tried(class)) {
            Some(class) => {
                let child = Box::new(Term::Class(class.clone()));
                kept.push(Term::Repeat { child, least: 1, most: usize::MAX, greedy: true });
            }
            None => kept.push(part.clone()),
        }
    }
    alternatives(kept)
}
