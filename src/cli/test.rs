//! `tollbridge test`: runs the config tests and compares the snapshots. Nothing leaves the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use tokio::time::Instant;

use super::print::Printer;
use super::{ExitStatus, block_on};
use crate::diag::tame;
use crate::live::Watcher;
use crate::suite::coverage::Coverage;
use crate::suite::report::{self, Fault, Report, Verdict};
use crate::suite::snapshot::{self, Comparison, Pending, Snapshot, Store};
use crate::suite::{Case, Suite};

/// What a snapshot that is not as accepted is called among the failures.
const SNAPSHOT: &str = "snapshot";
/// Lines of a difference that are shown around what changed.
const CONTEXT: usize = 3;
/// Lines that are shown of a snapshot that is new.
const NEW_LINES: usize = 15;
/// How much of what is not covered is listed of each kind.
const MISSING: usize = 12;

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tests stand under `tests:` of a bridge file, or in files `*.test.yaml` beside it. Snapshots lie in
tests/snapshots beside the directory `bridges`, in insta's format: `cargo insta review` works on them too.

Examples:
  tollbridge test                              run everything under bridges/
  tollbridge test --filter time_off            only tests whose tool or name says so
  tollbridge test --review                     look at each snapshot that changed, and decide
  tollbridge test --check --junit report.xml   in CI

The exit code is 1 when a test fails, a snapshot is not as accepted, or too little is covered."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct Args {
    /// Directories of bridge files, or single bridge files
    #[arg(default_value = "bridges", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only tests whose tool, resource, prompt or name holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Stop at the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Where snapshots lie [default: tests/snapshots beside the directory `bridges`]
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
    /// Accept all snapshots as they came
    #[arg(long, conflicts_with_all = ["reject", "review", "check"])]
    accept: bool,
    /// Drop all snapshots that wait for a decision, and run nothing
    #[arg(long, conflicts_with_all = ["review", "check", "watch", "prune"])]
    reject: bool,
    /// Show each snapshot that is not as accepted and ask what to do
    #[arg(long, conflicts_with_all = ["check", "watch"])]
    review: bool,
    /// Write nothing: what differs fails, as in CI
    #[arg(long)]
    check: bool,
    /// Remove snapshots of tests that are no longer there
    #[arg(long, conflicts_with_all = ["filter", "check", "fail_fast"])]
    prune: bool,
    /// Run again whenever a file changes
    #[arg(long)]
    watch: bool,
    /// How to print what came
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write a JUnit report to this file too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fail when less than this is covered: tools, parameters, errors and branches together
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), conflicts_with_all = ["filter", "fail_fast"])]
    min_coverage: Option<u8>,
}

/// How to print what came of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
    /// For CI servers: JUnit XML
    Junit,
    /// For test harnesses: TAP 14
    Tap,
    /// For GitHub Actions: failures as workflow commands
    Github,
}

/// The snapshots of one directory that were compared.
struct Compared {
    store: Store,
    names: BTreeSet<String>,
    waiting: usize,
    accepted: usize,
    /// Whether all tests of a directory were run.
    is_whole: bool,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let missing: Vec<&PathBuf> = args.paths.iter().filter(|path| !path.exists()).collect();
    for path in &missing {
        printer.error(&format!("{} does not exist", path.display()));
    }
    if !missing.is_empty() {
        return ExitStatus::Usage;
    }
    if args.reject {
        return reject(args, printer).unwrap_or_else(|status| status);
    }
    if args.review && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        printer.error("--review asks on a terminal, and this is none; use --accept, or `cargo insta review`");
        return ExitStatus::Usage;
    }
    if args.watch { watch(args, printer) } else { once(args, printer) }
}

