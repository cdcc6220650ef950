//! Reading files, and the environment: the one place of the configuration that touches the disk.
//!
//! Only regular files are opened, at most so many bytes are read, and what is meant to stay inside
//! of a directory does, symbolic links included.

use std::{
    fmt::{self, Write as _},
    fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use aws_lc_rs::digest;

use super::yaml::MAX_BYTES;
use crate::diag::{Code, Diagnostic, FileId, Report, SourceMap, Span, quoted};

/// The most YAML files that one directory may have.
const MAX_FILES: usize = 10_000;
/// The most bytes that the YAML files of one directory may have together.
const MAX_TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// The most files that a folder of skills may have, and the most bytes of all of them (what SEP-2640 asks of one skill).
const MAX_TREE_FILES: usize = 512;
const MAX_TREE_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes that the file of a `${file:…}` may have.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Why a file can't be used, in words for the admin.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("it does not exist")]
    NotFound,
    /// The operating system refused.
    #[error("{0}")]
    Unreadable(String),
    /// It is a directory, pipe, device or the like.
    #[error("it is not a regular file")]
    NotRegular,
    /// The path, or a link on the way, leaves the directory.
    #[error("it leads out of the directory")]
    Outside,
    /// The path is empty, absolute, or has a `..`.
    #[error("the path must be relative and have no `..`")]
    InvalidPath,
    /// It has more bytes than allowed.
    #[error("it is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
}

/// What identifies a state of the configuration: equal content, equal revision.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Revision(String);

/// Reads the YAML files directly in a directory, sorted by name, or the one file that is named.
///
/// Hidden files, left-overs of editors and `*.test.yaml` are passed over. A file that can't be used
/// becomes a finding; the others are still read.
pub(super) fn read_dir_yaml(path: &Path, report: &mut Report, sources: &mut SourceMap) -> Vec<(FileId, String)> {
    let names = match yaml_names(path, is_bridge, report) {
        Listing::File => return read_one(path, None, report, sources).into_iter().collect(),
        Listing::Names(names) => names,
        Listing::Unreadable => return Vec::new(),
    };
    let inside = match path.canonicalize() {
        Ok(inside) => inside,
        Err(error) => {
            report.push(unreadable_directory(path, &error.into()));
            return Vec::new();
        }
    };
    if names.is_empty() {
        report.push(
            Diagnostic::new(Code::NoBridges, format!("no bridge file in {}", shown(path)))
                .help("bridge files end in `.yaml` or `.yml` and lie directly in the directory"),
        );
    }
    let mut texts = Vec::new();
    let mut total = 0;
    for name in names {
        let read = read_one(&path.join(name), Some(&inside), report, sources);
        total += read.as_ref().map_or(0, |(_, text)| text.len());
        if total > MAX_TOTAL_BYTES {
            let message = format!("the files in {} have more than {} MiB", shown(path), MAX_TOTAL_BYTES / 1024 / 1024);
            report.push(Diagnostic::new(Code::FileTooLarge, message));
            break;
        }
        texts.extend(read);
    }
    texts
}

/// Reads the files of config tests: all `*.test.yaml` of a directory, or the one that is named like a bridge file.
pub(super) fn read_tests(path: &Path, report: &mut Report, sources: &mut SourceMap) -> Vec<(FileId, String)> {
    let paths: Vec<PathBuf> = match yaml_names(path, is_test, report) {
        Listing::File => ["yaml", "yml"].iter().map(|ending| path.with_extension(format!("test.{ending}"))).collect(),
        Listing::Names(names) => names.iter().map(|name| path.join(name)).collect(),
        Listing::Unreadable => return Vec::new(),
    };
    paths.iter().filter(|path| path.exists()).filter_map(|path| read_one(path, None, report, sources)).collect()
}

/// Reads a file that must lie in a directory or below it.
///
/// # Errors
/// Returns why it can't be used; nothing outside of the directory is ever opened.
pub(super) fn read_under(dir: &Path, relative: &str, cap: usize) -> Result<Vec<u8>, FileError> {
    let path = Path::new(relative);
    if relative.is_empty() || relative.contains('\0') || !path.components().all(is_harmless) {
        return Err(FileError::InvalidPath);
    }
    let inside = dir.canonicalize()?;
    read_inside(&dir.join(path), &inside, cap)
}

