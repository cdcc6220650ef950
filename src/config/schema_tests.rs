//! Schemas that are generated, and what is said about files that do not fit them.

use std::{collections::HashMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::*;
use crate::{
    config::yaml,
    diag::{Findings, text},
};

/// A file.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema matters")]
struct Spec {
    /// The name: lower-case letters. It is unique.
    #[schemars(regex(pattern = r"^[a-z]+$"))]
    name: String,
    title: Option<String>,
    sign_in: Option<SignIn>,
    #[serde(default)]
    tools: HashMap<String, Tool>,
    #[schemars(length(max = 2))]
    hosts: Option<Vec<String>>,
    free: Option<Value>,
}

/// A tool.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Tool {
    endpoint: Option<String>,
    place: Option<Place>,
    #[schemars(range(min = 1, max = 60))]
    days: Option<u32>,
    safe: Option<bool>,
    many: Option<OneOrMany>,
    #[schemars(url)]
    link: Option<String>,
    inner: Inner,
    #[schemars(length(min = 1))]
    words: Option<String>,
}

/// Takes anything beside what it knows.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[expect(dead_code, reason = "only its schema matters")]
struct Inner {
    known: Option<bool>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema matters")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema matters")]
enum SignIn {
    None,
    CallerToken,
    Bearer(String),
    Basic(Basic),
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema matters")]
struct Basic {
    /// Who. Not a secret.
    username: String,
    /// The secret.
    password: String,
}

static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::of::<Spec>);

fn checked(yaml: &str) -> Findings {
    let mut findings = Findings::default();
    let file = findings.sources.add("a.yaml", yaml);
    let node = yaml::parse(file, yaml, &mut findings.report).unwrap();
    check(&CHECKER, &node, &mut findings.report);
    findings
}

fn said(yaml: &str) -> String {
    text::render(&checked(yaml), text::Color::Never)
}

/// One line for each finding: code, place, message, label, help.
fn lines(yaml: &str) -> Vec<String> {
    let findings = checked(yaml);
    let line = |it: &Diagnostic| {
        let place = it.span().map(|span| findings.sources.line_col(span).to_string()).unwrap_or_default();
        let label = it.primary().map(|label| label.text.clone()).unwrap_or_default();
        let parts = [it.code().id(), &place, it.message(), &label].join(" | ");
        it.helps().iter().fold(parts, |line, help| format!("{line} | {help}"))
    };
    findings.report.sorted().into_iter().map(line).collect()
}

#[test]
fn what_fits_is_accepted() {
    let yaml = "name: hr
x-note: { any: thing }
sign_in: caller_token
free: [1, { a: ~ }]
tools:
  x-is-a-name: {}
  a:
    x-y: 1
    place: query
    days: 60
    safe: false
    many: [a, b]
    link: https://a.example/
    inner: { known: true, more: 1 }
  b: { many: a }
";
    assert_eq!(lines(yaml), [""; 0]);
    assert_eq!(lines("name: hr\nsign_in: { basic: { username: a, password: b, x-c: d } }\n"), [""; 0]);
}

#[test]
fn unknown_keys_are_found_at_the_key() {
    let yaml = "name: hr\ntools:\n  a:\n    endpont: x\n    place: path\n    zzz: 1\n";
    let expected = "\
error[TB0101]: unknown key `endpont`
 --> a.yaml:4:5
  |
4 |     endpont: x
  |     ^^^^^^^ not known here; did you mean `endpoint`?

error[TB0101]: unknown key `zzz`
 --> a.yaml:6:5
  |
6 |     zzz: 1
  |     ^^^
  |
  = help: known keys: `endpoint`, `place`, `days`, `safe`, `many`, `link`, `inner` and `words`

error: 2 errors in 1 file
";
    assert_eq!(said(yaml).replace("^^^ not known here\n", "^^^\n"), expected);
}

