//! What findings look like to people and to programs.

use super::*;

fn findings(files: &[(&str, &str)]) -> (Findings, Vec<FileId>) {
    let mut findings = Findings::default();
    let ids = files.iter().map(|(name, text)| findings.sources.add(*name, *text)).collect();
    (findings, ids)
}

fn span_of(sources: &SourceMap, file: FileId, needle: &str) -> Span {
    let start = sources.text(file).find(needle).unwrap();
    Span::new(file, start, start + needle.len())
}

fn plain(findings: &Findings) -> String {
    text::render(findings, text::Color::Never)
}

#[test]
fn it_looks_as_the_language_says() {
    let text = format!("{}      gpid: {{ claim: gpdi }}\n", "# line\n".repeat(13));
    let (mut all, files) = findings(&[("bridges/hr.yaml", &text)]);
    all.report.push(
        Diagnostic::new(Code::UnknownClaim, "unknown claim `gpdi`")
            .at(span_of(&all.sources, files[0], "gpdi"), "not defined under `claims:`; did you mean `gpid`?"),
    );
    let expected = "\
error[TB0103]: unknown claim `gpdi`
  --> bridges/hr.yaml:14:22
   |
14 |       gpid: { claim: gpdi }
   |                      ^^^^ not defined under `claims:`; did you mean `gpid`?

error: 1 error in 1 file
";
    assert_eq!(plain(&all), expected);
    let coloured = text::render(&all, text::Color::Always);
    assert!(coloured.contains("\u{1b}[") && !plain(&all).contains('\u{1b}'));
}

#[test]
fn findings_are_sorted_and_summed_up() {
    let (mut all, files) = findings(&[("a.yaml", "x: 1\ny: 2\n"), ("b.yaml", "z: 3\n")]);
    let at = |file: usize, needle: &str| span_of(&all.sources, files[file], needle);
    let found = [
        Diagnostic::new(Code::UnusedClaim, "third").at(at(1, "z"), "").help("one").help("two"),
        Diagnostic::new(Code::UnknownKey, "second").at(at(0, "y"), "here").also(at(0, "x"), "and here"),
        Diagnostic::new(Code::UnknownKey, "first").at(at(0, "x"), ""),
        Diagnostic::new(Code::CallerToken, "fourth").at(at(1, "3"), ""),
        Diagnostic::new(Code::NoBridges, "zeroth"),
        Diagnostic::new(Code::UnreadableFile, "of a file").in_file(files[1]).help("look"),
    ];
    all.report.extend(found);
    all.report.push(Diagnostic::new(Code::NoBridges, "zeroth"));
    let expected = "\
warning[TB0008]: zeroth

error[TB0101]: first
 --> a.yaml:1:1
  |
1 | x: 1
  | ^

error[TB0101]: second
 --> a.yaml:2:1
  |
1 | x: 1
  | - and here
2 | y: 2
  | ^ here

error[TB0001]: of a file
 --> b.yaml
  = help: look

warning[TB0202]: third
 --> b.yaml:1:1
  |
1 | z: 3
  | ^
  |
  = help: one
  = help: two

note[TB0201]: fourth
 --> b.yaml:1:4
  |
1 | z: 3
  |    ^

error: 3 errors, 2 warnings, 1 note in 2 files
";
    assert_eq!(plain(&all), expected);
    assert_eq!(all.report.counts(), Counts { errors: 3, warnings: 2, notes: 1 });
    assert!(all.report.has_errors() && !all.report.is_empty());
}

#[test]
fn nothing_found_is_nothing_said() {
    assert_eq!(plain(&Findings::default()), "");
    let mut all = Findings::default();
    all.report.push(Diagnostic::new(Code::NoBridges, "none"));
    assert_eq!(plain(&all), "warning[TB0008]: none\n\nwarning: 1 warning\n");
}

#[test]
fn places_far_apart_and_in_other_files_are_shown() {
    let text = format!("a: 1\n{}a: 2\n", "#\n".repeat(500));
    let (mut all, files) = findings(&[("a.yaml", &text), ("b.yaml", "a: 3\n")]);
    let second = Span::new(files[0], text.len() - 5, text.len() - 4);
    all.report.push(
        Diagnostic::new(Code::DuplicateName, "twice")
            .at(second, "here")
            .also(Span::new(files[0], 0, 1), "there")
            .also(Span::new(files[1], 0, 1), "and there"),
    );
    let expected = "\
error[TB0108]: twice
   --> a.yaml:502:1
    |
502 | a: 2
    | ^ here
    |
   ::: a.yaml:1:1
    |
  1 | a: 1
    | - there
    |
   ::: b.yaml:1:1
    |
  1 | a: 3
    | - and there

error: 1 error in 1 file
";
    assert_eq!(plain(&all), expected);
}