/// Runs all of it once.
fn once(args: &Args, printer: &mut Printer) -> ExitStatus {
    let mut status = ExitStatus::Fine;
    let mut reports = Vec::new();
    let mut stores = Vec::new();
    for path in &args.paths {
        match directory(path, args, printer) {
            Ok((report, compared)) => {
                if args.format == Format::Text {
                    text(&report, &compared, args, printer);
                }
                let too_little = args
                    .min_coverage
                    .is_some_and(|least| report.coverage.as_ref().is_some_and(|it| it.percent() < usize::from(least)));
                // What is accepted on review is no failure any more; anything else still is.
                let reviewed = args.review && compared.waiting > 0;
                let is_failure = |fault: &Fault| !reviewed || fault.what != SNAPSHOT;
                let fails = report.verdicts.iter().flat_map(|verdict| &verdict.faults).any(is_failure);
                if reviewed {
                    match review(&compared.store, printer) {
                        Ok(ExitStatus::Fine) => {}
                        Ok(failed) | Err(failed) => status = failed,
                    }
                }
                if fails || too_little {
                    status = ExitStatus::Findings;
                }
                reports.push(report);
                stores.push(compared);
            }
            Err(failed) => {
                status = failed;
                reports.push(unloaded(path));
            }
        }
    }
    if args.format == Format::Text {
        unreferenced(&stores, reports.len(), args, printer);
    }
    let written = match args.format {
        Format::Text => Ok(String::new()),
        Format::Json => Ok(format!("{:#}", report::json(&reports))),
        Format::Tap => Ok(report::tap(&reports)),
        Format::Github => Ok(report::github(&reports)),
        Format::Junit => report::junit(&reports),
    };
    let junit = args.junit.as_ref().map(|path| {
        let xml = report::junit(&reports)?;
        std::fs::write(path, xml).map_err(|error| format!("{} can't be written: {error}", path.display()))
    });
    match written {
        Ok(text) => printer.result(&text),
        Err(why) => {
            printer.error(&why);
            return ExitStatus::Usage;
        }
    }
    if let Some(Err(why)) = junit {
        printer.error(&why);
        return ExitStatus::Usage;
    }
    status
}

/// What machines read of definitions that can't be tested; people have read the findings.
fn unloaded(path: &Path) -> Report {
    let file = path.display().to_string();
    let fault = Fault {
        what: "definitions".to_owned(),
        line: 1,
        expected: "definitions and tests without errors".to_owned(),
        got: format!("errors; see `tollbridge check {file}`"),
    };
    let verdict = Verdict {
        bridge: String::new(),
        subject: "definitions".to_owned(),
        name: "can be loaded".to_owned(),
        file: file.clone(),
        line: 1,
        column: 1,
        faults: vec![fault],
        elapsed: std::time::Duration::ZERO,
    };
    Report { path: file, verdicts: vec![verdict], coverage: None, elapsed: std::time::Duration::ZERO }
}

/// Runs the tests of one directory.
fn directory(path: &Path, args: &Args, printer: &mut Printer) -> Result<(Report, Compared), ExitStatus> {
    let started = Instant::now();
    let (suite, findings) = Suite::load(path).map_err(|findings| {
        printer.findings(&findings);
        ExitStatus::Findings
    })?;
    drop(findings);
    let store = args.snapshots.clone().map_or_else(|| Store::usual(&suite.directory), Store::new);
    let mut compared = Compared { store, names: BTreeSet::new(), waiting: 0, accepted: 0, is_whole: false };
    let mut runs = Vec::new();
    let mut verdicts = Vec::new();
    let wanted = |case: &&Case| {
        let named = |text: &str| text.contains(args.filter.as_deref().unwrap_or_default());
        named(case.subject.name()) || named(&case.name)
    };
    for case in suite.cases.iter().filter(wanted) {
        let began = Instant::now();
        let run = suite.run(case);
        let mut faults: Vec<Fault> = run.failures.iter().map(|it| fault(&suite, it)).collect();
        let snapshot = case.has_snapshot.then(|| Snapshot::of_run(&suite, &run));
        if let Some(snapshot) = snapshot {
            let line = suite.sources.line_col(case.place).line;
            faults.extend(compared.snapshot(&snapshot, line, args).map_err(|why| broken(&why, printer))?);
        }
        let mut verdict = verdict(&suite, case.bridge, case.subject.name(), &case.name, case.place);
        (verdict.faults, verdict.elapsed) = (faults, began.elapsed());
        let stops = args.fail_fast && !verdict.passed();
        verdicts.push((case.bridge, verdict));
        runs.push(run);
        if stops {
            break;
        }
    }
    let is_whole = args.filter.is_none() && runs.len() == suite.cases.len();
    compared.is_whole = is_whole && path.is_dir();
    if is_whole {
        for (index, bridge) in suite.catalog.bridges.iter().enumerate() {
            let snapshot = Snapshot::of_catalogue(&suite, index);
            let line = suite.sources.line_col(bridge.span).line;
            let mut verdict = verdict(&suite, index, "catalogue", "what clients see of it", bridge.span);
            verdict.faults.extend(compared.snapshot(&snapshot, line, args).map_err(|why| broken(&why, printer))?);
            verdicts.push((index, verdict));
        }
    }
    // The catalogue of a bridge comes after its tests.
    verdicts.sort_by_key(|(bridge, _)| *bridge);
    let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
    let coverage = is_whole.then(|| Coverage::of(&suite, &runs));
    let report = Report { path: path.display().to_string(), verdicts, coverage, elapsed: started.elapsed() };
    Ok((report, compared))
}

