//! Hints for clients against what the method says.

use crate::config::bridge::ToolSpec;
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, Report, SourceMap};

/// Annotations of a tool that say the opposite of its method.
pub(super) fn contradictions(at: &Cursor<'_>, name: &str, spec: &ToolSpec, report: &mut Report) {
    let Some(method) = method(spec) else { return };
    let annotations = at.get("annotations");
    let mut contradicts = |key: &str, label: String| {
        let message = format!("tool `{name}` is a {method}, and `{key}` says otherwise");
        report.push(annotations.get(key).error(Code::ContradictingHints, message, label));
    };
    match method {
        "GET" | "HEAD" => {
            if spec.annotations.read_only == Some(false) {
                contradicts("read_only", format!("a {method} only reads; leave it out, or use another method"));
            }
            if spec.annotations.destructive == Some(true) {
                contradicts("destructive", format!("a {method} removes nothing; leave it out, or use another method"));
            }
        }
        "POST" | "PUT" | "PATCH" | "DELETE" if spec.annotations.read_only == Some(true) => {
            contradicts("read_only", format!("a {method} may change something, and clients would not ask first"));
        }
        _ => {}
    }
}

/// A tool that changes something and leaves to clients to guess how.
pub(super) fn missing(at: &Cursor<'_>, name: &str, spec: &ToolSpec, sources: &SourceMap, report: &mut Report) {
    let Some(method) = method(spec) else { return };
    // How a person is asked first says as much as a hint.
    if at.get("annotations").exists() || at.get("confirm").exists() {
        return;
    }
    let reads = match method {
        "POST" => "clients will read: adds something, destroys nothing, and twice is not the same as once",
        "PATCH" => "clients will read: may destroy something, and twice is not the same as once",
        "DELETE" => "clients will read: may destroy something, and twice is the same as once",
        _ => return,
    };
    let endpoint = at.get("endpoint");
    report.push(
        Diagnostic::new(Code::MissingHints, format!("tool `{name}` changes something and says nothing about how"))
            .at(endpoint.find(sources, method), reads)
            .help("say it: `annotations: { destructive: …, idempotent: … }`"),
    );
}

fn method(spec: &ToolSpec) -> Option<&str> {
    spec.endpoint.as_deref()?.split_whitespace().next()
}
