//! What YAML is read as, where each piece is, and what is said about text that is none.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::diag::{Code, Findings, SourceMap, text};

struct Read {
    node: Option<Node>,
    findings: Findings,
}

fn read(yaml: &str) -> Read {
    let mut findings = Findings::default();
    let file = findings.sources.add("hr.yaml", yaml);
    let node = parse(file, yaml, &mut findings.report);
    Read { node, findings }
}

impl Read {
    fn said(&self) -> String {
        text::render(&self.findings, text::Color::Never)
    }

    fn node(&self) -> &Node {
        assert!(self.findings.report.is_empty(), "{}", self.said());
        self.node.as_ref().unwrap()
    }

    fn slice(&self, span: Span) -> &str {
        self.findings.sources.slice(span)
    }

    fn only(&self) -> (Code, &str, String) {
        assert_eq!(self.findings.report.len(), 1, "{}", self.said());
        let finding = self.findings.report.iter().next().unwrap();
        let place = finding.span().map(|span| self.findings.sources.line_col(span).to_string());
        (finding.code(), finding.message(), place.unwrap_or_default())
    }
}

fn json(yaml: &str) -> Value {
    read(yaml).node().to_json()
}

#[test]
fn scalars_are_read_by_yaml_1_2() {
    let yaml = "[on, yes, No, 0755, 1_000, 0o17, 0x1F, 1e3, -0, 2.1.0, .5, 5., +7, -7, 01.5, ~, null, true, False, \
                '1', 12:30, 1e, 0x, ., 00, 0]";
    let strings = |words: &[&str]| words.iter().map(|it| Value::from(*it)).collect::<Vec<_>>();
    let mut expected = strings(&["on", "yes", "No", "0755", "1_000"]);
    expected.extend([15.into(), 31.into(), 1000.0.into(), 0.into(), "2.1.0".into(), 0.5.into(), 5.0.into()]);
    expected.extend([7.into(), (-7).into(), "01.5".into(), Value::Null, Value::Null, true.into(), false.into()]);
    expected.extend(strings(&["1", "12:30", "1e", "0x", ".", "00"]));
    expected.push(0.into());
    assert_eq!(json(yaml), Value::from(expected));
    assert_eq!(json("18446744073709551615"), Value::from(u64::MAX));
    assert_eq!(json("-9223372036854775808"), Value::from(i64::MIN));
}

#[test]
fn keys_are_text() {
    let yaml = "404: a\ntrue: b\n'x y': c\n~: d\n1.0: e\n\"<<\": f\n";
    let keys: Vec<_> = read(yaml).node().entries().iter().map(|it| it.key.clone()).collect();
    assert_eq!(keys, ["404", "true", "x y", "~", "1.0", "<<"]);
}

#[test]
fn spans_are_the_written_text() {
    let yaml = "\u{feff}plain: one two # note
'quo''ted': \"e\\n\u{e9}\"
list:
  - x
  - { a: [1, 2], b }
block: |
  first
   second

# end
folded: >-
  some
  words
multi: one
  two
empty:
last: 'z'";
    let read = read(yaml);
    let node = read.node();
    let value = |pointer: &str| read.slice(node.pointer(pointer).unwrap().span);
    let key = |pointer: &str| read.slice(node.key_span(pointer).unwrap());
    assert_eq!(value("/plain"), "one two");
    assert_eq!(key("/plain"), "plain");
    assert_eq!(key("/quo'ted"), "'quo''ted'");
    assert_eq!(value("/quo'ted"), "\"e\\n\u{e9}\"");
    assert_eq!(value("/list/0"), "x");
    assert_eq!(key("/list/0"), "x");
    assert_eq!(value("/list/1"), "{ a: [1, 2], b }");
    assert_eq!(value("/list/1/a"), "[1, 2]");
    assert_eq!(value("/list/1/a/1"), "2");
    assert_eq!(key("/list/1/b"), "b");
    assert_eq!(value("/list"), "- x\n  - { a: [1, 2], b }");
    assert_eq!(value("/block"), "first\n   second");
    assert_eq!(value("/folded"), "some\n  words");
    assert_eq!(value("/multi"), "one\n  two");
    assert_eq!(value("/empty"), "");
    assert_eq!(value("/last"), "'z'");
    assert_eq!(value(""), yaml.trim_start_matches('\u{feff}'));
    assert!(node.pointer("/list/2").is_none() && node.pointer("plain").is_none() && node.key_span("/no").is_none());
}