fn verdict(suite: &Suite, bridge: usize, subject: &str, name: &str, place: crate::diag::Span) -> Verdict {
    let at = suite.sources.line_col(place);
    Verdict {
        bridge: suite.bridge_name(bridge).to_owned(),
        subject: subject.to_owned(),
        name: name.to_owned(),
        file: suite.sources.name(place.file).to_owned(),
        line: at.line,
        column: at.column,
        faults: Vec::new(),
        elapsed: std::time::Duration::ZERO,
    }
}

fn fault(suite: &Suite, failure: &crate::suite::Failure) -> Fault {
    Fault {
        what: failure.what.clone(),
        line: suite.sources.line_col(failure.place).line,
        expected: failure.expected.clone(),
        got: failure.got.clone(),
    }
}

fn broken(error: &io::Error, printer: &mut Printer) -> ExitStatus {
    printer.error(&format!("a snapshot can't be read or written: {error}"));
    ExitStatus::Usage
}

// === impl Compared ===

impl Compared {
    /// Compares a snapshot, and does with it what the arguments say.
    fn snapshot(&mut self, snapshot: &Snapshot, line: usize, args: &Args) -> io::Result<Option<Fault>> {
        self.names.insert(snapshot.name.clone());
        let (expected, got) = match self.store.compare(snapshot)? {
            Comparison::Same => {
                if !args.check {
                    self.store.forget(snapshot)?;
                }
                return Ok(None);
            }
            _ if args.accept => {
                self.store.accept(snapshot)?;
                self.accepted += 1;
                return Ok(None);
            }
            Comparison::New => (String::new(), snapshot.content.clone()),
            Comparison::Differs(old) => (old, snapshot.content.clone()),
        };
        if !args.check {
            self.store.propose(snapshot)?;
        }
        self.waiting += 1;
        Ok(Some(Fault { what: SNAPSHOT.to_owned(), line, expected, got }))
    }
}

