//! Finds the conditions of a template, so that a rehearsal can tell which of them went which way.

use std::ops::Range;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The function that a noted condition is run through. No template of a user can name it.
pub(super) const NOTE: &str = "__decided";

/// A condition, or what a loop goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The expression, as it is written.
    pub text: String,
    /// Whether it is what a loop goes through: then it only matters that there is something.
    pub is_loop: bool,
}

/// Rewrites a template so that it tells what its conditions come to; they are counted from `first`. A template that can't
/// be rewritten is left as it is.
pub(super) fn noted(source: &str, first: usize) -> (String, Vec<Condition>) {
    let found = find(source).unwrap_or_default();
    let mut text = source.to_owned();
    for (number, (range, _)) in found.iter().enumerate().rev() {
        let expression = source.get(range.clone()).unwrap_or_default();
        text.replace_range(range.clone(), &format!(" {NOTE}({}, {})", first + number, expression.trim()));
    }
    let conditions = found
        .into_iter()
        .map(|(range, is_loop)| Condition { text: source.get(range).unwrap_or_default().trim().to_owned(), is_loop });
    (text, conditions.collect())
}

/// What is being read: the place where the expression of an `if`, or of the `in` of a `for`, begins.
struct Open {
    from: usize,
    depth: usize,
    is_loop: bool,
}

/// The places of the expressions, in order; `None` for a text that is no template. They don't overlap, since a condition
/// holds no other outside of brackets, and what is in brackets is left alone.
fn find(source: &str) -> Option<Vec<(Range<usize>, bool)>> {
    let mut found = Vec::new();
    let mut open: Option<Open> = None;
    let mut depth = 0_usize;
    let mut in_for = false;
    let mut after_dot = false;
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.ok()?;
        let (start, end) = (usize::try_from(span.start_offset).ok()?, usize::try_from(span.end_offset).ok()?);
        let word = match &token {
            Token::Ident(word) if !after_dot => *word,
            _ => "",
        };
        after_dot = matches!(token, Token::Dot);
        let ends = match &token {
            Token::BlockEnd | Token::VariableEnd => true,
            Token::ParenClose | Token::BracketClose | Token::BraceClose | Token::Comma | Token::Colon => {
                open.as_ref().is_some_and(|open| open.depth == depth)
            }
            _ => matches!(word, "if" | "else" | "recursive") && open.as_ref().is_some_and(|open| open.depth == depth),
        };
        if ends && let Some(Open { from, is_loop, .. }) = open.take() {
            // What trims white space stands before the end of a tag.
            let text = source.get(from..start)?.trim_end().trim_end_matches(['-', '+']);
            found.push((from..from + text.trim_end().len(), is_loop));
        }
        match &token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => depth = depth.saturating_sub(1),
            Token::BlockStart | Token::VariableStart => (depth, in_for) = (0, false),
            _ => {}
        }
        match word {
            "for" => in_for = true,
            "if" | "elif" if open.is_none() => open = Some(Open { from: end, depth, is_loop: false }),
            "in" if in_for && open.is_none() => {
                in_for = false;
                open = Some(Open { from: end, depth, is_loop: true });
            }
            _ => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        noted(source, 0).1.into_iter().map(|condition| condition.text).collect()
    }

    #[test]
    fn conditions_are_found_where_they_stand() {
        assert_eq!(texts("plain {{ a.if }} {{ a.else }}"), Vec::<String>::new());
        assert_eq!(texts("{{ a if b else c }}"), ["b"]);
        assert_eq!(texts("{{ a if b is defined and f(1, x) else (c if d) }}"), ["b is defined and f(1, x)", "d"]);
        assert_eq!(texts("{{ {'k': a if b, 'l': [c if d else e]} }}"), ["b", "d"]);
        assert_eq!(texts("{% if a == 'if' -%} x {%- elif b %}y{% else %}z{% endif %}"), ["a == 'if'", "b"]);
        assert_eq!(texts("{% for x in xs|sort if x.ok %}{{ x }}{% else %}none{% endfor %}"), ["xs|sort", "x.ok"]);
        assert_eq!(texts("{% raw %}{% if a %}{% endraw %}{# {% if b %} #}"), Vec::<String>::new());
        assert_eq!(texts("{{ a if b in c }}"), ["b in c"]);
        assert_eq!(texts("{% if"), Vec::<String>::new());
        assert_eq!(
            noted("{% if a -%} x {% endif %}{{ b if c else d }}", 5).0,
            "{% if __decided(5, a) -%} x {% endif %}{{ b if __decided(6, c) else d }}"
        );
    }
}