#[test]
fn pointers_unescape() {
    let read = read("tools:\n  a/b~c: 1\n");
    assert_eq!(read.node().pointer("/tools/a~1b~0c").map(Node::to_json), Some(1.into()));
    assert_eq!(Cursor::root(read.node()).get("tools").get("a/b~c").pointer(), "/tools/a~1b~0c");
}

#[test]
fn anchors_and_merge_keys_work_and_point_to_the_anchor() {
    let yaml =
        "base: &base { a: 1, b: 2 }\nmore: &more { b: 3, c: 4 }\none:\n  b: 0\n  <<: [*base, *more]\ntwo: *base\n";
    let read = read(yaml);
    let node = read.node();
    assert_eq!(node.get("one").unwrap().to_json(), serde_json::json!({"b": 0, "a": 1, "c": 4}));
    let two = node.get("two").unwrap();
    assert_eq!(read.slice(two.span), "{ a: 1, b: 2 }");
    assert_eq!(two.alias.map(|it| read.slice(it)), Some("*base"));
    let finding = Cursor::root(node).get("two").error(Code::InvalidValue, "m", "l");
    assert_eq!(read.slice(finding.secondary()[0].span), "*base");
    let inner = Cursor::root(node).get("two").get("a").error(Code::InvalidValue, "m", "l");
    assert_eq!(read.slice(inner.span().unwrap()), "1");
    assert!(inner.secondary().is_empty());
}

#[test]
fn every_duplicate_key_is_found_with_its_first() {
    let read = read("a: 1\nb: { x: 1, x: 2 }\na: 3\n<<: {}\n<<: {}\n");
    let said = read.said();
    assert_eq!(read.findings.report.len(), 3, "{said}");
    assert!(read.findings.report.iter().all(|it| it.code() == Code::DuplicateKey && it.secondary().len() == 1));
    assert!(said.contains("key `a` is given twice\n --> hr.yaml:3:1\n"), "{said}");
    assert_eq!(read.node.unwrap().to_json(), serde_json::json!({"a": 1, "b": {"x": 1}}));
}

#[test]
fn unquoted_templates_are_explained() {
    for (yaml, help) in [
        ("a: {{ x }}\n", "\"{{ x }}\""),
        ("a: {{ x }}/foo # c\nb: 1\n", "\"{{ x }}/foo\""),
        ("a: { b: {{ x }}, c: 1 }\n", "\"{{ x }}\""),
        ("a: [{{x}}]\n", "\"{{x}}\""),
        ("- {{ f(\"a\") }} and {{ y }}\n", "'{{ f(\"a\") }} and {{ y }}'"),
        ("a: { b: hi {{ x }} there }\n", "\"hi {{ x }} there\""),
        ("a: { b: ${X} }\n", "\"${X}\""),
        ("a: [1, ${X:-http://h}]\n", "\"${X:-http://h}\""),
        ("a: { b: https://${X}/y, c: 1 }\n", "\"https://${X}/y\""),
    ] {
        let read = read(yaml);
        let (code, message, _) = read.only();
        assert_eq!(code, Code::InvalidYaml);
        assert!(message.contains("must be quoted"), "{yaml}: {message}");
        assert!(read.said().contains(&format!("help: quote it: `{help}`")), "{yaml}\n{}", read.said());
    }
    assert!(read("a: {{ x\n  | f }}\n").said().contains("help: quote the whole value"));
    let read = read("a: {{ x }}\nb: 1\nb: 2\n");
    assert_eq!(read.findings.report.len(), 2, "the rest is still looked at");
    assert_eq!(read.node.unwrap().get("a").unwrap().as_str(), Some("{{ x }}"));
    assert_eq!(
        json("a: ${X}\nb: x {{ y }}\nc: [\"${X}\"]"),
        serde_json::json!({"a": "${X}", "b": "x {{ y }}", "c": ["${X}"]})
    );
}

