//! Comments that allow a finding: `# tollbridge: allow TB0202 -- why`. Errors can't be allowed.

use crate::diag::{Code, Diagnostic, FileId, Report, Severity, SourceMap, Span, quoted, suggest};

use super::yaml::{self, Comment};

/// The word that makes a comment one for tollbridge.
const MARK: &str = "tollbridge:";

/// One code that one comment allows.
#[derive(Clone, Debug)]
pub struct Allow {
    /// The whole comment.
    comment: Span,
    /// The code, as it is written.
    written: Span,
    code: Code,
    reason: Option<String>,
    reach: Reach,
}

/// Which findings a comment is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// Those of the whole file.
    File,
    /// Those that begin on this line.
    Line(usize),
    /// None: nothing stands below the comment.
    Nothing,
}

/// Finds the comments of a file that allow something; what is wrong with them goes into the report.
pub(super) fn read(file: FileId, sources: &SourceMap, report: &mut Report) -> Vec<Allow> {
    let text = sources.text(file);
    let mut allows = Vec::new();
    // Few files have such a comment, and only those are read again for it.
    if !text.contains(MARK) {
        return allows;
    }
    for comment in yaml::comments(file, text) {
        allows.extend(allowed(&comment, sources, report));
    }
    allows
}

/// Takes what is allowed out of a report. Once there are no errors, an allowance that allows nothing is a finding too.
pub fn apply(allows: &[Allow], sources: &SourceMap, report: &mut Report) {
    let mut used = vec![false; allows.len()];
    report.silence(|finding| {
        let mut found = None;
        for (allow, used) in allows.iter().zip(&mut used) {
            if allow.covers(finding, sources) {
                *used = true;
                found.get_or_insert_with(|| (allow.comment, allow.reason.clone()));
            }
        }
        found
    });
    // An error can keep other findings from being made.
    if report.has_errors() {
        return;
    }
    for (allow, _) in allows.iter().zip(used).filter(|(_, used)| !used) {
        let id = allow.code.id();
        let why = match allow.reach {
            Reach::File => format!("nothing in this file is {id}"),
            Reach::Line(line) => format!("nothing that begins on line {line} is {id}"),
            Reach::Nothing => "nothing stands below it".to_owned(),
        };
        report.push(
            Diagnostic::new(Code::UnusedAllow, format!("`allow {id}` silences nothing"))
                .at(allow.written, why)
                .help("remove it, or put it on the line of the finding, or on a line of its own above that"),
        );
    }
}

// === impl Allow ===

impl Allow {
    fn covers(&self, finding: &Diagnostic, sources: &SourceMap) -> bool {
        finding.code() == self.code
            && finding.file() == Some(self.comment.file)
            && match self.reach {
                Reach::File => true,
                Reach::Line(line) => finding.span().is_some_and(|span| sources.line_col(span).line == line),
                Reach::Nothing => false,
            }
    }
}

/// What one comment allows.
fn allowed(comment: &Comment, sources: &SourceMap, report: &mut Report) -> Vec<Allow> {
    let written = sources.slice(comment.span);
    let Some(rest) = written.trim_start_matches('#').trim_start().strip_prefix(MARK) else {
        return Vec::new();
    };
    let (what, reason) = match rest.split_once(" -- ") {
        Some((what, reason)) => (what, Some(reason.trim().to_owned()).filter(|it| !it.is_empty())),
        None => (rest, None),
    };
    // Every word knows its place: both are slices of the comment.
    let place = |word: &str| {
        let start = comment.span.start + (word.as_ptr().addr() - written.as_ptr().addr());
        Span::new(comment.span.file, start, start + word.len())
    };
    let mut words = what.split([' ', '\t', ',']).filter(|it| !it.is_empty());
    let verb = words.next();
    let Some("allow") = verb else {
        let at = verb.map_or(comment.span, place);
        report.push(unclear("this comment can't be followed", at, "expected `allow` and codes"));
        return Vec::new();
    };
    let mut allows = Vec::new();
    let reach = reach(comment, sources);
    let mut is_empty = true;
    for word in words {
        is_empty = false;
        match Code::from_id(word) {
            Some(code) if code.severity() == Severity::Error => report.push(unclear(
                format!("{} is an error, which can't be allowed", code.id()),
                place(word),
                format!("{}; only warnings and notes can be silenced", code.title()),
            )),
            Some(code) => {
                allows.push(Allow { comment: comment.span, written: place(word), code, reason: reason.clone(), reach });
            }
            None => {
                let ids = Code::all().iter().filter(|it| it.severity() != Severity::Error).map(|it| it.id());
                let near = suggest(&word.to_uppercase(), ids);
                let label = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "no finding has this code; a reason follows ` -- `".to_owned(),
                };
                report.push(unclear(format!("there is no finding {}", quoted(word)), place(word), label));
                // The words of a reason would follow.
                if near.is_none() {
                    break;
                }
            }
        }
    }
    if is_empty {
        report.push(unclear(
            "`allow` without a code",
            comment.span,
            "write the codes it allows, such as `allow TB0202`",
        ));
    }
    allows
}

fn unclear(message: impl Into<String>, at: Span, label: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::UnclearAllow, message).at(at, label)
}

fn reach(comment: &Comment, sources: &SourceMap) -> Reach {
    let Span { file, start, .. } = comment.span;
    let line = sources.line_col(comment.span).line;
    let before = sources.text(file).get(..start).unwrap_or_default();
    if !is_aside(before.rsplit('\n').next().unwrap_or_default()) {
        return Reach::Line(line);
    }
    if before.lines().all(|it| is_aside(it) || it.trim_end() == "---") {
        return Reach::File;
    }
    let below = sources.text(file).lines().zip(1..).skip(line).find(|(text, _)| !is_aside(text));
    below.map_or(Reach::Nothing, |(_, line)| Reach::Line(line))
}

/// Whether a line outside of any text says nothing: it is blank or a comment.
fn is_aside(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}
