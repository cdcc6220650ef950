//! From a catalogue to a snapshot: secrets are read and clients are made. Nothing is connected to.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;

use super::{Loader, Snapshot, suggest};
use crate::catalog::{Catalog, RateLimit, Tool};
use crate::config::variable::Environment;
use crate::diag::{Code, Diagnostic, Report};
use crate::metrics::{Meter, Purpose};
use crate::secret::Secrets;
use crate::upstream::{HttpUpstream, RateGate, ReplyCache};

/// Makes a snapshot; the previous one lends its pools of connections.
///
/// # Errors
/// Returns all findings: variables without a value, and URLs, headers and credentials that can't be used.
pub(super) fn activate(catalog: Catalog, loader: &Loader, previous: Option<&Snapshot>) -> Result<Snapshot, Report> {
    let mut report = Report::new();
    let secrets = Arc::new(secrets(&catalog, &loader.environment, &mut report));
    if report.has_errors() {
        return Err(report);
    }
    let lenders: Vec<Arc<HttpUpstream>> =
        previous.map(|snapshot| snapshot.upstreams.iter().flatten().cloned().collect()).unwrap_or_default();
    let meter = |bridge: &str| Meter::new(&loader.metrics, Purpose::Api(bridge.to_owned()));
    let mut upstreams = Vec::with_capacity(catalog.bridges.len());
    for bridge in &catalog.bridges {
        upstreams.push(match &bridge.upstream {
            None => None,
            Some(def) => match HttpUpstream::new(def, &secrets, &lenders, &meter(&bridge.name), &loader.egress) {
                Ok(upstream) => Some(Arc::new(upstream)),
                Err(finding) => {
                    report.push(finding);
                    None
                }
            },
        });
    }
    if report.has_errors() {
        return Err(report);
    }
    let gates = gates(&catalog, loader, previous);
    let (caches, suggested) = (caches(&catalog), suggest::caches(&catalog));
    let metrics = Arc::clone(&loader.metrics);
    Ok(Snapshot { catalog: Arc::new(catalog), secrets, upstreams, gates, caches, suggested, metrics })
}

/// Counters go on where a reload does not change what is allowed.
fn gates(catalog: &Catalog, loader: &Loader, previous: Option<&Snapshot>) -> HashMap<String, Arc<RateGate>> {
    let gate = |name: &String, limit: RateLimit| {
        let lent = previous.and_then(|snapshot| snapshot.gates.get(name)).filter(|gate| gate.limit() == limit);
        lent.map_or_else(|| Arc::new(RateGate::new(name, limit, loader.shared.clone())), Arc::clone)
    };
    let limited = |(name, tool): (&String, &Tool)| Some((name.clone(), gate(name, tool.rate_limit?)));
    catalog.tools.iter().filter_map(limited).collect()
}

/// Answers are not kept over a reload: what they were made by may have changed.
fn caches(catalog: &Catalog) -> HashMap<String, ReplyCache> {
    let keep = |tool: &Tool| tool.operation.as_ref()?.cache;
    catalog.tools.iter().filter_map(|(name, tool)| Some((name.clone(), ReplyCache::new(keep(tool)?)))).collect()
}

fn secrets(catalog: &Catalog, environment: &Environment, report: &mut Report) -> Secrets {
    let values = catalog.variables.iter().map(|used| {
        used.variable.resolve(environment, &used.directory).unwrap_or_else(|why| {
            let finding = Diagnostic::new(Code::MissingVariable, format!("`{}` has no value", used.variable.shown()))
                .at(used.span, why)
                .help("set it where the server is started, or give a default: `${NAME:-default}`");
            report.push(finding);
            SecretString::default()
        })
    });
    Secrets::new(values.collect())
}