#[test]
fn what_is_no_yaml_is_said_in_plain_words() {
    for (yaml, message, place) in [
        ("", "the file is empty", "1:1"),
        (" \n\n", "the file is empty", "1:1"),
        ("# only\n", "the file holds nothing but comments", "1:1"),
        ("a: b: c\n", "a `:` where no key can be", "1:5"),
        ("a:\n\tb: 1\n", "a tab in the indentation", "2:1"),
        ("a:\n  b: 1\n\tc: 2\n", "a tab in the indentation", "3:1"),
        ("a: \"x\nb: 1\n", "a quote is never closed", "1:4"),
        ("a: [1, 2\nb: 3\n", "a `,` or a closing bracket is missing", "2:2"),
        ("a: [1, 2\n", "`[` is never closed", "1:4"),
        ("a: @x\n", "unquoted text can't begin with `@`", "1:4"),
        ("a: x\nb\n", "expected a key and a `:`", "2:1"),
        ("a: x\0y\n", "control character U+0000 in the text", "1:5"),
        ("a: \"\u{9b}31m\"\n", "control character U+009B in the text", "1:5"),
        ("a: 1\n---\nb: 2\n", "a second document in one file", "2:1"),
        ("a: 1\n...\n---\nb: 2\n", "a second document in one file", "3:1"),
        ("%YAML 1.1\n---\na: 1\n", "YAML directives (`%…`) are not allowed", "1:1"),
        ("a: b\n\u{feff}c: d\n", "a byte order mark (U+FEFF) inside of the text", "2:1"),
        ("a: !env FOO\n", "YAML tags such as `!env` are not allowed", "1:4"),
        ("a: !!str 12\n", "YAML tags such as `!!str` are not allowed", "1:4"),
        ("!x a: 1\n", "YAML tags such as `!x` are not allowed", "1:1"),
        ("a: !!map\n  b: 1\n", "YAML tags such as `!!map` are not allowed", "1:4"),
        ("a: .nan\n", "`.nan` is not a usable number", "1:4"),
        ("a: -.inf\n", "`-.inf` is not a usable number", "1:4"),
        ("a: 123456789012345678901\n", "`123456789012345678901` is not a usable number", "1:4"),
        ("a: 1e999\n", "`1e999` is not a usable number", "1:4"),
        ("a: *b\n", "alias `*b` has no anchor", "1:4"),
        ("*b : 1\n", "alias `*b` has no anchor", "1:1"),
        ("a: &a [*a]\n", "an alias stands inside its own anchor", "1:8"),
        ("? [x]\n: y\n", "a list or map can't be a key", "1:3"),
        (": x\n", "a key is missing", "1:1"),
        ("<<: 1\n", "`<<` merges maps, and this is none", "1:5"),
    ] {
        let read = read(yaml);
        let (_, said, at) = read.only();
        assert_eq!((said, at.as_str()), (message, place), "{yaml:?}");
    }
}

#[test]
fn nothing_hostile_takes_long() {
    let deep = "[".repeat(100_000);
    let deep_maps = "{a: ".repeat(100_000);
    let deep_block: String = (0..500).flat_map(|depth| [" ".repeat(depth), "a:\n".to_owned()]).collect();
    let dashes = "- ".repeat(100_000);
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..40).map(|it| format!("a{it}: &a{it} [{}]\n", vec![format!("*a{}", it - 1); 10].join(", "))))
        .collect();
    let chain: String = std::iter::once("a0: &a0 [x]\n".to_owned())
        .chain((1..200).map(|it| format!("a{it}: &a{it} [*a{}]\n", it - 1)))
        .collect();
    let anchors = format!("{}x{}", "&a [".repeat(60), "]".repeat(60)).replace("&a", "&a ");
    let values = "- 1\n".repeat(MAX_BYTES / 4 - 1);
    let commas = format!("[{}]", "1,".repeat(MAX_BYTES / 2 - 2));
    let aliases = format!("a: &a 1\nb:\n{}", "- *a\n".repeat(50_000));
    let questions = "? ".repeat(100_000);
    let unclosed = format!("a: \"{}", "x".repeat(1_000_000));
    let long_key = "k".repeat(1_000_000);
    for (yaml, code) in [
        (&deep, Code::YamlBudget),
        (&deep_maps, Code::YamlBudget),
        (&deep_block, Code::YamlBudget),
        (&dashes, Code::YamlBudget),
        (&bomb, Code::YamlBudget),
        (&chain, Code::YamlBudget),
        (&values, Code::YamlBudget),
        (&commas, Code::YamlBudget),
        (&aliases, Code::YamlBudget),
        (&questions, Code::YamlBudget),
        (&unclosed, Code::InvalidYaml),
        (&"x".repeat(MAX_BYTES + 1), Code::FileTooLarge),
        (&"a: 1\n".repeat(200_000), Code::YamlBudget),
        (&"- *a\n".repeat(200_000), Code::YamlBudget),
        (&"- !x a\n".repeat(140_000), Code::YamlBudget),
    ] {
        let begin = Instant::now();
        let read = read(yaml);
        let _ = read.said();
        let took = begin.elapsed();
        let head: String = yaml.chars().take(20).collect();
        let codes: Vec<_> = read.findings.report.iter().map(crate::diag::Diagnostic::code).collect();
        assert!(codes.contains(&code), "{head:?}: {codes:?}");
        assert!(took < limit(), "{head:?} took {took:?}");
    }
    for yaml in [&long_key, &anchors] {
        let begin = Instant::now();
        let _ = read(yaml).said();
        assert!(begin.elapsed() < limit(), "took {:?}", begin.elapsed());
    }
}

