//! Advice about bridge files that can be served, and about what could deceive a reviewer. Looks at what is written,
//! never at what the environment fills in.

mod hint;
mod name;
mod words;

use name::Twins;

use super::compile::{base_url, keeps_secrets};
use crate::config::BridgeDocument;
use crate::config::bridge::{BridgeSpec, CredentialSpec, CredentialWord};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Report, SourceMap};

/// Looks at one bridge file.
pub(super) fn lint(document: &BridgeDocument, sources: &SourceMap, report: &mut Report) {
    let root = Cursor::root(&document.tree);
    let spec = &document.spec;
    plain_http(&root.get("upstream"), spec, report);
    words::hidden(&root, sources, report);
    for (name, tool) in &spec.tools {
        let at = root.get("tools").get(name);
        words::of_tool(&at, name, tool, report);
        hint::contradictions(&at, name, tool, report);
        let parameters = at.get("parameters").entries().map(|(name, at)| (name, at.key_span()));
        name::alike(parameters, &format!("two parameters of tool `{name}`"), Twins::Alike, report);
    }
}

/// Looks at all bridge files together: `/mcp` serves their tools in one list.
pub(super) fn lint_together(documents: &[BridgeDocument], sources: &SourceMap, report: &mut Report) {
    let tools: Vec<_> = documents
        .iter()
        .flat_map(|document| Cursor::root(&document.tree).get("tools").entries().collect::<Vec<_>>())
        .collect();
    name::alike(tools.iter().map(|(name, at)| (*name, at.key_span())), "two tools", Twins::Same, report);
    words::same_descriptions(&tools, report);
    // What would only be nice waits until all works.
    if report.has_errors() {
        return;
    }
    for document in documents {
        let tools = Cursor::root(&document.tree).get("tools");
        for (name, tool) in &document.spec.tools {
            words::undescribed(&tools.get(name), name, tool, report);
            hint::missing(&tools.get(name), name, tool, sources, report);
        }
    }
}

/// Requests to another machine that anyone on the way can read; with credentials that is an error already.
fn plain_http(at: &Cursor<'_>, spec: &BridgeSpec, report: &mut Report) {
    let Some(upstream) = &spec.upstream else { return };
    let is_open = base_url(&upstream.url).is_ok_and(|url| !keeps_secrets(&url));
    if is_open && matches!(upstream.credentials, CredentialSpec::Word(CredentialWord::None)) {
        report.push(at.get("url").error(
            Code::PlainHttp,
            "this API is called over plain http",
            "anyone on the way can read and change requests and answers; use `https://`",
        ));
    }
}