/// What came, for people.
fn text(report: &Report, compared: &Compared, args: &Args, printer: &mut Printer) {
    let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let mut out = String::new();
    let mut bridge = "";
    for verdict in &report.verdicts {
        if verdict.bridge != bridge {
            bridge = &verdict.bridge;
            let _ = writeln!(out, "{}", printer.paint(Style::new().bold(), &tame(bridge)));
        }
        let name = tame(&format!("{}: {}", verdict.subject, verdict.name));
        if verdict.passed() {
            let _ = writeln!(out, "  {}    {name}", printer.paint(green, "ok"));
            continue;
        }
        let _ = writeln!(out, "  {}  {name}", printer.paint(red, "FAIL"));
        for fault in &verdict.faults {
            let _ = writeln!(out, "        {} ({}:{})", tame(&fault.what), verdict.file, fault.line);
            if fault.what == SNAPSHOT {
                out.push_str(&difference(&fault.expected, &fault.got, "          ", false, printer));
            } else {
                let _ = writeln!(out, "          expected: {}", indented(&fault.expected));
                let _ = writeln!(out, "               got: {}", indented(&fault.got));
            }
        }
    }
    let total = report.verdicts.len();
    let failed = report.failed();
    let seconds = report.elapsed.as_secs_f64();
    let counts = format!("{} passed, {failed} failed", total - failed);
    let counts = printer.paint(if failed > 0 { red } else { green }, &counts);
    let _ = writeln!(out, "\n{}: {}: {counts} ({seconds:.2} s)", report.path, counted(total, "test"));
    if let Some(coverage) = &report.coverage {
        covered(coverage, args, &mut out);
    }
    if total == compared.names.len() && report.coverage.is_some() && compared.names.iter().all(|it| it.contains('@')) {
        out.push_str(
            "There is no test yet: write one under `tests:` of a bridge file, or in a `*.test.yaml` beside it.\n",
        );
    }
    if compared.accepted > 0 {
        let _ = writeln!(out, "accepted {}", counted(compared.accepted, "snapshot"));
    }
    if compared.waiting > 0 && !args.review {
        let _ = writeln!(
            out,
            "{} not as accepted: look with `tollbridge test --review`, or accept with `--accept`",
            counted(compared.waiting, "snapshot")
        );
    }
    printer.result(&out);
}

fn covered(coverage: &Coverage, args: &Args, out: &mut String) {
    let parts = coverage.parts();
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, part)| part.total > 0)
        .map(|(name, part)| format!("{name} {}/{}", part.covered(), part.total))
        .collect();
    if parts.is_empty() {
        return;
    }
    let percent = coverage.percent();
    let _ = writeln!(out, "covered: {}: {percent} %", parts.join(", "));
    for (name, part) in coverage.parts() {
        let name = name.strip_suffix("es").or_else(|| name.strip_suffix('s')).unwrap_or(name);
        for (what, place) in part.missing.iter().take(MISSING) {
            let _ = writeln!(out, "  not covered: {name} {}   {place}", tame(what));
        }
        if part.missing.len() > MISSING {
            let _ =
                writeln!(out, "  not covered: and {} more; `--format json` has them all", part.missing.len() - MISSING);
        }
    }
    if let Some(least) = args.min_coverage.filter(|least| percent < usize::from(*least)) {
        let _ = writeln!(out, "that is less than the {least} % of `--min-coverage`");
    }
}

/// Lists or removes what no test refers to. Several paths may keep their snapshots in one directory, and a single file may
/// lie beside others; only who has seen all that belongs to a directory can tell what belongs to nothing.
fn unreferenced(stores: &[Compared], tested: usize, args: &Args, printer: &mut Printer) {
    let is_whole = |compared: &Compared| compared.is_whole;
    if stores.len() < tested || !stores.iter().all(is_whole) {
        return;
    }
    let mut names: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    for compared in stores {
        names.entry(compared.store.directory()).or_default().extend(compared.names.iter().cloned());
    }
    for (directory, names) in names {
        let found = match Store::new(directory.to_owned()).unreferenced(&names) {
            Ok(found) => found,
            Err(error) => {
                broken(&error, printer);
                continue;
            }
        };
        for path in found {
            let said = match args.prune.then(|| snapshot::remove(&path)) {
                None => "belongs to no test; remove it with `--prune`".to_owned(),
                Some(Ok(())) => "removed".to_owned(),
                Some(Err(error)) => format!("can't be removed: {error}"),
            };
            printer.result(&format!("{}: {said}", path.display()));
        }
    }
}

