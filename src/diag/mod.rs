//! How tollbridge speaks to the user: findings with a code, a place and a way out.
//!
//! Imports nothing of the crate and does no I/O. [`text`], [`machine`], [`github`] and [`sarif`]
//! turn [`Findings`] into something to print; printing it is up to `cli/`.

use std::collections::BTreeSet;

use indexmap::IndexSet;

pub mod code;
pub mod github;
pub mod machine;
pub mod sarif;
pub mod source;
pub mod text;

pub use self::{
    code::Code,
    source::{FileId, LineCol, SourceMap, Span},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// It can be used, but is probably not what was meant.
    Warning,
    /// Worth knowing; nothing needs to change.
    Note,
}

/// A span with a few words about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

/// One finding: what is wrong, where, and what to do about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Diagnostic {
    code: Code,
    // Boxed, so that a `Result<_, Diagnostic>` stays small.
    message: Box<str>,
    place: Place,
    secondary: Vec<Label>,
    help: Vec<String>,
    hidden: Option<Span>,
}

/// What a finding is about.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Place {
    Nowhere,
    File(FileId),
    Label(Box<Label>),
}

/// A bag of findings; the same finding put in twice is kept once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    findings: IndexSet<Diagnostic>,
    silenced: Vec<Silenced>,
}

/// A finding that a comment of the user keeps quiet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Silenced {
    /// What was found.
    pub finding: Diagnostic,
    /// The comment that allows it.
    pub allow: Span,
    /// Why, in the words of the comment.
    pub reason: Option<String>,
}

/// How many findings of each severity there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// The number of errors.
    pub errors: usize,
    /// The number of warnings.
    pub warnings: usize,
    /// The number of notes.
    pub notes: usize,
}

/// Findings together with the texts they point into: everything needed to print them.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What was found.
    pub report: Report,
    /// The files that it was found in.
    pub sources: SourceMap,
}

// === impl Severity ===

impl Severity {
    /// The word for it: `error`, `warning` or `note`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// Makes a finding that has no place yet.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into().into_boxed_str(),
            place: Place::Nowhere,
            secondary: Vec::new(),
            help: Vec::new(),
            hidden: None,
        }
    }

    /// Says where the fault is; the carets go here.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.place = Place::Label(Box::new(Label { span, text: label.into() }));
        self
    }

    /// Adds another place that explains the fault.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: label.into() });
        self
    }

    /// Names the file of a finding that is about the file as a whole.
    #[must_use]
    pub fn in_file(mut self, file: FileId) -> Self {
        self.place = Place::File(file);
        self
    }

    /// Adds advice; may be called more than once.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Keeps a secret out of every excerpt that is shown.
    #[must_use]
    pub fn hiding(mut self, secret: Span) -> Self {
        self.hidden = Some(secret);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// How bad it is, which follows from the code.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place of the fault, where there is one.
    #[must_use]
    pub fn primary(&self) -> Option<&Label> {
        match &self.place {
            Place::Label(label) => Some(label),
            Place::Nowhere | Place::File(_) => None,
        }
    }

    /// The span of the fault, where there is one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.primary().map(|label| label.span)
    }

    /// Further places that explain the fault.
    #[must_use]
    pub fn secondary(&self) -> &[Label] {
        &self.secondary
    }

    /// The file that the finding is about, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<FileId> {
        match &self.place {
            Place::Label(label) => Some(label.span.file),
            Place::File(file) => Some(*file),
            Place::Nowhere => None,
        }
    }

    /// The pieces of advice.
    #[must_use]
    pub fn helps(&self) -> &[String] {
        &self.help
    }

    /// The text that no excerpt may show.
    #[must_use]
    pub fn hidden(&self) -> Option<Span> {
        self.hidden
    }
}

// === impl Report ===

impl Report {
    /// Makes an empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a finding in, unless the very same one is there already.
    pub fn push(&mut self, finding: Diagnostic) {
        self.findings.insert(finding);
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The number of findings of any severity.
    #[must_use]
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether anything was found that makes the configuration unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter().any(|it| it.severity() == Severity::Error)
    }