#[test]
fn a_thousand_tools_are_read_quickly() {
    let entry = |it: usize| {
        format!(
            "  tool_{it}:
    description: Tool number {it}.
    endpoint: GET /items/{{id}}/{it}
    <<: *common
    parameters:
      id: {{ type: string, description: An id }}
      q:  {{ type: integer, minimum: 1, required: false }}
"
        )
    };
    let tools = (0..1000).map(entry).collect::<Vec<_>>().concat();
    let yaml = format!("x-common: &common {{ timeout: 5s }}\ntools:\n{tools}");
    let begin = Instant::now();
    let read = read(&yaml);
    assert_eq!(read.node().get("tools").unwrap().entries().len(), 1000);
    let took = begin.elapsed();
    assert!(took < limit(), "took {took:?}");
}

fn limit() -> Duration {
    // One second on an idle machine; test machines are busy.
    Duration::from_secs(4)
}

#[test]
fn a_cursor_always_has_a_place() {
    let yaml = "upstream:\n  url: \"https://a.example/{{ x }}\"\ntools:\n  t:\n    parameters:\n      - { a: 1 }\nf: { a: 1 }\n";
    let read = read(yaml);
    let node = read.node();
    let root = Cursor::root(node);
    let slice = |span: Span| read.slice(span);

    let url = root.get("upstream").get("url");
    assert!(url.exists());
    assert_eq!((url.pointer(), url.text()), ("/upstream/url", Some("https://a.example/{{ x }}")));
    assert_eq!(slice(url.find(&read.findings.sources, "{{ x }}")), "{{ x }}");
    assert_eq!(slice(url.find(&read.findings.sources, "nope")), "\"https://a.example/{{ x }}\"");
    assert_eq!(slice(url.find(&read.findings.sources, "")), "\"https://a.example/{{ x }}\"");

    let missing = root.get("upstream").get("credentials").get("bearer");
    assert!(!missing.exists() && missing.node().is_none() && missing.text().is_none());
    assert_eq!((missing.pointer(), slice(missing.span())), ("/upstream/credentials/bearer", "upstream"));
    assert_eq!(slice(missing.error(Code::MissingKey, "m", "l").span().unwrap()), "upstream");
    assert_eq!(missing.entries().count() + missing.items().count(), 0);

    let list = root.get("tools").get("t").get("parameters");
    assert_eq!(list.items().map(|it| it.pointer().to_owned()).collect::<Vec<_>>(), ["/tools/t/parameters/0"]);
    assert_eq!(slice(list.index(0).key_span()), "{ a: 1 }");
    assert_eq!(slice(list.index(9).span()), "parameters");
    assert_eq!(root.entries().map(|(key, _)| key).collect::<Vec<_>>(), ["upstream", "tools", "f"]);

    // Under a value of many lines carets would say nothing.
    assert_eq!(slice(root.get("tools").error(Code::InvalidValue, "m", "l").span().unwrap()), "tools");
    assert_eq!(slice(list.error(Code::InvalidValue, "m", "l").span().unwrap()), "parameters");
    assert_eq!(slice(root.get("f").error(Code::InvalidValue, "m", "l").span().unwrap()), "{ a: 1 }");
    assert_eq!(slice(root.get("f").key_error(Code::InvalidValue, "m", "l").span().unwrap()), "f");
    assert_eq!(slice(root.get("nope").span()), "upstream");
}

/// Every span must cut the text at character boundaries.
fn spans(node: &Node, sources: &SourceMap) {
    let text = sources.text(node.span.file);
    assert!(text.get(node.span.start..node.span.end).is_some());
    for entry in node.entries() {
        assert!(text.get(entry.key_span.start..entry.key_span.end).is_some());
        spans(&entry.value, sources);
    }
    for item in node.items() {
        spans(item, sources);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(yaml in "[a-c:\\-{}\\[\\],&*?!|>'\"%@#$ \t\n\u{feff}\u{e9}\u{202e}0-9.~<]{0,60}") {
        let read = read(&yaml);
        let _ = read.said();
        let _ = crate::diag::machine::json([&read.findings]);
        proptest::prop_assert!(read.node.is_some() || read.findings.report.has_errors());
        if let Some(node) = &read.node {
            spans(node, &read.findings.sources);
        }
    }
}
