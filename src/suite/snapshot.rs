//! Snapshots of exchanges and catalogues, in the file format of insta (<https://insta.rs/docs/snapshot-files/>), so that
//! `cargo insta` reviews them too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Run, Subject, Suite};
use crate::call::Preview;
use crate::mcp;

/// What ends the name of a snapshot, and of one that waits for a decision.
const ENDING: &str = "snap";
const PENDING: &str = "snap.new";
/// The longest part of a file's name that comes from the name of a test, in bytes.
const MAX_SLUG: usize = 100;

/// A text that is compared with the one that was accepted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of its file, without the ending.
    pub name: String,
    /// The file that it is about.
    pub source: String,
    /// What it is of, in a few words.
    pub about: String,
    /// The text, without a line break at its end.
    pub content: String,
}

/// How a snapshot compares with the accepted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// None was accepted yet.
    New,
    /// They differ; this one was accepted.
    Differs(String),
}

/// The directory in which snapshots are kept.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A snapshot that waits for a decision.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The file of the accepted one, whether it is there or not.
    pub file: PathBuf,
    /// What it is of.
    pub about: String,
    /// The accepted text.
    pub old: Option<String>,
    /// The new text.
    pub new: String,
}

// === impl Snapshot ===

impl Snapshot {
    /// The whole exchange of a test: the tool as the model sees it, the request with the source of each part, and the
    /// result. Secrets are shown as `${NAME}`, the caller's token is not shown.
    #[must_use]
    pub fn of_run(suite: &Suite, run: &Run<'_>) -> Self {
        let bridge = suite.bridge_name(run.case.bridge);
        Self {
            name: format!("{bridge}__{}", slug(&run.case.name)),
            source: source(suite, run.case.place.file),
            about: format!("{}: {}", run.case.subject.name(), run.case.name),
            // A form with files has lines of its own kind; a snapshot has those of a text.
            content: exchange(suite, run).replace("\r\n", "\n"),
        }
    }

    /// All that clients see of a bridge in lists.
    #[must_use]
    pub fn of_catalogue(suite: &Suite, bridge: usize) -> Self {
        let name = suite.bridge_name(bridge);
        let def = suite.catalog.bridge(bridge);
        let file = def.map(|def| source(suite, def.span.file)).unwrap_or_default();
        Self {
            name: format!("{name}@catalogue"),
            source: file,
            about: format!("{name}: the catalogue"),
            content: format!("{:#}", mcp::bridge_as_listed(&suite.catalog, bridge)),
        }
    }

    fn file(&self) -> String {
        // A JSON string is a YAML string too.
        let quoted = |text: &str| Value::from(text).to_string();
        format!("---\nsource: {}\nexpression: {}\n---\n{}\n", quoted(&self.source), quoted(&self.about), self.content)
    }
}

// === impl Store ===

impl Store {
    /// Keeps snapshots in this directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Keeps the snapshots of bridges where they usually are: in `tests/snapshots` beside the directory `bridges`, or in a
    /// directory of bridge files that has another name.
    #[must_use]
    pub fn usual(bridges: &Path) -> Self {
        let is_usual = bridges.file_name().is_some_and(|name| name == "bridges");
        let base = if is_usual { bridges.parent().unwrap_or(Path::new("")) } else { bridges };
        Self::new(base.join("tests").join("snapshots"))
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Compares a snapshot with the accepted one.
    ///
    /// # Errors
    /// Returns why the accepted one can't be read.
    pub fn compare(&self, snapshot: &Snapshot) -> io::Result<Comparison> {
        match read(&self.path(snapshot, ENDING))? {
            None => Ok(Comparison::New),
            Some(Stored { content, .. }) if content == snapshot.content => Ok(Comparison::Same),
            Some(Stored { content, .. }) => Ok(Comparison::Differs(content)),
        }
    }

    /// Makes a snapshot the accepted one.
    ///
    /// # Errors
    /// Returns why its file can't be written.
    pub fn accept(&self, snapshot: &Snapshot) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        fs::write(self.path(snapshot, ENDING), snapshot.file())?;
        self.forget(snapshot)
    }

    /// Puts a snapshot beside the accepted one, for a decision.
    ///
    /// # Errors
    /// Returns why its file can't be written.
    pub fn propose(&self, snapshot: &Snapshot) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        fs::write(self.path(snapshot, PENDING), snapshot.file())
    }

    /// Removes what waits for a decision that is no longer needed.
    ///
    /// # Errors
    /// Returns why its file can't be removed.
    pub fn forget(&self, snapshot: &Snapshot) -> io::Result<()> {
        remove(&self.path(snapshot, PENDING))
    }

    /// The snapshots that wait for a decision.
    ///
    /// # Errors
    /// Returns why a file can't be read.
    pub fn pending(&self) -> io::Result<Vec<Pending>> {
        let mut found = Vec::new();
        for path in self.files(PENDING)? {
            let Some(Stored { about, content: new, .. }) = read(&path)? else { continue };
            let file = path.with_extension("");
            let old = read(&file)?.map(|stored| stored.content);
            found.push(Pending { file, about, old, new });
        }
        Ok(found)
    }

    /// The snapshots of tests that are no longer there: those of bridge and test files whose names are not among these.
    ///
    /// # Errors
    /// Returns why a file can't be read.
    pub fn unreferenced(&self, names: &BTreeSet<String>) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for ending in [ENDING, PENDING] {
            for path in self.files(ending)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let name = name.strip_suffix(ending).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
                // Snapshots of Rust tests may lie here too; those are about `.rs` files.
                let is_ours = |stored: &Stored| [".yaml", ".yml"].iter().any(|ending| stored.source.ends_with(ending));
                if !names.contains(name) && read(&path)?.as_ref().is_some_and(is_ours) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    fn files(&self, ending: &str) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let ending = format!(".{ending}");
        files
            .retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(&ending)));
        files.sort();
        Ok(files)
    }

    fn path(&self, snapshot: &Snapshot, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", snapshot.name))
    }
}

