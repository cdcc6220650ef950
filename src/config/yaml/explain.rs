//! Words for what is no YAML, for someone who does not know its grammar.

use super::{MAX_BYTES, MAX_DEPTH, parser::ErrorKind};
use crate::diag::{Code, Diagnostic, FileId, Span, quoted};

/// A value longer than this is not repeated as advice.
const LONGEST_ADVICE: usize = 120;

/// A finding about YAML's own rules.
pub(super) fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::InvalidYaml, message)
}

/// A finding about a key given twice.
pub(super) fn duplicate(key: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::new(Code::DuplicateKey, format!("key {} is given twice", quoted(key)))
        .at(second, "given again here")
        .also(first, "first given here")
}

/// What can be said before any parsing: too large, or characters that no YAML may hold.
pub(super) fn acceptable(file: FileId, text: &str) -> Result<(), Diagnostic> {
    if text.len() > MAX_BYTES {
        let finding = Diagnostic::new(Code::FileTooLarge, format!("the file is larger than {} KiB", MAX_BYTES / 1024));
        return Err(finding.in_file(file));
    }
    // YAML 1.2, 5.1: the printable characters.
    let forbidden = |it: char| {
        it.is_control() && !matches!(it, '\t' | '\n' | '\r' | '\u{85}') || matches!(it, '\u{fffe}' | '\u{ffff}')
    };
    match text.char_indices().find(|(_, it)| forbidden(*it)) {
        None => Ok(()),
        Some((at, it)) => {
            let finding = invalid(format!("control character U+{:04X} in the text", u32::from(it)))
                .at(Span::new(file, at, at + it.len_utf8()), "invisible, and not allowed in YAML")
                .help("remove it");
            Err(finding)
        }
    }
}

/// A finding about a value that begins a template or variable and should have been quoted.
pub(super) fn unquoted(what: &str, text: &str, value: Span) -> Diagnostic {
    let written = text.get(value.start..value.end).unwrap_or_default();
    let (message, label) = if what.starts_with('$') {
        (
            format!("`{what}` must be quoted inside of `{{ }}` and `[ ]`"),
            "here YAML takes the `{` for the beginning of a map",
        )
    } else {
        (format!("`{what}` must be quoted"), "YAML takes the `{` for the beginning of a map")
    };
    // A value that goes on in the next line is not repeated either.
    let is_whole = written.matches('{').count() == written.matches('}').count();
    let help = match (written.contains('"'), written.contains('\'')) {
        _ if written.len() > LONGEST_ADVICE || !is_whole => "quote the whole value".to_owned(),
        (false, _) if !written.contains('\\') => format!("quote it: `\"{written}\"`"),
        (_, false) => format!("quote it: `'{written}'`"),
        _ => "quote the whole value".to_owned(),
    };
    invalid(message).at(value, label).help(help)
}

/// How far a value that should have been quoted goes: to the end of the line, or inside of
/// braces to the next `,` or closing bracket.
pub(super) fn written_value(file: FileId, text: &str, start: usize, in_flow: bool) -> Span {
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let line = line.split(" #").next().unwrap_or_default();
    let mut depth = 0_usize;
    let mut end = line.len();
    for (at, it) in line.char_indices().filter(|_| in_flow) {
        match it {
            '{' | '[' | '(' => depth += 1,
            ',' | '}' | ']' if depth == 0 => {
                end = at;
                break;
            }
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let value = line.get(..end).unwrap_or_default().trim_end();
    Span::new(file, start, start + value.len())
}

/// Puts the parser's complaint into words for someone who does not know YAML's grammar.
pub(super) fn explain(kind: &ErrorKind, file: FileId, text: &str, at: usize) -> Diagnostic {
    let here = character(file, text, at);
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => invalid("a tab in the indentation")
            .at(tab_near(file, text, at), "a tab")
            .help("indent with spaces; YAML allows no tabs there"),
        ErrorKind::MappingValueNotAllowed => invalid("a `:` where no key can be")
            .at(here, "a colon and a blank make a key")
            .help("quote the whole value if the colon is part of the text; else check the indentation"),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            invalid("a quote is never closed").at(here, "opened here")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            invalid(format!("`{open}` is never closed")).at(here, "opened here")
        }
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            invalid("a `{` or `[` is never closed").at(here, "the file ends here")
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            invalid("a closing bracket that nothing opened").at(here, "not expected here")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            invalid(format!("`{open}` is closed by `{close}`")).at(here, "the wrong bracket")
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::InvalidColonPlacement => invalid("a `,` or a closing bracket is missing")
            .at(here, "not expected here")
            .help("inside of `{ }` and `[ ]` quote text that holds `,`, `:`, `{`, `}`, `[` or `]`"),
        ErrorKind::UnexpectedCharacter { character } => {
            invalid(format!("unquoted text can't begin with `{}`", character.escape_debug()))
                .at(here, "not allowed as the first character")
                .help("quote the whole value")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => {
            invalid("expected a key and a `:`").at(here, "no key here, or it is not indented like the others")
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            invalid("expected `- ` as on the lines above").at(here, "a list can't go on like this")
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            invalid("a list can't begin here")
                .at(here, "not allowed here")
                .help("put `- ` on a line of its own, or quote the value if text was meant")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar => invalid("text after a closing quote")
            .at(here, "not expected here")
            .help("inside of '…' write '' for a quote"),
        ErrorKind::InvalidTrailingDoubleQuotedScalar => invalid("text after a closing quote")
            .at(here, "not expected here")
            .help("inside of \"…\" write \\\" for a quote"),
        ErrorKind::UnknownQuotedScalarEscape => invalid("unknown `\\` escape in a quoted string")
            .at(here, "in this string")
            .help("inside of \"…\" write \\\\ for a backslash, or use '…', which has no escapes"),
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => invalid("wrong indentation").at(here, "indent it like its neighbours"),
        ErrorKind::BomInsideDocument => invalid("a byte order mark (U+FEFF) inside of the text")
            .at(here, "invisible, and allowed only at the very beginning")
            .help("remove it"),
        ErrorKind::DirectiveDisallowed => {
            invalid("YAML directives (`%…`) are not allowed").at(here, "a directive").help("remove the line")
        }
        ErrorKind::RecursionLimitExceeded => {
            Diagnostic::new(Code::YamlBudget, "the file grows too large to be read safely")
                .at(here, format!("more than {MAX_DEPTH} levels of lists and maps"))
        }
        other => invalid(format!("not valid YAML: {other}")).at(here, ""),
    }
}

/// Whether the complaint is easier to understand beside the bracket that is open.
pub(super) fn bracket_missing(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::InvalidColonPlacement
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofImplicitFlowMapping
    )
}

fn character(file: FileId, text: &str, at: usize) -> Span {
    let length = text.get(at..).and_then(|it| it.chars().next());
    let length = length.filter(|it| *it != '\n').map_or(0, char::len_utf8);
    Span::new(file, at, at + length)
}

/// The tab that the parser tripped over, which may be on the line below the place it names.
fn tab_near(file: FileId, text: &str, at: usize) -> Span {
    let before = text.get(..at).unwrap_or_default();
    let mut start = before.rfind('\n').map_or(0, |it| it + 1);
    let lines = text.get(start..).unwrap_or_default();
    for line in lines.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let tab = line.get(..indent).and_then(|it| it.find('\t'));
        if let Some(tab) = tab {
            return character(file, text, start + tab);
        }
        start += line.len();
    }
    character(file, text, at)
}