#[test]
fn missing_keys_are_found_at_the_parent() {
    assert_eq!(
        lines("title: x\n"),
        ["TB0104 | 1:1 | missing key `name` | the file needs `name` | `name`: The name: lower-case letters."]
    );
    assert_eq!(
        lines("name: a\nsign_in:\n  basic: { username: x }\n"),
        ["TB0104 | 3:3 | missing key `password` | needs `password` | `password`: The secret."]
    );
    // A misspelt key is one mistake, not two.
    assert_eq!(
        lines("nmae: a\nsign_in: { basic: { usrname: x, password: y } }\n"),
        [
            "TB0101 | 1:1 | unknown key `nmae` | not known here; did you mean `name`?",
            "TB0101 | 2:21 | unknown key `usrname` | not known here; did you mean `username`?",
        ]
    );
}

#[test]
fn wrong_values_are_said_in_plain_words() {
    let quotes = "put quotes around it to make it text";
    for (yaml, expected) in [
        ("title: 5", format!("2:8 | `title` must be a string | this is a number | {quotes}")),
        ("title: true", format!("2:8 | `title` must be a string | this is `true` | {quotes}")),
        ("title:", "2:6 | `title` must be a string | nothing is here".to_owned()),
        ("title: { a: 1 }", "2:8 | `title` must be a string | this is a map".to_owned()),
        ("title:\n  a: 1", "2:1 | `title` must be a string | this is a map".to_owned()),
        (
            "tools: { a: { safe: yes } }",
            "2:21 | `safe` can't be `yes` | not one of the values allowed here | expected `true` or `false` | YAML 1.2 reads `yes` as text; write `true`".to_owned(),
        ),
        (
            "tools: { a: { safe: 'true' } }",
            "2:21 | `safe` must be `true` or `false` | this is a string | write it without quotes".to_owned(),
        ),
        (
            "tools: { a: { place: querry } }",
            "2:22 | `place` can't be `querry` | did you mean `query`? | expected `path`, `query` or `header`"
                .to_owned(),
        ),
        (
            "tools: { a: { place: 5 } }",
            "2:22 | `place` must be `path`, `query` or `header` | this is a number".to_owned(),
        ),
        ("tools: { a: { days: 0 } }", "2:21 | `days` must be at least 1 | ".to_owned()),
        ("tools: { a: { days: 61 } }", "2:21 | `days` must be at most 60 | ".to_owned()),
        ("tools: { a: { days: 1.5 } }", "2:21 | `days` must be a whole number | this is a number".to_owned()),
        ("tools: { a: { days: many } }", "2:21 | `days` must be a whole number | this is a string".to_owned()),
        ("tools: { a: { words: '' } }", "2:22 | `words` must have at least 1 character | ".to_owned()),
        ("tools: { a: { link: nope } }", "2:21 | `link` can't be `nope` | not a valid uri".to_owned()),
        (
            "tools: { a: { inner: { known: 1 } } }",
            "2:31 | `known` must be `true` or `false` | this is a number".to_owned(),
        ),
        ("tools: { a: }", "2:11 | `a` must be a map | nothing is here".to_owned()),
        ("tools: [a]", "2:8 | `tools` must be a map | this is a list".to_owned()),
        ("hosts: [a, 5]", format!("2:12 | item 2 of `hosts` must be a string | this is a number | {quotes}")),
        ("hosts: [a, b, c]", "2:8 | `hosts` must have at most 2 items | ".to_owned()),
    ] {
        assert_eq!(lines(&format!("name: a\n{yaml}\n")), [format!("TB0102 | {expected}")], "{yaml}");
    }
    assert_eq!(
        lines("name: HR\n"),
        [
            "TB0102 | 1:7 | `name` can't be `HR` | does not match `^[a-z]+$` | The name: lower-case letters. It is unique."
        ]
    );
    assert_eq!(lines("- a\n"), ["TB0102 | 1:1 | the file must be a map | this is a list"]);
    assert_eq!(
        lines("name:hr\ntitle:x\n"),
        ["TB0102 | 1:1 | the file must be a map | this is a string | a blank must follow the `:` after a key"]
    );
}