// === impl Pending ===

impl Pending {
    /// Makes it the accepted one.
    ///
    /// # Errors
    /// Returns why its file can't be moved.
    pub fn accept(&self) -> io::Result<()> {
        fs::rename(self.waiting(), &self.file)
    }

    /// Drops it.
    ///
    /// # Errors
    /// Returns why its file can't be removed.
    pub fn reject(&self) -> io::Result<()> {
        remove(&self.waiting())
    }

    fn waiting(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".new");
        name.into()
    }
}

/// Removes a snapshot that nothing refers to.
///
/// # Errors
/// Returns why its file can't be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A name as a part of a file's name: letters and digits in lower case, `_` for all else.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for it in name.chars().flat_map(char::to_lowercase) {
        if slug.len() >= MAX_SLUG {
            break;
        }
        if it.is_alphanumeric() {
            slug.push(it);
        } else if !slug.ends_with('_') && !slug.is_empty() {
            slug.push('_');
        }
    }
    slug.truncate(slug.trim_end_matches('_').len());
    slug
}

/// What a file of a snapshot holds.
struct Stored {
    source: String,
    about: String,
    content: String,
}

/// Reads a snapshot; `None` when there is none.
fn read(path: &Path) -> io::Result<Option<Stored>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?.replace("\r\n", "\n"),
    };
    let (head, content) = match text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) {
        Some(both) => both,
        None => ("", text.as_str()),
    };
    let said = |key: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))?;
        Some(serde_json::from_str(line).unwrap_or_else(|_| line.to_owned()))
    };
    let content = content.strip_suffix('\n').unwrap_or(content).to_owned();
    let field = |key| said(key).unwrap_or_default();
    Ok(Some(Stored { source: field("source"), about: field("expression"), content }))
}

/// The name of a file as it is the same on every machine: with the directory it lies in.
fn source(suite: &Suite, file: crate::diag::FileId) -> String {
    let path = Path::new(suite.sources.name(file));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let full = suite.directory.canonicalize().unwrap_or_else(|_| suite.directory.clone());
    match full.file_name() {
        Some(directory) => format!("{}/{name}", directory.to_string_lossy()),
        None => name.into_owned(),
    }
}

fn exchange(suite: &Suite, run: &Run<'_>) -> String {
    let case = run.case;
    let mut text = String::new();
    let mut section = |title: &str, body: &str| {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}# {title}\n{}", body.trim_end());
    };
    let caller =
        case.claims.as_ref().map_or_else(|| "nobody".to_owned(), |claims| Value::from(claims.clone()).to_string());
    section("Caller", &caller);
    if !matches!(case.subject, Subject::Resource(_)) {
        section("Arguments", &Value::from(case.arguments.clone()).to_string());
    }
    let previews: Vec<Preview<'_>> = run.previews(suite).collect();
    for (index, preview) in previews.iter().enumerate() {
        let title = if index == 0 { "Request".to_owned() } else { format!("Request {}", index + 1) };
        section(&title, &request(preview, run, index));
    }
    match &run.outcome {
        Err(error) => section("Error", &error.to_author()),
        Ok(value) => section("Result", &format!("{value:#}")),
    }
    if let Subject::Tool(name) = &case.subject
        && let Some(tool) = suite.catalog.tools.get(name)
    {
        section("The tool as the model sees it", &format!("{:#}", mcp::tool_as_listed(tool)));
    }
    text.truncate(text.trim_end().len());
    text
}

fn request(preview: &Preview<'_>, run: &Run<'_>, index: usize) -> String {
    let mut text = String::new();
    let is_page = preview.request.page.is_some();
    if let Some(sent) = run.sent.get(index).filter(|_| is_page) {
        let _ = writeln!(text, "{}", super::run::line_of(sent));
    }
    for line in preview.head().iter().skip(usize::from(is_page)) {
        let line: String = line.iter().map(|fragment| fragment.text.as_str()).collect();
        let _ = writeln!(text, "{line}");
    }
    if let Some(body) = preview.body() {
        let _ = writeln!(text, "\n{body}");
    }
    let sources = preview.sources();
    if !sources.is_empty() && !is_page {
        text.push('\n');
    }
    for line in sources.into_iter().filter(|_| !is_page) {
        let _ = writeln!(text, "{} = {}   ({})", line.place, line.value, line.source);
    }
    text
}
