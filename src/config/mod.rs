//! What is written in the files: reading, spans, and the typed `Spec`s. A `Spec` may be wrong.

pub mod allow;
pub mod bridge;
pub mod case;
pub mod client;
mod files;
pub mod job;
mod plain_secret;
pub mod schema;
pub mod server;
pub mod skills;
pub mod variable;
pub mod yaml;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, FileId, Findings, Report, SourceMap};

use allow::Allow;
use bridge::BridgeSpec;
use case::{CaseSpec, TestFileSpec};
use schema::Checker;
use server::ServerSpec;
use yaml::Node;

pub use files::{FileError, Revision, environment, is_test as is_test_file};
use skills::SkillFiles;

/// The largest file a resource may name, in bytes.
const MAX_RESOURCE_FILE: usize = 8 * 1024 * 1024;

/// All bridge files of a directory that are well-formed, and what is wrong with the others.
#[derive(Debug)]
pub struct Documents {
    /// The texts of the files, for diagnostics.
    pub sources: SourceMap,
    /// The well-formed bridge files, in the order of their names.
    pub bridges: Vec<BridgeDocument>,
    /// The hash of the content of all files, those named by resources included.
    pub revision: Revision,
    /// What was found so far.
    pub report: Report,
    /// What comments of the files allow.
    pub allows: Vec<Allow>,
    /// The config tests, if they were asked for.
    pub tests: Vec<TestDocument>,
}

/// A well-formed config test.
#[derive(Debug)]
pub struct TestDocument {
    /// The YAML, with places.
    pub tree: Node,
    /// What it says.
    pub spec: CaseSpec,
}

/// A well-formed bridge file.
#[derive(Debug)]
pub struct BridgeDocument {
    /// The YAML, with places.
    pub tree: Node,
    /// What it says.
    pub spec: BridgeSpec,
    /// Where relative paths start.
    pub directory: PathBuf,
    /// The files that resources name.
    pub files: IndexMap<String, Result<Vec<u8>, FileError>>,
    /// What is in its folder of skills.
    pub skills: Option<Result<SkillFiles, FileError>>,
}

/// A well-formed server file.
#[derive(Debug)]
pub struct ServerDocument {
    /// The text of the file, for diagnostics.
    pub sources: SourceMap,
    /// The YAML, with places.
    pub tree: Node,
    /// What it says.
    pub spec: ServerSpec,
}

/// Reads the bridge files of a directory (or a single file) and the files they name, and the config tests in and beside
/// them.
#[must_use]
pub fn load_with_tests(path: &Path) -> Documents {
    let mut documents = load(path);
    let Documents { bridges, sources, report, tests, allows, .. } = &mut documents;
    for bridge in bridges {
        tests.extend(test_documents(bridge.tree.get("tests"), std::mem::take(&mut bridge.spec.tests)));
    }
    for (file, text) in files::read_tests(path, report, sources) {
        allows.extend(allow::read(file, sources, report));
        if let Some((tree, spec)) = read::<TestFileSpec>(file, &text, Checker::tests(), report) {
            tests.extend(test_documents(tree.get("tests"), spec.tests));
        }
    }
    documents
}

fn test_documents(list: Option<&Node>, specs: Vec<CaseSpec>) -> impl Iterator<Item = TestDocument> {
    let trees = list.map(Node::items).unwrap_or_default();
    trees.iter().zip(specs).map(|(tree, spec)| TestDocument { tree: tree.clone(), spec })
}

