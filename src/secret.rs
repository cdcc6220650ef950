//! Text that may hold secrets: what `${NAME}` stood for is known only to [`Secrets`] and is filled in at the last moment.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

/// Texts shorter than this are not scrubbed: they would take ordinary words apart.
const SCRUBBED_FROM: usize = 4;
/// What stands in place of them.
const HIDDEN: &str = "[hidden]";
/// What stands where a text was cut.
const CUT: &str = "…";

/// One `${…}` of the configuration: its place in [`Secrets`] and how it is shown to people.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretRef {
    index: usize,
    shown: Arc<str>,
}

/// A string with holes where secrets go. Its `Display` shows `${NAME}`, never the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Piece>);

/// A part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Text as it is.
    Plain(String),
    /// What a `${…}` held.
    Secret(SecretRef),
}

/// The values of all `${…}` of a catalogue, in the order in which they were met.
#[derive(Clone, Default)]
pub struct Secrets(Vec<SecretString>);

// === impl SecretRef ===

impl SecretRef {
    /// Returns a reference to the `index`-th secret, shown as `shown`.
    #[must_use]
    pub fn new(index: usize, shown: impl Into<Arc<str>>) -> Self {
        Self { index, shown: shown.into() }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

// === impl Text ===

impl Text {
    /// Returns text without secrets.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }

    /// Appends a part.
    pub fn push(&mut self, piece: Piece) {
        match (self.0.last_mut(), piece) {
            (Some(Piece::Plain(last)), Piece::Plain(more)) => last.push_str(&more),
            (_, piece) => self.0.push(piece),
        }
    }

    /// The parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The text when it holds no secret.
    #[must_use]
    pub fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Plain(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether a secret goes in.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Secret(_)))
    }

    /// The text with the secrets filled in.
    #[must_use]
    pub fn fill(&self, secrets: &Secrets) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Plain(text) => text.as_str(),
                Piece::Secret(secret) => secrets.get(secret),
            })
            .collect()
    }

    /// The same text with `change` applied to the parts that are no secrets.
    #[must_use]
    pub fn map_plain(&self, change: impl Fn(&str) -> String) -> Self {
        Self(
            self.0
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(text) => Piece::Plain(change(text)),
                    Piece::Secret(secret) => Piece::Secret(secret.clone()),
                })
                .collect(),
        )
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Plain(text) => formatter.write_str(text),
            Piece::Secret(secret) => formatter.write_str(&secret.shown),
        })
    }
}

// === impl Secrets ===

impl Secrets {
    /// Collects secrets in the order of their references.
    #[must_use]
    pub fn new(values: Vec<SecretString>) -> Self {
        Self(values)
    }

    /// The values, for scrubbing them out of texts.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ExposeSecret::expose_secret)
    }

    fn get(&self, secret: &SecretRef) -> &str {
        self.0.get(secret.index).map(secrecy::ExposeSecret::expose_secret).unwrap_or_default()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({})", self.0.len())
    }
}

/// A text without these words, and without the beginning of one where a long text was cut.
pub(crate) fn without<'t>(text: &str, words: impl Iterator<Item = &'t str>) -> String {
    let mut pieces: Vec<String> = text.split(CUT).map(str::to_owned).collect();
    let last = pieces.len().saturating_sub(1);
    for word in words.filter(|word| word.len() >= SCRUBBED_FROM) {
        for (at, piece) in pieces.iter_mut().enumerate() {
            if piece.contains(word) {
                *piece = piece.replace(word, HIDDEN);
            }
            if let Some(begins) = beginning(piece, word).filter(|_| at < last) {
                piece.truncate(begins);
                piece.push_str(HIDDEN);
            }
        }
    }
    pieces.join(CUT)
}

/// Where the beginning of a word stands at the end of a text.
fn beginning(text: &str, word: &str) -> Option<usize> {
    let lengths = (SCRUBBED_FROM..word.len()).rev();
    let starts = lengths.filter_map(|length| text.strip_suffix(word.get(..length)?)).map(str::len);
    starts.min()
}