/// The lines that differ, with a few around them; of what is new the first ones, or the `whole`.
fn difference(old: &str, new: &str, indent: &str, whole: bool, printer: &Printer) -> String {
    let diff = TextDiff::from_lines(old, new);
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
    let mut out = String::new();
    if old.is_empty() && !whole {
        let _ = writeln!(out, "{indent}new; nothing was accepted yet");
        for line in new.lines().take(NEW_LINES) {
            let _ = writeln!(out, "{indent}{}", printer.paint(green, &format!("+ {}", tame(line))).trim_end());
        }
        if new.lines().count() > NEW_LINES {
            let _ = writeln!(out, "{indent}… and {}", counted(new.lines().count() - NEW_LINES, "more line"));
        }
        return out;
    }
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            let _ = writeln!(out, "{indent}…");
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let line = tame(change.value().trim_end_matches('\n'));
            let line = match change.tag() {
                ChangeTag::Equal => format!("  {line}"),
                ChangeTag::Delete => printer.paint(red, &format!("- {line}")),
                ChangeTag::Insert => printer.paint(green, &format!("+ {line}")),
            };
            let _ = writeln!(out, "{indent}{}", line.trim_end());
        }
    }
    out
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(tame).collect();
    lines.join("\n                    ")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Asks about each snapshot that waits.
fn review(store: &Store, printer: &mut Printer) -> Result<ExitStatus, ExitStatus> {
    let pending = store.pending().map_err(|error| broken(&error, printer))?;
    let total = pending.len();
    let mut status = ExitStatus::Fine;
    for (number, pending) in pending.iter().enumerate() {
        let Pending { about, old, new, file } = pending;
        let shown = difference(old.as_deref().unwrap_or_default(), new, "  ", true, printer);
        printer.result(&format!("\n[{}/{total}] {}\n{}\n{shown}", number + 1, tame(about), file.display()));
        let done = match ask(printer) {
            Answer::Accept => pending.accept(),
            Answer::Reject => {
                status = ExitStatus::Findings;
                pending.reject()
            }
            Answer::Skip => {
                status = ExitStatus::Findings;
                Ok(())
            }
            Answer::Quit => return Ok(ExitStatus::Findings),
        };
        done.map_err(|error| broken(&error, printer))?;
    }
    Ok(status)
}

/// What is to become of a snapshot.
enum Answer {
    Accept,
    Reject,
    Skip,
    Quit,
}

fn ask(printer: &mut Printer) -> Answer {
    loop {
        printer.note("(a)ccept, (r)eject, (s)kip or (q)uit?");
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::Quit,
            Ok(_) => {}
        }
        match line.trim().chars().next() {
            Some('a') => return Answer::Accept,
            Some('r') => return Answer::Reject,
            Some('s') => return Answer::Skip,
            Some('q') => return Answer::Quit,
            _ => {}
        }
    }
}

fn reject(args: &Args, printer: &mut Printer) -> Result<ExitStatus, ExitStatus> {
    let mut count = 0;
    for path in &args.paths {
        let bridges = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
        let store = args.snapshots.clone().map_or_else(|| Store::usual(bridges), Store::new);
        for pending in store.pending().map_err(|error| broken(&error, printer))? {
            pending.reject().map_err(|error| broken(&error, printer))?;
            count += 1;
        }
    }
    printer.result(&format!("dropped {}", counted(count, "snapshot")));
    Ok(ExitStatus::Fine)
}

/// Runs again whenever a file changes, until it is stopped.
fn watch(args: &Args, printer: &mut Printer) -> ExitStatus {
    let watched = block_on(async {
        let mut watchers = Vec::new();
        for path in &args.paths {
            let mut watcher = Watcher::new(path).map_err(|error| error.to_string())?;
            let bridges = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
            let store = args.snapshots.clone().map_or_else(|| Store::usual(bridges), Store::new);
            watcher.also(&[store.directory().join("any")]);
            watchers.push(watcher);
        }
        loop {
            once(args, printer);
            printer.note("Waiting for changes; Ctrl-C ends this.");
            let changes = watchers.iter_mut().map(|watcher| Box::pin(watcher.changed()));
            tokio::select! {
                _ = futures_util::future::select_all(changes) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    });
    match watched {
        Ok(()) => ExitStatus::Fine,
        Err(why) => {
            printer.error(&why);
            ExitStatus::Usage
        }
    }
}
