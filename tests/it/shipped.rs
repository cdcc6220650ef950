//! The bridges of this repository pass their own tests, and their tests notice when a definition is changed.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollbridge::suite::coverage::Coverage;
use tollbridge::suite::snapshot::{Comparison, Store};
use tollbridge::suite::{self, Suite};

use crate::support::root;

/// The directories of bridge files that are shipped.
fn shipped() -> Vec<PathBuf> {
    let examples = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = examples.map(|path| path.join("bridges")).filter(|path| path.is_dir()).collect();
    found.push(root().join("bridges"));
    found.sort();
    assert_eq!(found.len(), 12);
    found
}

/// The snapshots that the command line keeps are those that insta compares here.
#[test]
fn bridges_are_as_accepted() {
    insta::glob!("../..", "{bridges,examples/*/bridges}/*.yaml", |path| {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(path.parent().unwrap().parent().unwrap().join("tests/snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings.remove_snapshot_suffix();
        settings.bind(|| {
            // A test file beside two bridges names tools of both.
            let whole = if path.ends_with("crm.yaml") { path.parent().unwrap() } else { path };
            if path.ends_with("calendar.yaml") {
                return;
            }
            for snapshot in suite::run(whole).unwrap() {
                insta::assert_snapshot!(snapshot.name, snapshot.content);
            }
        });
    });
}

#[test]
fn everything_is_covered() {
    for bridges in shipped() {
        let (suite, _) = Suite::load(&bridges).unwrap();
        let runs: Vec<_> = suite.cases.iter().map(|case| suite.run(case)).collect();
        let coverage = Coverage::of(&suite, &runs);
        assert_eq!((coverage.percent(), coverage.tools.total > 0), (100, true), "{}: {coverage:?}", bridges.display());
    }
}

/// Whether the tests of these bridges fail, or a snapshot is not as accepted.
fn notices(bridges: &Path, store: &Store) -> bool {
    let Ok(snapshots) = suite::run(bridges) else { return true };
    snapshots.iter().any(|snapshot| store.compare(snapshot).unwrap() != Comparison::Same)
}

/// Changes that a careless hand makes, each with what it is called. The lines are those of a bridge file as ours are
/// written: a parameter has a line of its own.
fn mutants(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut add = |at: usize, what: &str, changes: &[(usize, String)]| {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for (line, text) in changes {
            changed[*line].clone_from(text);
        }
        found.push((format!("line {}: {what}", at + 1), changed.join("\n") + "\n"));
    };
    let parameter = |line: &str| -> Option<(String, String)> {
        let (name, rest) = line.strip_prefix("      ")?.split_once(':')?;
        let is_one = !name.starts_with([' ', '#', '<']) && rest.trim_start().starts_with('{') && line.ends_with('}');
        (is_one && (rest.contains("claim:") || rest.contains("description:")))
            .then(|| (name.to_owned(), rest.to_owned()))
    };
    for (at, line) in lines.iter().enumerate() {
        if line.contains("{ claim: ") || line.contains(", claim: ") {
            let (before, after) = line.split_once("claim: ").unwrap();
            let end = after.find([' ', ',']).unwrap();
            add(at, "the model says who it is", &[(at, format!("{before}type: string{}", &after[end..]))]);
        }
        if let Some((name, list)) = line.strip_prefix("  ").and_then(|line| line.split_once(": [")) {
            let names: Vec<&str> = list.trim_end_matches(']').split(", ").collect();
            let is_claims =
                lines[..at].iter().rev().find(|line| !line.starts_with(' ')).is_some_and(|it| *it == "claims:");
            if is_claims && names.len() > 1 {
                let turned: Vec<&str> = names.into_iter().rev().collect();
                add(at, "another claim comes first", &[(at, format!("  {name}: [{}]", turned.join(", ")))]);
            }
        }
        if line.contains("required: false, ") {
            add(at, "an argument is required", &[(at, line.replace("required: false, ", ""))]);
        } else if parameter(line).is_some() && line.contains("description: ") && !line.contains("default: ") {
            add(
                at,
                "an argument is not required",
                &[(at, line.replace("description: ", "required: false, description: "))],
            );
        }
        if let Some((before, path)) = line.split_once("endpoint: ").and_then(|(_, endpoint)| {
            let (method, path) = endpoint.split_once(" /")?;
            Some((method.to_owned(), path.to_owned()))
        }) {
            let indent = &line[..line.find("endpoint").unwrap()];
            add(at, "another path", &[(at, format!("{indent}endpoint: {before} /x{path}"))]);
            let other = if before == "GET" { "DELETE" } else { "GET" };
            add(at, "another method", &[(at, format!("{indent}endpoint: {other} /{path}"))]);
        }
        if let (Some((one, its)), Some((other, others))) =
            (parameter(line), lines.get(at + 1).and_then(|it| parameter(it)))
        {
            let swapped = [(at, format!("      {one}:{others}")), (at + 1, format!("      {other}:{its}"))];
            add(at, "two parameters are swapped", &swapped);
        }
    }
    found
}

#[test]
fn a_careless_change_is_noticed() {
    let mut count = 0;
    for bridges in shipped() {
        let folder = TempDir::new().unwrap();
        let copy = folder.path().join("bridges");
        copied(&bridges, &copy);
        let store = Store::usual(&bridges);
        assert!(!notices(&copy, &store), "{}", bridges.display());
        for entry in std::fs::read_dir(&bridges).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_bridge = path.extension().is_some_and(|ending| ending == "yaml") && !name.contains(".test.");
            if !is_bridge {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (what, mutant) in mutants(&text) {
                assert_ne!(mutant, text, "{name}: {what}");
                std::fs::write(copy.join(&name), &mutant).unwrap();
                assert!(notices(&copy, &store), "{}: {what}: nobody noticed", path.display());
                count += 1;
            }
            std::fs::write(copy.join(&name), &text).unwrap();
        }
    }
    assert!(count > 200, "only {count} changes were tried");
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
