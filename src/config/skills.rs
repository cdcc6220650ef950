//! A folder of skills: each folder in it with a `SKILL.md` is one (MCP extension `io.modelcontextprotocol/skills`, SEP-2640).

use std::path::Path;

use serde_json::{Map, Value};

use super::files::{self, FileError};
use super::yaml;
use crate::diag::{Code, Diagnostic, FileId, Report, SourceMap, Span};

/// What makes a folder a skill.
pub const SKILL_MD: &str = "SKILL.md";

/// What is in a folder of skills.
#[derive(Clone, Debug, Default)]
pub struct SkillFiles {
    /// All files by their paths below the folder, with `/`, sorted.
    pub files: Vec<(String, Vec<u8>)>,
    /// The folders that are skills, with what their `SKILL.md` says about itself.
    pub skills: Vec<(String, Map<String, Value>)>,
}

/// Reads a folder of skills. A skill that can't be used becomes a finding.
///
/// # Errors
/// Returns why the folder can't be used.
pub(super) fn read(
    directory: &Path,
    name: &str,
    report: &mut Report,
    sources: &mut SourceMap,
) -> Result<SkillFiles, FileError> {
    let files = files::read_tree(directory, name)?;
    let mut skills = Vec::new();
    for (path, bytes) in &files {
        let Some(folder) = path.strip_suffix(SKILL_MD).and_then(|path| path.strip_suffix('/')) else { continue };
        let text = String::from_utf8_lossy(bytes).into_owned();
        let file = sources.add(format!("{}/{path}", name.trim_end_matches('/')), text.clone());
        if let Some(about) = front_matter(folder, file, &text, report) {
            skills.push((folder.to_owned(), about));
        }
    }
    Ok(SkillFiles { files, skills })
}

/// What stands between the first two lines of `---`.
fn front_matter(folder: &str, file: FileId, text: &str, report: &mut Report) -> Option<Map<String, Value>> {
    let mut finding = |message: String, label: &str, span: Span| {
        report.push(Diagnostic::new(Code::InvalidSkill, message).at(span, label));
    };
    let first = Span::new(file, 0, text.find('\n').unwrap_or(text.len()));
    let opened = text.strip_prefix("---").filter(|rest| rest.starts_with(['\n', '\r']));
    let closed = opened.and_then(|rest| rest.match_indices("\n---").find(|(at, _)| ends_line(rest, at + 4)));
    let Some((at, _)) = closed else {
        let words = "write `name` and `description` between two lines of `---`";
        finding(format!("the skill `{folder}` says nothing about itself"), words, first);
        return None;
    };
    // Up to the second line of `---`, so that places in it are places in the file.
    let head = text.get(..at + 4)?;
    let mut found = Report::new();
    let tree = yaml::parse(file, head, &mut found);
    report.extend(found);
    let tree = tree?;
    let Value::Object(about) = tree.to_json() else {
        report.push(
            Diagnostic::new(Code::InvalidSkill, format!("the skill `{folder}` says nothing about itself"))
                .at(tree.span, "write `name: …` and `description: …`"),
        );
        return None;
    };
    let mut finding = |message: String, label: &str| {
        report.push(Diagnostic::new(Code::InvalidSkill, message).at(tree.span, label));
    };
    let last = folder.rsplit('/').next().unwrap_or(folder);
    match about.get("name").and_then(Value::as_str) {
        Some(name) if name == last && is_name(name) => {}
        Some(name) if name == last => {
            let label = "1 to 64 of `a-z 0-9`, and single `-` in between";
            finding(format!("`{name}` can't be the name of a skill"), label);
            return None;
        }
        _ => {
            let message = format!("the skill in the folder `{last}` must have the name `{last}`");
            finding(message, &format!("write `name: {last}`"));
            return None;
        }
    }
    if about.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
        finding(format!("the skill `{folder}` has no description"), "a model chooses skills by their descriptions");
        return None;
    }
    Some(about)
}

fn ends_line(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['\n', '\r']))
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= 64 && name.split('-').all(part)
}