#[test]
fn long_lines_are_trimmed_and_endless_ones_left_out() {
    let long = format!("a: {{ {}b: x, {} }}\n", "k: 1, ".repeat(100), "l: 2, ".repeat(100));
    let endless = format!("a: {{ {}b: x }}\n", "k: 1, ".repeat(1000));
    let (mut all, files) = findings(&[("long.yaml", &long), ("endless.yaml", &endless)]);
    for file in files {
        all.report.push(
            Diagnostic::new(Code::UnknownKey, "unknown").at(span_of(&all.sources, file, "b: x"), "this").help("do"),
        );
    }
    let said = plain(&all);
    assert!(said.contains("1 | ..."), "{said}");
    assert!(said.contains("^^^^ this"), "{said}");
    assert!(said.contains(" --> endless.yaml:1:6006\n  = note: this\n  = help: do\n"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() < 180), "{said}");
}

#[test]
fn a_file_plays_no_tricks_on_the_terminal() {
    let trick = "a\u{1b}[31m\u{202e}\u{200b}\u{9b}\u{feff}\u{7f}\u{2066}\u{e0041}\u{2028}z";
    let text = format!("{trick}: x\r\n");
    let (mut all, files) = findings(&[(trick, &text)]);
    let at = span_of(&all.sources, files[0], "x");
    all.report.push(Diagnostic::new(Code::UnknownKey, format!("{trick}\nerror: fake")).at(at, trick).help(trick));
    for said in [plain(&all), machine::json([&all]).to_string()] {
        let allowed = |it: char| it == '\n' || !is_trick(it);
        assert!(said.chars().all(allowed), "{said:?}");
    }
    let said = plain(&all);
    let line = said.lines().find(|it| it.starts_with("1 |")).unwrap();
    let carets = said.lines().find(|it| it.contains('^')).unwrap();
    let column = |line: &str, needle: char| line.chars().position(|it| it == needle);
    assert_eq!(column(line, 'x'), column(carets, '^'), "{said}");
    assert!(!said.contains("\nerror: fake"));
}

#[test]
fn labels_stay_on_the_first_line_of_a_span() {
    let (mut all, files) = findings(&[("a.yaml", "a: |\n  b\n  c\nd: 1")]);
    all.report.push(Diagnostic::new(Code::UnknownKey, "m").at(Span::new(files[0], 7, 12), "l"));
    all.report.push(Diagnostic::new(Code::UnknownKey, "n").at(Span::new(files[0], 999, 1200), "beyond the end"));
    all.report.push(Diagnostic::new(Code::UnknownKey, "o").at(Span::new(files[0], 17, 17), "at the end"));
    let said = plain(&all);
    assert!(said.contains("2 |   b\n  |   ^ l\n"), "{said}");
    assert!(said.contains("beyond the end") && said.contains("at the end"));
}

#[test]
fn programs_get_what_terraform_gives() {
    let (mut all, files) = findings(&[("a.yaml", "é: x\n")]);
    let at = span_of(&all.sources, files[0], "x");
    all.report.push(Diagnostic::new(Code::UnknownKey, "m").at(at, "l").also(Span::new(files[0], 0, 2), "r").help("h"));
    all.report.push(Diagnostic::new(Code::NoBridges, "n"));
    all.report.push(Diagnostic::new(Code::NotUtf8, "u").in_file(files[0]));
    let expected = serde_json::json!({
        "valid": false,
        "error_count": 2,
        "warning_count": 1,
        "diagnostics": [
            { "severity": "warning", "code": "TB0008", "summary": "n", "detail": "", "help": [], "range": null, "related": [] },
            { "severity": "error", "code": "TB0006", "summary": "u", "detail": "", "help": [],
              "range": { "filename": "a.yaml" }, "related": [] },
            { "severity": "error", "code": "TB0101", "summary": "m", "detail": "l", "help": ["h"],
              "range": { "filename": "a.yaml",
                         "start": { "line": 1, "column": 4, "byte": 4 }, "end": { "line": 1, "column": 5, "byte": 5 } },
              "related": [ { "message": "r", "range": { "filename": "a.yaml",
                         "start": { "line": 1, "column": 1, "byte": 0 }, "end": { "line": 1, "column": 2, "byte": 2 } } } ] },
        ],
        "silenced": [],
    });
    assert_eq!(machine::json([&all]), expected);
    assert_eq!(machine::json([&Findings::default()])["valid"], true);
}

