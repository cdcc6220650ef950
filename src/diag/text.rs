//! Findings as text for people, in the look of rustc.

use std::{fmt::Write as _, ops::Range};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Code, Diagnostic, FileId, Findings, Label, Report, Severity, Silenced, SourceMap, Span, is_trick, tame};

/// Whether the text may hold colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Color {
    /// ANSI colours, for a terminal that wants them.
    Always,
    /// No escape sequence at all.
    Never,
}

/// Renders all findings, sorted by place, with a last line that sums them up; empty when there
/// are none.
#[must_use]
pub fn render(findings: &Findings, color: Color) -> String {
    let renderer = renderer(color);
    let mut text = String::new();
    let hidden = findings.report.hidden();
    for finding in findings.report.sorted() {
        text.push_str(&block(finding, &findings.sources, &hidden, &renderer));
        text.push_str("\n\n");
    }
    text.push_str(&summary(&findings.report, &renderer));
    text
}

/// Lists the findings that comments keep quiet, each with the place of its comment and the reason; empty when there
/// are none.
#[must_use]
pub fn silenced(findings: &Findings, color: Color) -> String {
    let renderer = renderer(color);
    let mut text = String::new();
    for Silenced { finding, allow, reason } in findings.report.silenced() {
        let sources = &findings.sources;
        let level = Level::INFO.with_name("silenced");
        let title = level.primary_title(tame(finding.message())).id(finding.code().id());
        let place = finding.span().map(|span| sources.line_col(span));
        let mut origin = Origin::path(tame(sources.name(allow.file)));
        if let Some(place) = place {
            origin = origin.line(place.line).char_column(place.column);
        }
        let comment = format!("{}:{}", tame(sources.name(allow.file)), sources.line_col(*allow).line);
        let why = reason.as_deref().map_or_else(|| "no reason given".to_owned(), tame);
        let note = Level::NOTE.with_name("allowed by").message(format!("{comment}: {why}"));
        let group = Group::with_title(title).element(origin).element(note);
        text.push_str(&renderer.render(&[group]).replace('\n', "\n "));
        text.push_str("\n\n");
    }
    text
}

/// Renders one finding, without a line break at its end.
#[must_use]
pub fn render_one(finding: &Diagnostic, sources: &SourceMap, color: Color) -> String {
    let hidden: Vec<_> = finding.hidden().into_iter().collect();
    block(finding, sources, &hidden, &renderer(color))
}

/// Renders what `check --explain` shows for a code.
#[must_use]
pub fn explain(code: Code) -> String {
    let mut text = format!("{}: {}\n\n", code.id(), code.title());
    text.push_str(code.explanation());
    text
}

fn renderer(color: Color) -> Renderer {
    match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    }
}

fn block(finding: &Diagnostic, sources: &SourceMap, hidden: &[Span], renderer: &Renderer) -> String {
    let level = level(finding.severity());
    let title = level.primary_title(tame(finding.message())).id(finding.code().id());
    let mut group = Group::with_title(title);

    let excerpts = excerpts(finding, sources, hidden);
    let bare = excerpts.is_empty();
    if bare {
        group = without_excerpt(group, finding, sources);
    }
    for excerpt in excerpts {
        let annotations = excerpt.marks.into_iter().map(Mark::into_annotation);
        let snippet = Snippet::source(excerpt.text)
            .line_start(excerpt.first_line)
            .path(tame(sources.name(excerpt.file)))
            .annotations(annotations);
        group = group.element(snippet);
    }
    for help in finding.helps() {
        group = group.element(Level::HELP.message(tame(help)));
    }
    let text = renderer.render(&[group]);
    // With no line numbers beside it the renderer starts at the very margin.
    if bare { text.replace('\n', "\n ") } else { text }
}

/// Only says where the fault is: there is no text to show, or its line is too long to.
fn without_excerpt<'a>(mut group: Group<'a>, finding: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let Some(file) = finding.file() else {
        return group;
    };
    let origin = Origin::path(tame(sources.name(file)));
    let Some(label) = finding.primary() else {
        return group.element(origin);
    };
    group = if sources.text(file).is_empty() {
        group.element(origin)
    } else {
        let place = sources.line_col(label.span);
        group.element(origin.line(place.line).char_column(place.column))
    };
    if !label.text.is_empty() {
        group = group.element(Level::NOTE.message(tame(&label.text)));
    }
    group
}