#[test]
fn alternatives_are_explained_by_the_nearest() {
    let all = "`none`, `caller_token` or a map with `bearer` or `basic`";
    for (yaml, expected) in [
        ("sign_in: nonee", format!("TB0102 | 2:10 | `sign_in` can't be `nonee` | did you mean `none`? | expected {all}")),
        ("sign_in: 5", format!("TB0102 | 2:10 | `sign_in` must be {all} | this is a number")),
        ("sign_in: { berer: x }", "TB0101 | 2:12 | unknown key `berer` | not known here; did you mean `bearer`?".to_owned()),
        ("sign_in: { zzz: x }", "TB0101 | 2:12 | unknown key `zzz` | not known here | known keys: `bearer` and `basic`".to_owned()),
        ("sign_in: {}", "TB0104 | 2:10 | `sign_in` says nothing | expected one of `bearer` and `basic`".to_owned()),
        ("sign_in: { bearer: 1 }", "TB0102 | 2:20 | `bearer` must be a string | this is a number | put quotes around it to make it text".to_owned()),
        ("sign_in: { bearer: a, basic: { username: a, password: b } }", "TB0110 | 2:23 | `sign_in` takes either `bearer` or `basic` | one too many".to_owned()),
        ("sign_in: { basic: x }", "TB0102 | 2:19 | `basic` must be a map | this is a string".to_owned()),
        ("sign_in: { bearer: a, extra: b }", "TB0101 | 2:23 | unknown key `extra` | not known here | known keys: `bearer`".to_owned()),
        ("tools: { a: { many: 5 } }", "TB0102 | 2:21 | `many` must be a string or a list | this is a number | put quotes around it to make it text".to_owned()),
        ("tools: { a: { many: [a, 5] } }", "TB0102 | 2:25 | item 2 of `many` must be a string | this is a number | put quotes around it to make it text".to_owned()),
    ] {
        assert_eq!(lines(&format!("name: a\n{yaml}\n")), [expected], "{yaml}");
    }
}

#[test]
fn everything_is_found_at_once_and_once() {
    let yaml = "nam: a\nbase: &base { place: 1, endpont: x }\ntools: { a: *base, b: *base, c: 5 }\n";
    assert_eq!(
        lines(yaml),
        [
            "TB0101 | 1:1 | unknown key `nam` | not known here; did you mean `name`?",
            "TB0101 | 2:1 | unknown key `base` | not known here | known keys: `name`, `title`, `sign_in`, `tools`, `hosts` and `free`",
            "TB0102 | 2:22 | `place` must be `path`, `query` or `header` | this is a number",
            "TB0101 | 2:25 | unknown key `endpont` | not known here; did you mean `endpoint`?",
            "TB0102 | 3:33 | `c` must be a map | this is a number",
        ]
    );
}

#[test]
fn values_are_never_printed_whole() {
    let long = "x".repeat(1_000);
    let said = lines(&format!("name: {long}\n{long}: 1\ntools: {{ a: {{ place: {long} }} }}\n")).join("\n");
    assert!(said.len() < 1_000, "{}", said.len());
}

fn repeated(times: usize, line: impl Fn(usize) -> String) -> String {
    (0..times).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn hostile_files_take_no_time() {
    let limit = Duration::from_secs(4);
    let unknown = repeated(60_000, |it| format!("k{it}: 1\n"));
    let wrong = format!("name: a\ntools:\n{}", repeated(60_000, |it| format!("  k{it}: 1\n")));
    let many = format!("name: a\nsign_in: {{ {} }}\n", repeated(60_000, |it| format!("k{it}: 1, ")));
    let list = format!("name: a\nhosts: [{}]\n", "1, ".repeat(140_000));
    for yaml in [unknown, wrong, many, list] {
        let begin = Instant::now();
        let findings = checked(&yaml);
        let took = begin.elapsed();
        assert!((1..=2 * yaml::MAX_PROBLEMS).contains(&findings.report.len()), "{}", findings.report.len());
        assert!(took < limit, "{took:?}");
    }
    let tools =
        repeated(5_000, |it| format!("  k{it}: {{ place: path, days: 5, endpoint: GET /things/{it}, safe: true }}\n"));
    let fine = format!("name: a\ntools:\n{tools}");
    let begin = Instant::now();
    assert!(checked(&fine).report.is_empty());
    let took = begin.elapsed();
    assert!(took < limit, "{took:?}");
}

#[test]
fn unknown_keys_are_closed_except_x_and_flattened() {
    for draft in [Draft::Draft07, Draft::Draft202012] {
        let schema = generate::<Spec>(draft);
        let definitions = if draft == Draft::Draft07 { "definitions" } else { "$defs" };
        let tool = &schema[definitions]["Tool"];
        assert_eq!(tool["additionalProperties"], false);
        assert_eq!(tool["patternProperties"], json!({ "^x-": true }));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema[definitions]["Inner"]["additionalProperties"], true);
        assert_eq!(schema["properties"]["tools"]["additionalProperties"]["$ref"], format!("#/{definitions}/Tool"));
        assert!(schema["properties"]["tools"].get("patternProperties").is_none());
        assert!(!schema.to_string().contains("null"), "{schema:#}");
        assert_eq!(schema["properties"]["title"]["type"], "string");
        let keys: Vec<_> = schema.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            (keys[0], keys[1], keys[2], *keys.last().unwrap()),
            ("$schema", "title", "description", definitions)
        );
        assert!(keys.starts_with(&["$schema", "title", "description", "type", "properties"]), "{keys:?}");
    }
    assert_eq!(Draft::default(), Draft::Draft07);
}