/// Reads the bridge files of a directory (or a single file) and the files they name.
#[must_use]
pub fn load(path: &Path) -> Documents {
    let mut report = Report::new();
    let mut sources = SourceMap::new();
    // The parent of a bare file name is empty, which names no directory.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = if path.is_dir() { path } else { parent };
    let texts = files::read_dir_yaml(path, &mut report, &mut sources);
    let mut hashed: Vec<(String, Vec<u8>)> = Vec::new();
    let mut bridges = Vec::new();
    let mut allows = Vec::new();
    for (file, text) in texts {
        // The name alone: replicas keep the same files under different paths.
        let name = Path::new(sources.name(file)).file_name().unwrap_or_default().to_string_lossy().into_owned();
        hashed.push((name, text.clone().into_bytes()));
        allows.extend(allow::read(file, &sources, &mut report));
        let Some((tree, spec)) = read::<BridgeSpec>(file, &text, Checker::bridge(), &mut report) else {
            continue;
        };
        let mut files = IndexMap::new();
        for resource in spec.resources.values() {
            if let Some(name) = &resource.file {
                let content = files::read_under(directory, name, MAX_RESOURCE_FILE);
                if let Ok(content) = &content {
                    hashed.push((name.clone(), content.clone()));
                }
                files.insert(name.clone(), content);
            }
        }
        let skills = spec.skills.as_ref().map(|name| skills::read(directory, name, &mut report, &mut sources));
        if let Some(Ok(read)) = &skills {
            hashed.extend(read.files.iter().map(|(path, bytes)| (format!("skill {path}"), bytes.clone())));
        }
        bridges.push(BridgeDocument { tree, spec, directory: directory.to_owned(), files, skills });
    }
    let revision = Revision::of(hashed.iter().map(|(name, content)| (name.as_str(), content.as_slice())));
    Documents { sources, bridges, revision, report, allows, tests: Vec::new() }
}

/// Reads the server file.
///
/// # Errors
/// Returns the findings when it can't be read or is not well-formed.
pub fn load_server(path: &Path) -> Result<ServerDocument, Findings> {
    let mut report = Report::new();
    let mut sources = SourceMap::new();
    let text = files::read_dir_yaml(path, &mut report, &mut sources).pop();
    let read = text.and_then(|(file, text)| read::<ServerSpec>(file, &text, Checker::server(), &mut report));
    match read {
        Some((tree, spec)) if !report.has_errors() => Ok(ServerDocument { sources, tree, spec }),
        _ => Err(Findings { report, sources }),
    }
}

/// Reads a JSON or YAML file that holds one object.
///
/// # Errors
/// Returns the findings when it can't be read, is not well-formed, or holds something else.
pub fn load_object(path: &Path) -> Result<Map<String, Value>, Findings> {
    let mut report = Report::new();
    let mut sources = SourceMap::new();
    match files::read_dir_yaml(path, &mut report, &mut sources).pop() {
        Some((file, text)) => object(file, &text, report, sources),
        None => Err(Findings { report, sources }),
    }
}

/// Reads JSON or YAML text that holds one object; `name` is where it comes from.
///
/// # Errors
/// As [`load_object`].
pub fn read_object(name: &str, text: &str) -> Result<Map<String, Value>, Findings> {
    let mut sources = SourceMap::new();
    let file = sources.add(name, text);
    object(file, text, Report::new(), sources)
}

fn object(file: FileId, text: &str, mut report: Report, sources: SourceMap) -> Result<Map<String, Value>, Findings> {
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        return Ok(members);
    }
    match yaml::parse(file, text, &mut report).map(|tree| (tree.span, tree.to_json())) {
        Some((_, Value::Object(members))) if !report.has_errors() => return Ok(members),
        Some((span, _)) if !report.has_errors() => report.push(
            Diagnostic::new(Code::InvalidValue, "expected an object")
                .at(span, "this is none")
                .help("write `name: value` lines, or a JSON object"),
        ),
        _ => {}
    }
    Err(Findings { report, sources })
}

/// YAML, then its schema, then its type.
fn read<T: DeserializeOwned>(file: FileId, text: &str, checker: &Checker, report: &mut Report) -> Option<(Node, T)> {
    let tree = yaml::parse(file, text, report)?;
    plain_secret::find(&yaml::Cursor::root(&tree), report);
    let before = report.counts().errors;
    schema::check(checker, &tree, report);
    if report.counts().errors > before {
        return None;
    }
    match serde_json::from_value(tree.to_json()) {
        Ok(spec) => Some((tree, spec)),
        Err(error) => {
            // The schema is generated from the type, so it says no first; this is for what a schema can't say.
            report.push(Diagnostic::new(Code::InvalidValue, error.to_string()).at(tree.span, "in this file"));
            None
        }
    }
}
