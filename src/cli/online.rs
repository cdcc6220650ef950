//! `check --online`: whether the APIs and the identity provider are where the files say, and let us in.

use std::path::Path;
use std::time::Duration;

use super::block_on;
use crate::auth::probe::{self, Fault};
use crate::auth::{AuthSettings, SettingsError};
use crate::catalog::Bridge;
use crate::config::variable::Environment;
use crate::config::{self, ServerDocument};
use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::live::{Live, Loader, Snapshot};
use crate::net::{Egress, Step, Unreached};
use crate::serve::settings::{Overrides, Settings};

/// How long an API may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// What was looked at and found in order, a line each.
type Lines = Vec<String>;

/// What the server file lets bridges do.
#[derive(Default)]
pub(super) struct Allowed {
    /// What they may read.
    pub(super) environment: Environment,
    /// Where their APIs may be.
    pub(super) egress: Egress,
}

/// Goes the way to the API of every bridge.
pub(super) fn bridges(snapshot: &Snapshot, findings: &mut Findings) -> Lines {
    let mut lines = Vec::new();
    for (bridge, def, upstream) in snapshot.apis() {
        match block_on(async { Ok(upstream.reach(DEADLINE).await) }) {
            Ok(Ok(())) => lines.push(format!("{}: the API at {} answers", bridge.name, def.url)),
            Ok(Err(unreached)) => findings.report.push(api(bridge, &unreached, def.url_span)),
            Err(error) => lines.push(error),
        }
    }
    lines
}

fn api(bridge: &Bridge, unreached: &Unreached, at: Span) -> Diagnostic {
    let finding = self::unreached(unreached, &format!("the API of bridge `{}`", bridge.name), at);
    match unreached.step {
        Step::Name => finding.help("is this machine in the network where the name is known (VPN, cluster)?"),
        Step::Connection => finding.help("is the port right, and does a firewall stand between?"),
        Step::Tls => finding.help("trust the company's own authority with `tls: { ca: \"${file:ca.pem}\" }`"),
    }
}

fn unreached(unreached: &Unreached, what: &str, at: Span) -> Diagnostic {
    let (code, message) = match unreached.step {
        Step::Name => (Code::UnknownHost, format!("the host name of {what} does not resolve")),
        Step::Connection => (Code::NoConnection, format!("{what} does not answer")),
        Step::Tls => (Code::NoSecureConnection, format!("no secure connection to {what} can be made")),
    };
    Diagnostic::new(code, message).at(at, unreached.why.clone())
}

/// Reads the server file, and asks the identity provider when `online`. Gives what bridges may do, too.
pub(super) fn server(path: &Path, online: bool) -> (Findings, Lines, Allowed) {
    let document = match config::load_server(path) {
        Ok(document) => document,
        Err(findings) => return (findings, Vec::new(), Allowed::default()),
    };
    let mut findings = Findings { report: crate::diag::Report::new(), sources: document.sources.clone() };
    if !online {
        return (findings, vec![format!("{}: fine", path.display())], Allowed::default());
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let resolved = Settings::resolve(Some(&document), directory, Overrides::default(), Environment::default());
    let settings = match resolved {
        Ok(settings) => settings,
        Err(findings) => return (findings, Vec::new(), Allowed::default()),
    };
    let mut lines = Vec::new();
    if let AuthSettings::Issuers(issuers) = settings.auth {
        for (index, issuer) in issuers.into_iter().enumerate() {
            let auth = Auth { document: &document, index };
            match block_on(async { Ok(probe::probe(issuer).await) }) {
                Ok(Ok(faults)) if faults.is_empty() => {
                    lines.push(format!("{}: the identity provider answers, and lets us check tokens", path.display()));
                }
                Ok(Ok(faults)) => findings.report.extend(faults.iter().map(|fault| auth.blame(fault))),
                Ok(Err(errors)) => findings.report.extend(errors.iter().map(|error| auth.setting(error))),
                Err(error) => lines.push(error),
            }
        }
    }
    (findings, lines, Allowed { environment: settings.environment, egress: settings.egress })
}

/// An issuer of the server file.
pub(super) struct Auth<'d> {
    pub(super) document: &'d ServerDocument,
    pub(super) index: usize,
}

// === impl Auth ===

impl Auth<'_> {
    pub(super) fn setting(&self, error: &SettingsError) -> Diagnostic {
        Diagnostic::new(Code::InvalidValue, error.to_string()).at(self.place(&[]), "here")
    }

    pub(super) fn blame(&self, fault: &Fault) -> Diagnostic {
        let at = |keys: &[&str]| self.place(keys);
        match fault {
            Fault::Unreached(way) => unreached(way, "the identity provider", at(&["domain", "url", "issuer"])),
            Fault::NoDiscovery(trouble) => {
                Diagnostic::new(Code::NoDiscovery, "the identity provider has no discovery document for this issuer")
                    .at(at(&["authorization_server", "domain", "issuer"]), trouble.to_string())
                    .help("the id is on Okta's page Security > API > Authorization Servers; the first one is `default`")
            }
            Fault::OtherIssuer(found) => Diagnostic::new(
                Code::OtherIssuer,
                "the discovery document names another issuer, so tokens would be refused",
            )
            .at(at(&["issuer", "domain"]), format!("it says `{}`", crate::diag::tame(found))),
            Fault::ClientRefused => {
                Diagnostic::new(Code::ClientRefused, "the identity provider refuses our client id and secret")
                    .at(at(&["client_id"]), "answered with 401")
                    .help("is the service app active, of this org, and its secret the newest?")
            }
            Fault::NoIntrospection(trouble) => {
                Diagnostic::new(Code::NoIntrospection, "the identity provider does not answer about tokens")
                    .at(at(&["url", "domain"]), trouble.to_string())
            }
        }
    }

    /// The first of the keys of this issuer that is there, or `auth` itself.
    fn place(&self, keys: &[&str]) -> Span {
        let tree = &self.document.tree;
        let one = ["/auth/okta".to_owned(), "/auth/introspection".to_owned(), "/auth/jwt".to_owned()];
        let several = ["okta", "introspection", "jwt"].map(|kind| format!("/auth/issuers/{}/{kind}", self.index));
        let issuer = one.into_iter().chain(several).find(|pointer| tree.pointer(pointer).is_some());
        let issuer = issuer.unwrap_or_else(|| "/auth".to_owned());
        let found = keys.iter().find_map(|key| tree.pointer(&format!("{issuer}/{key}")));
        found.or_else(|| tree.pointer(&issuer)).map_or(tree.span, crate::config::yaml::Node::place)
    }
}

/// Loads what `serve` would load.
pub(super) fn load(path: &Path, allowed: &Allowed) -> Result<(Live, Findings), Findings> {
    let Allowed { environment, egress } = allowed;
    let (environment, egress) = (environment.clone(), egress.clone());
    Live::start(Loader { path: path.to_owned(), environment, egress, ..Loader::default() })
}