    /// How many findings of each severity there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |severity| self.iter().filter(|it| it.severity() == severity).count();
        Counts { errors: count(Severity::Error), warnings: count(Severity::Warning), notes: count(Severity::Note) }
    }

    /// Takes out the findings for which `judge` names a comment and a reason; they are no longer counted.
    pub fn silence(&mut self, mut judge: impl FnMut(&Diagnostic) -> Option<(Span, Option<String>)>) {
        for finding in std::mem::take(&mut self.findings) {
            match judge(&finding) {
                Some((allow, reason)) => self.silenced.push(Silenced { finding, allow, reason }),
                None => self.push(finding),
            }
        }
    }

    /// The findings that comments keep quiet.
    #[must_use]
    pub fn silenced(&self) -> &[Silenced] {
        &self.silenced
    }

    /// The texts that no excerpt may show, whichever finding it is of.
    #[must_use]
    pub fn hidden(&self) -> Vec<Span> {
        self.iter().chain(self.silenced.iter().map(|it| &it.finding)).filter_map(Diagnostic::hidden).collect()
    }

    /// The findings in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.findings.iter()
    }

    /// The findings as a reader wants them: file by file, from top to bottom, general ones first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut findings: Vec<_> = self.iter().collect();
        findings.sort_by_key(|it| (it.file(), it.span(), it.severity()));
        findings
    }

    /// The files in which something was found.
    #[must_use]
    pub fn files(&self) -> BTreeSet<FileId> {
        self.iter().filter_map(Diagnostic::file).collect()
    }
}

impl Extend<Diagnostic> for Report {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, findings: T) {
        self.findings.extend(findings);
    }
}

impl FromIterator<Diagnostic> for Report {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(findings: T) -> Self {
        Self { findings: findings.into_iter().collect(), silenced: Vec::new() }
    }
}

impl IntoIterator for Report {
    type Item = Diagnostic;
    type IntoIter = indexmap::set::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.findings.into_iter()
    }
}

// === words ===

/// The known word that a wrong one was most likely meant to be, if any is near enough.
#[must_use]
pub fn suggest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in a short word, two in a middling one, three in a long one.
    let length = wrong.chars().count();
    if length > LONGEST_SUGGESTED {
        return None;
    }
    let allowed = match length {
        0 => return None,
        1..=4 => 1,
        5..=9 => 2,
        _ => 3,
    };
    let plain = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let wrong = plain(wrong);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&wrong, &plain(word)), word))
        // A word of two letters has every other word of two letters within reach.
        .filter(|(distance, word)| *distance <= allowed && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Puts text of the user between backticks, on one line, tamed and cut to a readable length.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_QUOTED).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", tame(&shown))
}

/// Lists words for a sentence: "`a`, `b` or `c`"; a long list is cut.
#[must_use]
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<_> = words.into_iter().collect();
    let mut shown: Vec<_> = words.iter().take(LONGEST_LIST).map(|word| quoted(word)).collect();
    if shown.len() < words.len() {
        let more = words.len() - shown.len();
        return format!("{} and {more} more", shown.join(", "));
    }
    match shown.pop() {
        None => String::new(),
        Some(only) if shown.is_empty() => only,
        Some(end) => format!("{} {last} {end}", shown.join(", ")),
    }
}

/// Replaces every character that could play tricks on a terminal, one for one, so that columns
/// stay true: line breaks by a space, other controls, invisible and direction-changing
/// characters by `�`.
#[must_use]
pub fn tame(text: &str) -> String {
    text.chars()
        .map(|it| match it {
            '\n' | '\r' | '\t' => ' ',
            it if is_trick(it) => char::REPLACEMENT_CHARACTER,
            it => it,
        })
        .collect()
}

/// Whether a character is a control, is invisible, or changes the direction of text.
pub(crate) fn is_trick(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a joiner stands between two characters that it joins, as in emoji and in Persian or Indian scripts.
pub(crate) fn joins(before: Option<char>, it: char, after: Option<char>) -> bool {
    let joined = |it: Option<char>| it.is_some_and(|it| !it.is_ascii() && !is_trick(it));
    matches!(it, '\u{200c}' | '\u{200d}') && joined(before) && joined(after)
}

const LONGEST_SUGGESTED: usize = 100;
const LONGEST_QUOTED: usize = 80;
const LONGEST_LIST: usize = 40;

#[cfg(test)]
#[path = "diag_tests.rs"]
mod tests;
