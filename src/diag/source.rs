//! Where text came from: files, byte spans, and the line and column a person would count.
//!
//! May not read anything: whoever has the text adds it here under the name to show to people.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// The handle of one file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId(u32);

/// A range of bytes in one file: `start` is inside, `end` is not.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span {
    /// The file that the bytes are in.
    pub file: FileId,
    /// The offset of the first byte.
    pub start: usize,
    /// The offset after the last byte.
    pub end: usize,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LineCol {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// All files that diagnostics may point into; a clone shares the texts.
#[derive(Clone, Default)]
pub struct SourceMap {
    files: Arc<Vec<Arc<Source>>>,
}

struct Source {
    name: String,
    text: String,
    /// Byte offsets at which lines begin, worked out when first asked for.
    lines: OnceLock<Vec<usize>>,
}

// === impl Span ===

impl Span {
    /// Makes a span; an `end` before `start` gives an empty span at `start`.
    #[must_use]
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        Self { file, start, end: end.max(start) }
    }

    /// The empty span at the very beginning of a file.
    #[must_use]
    pub fn start_of(file: FileId) -> Self {
        Self::new(file, 0, 0)
    }

    /// The number of bytes covered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span covers no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl LineCol ===

impl fmt::Display for LineCol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl SourceMap ===

impl SourceMap {
    /// Makes an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file under the name that people know it by, and gives its handle.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let files = Arc::make_mut(&mut self.files);
        let id = FileId(u32::try_from(files.len()).unwrap_or(u32::MAX));
        files.push(Arc::new(Source { name: name.into(), text: text.into(), lines: OnceLock::new() }));
        id
    }

    /// The name of a file, as the user gave it.
    #[must_use]
    pub fn name(&self, file: FileId) -> &str {
        self.source(file).map_or("<unknown file>", |it| &it.name)
    }

    /// The whole text of a file; empty for a file that could not be read.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.source(file).map_or("", |it| &it.text)
    }

    /// The text that a span covers; empty when the span does not fit the file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start..span.end).unwrap_or_default()
    }

    /// The line and column at which a span begins.
    #[must_use]
    pub fn line_col(&self, span: Span) -> LineCol {
        self.position(span.file, span.start)
    }

    /// The line and column at which a span ends (the place after its last character).
    #[must_use]
    pub fn end_line_col(&self, span: Span) -> LineCol {
        self.position(span.file, span.end)
    }

    /// The line and column of a byte offset; an offset beyond the text counts as its end.
    #[must_use]
    pub fn position(&self, file: FileId, offset: usize) -> LineCol {
        let Some(source) = self.source(file) else {
            return LineCol { line: 1, column: 1 };
        };
        let offset = floor(&source.text, offset);
        let starts = source.line_starts();
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let column = source.text.get(start..offset).map_or(0, |before| before.chars().count());
        LineCol { line, column: column + 1 }
    }

    /// The bytes of a line (counted from 1), without its line break.
    #[must_use]
    pub fn line_span(&self, file: FileId, line: usize) -> Span {
        let Some(source) = self.source(file) else {
            return Span::start_of(file);
        };
        let starts = source.line_starts();
        let start = line.checked_sub(1).and_then(|index| starts.get(index)).copied().unwrap_or(source.text.len());
        let text = source.text.get(start..).unwrap_or_default();
        let length = text.find('\n').unwrap_or(text.len());
        let length = text.get(..length).map_or(0, |line| line.trim_end_matches('\r').len());
        Span::new(file, start, start + length)
    }

    /// The handles of all files, in the order in which they were added.
    pub fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..u32::try_from(self.files.len()).unwrap_or(u32::MAX)).map(FileId)
    }

    fn source(&self, file: FileId) -> Option<&Source> {
        let index = usize::try_from(file.0).ok()?;
        self.files.get(index).map(AsRef::as_ref)
    }
}

impl fmt::Debug for SourceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.files.iter().map(|it| &it.name);
        f.debug_list().entries(names).finish()
    }
}

// === impl Source ===

impl Source {
    fn line_starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        })
    }
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