#[test]
fn codes_are_unique_and_explained() {
    let ids: BTreeSet<_> = Code::all().iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), Code::all().len());
    for code in Code::all() {
        assert!(code.id().starts_with("TB") && code.id().len() == 6, "{code}");
        assert_eq!(Code::from_id(&code.id().to_lowercase()), Some(*code));
        assert!(!code.title().is_empty() && code.explanation().len() > 80, "{code}");
        assert!(code.explanation().lines().all(|line| line.chars().count() <= 100), "{code}");
        assert!(text::explain(*code).starts_with(code.id()));
    }
    assert_eq!(Code::from_id("TB9999"), None);
    assert_eq!(Code::UnknownClaim.id(), "TB0103");
    assert_eq!(Code::CallerToken.severity(), Severity::Note);
}

#[test]
fn slips_of_the_pen_are_recognised() {
    let known = ["endpoint", "description", "parameters", "in", "as", "gpid"];
    let hint = |wrong: &str| suggest(wrong, known);
    assert_eq!(hint("endpont"), Some("endpoint"));
    assert_eq!(hint("Endpoint"), Some("endpoint"));
    assert_eq!(hint("gpdi"), Some("gpid"));
    assert_eq!(hint("desciptoin"), Some("description"));
    assert_eq!(hint("parameter"), Some("parameters"));
    assert_eq!(hint("ni"), Some("in"));
    assert_eq!(hint("xy"), None);
    assert_eq!(hint("timeout"), None);
    assert_eq!(hint(""), None);
    assert_eq!(hint(&"e".repeat(1_000_000)), None);
    assert_eq!(suggest("max-bytes", ["max_bytes"]), Some("max_bytes"));
}

#[test]
fn words_for_sentences() {
    assert_eq!(quoted("a\nb"), "`a b`");
    assert!(quoted(&"x".repeat(1000)).chars().count() < 100);
    assert_eq!(listed([], "or"), "");
    assert_eq!(listed(["a"], "or"), "`a`");
    assert_eq!(listed(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    let many: Vec<_> = (0..100).map(|it| it.to_string()).collect();
    assert!(listed(many.iter().map(String::as_str), "and").ends_with("and 60 more"));
}

#[test]
fn places_are_counted_as_people_do() {
    let mut sources = SourceMap::new();
    let file = sources.add("a", "é\r\n\nxy");
    let place = |at| sources.position(file, at).to_string();
    assert_eq!(
        [place(0), place(2), place(4), place(5), place(6), place(99)],
        ["1:1", "1:2", "2:1", "3:1", "3:2", "3:3"]
    );
    // In the middle of a character counts as before it.
    assert_eq!(place(1), "1:1");
    assert_eq!(sources.slice(sources.line_span(file, 1)), "é");
    assert_eq!(sources.slice(sources.line_span(file, 3)), "xy");
    assert_eq!(sources.slice(Span::new(file, 1, 99)), "");
    let shared = sources.clone();
    sources.add("b", "");
    assert_eq!((shared.files().count(), sources.files().count()), (1, 2));
    let unknown = sources.files().last().unwrap();
    assert_eq!((shared.name(unknown), shared.text(unknown)), ("<unknown file>", ""));
    assert_eq!(shared.position(unknown, 7), LineCol { line: 1, column: 1 });
}

proptest::proptest! {
    #[test]
    fn any_span_of_any_text_can_be_shown(text in "[a-z\n\t\r \u{e9}\u{4e2d}\u{202e}\u{1f600}]{0,40}", starts in proptest::collection::vec((0_usize..50, 0_usize..50), 1..4)) {
        let (mut all, files) = findings(&[("a.yaml", &text)]);
        let mut finding = Diagnostic::new(Code::UnknownKey, "m");
        for (index, (start, length)) in starts.into_iter().enumerate() {
            let span = Span::new(files[0], start, start + length);
            finding = if index == 0 { finding.at(span, "l") } else { finding.also(span, "s") };
        }
        all.report.push(finding.hiding(Span::new(files[0], 3, 9)));
        let _ = plain(&all);
        let _ = machine::json([&all]);
        let _ = sarif::log([&all]);
        assert_eq!(github::commands([&all]).lines().count(), 1);
    }
}
