//! What `check` says: one fixture per finding in `tests/bad/`, with the exact words as a snapshot.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tollbridge::diag::Code;

use crate::support::{binary, root};

/// Findings whose fixture is not a file that can be committed; each is made by a test below.
const MADE: [&str; 16] = [
    "TB0001", "TB0002", "TB0006", "TB0007", "TB0008", "TB0108", "TB0118", "TB0139", "TB0401", "TB0402", "TB0403",
    "TB0404", "TB0405", "TB0406", "TB0407", "TB0601",
];

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

/// The folder of a package that the lockfile names.
fn package(name: &str) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let version = Command::new(&cargo).arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo knows its host");
    // Packages of other platforms need not be on this machine.
    let args = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    let output = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo knows the packages");
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages.iter().find(|package| package["name"] == name).expect("the package is a dependency");
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

#[test]
fn several_paths_are_one_sarif_log_that_fits_the_standard() {
    let schema = std::fs::read_to_string(package("serde-sarif").join("src/schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    // The pattern of `language`, which we don't write, is no regular expression.
    for holder in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][holder]["properties"]["language"];
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let schema = jsonschema::validator_for(&schema).unwrap();
    let path = root().join("tests/bad");
    let valid = |args: &[&str]| {
        let (code, stdout, stderr) = run(&path, &[&["check", "--format", "sarif"], args].concat());
        assert_eq!(stderr, "");
        let log: Value = serde_json::from_str(&stdout).unwrap();
        let wrong: Vec<_> =
            schema.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        (code, log)
    };
    let (code, log) =
        valid(&["TB0122-resource-needs-identity.yaml", "TB0201-caller-token.yaml", "TB0103-unknown-claim.yaml"]);
    assert_eq!((code, log["runs"].as_array().unwrap().len()), (1, 1));
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert_eq!(
        (driver["name"].as_str(), driver["version"].as_str()),
        (Some("tollbridge"), Some(env!("CARGO_PKG_VERSION")))
    );
    let mut seen = Vec::new();
    for result in run["results"].as_array().unwrap() {
        let rule = &driver["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_eq!(rule["defaultConfiguration"]["level"], result["level"]);
        assert!(rule["help"]["text"].as_str().unwrap().len() > 80, "{rule}");
        seen.push(result["ruleId"].as_str().unwrap().to_owned());
    }
    for id in ["TB0103", "TB0122", "TB0201"] {
        assert!(seen.iter().any(|it| it == id), "{id} is missing: {seen:?}");
    }
    let unknown = run["results"].as_array().unwrap().iter().find(|it| it["ruleId"] == "TB0103").unwrap();
    let place = &unknown["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "TB0103-unknown-claim.yaml");
    assert_eq!(
        place["region"],
        serde_json::json!({ "startLine": 9, "startColumn": 22, "endLine": 9, "endColumn": 26 })
    );

    // All findings there are, and none at all.
    let all: Vec<String> = bad().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let (_, log) = valid(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let related = log["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["relatedLocations"] != serde_json::json!([]));
    assert!(related.count() > 3);
    let (code, log) = valid(&[root().join("examples/api-key/bridges").to_str().unwrap()]);
    assert_eq!((code, &log["runs"][0]["results"]), (0, &serde_json::json!([])));
}

#[test]
fn github_shows_findings_beside_their_lines() {
    let (folder, ..) = check(&[
        ("a, b.yaml", b"bridge: a\ntools:\n  t: { description: 50% of it., response: { txt: hi } }\n"),
        ("c.yaml", b"bridge: c\nupstream: { url: https://a.example, credentials: caller_token }\n"),
    ]);
    let (code, stdout, stderr) = run(folder.path(), &["check", ".", "--format", "github"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(lines[0].starts_with("::error file=a%2C b.yaml,line=3,col="), "{stdout}");
    assert!(lines[0].contains(",title=TB0101%3A unknown key::unknown key `txt`"), "{stdout}");
    assert!(lines[0].contains("%0A") && !lines[0].contains('\r'), "{stdout}");
    assert!(
        lines[1].starts_with("::notice file=c.yaml,line=2,col=50,endLine=2,endColumn=62,title=TB0201%3A "),
        "{stdout}"
    );

    let (folder, code, words) = check(&[("a.yaml", b"bridge: a%b\n")]);
    assert_eq!(code, 1, "{words}");
    let (code, stdout, _) = run(folder.path(), &["check", ".", "--format", "github"]);
    assert_eq!((code, stdout.contains("%25") && !stdout.replace("%25", "").contains("a%b")), (1, true), "{stdout}");
    let (code, stdout, stderr) = run(root(), &["check", "examples/api-key/bridges", "--format", "github"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
}

#[test]
fn warnings_can_be_denied_and_notes_can_not() {
    let (folder, code, _) = check(&[("a.yaml", b"bridge: a\nclaims: { who: sub }\n")]);
    assert_eq!(code, 0);
    let (code, stdout, stderr) = run(folder.path(), &["check", ".", "--deny", "warnings"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("warning[TB0202]") && !stderr.contains("error"), "{stderr}");
    assert_eq!(stdout, ".: 1 bridge, 0 tools, 0 resources: 1 warning, which `--deny warnings` forbids\n");
    let (code, stdout, _) = run(folder.path(), &["check", ".", "--deny", "warnings", "--format", "json"]);
    assert_eq!((code, stdout.contains("\"severity\": \"warning\"")), (1, true), "{stdout}");

    let (folder, ..) =
        check(&[("a.yaml", b"bridge: a\nupstream: { url: https://a.example, credentials: caller_token }\n")]);
    let (code, _, stderr) = run(folder.path(), &["check", ".", "--deny", "warnings"]);
    assert_eq!((code, stderr.contains("note[TB0201]")), (0, true), "{stderr}");
    let (code, _, stderr) = run(folder.path(), &["check", ".", "--deny", "notes"]);
    assert_eq!((code, stderr.contains("possible values: warnings")), (2, true), "{stderr}");
}

/// What `check --verbose` says about one file, and the same without `--verbose`.
fn allowed(text: &str) -> (String, String) {
    let (folder, _, quiet) = check(&[("a.yaml", text.as_bytes())]);
    let (_, _, verbose) = run(folder.path(), &["check", ".", "--verbose"]);
    (quiet, verbose)
}

#[test]
fn a_comment_allows_a_warning_and_says_why() {
    // At the end of the line, on the lines above it, and at the top of the file.
    let at_the_end = "bridge: a\nclaims:\n  who: sub   # tollbridge: allow TB0202 -- soon\n";
    let above = "bridge: a\nclaims:\n\n  # tollbridge: allow TB0205,TB0202 -- soon\n\n  # another\n  who: sub\n";
    let at_the_top = "\n# Ours.\n---\n#tollbridge: allow tb0202 -- soon\nbridge: a\nclaims: { who: sub }\n";
    for (text, line, comment) in [(at_the_end, 3, 3), (above, 7, 4), (at_the_top, 6, 4)] {
        let (quiet, verbose) = allowed(text);
        assert!(!quiet.contains("TB0202]"), "{quiet}");
        assert!(verbose.contains("silenced[TB0202]: claim `who` is not used by any tool"), "{verbose}");
        assert!(verbose.contains(&format!(" --> a.yaml:{line}:")), "{verbose}");
        assert!(verbose.contains(&format!("= allowed by: a.yaml:{comment}: soon")), "{verbose}");
    }
    let (quiet, verbose) = allowed("bridge: a\nclaims: { who: sub } # tollbridge: allow TB0202\n");
    assert_eq!(quiet, "");
    assert!(verbose.contains("no reason given"), "{verbose}");
}

#[test]
fn what_is_no_comment_allows_nothing() {
    for text in [
        "bridge: a\ntitle: \"# tollbridge: allow TB0202\"\nclaims: { who: sub }\n",
        "bridge: a\ntitle: 'x\n  # tollbridge: allow TB0202'\nclaims: { who: sub }\n",
        "bridge: a\ntitle: |\n  # tollbridge: allow TB0202\nclaims: { who: sub }\n",
        "bridge: a\ntitle: x#tollbridge: allow TB0202\nclaims: { who: sub }\n",
        // Another line.
        "bridge: a\nclaims:\n  # tollbridge: allow TB0202\n  a: b\n  who: sub\n",
        "bridge: a # tollbridge: allow TB0202\nclaims: { who: sub }\n",
        "bridge: a\nclaims: { who: sub }\n# tollbridge: allow TB0202\n",
    ] {
        let (quiet, _) = allowed(text);
        assert!(quiet.contains("`who` is not used") || quiet.contains("error"), "{text}\n{quiet}");
    }
    // An error can be why the finding is not made.
    let (quiet, _) = allowed("# tollbridge: allow TB0207\nbridge: a\nnonsense: 1\n");
    assert!(quiet.contains("error[TB0101]") && !quiet.contains("TB0215"), "{quiet}");
    // Errors stay, and hundreds of comments in a row are no trouble.
    let (quiet, _) = allowed("# tollbridge: allow TB0101\nbridge: a\nnonsense: 1\n");
    assert!(quiet.contains("error[TB0101]") && quiet.contains("warning[TB0214]"), "{quiet}");
    let many = "  # one of many\n".repeat(500);
    let (quiet, _) = allowed(&format!("bridge: a\nclaims:\n{many}  # tollbridge: allow TB0202\n{many}  who: sub\n"));
    assert_eq!(quiet, "");
}

#[test]
fn what_is_allowed_is_denied_no_longer_and_not_said_at_start() {
    let (folder, ..) = check(&[("a.yaml", b"bridge: a\nclaims: { who: sub } # tollbridge: allow TB0202 -- soon\n")]);
    let (code, stdout, _) = run(folder.path(), &["check", ".", "--deny", "warnings", "--format", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, report["warning_count"].as_u64()), (0, Some(0)));
    assert_eq!(report["silenced"][0]["code"], "TB0202");
    assert_eq!(report["silenced"][0]["reason"], "soon");
    assert_eq!(report["silenced"][0]["allow"]["start"]["line"], 2);

    std::fs::write(folder.path().join("tollbridge.yaml"), "bridges: a.yaml\nauth: { none: true }\n").unwrap();
    let serve = || {
        let mut command = Command::new(binary());
        command.args(["serve", "--stdio"]).current_dir(folder.path()).stdin(std::process::Stdio::null());
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let said = serve();
    assert!(!said.contains("TB02") && !said.contains("is not used"), "{said}");
    std::fs::write(folder.path().join("a.yaml"), "bridge: a\nclaims: { who: sub }\n").unwrap();
    let said = serve();
    assert!(said.contains("warning[TB0202]"), "{said}");
}

#[test]
fn no_output_shows_a_secret() {
    let path = root().join("tests/bad");
    for (file, secrets) in [
        ("TB0204-credentials-as-they-are.yaml", &["correct-horse-battery"][..]),
        ("TB0204-tokens-of-known-kinds.yaml", &["ghp_0", "eyJ", "9f8a7c6e", "Zk3-9xQ"]),
        ("TB0120-beside-a-secret.yaml", &["pässword", "ssword\""]),
    ] {
        for format in ["text", "json", "github", "sarif"] {
            let (_, stdout, stderr) = run(&path, &["check", file, "--format", format, "--verbose"]);
            for secret in secrets {
                assert!(!stdout.contains(secret) && !stderr.contains(secret), "{stdout}{stderr}");
            }
        }
    }
    let silenced = "bridge: a\nupstream: { url: https://a.example, credentials: { bearer: hunter2 } } # tollbridge: allow TB0204\nclaims: { a: b }\n";
    let beside = silenced.replace("claims: { a: b }\n", "").replace("upstream:", "x-y: &unused 1\nupstream:");
    for text in [silenced.to_owned(), beside, silenced.replace("} } #", "}, timeout: 1 } #")] {
        let (quiet, verbose) = allowed(&text);
        assert!(!quiet.contains("hunter2") && !verbose.contains("hunter2"), "{quiet}{verbose}");
    }
}

#[test]
fn a_refusal_at_start_shows_no_secret_either() {
    let bridge = b"bridge: a\nupstream: { url: \"${NOWHERE_TO_BE_FOUND}\", credentials: { bearer: hunter2 } }\n";
    let (folder, ..) = check(&[("a.yaml", bridge)]);
    std::fs::write(folder.path().join("tollbridge.yaml"), "bridges: a.yaml\nauth: { none: true }\n").unwrap();
    let (code, _, stderr) = run(folder.path(), &["serve", "--stdio"]);
    assert_eq!((code, stderr.contains("error[TB0118]") && stderr.contains("bearer: *******")), (78, true), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn what_is_fine_is_not_advised_against() {
    let (_folder, _, words) = check(&[("a.yaml", r#"
bridge: a
upstream:
  url: http://localhost:9000
  credentials: { bearer: "${TOKEN}" }
  headers: { X-Token-Kind: access-token-of-the-company, X-Secret-Url: "https://a.example/1234567890abcdef", X-Note: -----BEGIN }
claims: { token_id: sub }
tools:
  get_mail:
    description: "Read a mail: می‌خ, 👩‍💻."
    endpoint: GET /mail
    parameters:
      token_id: { claim: token_id }
      page_token: { type: string, description: Where to go on, pattern: "^[A-Za-z0-9+/=]{16,64}$" }
      v1.1: { type: string, description: One }
      v11: { type: string, description: Another }
  get_mall:
    description: Find a mall.
    endpoint: GET /mall
  search:
    description: Search.
    endpoint: POST /search
    annotations: {}
  put:
    description: Put.
    endpoint: PUT /it
"#.as_bytes())]);
    assert_eq!(words, "");
}

#[test]
fn advice_reaches_over_all_files() {
    let tool = |bridge: &str, name: &str| {
        format!("bridge: {bridge}\ntools:\n  {name}: {{ description: The same., response: {{ text: hi }} }}\n")
    };
    let (_folder, code, words) =
        check(&[("a.yaml", tool("a", "get_l").as_bytes()), ("b.yaml", tool("b", "get_1").as_bytes())]);
    assert_eq!(code, 0);
    assert!(words.contains("warning[TB0205]") && words.contains("warning[TB0209]"), "{words}");
    assert!(words.contains("b.yaml:3:3") && words.contains("a.yaml:3:3"), "{words}");
}

#[test]
fn the_shipped_bridges_are_fine() {
    let (code, stdout, _) = run(root(), &["check"]);
    assert_eq!((code, stdout.as_str()), (0, "bridges: 1 bridge, 9 tools, 3 resources: fine\n"));
    // Nothing but the note about the caller's token, which is right there.
    let (_, stdout, _) = run(root(), &["check", "bridges", "--format", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let codes: Vec<_> = report["diagnostics"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(codes, ["TB0201"]);
    let (code, _, stderr) = run(root(), &["check", "nowhere"]);
    assert_eq!((code, stderr.as_str()), (2, "error: nowhere does not exist\n"));
}