#[test]
fn our_own_schemas_are_valid() {
    for checker in [Checker::bridge(), Checker::server()] {
        assert!(checker.validator.is_ok(), "{:?}", checker.validator);
    }
    for schema in [bridge_schema(Draft::Draft07), server_schema(Draft::Draft07)] {
        assert!(jsonschema::options().offline().build(&schema).is_ok());
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    }
}

#[test]
fn the_schema_for_editors_accepts_the_same() {
    for draft in [Draft::Draft07, Draft::Draft202012] {
        let schema = for_editors::<Spec>(draft);
        let validator = jsonschema::options().offline().build(&schema).unwrap();
        for (yaml, accepted) in [
            ("sign_in: none", true),
            ("sign_in: bearer", false),
            ("sign_in: 5", false),
            ("sign_in: {}", false),
            ("sign_in: { bearer: a }", true),
            ("sign_in: { bearer: 1 }", false),
            ("sign_in: { berer: a }", false),
            ("sign_in: { bearer: a, x-y: b }", false),
            ("sign_in: { bearer: a, basic: { username: a, password: b } }", false),
            ("sign_in: { basic: { username: a } }", false),
            ("tools: { a: { many: a } }", true),
            ("tools: { a: { many: [a, b] } }", true),
            ("tools: { a: { many: [5] } }", false),
            ("tools: { a: { many: 5 } }", false),
            ("tools: { a: { place: query } }", true),
            ("tools: { a: { place: querry } }", false),
            ("tools: { a: { inner: { known: true, more: 1 } } }", true),
        ] {
            let yaml = format!("name: a\n{yaml}\n");
            let mut findings = Findings::default();
            let file = findings.sources.add("a.yaml", yaml.as_str());
            let value = yaml::parse(file, &yaml, &mut findings.report).unwrap().to_json();
            assert_eq!(validator.is_valid(&value), accepted, "{draft:?}: {yaml}");
            assert_eq!(checked(&yaml).report.is_empty(), accepted, "{yaml}");
        }
    }
}

#[test]
fn a_broken_schema_is_reported_not_hidden() {
    let checker = Checker { schema: Value::Null, validator: Err("why".to_owned()) };
    let mut findings = Findings::default();
    let file = findings.sources.add("a.yaml", "a: 1");
    let node = yaml::parse(file, "a: 1", &mut findings.report).unwrap();
    check(&checker, &node, &mut findings.report);
    assert!(findings.report.has_errors());
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(yaml in "((name|title|sign_in|tools|a|place|many|inner|x-y|hosts): |[-{}\\[\\],~5\n ]| true|bearer|&a |\\*a|<<: ){0,30}") {
        let mut findings = Findings::default();
        let file = findings.sources.add("a.yaml", yaml.as_str());
        if let Some(node) = yaml::parse(file, &yaml, &mut findings.report) {
            check(&CHECKER, &node, &mut findings.report);
            check(Checker::bridge(), &node, &mut findings.report);
        }
        let _ = text::render(&findings, text::Color::Always);
    }
}