fn summary(report: &Report, renderer: &Renderer) -> String {
    let counts = report.counts();
    let Some(worst) = report.iter().map(Diagnostic::severity).min() else {
        return String::new();
    };
    let parts = [(counts.errors, "error"), (counts.warnings, "warning"), (counts.notes, "note")];
    let parts: Vec<_> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| counted(count, word)).collect();
    let mut line = parts.join(", ");
    let files = report.files().len();
    if files > 0 {
        let _ = write!(line, " in {}", counted(files, "file"));
    }
    let group = Group::with_title(level(worst).primary_title(line));
    format!("{}\n", renderer.render(&[group]))
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

// === excerpts ===

/// The lines of one file that hold labels, tamed, with the labels' places in them.
struct Excerpt {
    file: FileId,
    first_line: usize,
    text: String,
    marks: Vec<Mark>,
}

struct Mark {
    kind: AnnotationKind,
    range: Range<usize>,
    text: String,
}

impl Mark {
    fn into_annotation(self) -> Annotation<'static> {
        let annotation = self.kind.span(self.range);
        if self.text.is_empty() { annotation } else { annotation.label(self.text) }
    }
}

/// A line with more bytes than this is not shown.
const LONGEST_LINE: usize = 4096;
/// Labels with more lines than this between them get excerpts of their own.
const LARGEST_GAP: usize = 40;

/// A label that can be shown, with the line it begins on.
struct Shown<'a> {
    kind: AnnotationKind,
    label: &'a Label,
    line: usize,
}

/// One excerpt for all labels that are near each other, the one with the primary label first.
fn excerpts(finding: &Diagnostic, sources: &SourceMap, hidden: &[Span]) -> Vec<Excerpt> {
    let primary = finding.primary().map(|it| (AnnotationKind::Primary, it));
    let secondary = finding.secondary().iter();
    let labels = primary.into_iter().chain(secondary.map(|it| (AnnotationKind::Context, it)));

    let mut groups: Vec<Vec<Shown<'_>>> = Vec::new();
    for (kind, label) in labels {
        let file = label.span.file;
        let line = sources.line_col(label.span).line;
        if sources.text(file).is_empty() || sources.line_span(file, line).len() > LONGEST_LINE {
            if kind == AnnotationKind::Primary {
                return Vec::new();
            }
            continue;
        }
        let near = |it: &Shown<'_>| it.label.span.file == file && it.line.abs_diff(line) <= LARGEST_GAP;
        let shown = Shown { kind, label, line };
        match groups.iter_mut().find(|group| group.iter().any(near)) {
            Some(group) => group.push(shown),
            None => groups.push(vec![shown]),
        }
    }
    groups.iter().filter_map(|group| excerpt(group, sources, hidden)).collect()
}

fn excerpt(labels: &[Shown<'_>], sources: &SourceMap, hidden: &[Span]) -> Option<Excerpt> {
    let file = labels.first()?.label.span.file;
    let first_line = labels.iter().map(|it| it.line).min()?;
    let last_line = labels.iter().map(|it| it.line).max()?;
    let from = sources.line_span(file, first_line).start;
    let to = sources.line_span(file, last_line).end;
    let raw = &masked(sources.text(file).get(from..to)?, Span::new(file, from, to), hidden);

    let marks = labels.iter().map(|Shown { kind, label, line }| {
        // Carets stay on the line on which a span begins: what is wrong shows there.
        let span = first_line_of(label.span, sources.line_span(file, *line));
        Mark {
            kind: *kind,
            range: visible_len(raw, span.start - from)..visible_len(raw, span.end - from),
            text: tame(&label.text),
        }
    });
    Some(Excerpt { file, first_line, marks: marks.collect(), text: raw.chars().map(visible).collect() })
}

fn first_line_of(span: Span, line: Span) -> Span {
    let start = span.start.clamp(line.start, line.end);
    Span::new(span.file, start, span.end.clamp(start, line.end))
}

/// A `*` for every byte of a secret, so that offsets stay true.
fn masked(text: &str, place: Span, hidden: &[Span]) -> String {
    let hidden: Vec<_> = hidden.iter().filter(|it| it.file == place.file).collect();
    let mut shown = String::with_capacity(text.len());
    for (at, it) in text.char_indices() {
        let at = place.start + at;
        if it != '\n' && hidden.iter().any(|it| it.start <= at && at < it.end) {
            shown.extend(std::iter::repeat_n('*', it.len_utf8()));
        } else {
            shown.push(it);
        }
    }
    shown
}

/// How long the first `bytes` bytes are once made visible.
fn visible_len(raw: &str, bytes: usize) -> usize {
    raw.char_indices().take_while(|(at, _)| *at < bytes).map(|(_, it)| visible(it).len_utf8()).sum()
}

fn visible(it: char) -> char {
    match it {
        '\n' | '\t' => it,
        '\r' => '\u{240d}',
        it if is_trick(it) => char::REPLACEMENT_CHARACTER,
        it => it,
    }
}
