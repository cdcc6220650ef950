//! JUnit XML, as CI servers read it.

use quick_junit::{NonSuccessKind, Report as XmlReport, TestCase, TestCaseStatus, TestSuite};

use super::{Report, Verdict};

/// Renders reports as JUnit XML.
///
/// # Errors
/// Returns why the XML can't be made.
pub fn junit(reports: &[Report]) -> Result<String, String> {
    let mut document = XmlReport::new("tollbridge");
    document.set_time(reports.iter().map(|report| report.elapsed).sum());
    for report in reports {
        let mut suite = TestSuite::new(report.path.as_str());
        suite.set_time(report.elapsed);
        suite.add_test_cases(report.verdicts.iter().map(case));
        document.add_test_suite(suite);
    }
    document.to_string().map_err(|error| error.to_string())
}

fn case(verdict: &Verdict) -> TestCase {
    let status = match verdict.faults.first() {
        None => TestCaseStatus::success(),
        Some(first) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let words: Vec<String> = verdict.faults.iter().map(super::Fault::words).collect();
            status.set_message(format!("{} is not as expected", first.what));
            status.set_description(words.join("\n\n"));
            status
        }
    };
    let mut case = TestCase::new(verdict.name.as_str(), status);
    case.set_classname(format!("{}.{}", verdict.bridge, verdict.subject));
    case.set_time(verdict.elapsed);
    case.extra.insert("file".into(), verdict.file.as_str().into());
    case.extra.insert("line".into(), verdict.line.to_string().into());
    case
}
