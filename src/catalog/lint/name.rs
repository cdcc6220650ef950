//! Names that a reader takes for one another.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Report, Span, quoted};

/// Latin letters, and the digits, Cyrillic and Greek letters that look like them; escaped, so that they can be told apart.
const LOOK_ALIKES: [(char, &str); 23] = [
    ('a', "\u{430}\u{410}\u{3b1}\u{391}"),
    ('b', "\u{412}\u{392}"),
    ('c', "\u{441}\u{421}\u{3f2}"),
    ('d', "\u{501}"),
    ('e', "\u{435}\u{415}\u{395}"),
    ('h', "\u{4bb}\u{41d}\u{397}"),
    ('i', "\u{456}\u{3b9}"),
    ('j', "\u{458}\u{408}"),
    ('k', "\u{41a}\u{39a}\u{3ba}"),
    ('l', "1|I\u{4c0}\u{4cf}\u{399}\u{406}"),
    ('m', "\u{41c}\u{39c}"),
    ('n', "\u{39d}"),
    ('o', "0\u{43e}\u{41e}\u{3bf}\u{39f}"),
    ('p', "\u{440}\u{420}\u{3a1}\u{3c1}"),
    ('q', "\u{51b}"),
    ('s', "\u{455}\u{405}"),
    ('t', "\u{422}\u{3a4}"),
    ('u', "\u{3c5}"),
    ('v', "\u{475}\u{3bd}"),
    ('w', "\u{51d}"),
    ('x', "\u{445}\u{425}\u{3a7}\u{3c7}"),
    ('y', "\u{443}\u{423}\u{3a5}"),
    ('z', "\u{396}"),
];

/// Why two names are alike that have the same letters.
const ONLY_SEPARATORS: &str = "only case, `-`, `_` and `.` differ";

/// What two names are that differ only by case and separators.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Twins {
    /// Hard to tell apart.
    Alike,
    /// The same to clients that rewrite names, which then call whichever came last.
    Same,
}

/// Reports each name that is easily taken for an earlier one; `whose` says what they are names of.
pub(super) fn alike<'a>(names: impl Iterator<Item = (&'a str, Span)>, whose: &str, twins: Twins, report: &mut Report) {
    let mut seen: HashMap<String, (&str, Span)> = HashMap::new();
    for (name, span) in names {
        let readings = [(spelling(name), ONLY_SEPARATORS), (shape(name), "some characters look alike")];
        let earlier = readings.iter().find_map(|(reading, why)| seen.get(reading).map(|earlier| (*earlier, *why)));
        if let Some(((first, first_span), why)) = earlier.filter(|((first, _), _)| *first != name) {
            let (code, words) = if twins == Twins::Same && why == ONLY_SEPARATORS {
                (Code::TwinTools, "the same to clients that rewrite names")
            } else {
                (Code::SimilarNames, "easily taken for the other")
            };
            report.push(
                Diagnostic::new(code, format!("{whose} are named {} and {}", quoted(first), quoted(name)))
                    .at(span, format!("{words}: {why}"))
                    .also(first_span, "the other"),
            );
        }
        for (reading, _) in readings {
            seen.entry(reading).or_insert((name, span));
        }
    }
}

/// A name without case and separators.
fn spelling(name: &str) -> String {
    joined(name).to_lowercase()
}

/// A name by the look of its letters. It begins with a mark, so that it is never compared with a spelling.
fn shape(name: &str) -> String {
    format!("\0{}", joined(name).chars().map(looks_like).collect::<String>().to_lowercase())
}

/// A name without separators, except between digits: `1.1` is not `11`.
fn joined(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let is_digit = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
    let mut joined = String::new();
    for (at, it) in characters.iter().enumerate() {
        if !matches!(it, '-' | '_' | '.') {
            joined.push(*it);
        } else if is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)) {
            joined.push('_');
        }
    }
    joined
}

/// The Latin letter that a character looks like; itself if it is none.
fn looks_like(it: char) -> char {
    match it {
        // Full width, `!` to `~`.
        '\u{ff01}'..='\u{ff5e}' => u32::from(it).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(it),
        it => LOOK_ALIKES.iter().find(|(_, others)| others.contains(it)).map_or(it, |(letter, _)| *letter),
    }
}
