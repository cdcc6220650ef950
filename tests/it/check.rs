//! What `check` says: one fixture per finding in `tests/bad/`, with the exact words as a snapshot.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tollbridge::diag::Code;

use crate::support::{binary, root};

/// Findings whose fixture is not a file that can be committed; each is made by a test below.
const MADE: [&str; 8] = ["TB0001", "TB0002", "TB0006", "TB0007", "TB0008", "TB0108", "TB0118", "TB0139"];

fn bad() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("tests/bad")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    files
}

/// Runs a command in `folder`; gives the exit code and what both outputs said.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary()).args(args).current_dir(folder).env_remove("NO_COLOR").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_finding_says_what_where_why_and_what_to_do() {
    for path in bad() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let file = path.file_name().unwrap().to_str().unwrap();
        let id = &name[..6];
        let (code, stdout, stderr) = if name.ends_with(".server") {
            run(path.parent().unwrap(), &["serve", "--config", file])
        } else {
            run(path.parent().unwrap(), &["check", file])
        };
        let severity = Code::from_id(id).unwrap().severity().word();
        assert!(stderr.contains(&format!("{severity}[{id}]")), "{name}: no {severity}[{id}] in\n{stderr}");
        let expected = match (severity, name.ends_with(".server")) {
            ("error", true) => 78,
            ("error", false) => 1,
            _ => 0,
        };
        assert_eq!(code, expected, "{name}: {stdout}{stderr}");
        insta::with_settings!({snapshot_path => root().join("tests/bad/snapshots"), prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, stderr);
        });
    }
}

#[test]
fn every_code_has_a_fixture_and_an_explanation() {
    let files = bad();
    for code in Code::all() {
        let id = code.id();
        let has = files.iter().any(|path| path.file_name().unwrap().to_str().unwrap().starts_with(id));
        assert!(has || MADE.contains(&id), "{id} has no fixture in tests/bad");
        let (status, stdout, _) = run(root(), &["check", "--explain", &id.to_lowercase()]);
        assert_eq!(status, 0);
        assert!(stdout.contains(id) && stdout.len() > 100, "{id}: {stdout}");
    }
    let (status, _, stderr) = run(root(), &["check", "--explain", "TB9999"]);
    assert_eq!((status, stderr.contains("there is no finding `TB9999`")), (2, true), "{stderr}");
}

/// Checks a folder of these files.
fn check(files: &[(&str, &[u8])]) -> (TempDir, i32, String) {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (code, _, stderr) = run(folder.path(), &["check", "."]);
    (folder, code, stderr)
}

#[test]
fn files_that_cannot_be_read_are_findings_too() {
    let fine: &[u8] = b"bridge: fine\n";
    let (_folder, code, words) = check(&[("a.yaml", b"bridge: \xff\n"), ("b.yaml", fine)]);
    assert_eq!((code, words.contains("error[TB0006]")), (1, true), "{words}");
    let (_folder, code, words) = check(&[("a.yaml", &vec![b'#'; (1 << 20) + 1])]);
    assert_eq!((code, words.contains("error[TB0002]")), (1, true), "{words}");
    let (_folder, code, words) = check(&[("a.txt", fine)]);
    assert_eq!((code, words.contains("warning[TB0008]")), (0, true), "{words}");
    let (_folder, code, words) = check(&[("a.yaml", fine), ("b.yaml", fine)]);
    assert_eq!((code, words.contains("error[TB0108]") && words.contains("first used here")), (1, true), "{words}");

    let outside = TempDir::new().unwrap();
    std::fs::write(outside.path().join("out.yaml"), fine).unwrap();
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(outside.path().join("out.yaml"), folder.path().join("link.yaml")).unwrap();
    let made = Command::new("mkfifo").arg(folder.path().join("pipe.yaml")).status().unwrap();
    assert!(made.success());
    let (code, _, words) = run(folder.path(), &["check", "."]);
    assert_eq!((code, words.matches("error[TB0007]").count()), (1, 2), "{words}");
}

#[test]
fn a_clash_between_bridges_names_both_places() {
    let tool = |bridge: &str| {
        format!(
            "bridge: {bridge}\ntools:\n  t: {{ description: T., response: {{ text: hi }} }}\nresources:\n  a://x: {{ text: x }}\n"
        )
    };
    let (_folder, code, words) = check(&[("a.yaml", tool("a").as_bytes()), ("b.yaml", tool("b").as_bytes())]);
    assert_eq!(code, 1);
    assert_eq!(words.matches("error[TB0108]").count(), 2, "{words}");
    assert!(words.contains("b.yaml:3:3") && words.contains("a.yaml:3:3"), "{words}");
}

#[test]
fn all_findings_come_at_once() {
    let (_folder, code, words) = check(&[
        ("a.yaml", b"bridge: a\nupstream: { url: nowhere, credentials: none }\ntools:\n  t: { description: T., endpoint: GET a, parameters: { x: {} } }\n"),
        ("b.yaml", b"bridge: b\ntols: {}\n"),
    ]);
    assert_eq!(code, 1);
    for id in ["TB0119", "TB0105", "TB0109", "TB0101"] {
        assert!(words.contains(id), "{id} is missing:\n{words}");
    }
    assert!(words.contains("error: 4 errors in 2 files"), "{words}");
}

#[test]
fn findings_can_be_read_by_programs() {
    let path = root().join("tests/bad");
    let (code, stdout, stderr) =
        run(&path, &["check", "--format", "json", "TB0103-unknown-claim.yaml", "TB0201-caller-token.yaml"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((report["valid"].as_bool(), report["error_count"].as_u64()), (Some(false), Some(1)));
    let finding = &report["diagnostics"][0];
    assert_eq!(finding["code"], "TB0103");
    assert_eq!(finding["range"]["filename"], "TB0103-unknown-claim.yaml");
    assert_eq!(finding["range"]["start"]["line"], 9);
    assert!(report["diagnostics"].as_array().unwrap().iter().any(|finding| finding["code"] == "TB0201"));
}

#[test]
fn the_shipped_bridges_are_fine() {
    let (code, stdout, _) = run(root(), &["check"]);
    assert_eq!((code, stdout.as_str()), (0, "bridges: 1 bridge, 9 tools, 3 resources: fine\n"));
    let (code, _, stderr) = run(root(), &["check", "nowhere"]);
    assert_eq!((code, stderr.as_str()), (2, "error: nowhere does not exist\n"));
}