/// Reads all files of a folder below a directory, by their paths below that folder, with `/` and sorted. Links, hidden files
/// and what is no regular file are passed over.
///
/// # Errors
/// Returns why it can't be used; nothing outside of the directory is ever opened.
pub(super) fn read_tree(dir: &Path, relative: &str) -> Result<Vec<(String, Vec<u8>)>, FileError> {
    let path = Path::new(relative);
    if relative.is_empty() || relative.contains('\0') || !path.components().all(is_harmless) {
        return Err(FileError::InvalidPath);
    }
    let (inside, root) = (dir.canonicalize()?, dir.join(path).canonicalize()?);
    if !root.starts_with(&inside) {
        return Err(FileError::Outside);
    }
    let (mut files, mut total) = (Vec::new(), 0);
    let mut folders = vec![(String::new(), root)];
    while let Some((below, folder)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| FileError::NotUtf8)?;
            let kind = entry.file_type()?;
            if name.starts_with('.') || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            let below = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind.is_dir() {
                folders.push((below, entry.path()));
            } else {
                let bytes = read_inside(&entry.path(), &inside, MAX_TREE_BYTES)?;
                total += bytes.len();
                files.push((below, bytes));
            }
            if files.len() + folders.len() > MAX_TREE_FILES || total > MAX_TREE_BYTES {
                return Err(FileError::TooLarge(MAX_TREE_BYTES));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads a secret from a file, without the line break at its end; a relative path starts at `base`.
///
/// # Errors
/// Returns why it can't be used; the words never hold what the file holds.
pub(super) fn read_secret(base: &Path, path: &str) -> Result<String, FileError> {
    if path.is_empty() || path.contains('\0') {
        return Err(FileError::InvalidPath);
    }
    let bytes = read_regular(&base.join(path), MAX_SECRET_BYTES)?;
    let mut text = String::from_utf8(bytes).map_err(|_| FileError::NotUtf8)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Reads an environment variable; one that is not Unicode counts as not set.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    // A name that the system has no form for would make it panic.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    std::env::var(name).ok()
}

// === impl FileError ===

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Unreadable("permission denied".to_owned()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

// === impl Revision ===

impl Revision {
    /// Hashes files by name and content; their order does not matter.
    #[must_use]
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable();
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, content) in files {
            // With its length before it, no part can pass for the end of another.
            for part in [name.as_bytes(), content] {
                context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                context.update(part);
            }
        }
        let hash = context.finish();
        let mut hex = String::new();
        for byte in hash.as_ref().iter().take(6) {
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    /// The revision as people see it: twelve hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === private helpers ===

fn is_harmless(part: Component<'_>) -> bool {
    matches!(part, Component::Normal(_) | Component::CurDir)
}

enum Listing {
    /// The path is a file, or is at least no directory.
    File,
    Names(Vec<PathBuf>),
    Unreadable,
}

/// The names of the YAML files in a directory, sorted.
fn yaml_names(path: &Path, is_wanted: fn(&Path) -> bool, report: &mut Report) -> Listing {
    let entries = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::read_dir(path),
        Ok(_) => return Listing::File,
        Err(error) => Err(error),
    };
    let entries = entries.and_then(|entries| {
        let names = entries.map(|entry| Ok(PathBuf::from(entry?.file_name())));
        let wanted = names.filter(|it: &io::Result<PathBuf>| it.as_ref().map_or(true, |it| is_wanted(it)));
        wanted.take(MAX_FILES + 1).collect::<io::Result<Vec<_>>>()
    });
    match entries {
        Ok(mut names) if names.len() <= MAX_FILES => {
            names.sort_unstable();
            Listing::Names(names)
        }
        Ok(_) => {
            let message = format!("{} has more than {MAX_FILES} YAML files", shown(path));
            report.push(Diagnostic::new(Code::FileTooLarge, message));
            Listing::Unreadable
        }
        Err(error) => {
            report.push(unreadable_directory(path, &error.into()));
            Listing::Unreadable
        }
    }
}

fn is_bridge(name: &Path) -> bool {
    is_yaml(name) && !has_test_ending(name)
}

/// Whether a file is one of config tests, by its name.
#[must_use]
pub fn is_test(name: &Path) -> bool {
    is_yaml(name) && has_test_ending(name)
}

fn is_yaml(name: &Path) -> bool {
    let is = |word: &str| name.extension().is_some_and(|it| it.eq_ignore_ascii_case(word));
    (is("yaml") || is("yml")) && !name.to_string_lossy().starts_with(['.', '~', '#'])
}

fn has_test_ending(name: &Path) -> bool {
    let stem = name.file_stem().map(Path::new);
    stem.and_then(Path::extension).is_some_and(|it| it.eq_ignore_ascii_case("test"))
}

/// Reads one YAML file as text; when it can't be, says so under its name.
fn read_one(
    path: &Path,
    inside: Option<&Path>,
    report: &mut Report,
    sources: &mut SourceMap,
) -> Option<(FileId, String)> {
    let name = path.strip_prefix(".").unwrap_or(path).display().to_string();
    let read = match inside {
        Some(inside) => read_inside(path, inside, MAX_BYTES),
        // The user has named this very file, so it may be a link to anywhere.
        None => read_regular(path, MAX_BYTES),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => {
            let file = sources.add(name, "");
            report.push(unusable(file, path, &error));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => {
            // A byte order mark is no part of the text, and would count as its first column.
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Some((sources.add(name, text.clone()), text))
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let is_utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            // The first bad byte becomes `�`, which has three bytes, at the same offset.
            let file = sources.add(name, String::from_utf8_lossy(bytes));
            let finding = Diagnostic::new(Code::NotUtf8, "the file is not UTF-8 text")
                .at(Span::new(file, at, at + char::REPLACEMENT_CHARACTER.len_utf8()), "from here on")
                .help(if is_utf_16 { "it looks like UTF-16; save it as UTF-8" } else { "save it as UTF-8" });
            report.push(finding);
            None
        }
    }
}

/// Reads a regular file whose real place, all links followed, is inside of a real directory.
fn read_inside(path: &Path, inside: &Path, cap: usize) -> Result<Vec<u8>, FileError> {
    let read = || {
        let real = path.canonicalize()?;
        if !real.starts_with(inside) {
            return Err(FileError::Outside);
        }
        read_regular(&real, cap)
    };
    // Kubernetes swaps a whole directory below the links: look again before saying it is gone.
    match read() {
        Err(FileError::NotFound) => read(),
        result => result,
    }
}

/// Reads a regular file. Anything else is not even opened: opening a pipe would wait for a writer.
fn read_regular(path: &Path, cap: usize) -> Result<Vec<u8>, FileError> {
    if !fs::metadata(path)?.is_file() {
        return Err(FileError::NotRegular);
    }
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(FileError::NotRegular);
    }
    let most = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > cap { Err(FileError::TooLarge(cap)) } else { Ok(bytes) }
}

fn unusable(file: FileId, path: &Path, error: &FileError) -> Diagnostic {
    let code = match error {
        FileError::NotRegular | FileError::Outside => Code::NotRegularFile,
        FileError::TooLarge(_) => Code::FileTooLarge,
        FileError::NotUtf8 => Code::NotUtf8,
        FileError::NotFound | FileError::Unreadable(_) | FileError::InvalidPath => Code::UnreadableFile,
    };
    let finding = Diagnostic::new(code, format!("{} can't be read: {error}", shown(path))).in_file(file);
    match error {
        FileError::Outside => {
            finding.help("put the file itself into the directory; only links that stay inside are followed")
        }
        FileError::NotRegular => finding.help("only regular files are read: no directory, pipe or device"),
        _ => finding,
    }
}

fn unreadable_directory(path: &Path, error: &FileError) -> Diagnostic {
    Diagnostic::new(Code::UnreadableFile, format!("{} can't be read: {error}", shown(path)))
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
