//! From documents to a catalogue: the one place where a `Spec` becomes a proven type. All findings at once.

mod parameter;
mod resource;
mod text;
mod tool;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use serde_json::Value;

use super::{Bridge, Catalog, Credential, Resource, Tool, UpstreamDef, VariableUse, lint, quantity};
use crate::config::bridge::{ApiKeySpec, BridgeSpec, CredentialSpec, OneOrMany, UpstreamSpec};
use crate::config::yaml::Cursor;
use crate::config::{BridgeDocument, Documents, allow, variable};
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap, Span};
use crate::principal::ClaimPath;
use crate::secret::Text;
use crate::template::Builder;

/// How long a request may take unless `timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that `timeout` may say.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);
/// The largest answer accepted unless `max_response_bytes` says otherwise.
const MAX_RESPONSE: usize = 1 << 20;

/// Headers that describe the connection or the message itself; what a call says must not contradict what is sent.
const RESERVED_HEADERS: [&str; 16] = [
    "authorization",
    "proxy-authorization",
    "host",
    "cookie",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Collects the parts of a catalogue and the findings about them.
struct Compiler<'d> {
    sources: &'d SourceMap,
    report: Report,
    templates: Builder,
    variables: Vec<VariableUse>,
    tools: IndexMap<String, (Tool, Span)>,
    resources: Vec<(Resource, Span)>,
    bridges: Vec<(Bridge, Span)>,
    /// The arguments that templates of the current tool use; `None` once one of them uses `args` as a whole.
    used_arguments: Option<BTreeSet<String>>,
}

/// The bridge that is being compiled.
struct Place<'d> {
    /// Its index among the bridges.
    index: usize,
    document: &'d BridgeDocument,
    directory: &'d Path,
    upstream_timeout: Option<Duration>,
}

/// Compiles documents into a catalogue. The findings that come with it are warnings and notes.
///
/// # Errors
/// Returns all findings when one of them is an error.
pub fn compile(documents: Documents) -> Result<(Catalog, Findings), Findings> {
    let Documents { sources, bridges, revision, report, allows } = documents;
    let mut compiler = Compiler {
        sources: &sources,
        report,
        templates: Builder::default(),
        variables: Vec::new(),
        tools: IndexMap::new(),
        resources: Vec::new(),
        bridges: Vec::new(),
        used_arguments: Some(BTreeSet::new()),
    };
    for document in &bridges {
        compiler.bridge(document);
        lint::lint(document, &sources, &mut compiler.report);
    }
    lint::lint_together(&bridges, &sources, &mut compiler.report);
    allow::apply(&allows, &sources, &mut compiler.report);
    let Compiler { report, templates, variables, tools, resources, bridges, .. } = compiler;
    let findings = Findings { report, sources };
    if findings.report.has_errors() {
        return Err(findings);
    }
    let (fixed, with_variables): (Vec<Resource>, Vec<Resource>) = resources
        .into_iter()
        .map(|(resource, _)| resource)
        .partition(|resource| resource.uri.variables().next().is_none());
    let catalog = Catalog {
        bridges: bridges.into_iter().map(|(bridge, _)| bridge).collect(),
        tools: tools.into_iter().map(|(name, (tool, _))| (name, tool)).collect(),
        resources: fixed.into_iter().map(|resource| (resource.uri.as_str().to_owned(), resource)).collect(),
        resource_templates: with_variables,
        templates: templates.finish(),
        variables,
        revision,
    };
    Ok((catalog, findings))
}

// === impl Compiler ===

impl<'d> Compiler<'d> {
    fn push(&mut self, finding: Diagnostic) {
        self.report.push(finding);
    }

    fn bridge(&mut self, document: &'d BridgeDocument) {
        let root = Cursor::root(&document.tree);
        let spec = &document.spec;
        let name_at = root.get("bridge");
        if let Some((_, first)) = self.bridges.iter().find(|(bridge, _)| bridge.name == spec.bridge) {
            let finding = name_at
                .error(
                    Code::DuplicateName,
                    format!("two bridges are named `{}`", spec.bridge),
                    "the name of a bridge is unique in its directory",
                )
                .also(*first, "first used here");
            self.push(finding);
        }
        self.misplaced_variables(&root);
        let claims = self.claims(&root.get("claims"), spec);
        let upstream = spec
            .upstream
            .as_ref()
            .and_then(|upstream| self.upstream(&root.get("upstream"), upstream, &document.directory));
        let place = Place {
            index: self.bridges.len(),
            document,
            directory: &document.directory,
            upstream_timeout: upstream.as_ref().map(|upstream| upstream.timeout),
        };
        self.bridges.push((
            Bridge {
                name: spec.bridge.clone(),
                title: spec.title.clone(),
                instructions: spec.instructions.clone(),
                upstream,
                claims,
            },
            name_at.span(),
        ));
        let mut used_claims = BTreeSet::new();
        for (name, tool) in &spec.tools {
            self.tool(&place, &root.get("tools").get(name), name, tool, &mut used_claims);
        }
        for (uri, resource) in &spec.resources {
            self.resource(&place, &root.get("resources").get(uri), uri, resource);
        }
        for name in spec.claims.keys().filter(|name| !used_claims.contains(*name)) {
            let at = root.get("claims").get(name);
            self.push(at.key_error(
                Code::UnusedClaim,
                format!("claim `{name}` is not used by any tool"),
                "no `claim:` and no template names it",
            ));
        }
    }

    fn claims(&mut self, at: &Cursor<'_>, spec: &BridgeSpec) -> IndexMap<String, Vec<ClaimPath>> {
        let mut claims = IndexMap::new();
        for (name, written) in &spec.claims {
            let at = at.get(name);
            let first_fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first_fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.push(at.key_error(
                    Code::InvalidName,
                    format!("`{name}` can't be the name of a claim"),
                    "letters, digits and `_`, so that a template can say `claims.name`",
                ));
            }
            let paths = match written {
                OneOrMany::One(path) => std::slice::from_ref(path),
                OneOrMany::Many(paths) => paths.as_slice(),
            };
            if paths.is_empty() || paths.iter().any(|path| path.is_empty() || path == "/") {
                self.push(at.error(
                    Code::InvalidValue,
                    format!("claim `{name}` names no claim of the token"),
                    "write the name of a claim, or a list in the order in which they are tried",
                ));
            }
            claims.insert(name.clone(), paths.iter().map(ClaimPath::new).collect());
        }
        claims
    }

    fn upstream(&mut self, at: &Cursor<'_>, spec: &UpstreamSpec, directory: &Path) -> Option<UpstreamDef> {
        let url_at = at.get("url");
        let url = self.text(&url_at, &spec.url, directory);
        if let Some(written) = url.as_ref().and_then(Text::as_plain) {
            match base_url(written) {
                Ok(url) => {
                    let credential_at = at.get("credentials");
                    if let Err(finding) = check_plain_http(&url, &spec.credentials, &credential_at, url_at.span()) {
                        self.push(finding);
                    }
                }
                Err(why) => self.push(url_at.error(Code::InvalidUrl, format!("`url` {why}"), "this URL")),
            }
        }
        let headers = self.headers(&at.get("headers"), &spec.headers, directory);
        let timeout = self.timeout(&at.get("timeout"), spec.timeout.as_deref()).unwrap_or(TIMEOUT);
        let max_response_bytes = match &spec.max_response_bytes {
            None => MAX_RESPONSE,
            Some(written) => quantity::size(written).unwrap_or_else(|| {
                let at = at.get("max_response_bytes");
                self.push(at.error(
                    Code::InvalidQuantity,
                    format!("`{written}` is not a size"),
                    "write a whole number and a unit, such as `512KiB` or `2MiB`",
                ));
                MAX_RESPONSE
            }),
        };
        let credential = self.credential(&at.get("credentials"), &spec.credentials, directory)?;
        Some(UpstreamDef {
            url: url?,
            url_span: url_at.span(),
            headers,
            credential,
            credential_span: at.get("credentials").span(),
            timeout,
            max_response_bytes,
        })
    }

    fn headers(
        &mut self,
        at: &Cursor<'_>,
        written: &IndexMap<String, String>,
        directory: &Path,
    ) -> Vec<(HeaderName, Text, Span)> {
        let mut headers = Vec::new();
        for (name, value) in written {
            let at = at.get(name);
            let Some(header) = self.header_name(&at, name) else { continue };
            let Some(text) = self.text(&at, value, directory) else { continue };
            if text.as_plain().is_some_and(|value| HeaderValue::from_str(value).is_err() || !value.is_ascii()) {
                self.push(at.error(
                    Code::InvalidHeader,
                    format!("the value of header `{name}` can't be sent"),
                    "a header holds visible ASCII characters and spaces",
                ));
            }
            headers.push((header, text, at.span()));
        }
        headers
    }

    /// A header that a bridge may set; `accept` may be set by `headers`, so that an API can be asked for a format.
    fn header_name(&mut self, at: &Cursor<'_>, name: &str) -> Option<HeaderName> {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            self.push(at.key_error(
                Code::InvalidHeader,
                format!("`{name}` can't be the name of a header"),
                "letters, digits and `-`",
            ));
            return None;
        };
        // Some servers read `_` as `-`, so both spellings are the same header.
        let folded = header.as_str().replace('_', "-");
        if RESERVED_HEADERS.contains(&folded.as_str()) || folded.starts_with("proxy-") || folded.starts_with("mcp-") {
            let help = match folded.as_str() {
                "authorization" => "use `credentials:` to sign in at the API",
                "cookie" => "use a parameter with `in: cookie`",
                "content-type" => "the kind of `body:` sets it",
                _ => "the HTTP client sets it",
            };
            self.push(
                at.key_error(
                    Code::ReservedHeader,
                    format!("header `{name}` can't be set by a bridge"),
                    "reserved header",
                )
                .help(help),
            );
            return None;
        }
        Some(header)
    }

    fn timeout(&mut self, at: &Cursor<'_>, written: Option<&str>) -> Option<Duration> {
        let written = written?;
        let duration = quantity::duration(written).filter(|duration| *duration <= MAX_TIMEOUT);
        if duration.is_none() {
            self.push(at.error(
                Code::InvalidQuantity,
                format!("`{written}` is not a timeout"),
                "write a whole number and a unit, such as `500ms` or `10s`; at most `10m`",
            ));
        }
        duration
    }

    fn credential(&mut self, at: &Cursor<'_>, spec: &CredentialSpec, directory: &Path) -> Option<Credential> {
        match spec {
            CredentialSpec::None => Some(Credential::None),
            CredentialSpec::CallerToken => {
                self.push(
                    at.error(
                        Code::CallerToken,
                        "the caller's own access token is forwarded to this API".to_owned(),
                        "every call of this bridge carries the caller's token",
                    )
                    .help("right only when the API is within the audience of that token; the alternative, `token_exchange`, is not built yet"),
                );
                Some(Credential::CallerToken)
            }
            CredentialSpec::Bearer(token) => {
                Some(Credential::Bearer(self.text(&at.get("bearer"), token, directory)?))
            }
            CredentialSpec::Basic(basic) => {
                let at = at.get("basic");
                let username = self.text(&at.get("username"), &basic.username, directory);
                let password = self.text(&at.get("password"), &basic.password, directory);
                Some(Credential::Basic { username: username?, password: password? })
            }
            CredentialSpec::ApiKey(key) => self.api_key(&at.get("api_key"), key, directory),
        }
    }

    fn api_key(&mut self, at: &Cursor<'_>, key: &ApiKeySpec, directory: &Path) -> Option<Credential> {
        let value = self.text(&at.get("value"), &key.value, directory);
        match (&key.header, &key.query) {
            (Some(header), None) => {
                let header_at = at.get("header");
                let Ok(name) = HeaderName::from_bytes(header.as_bytes()) else {
                    self.push(header_at.error(
                        Code::InvalidHeader,
                        format!("`{header}` can't be the name of a header"),
                        "letters, digits and `-`",
                    ));
                    return None;
                };
                Some(Credential::KeyHeader(name, value?))
            }
            (None, Some(query)) => Some(Credential::KeyQuery(query.clone(), value?)),
            (Some(_), Some(_)) | (None, None) => {
                self.push(at.key_error(
                    Code::ConflictingKeys,
                    "an API key goes into a header or into the query",
                    "write exactly one of `header` and `query`",
                ));
                None
            }
        }
    }

    /// `${…}` can stand only where a value is sent to the API or published on purpose; never in what a model reads.
    fn misplaced_variables(&mut self, at: &Cursor<'_>) {
        let mut misplaced = Vec::new();
        collect_strings(at, &mut |at, text| {
            if variable::is_in(text) && !may_hold_variable(at.pointer()) {
                misplaced.push(at.error(
                    Code::VariableNotAllowed,
                    "`${…}` can't stand here",
                    "this is read by the model or names something",
                ));
            }
        });
        self.report.extend(misplaced);
    }
}

/// Reads and checks a base URL.
///
/// # Errors
/// Returns what is wrong with it, in words that follow "`url`".
pub fn base_url(written: &str) -> Result<url::Url, &'static str> {
    if written.contains("{{") || written.contains("{%") {
        return Err("can't hold a template; only `${NAME}` is filled in, at load time");
    }
    let url = url::Url::parse(written).map_err(|_| "is not a URL such as `https://api.example.com/v2`")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `https://` (or `http://`)");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("can't hold a user name or password; use `credentials:`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("can't hold a query or fragment; write parameters with `value:`");
    }
    Ok(url)
}

/// Whether a URL stays on this machine.
#[must_use]
pub fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether credentials may be sent to a URL: over https, or without leaving this machine.
#[must_use]
pub fn keeps_secrets(url: &url::Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

fn check_plain_http(
    url: &url::Url,
    credentials: &CredentialSpec,
    at: &Cursor<'_>,
    url_span: Span,
) -> Result<(), Diagnostic> {
    if matches!(credentials, CredentialSpec::None) || keeps_secrets(url) {
        return Ok(());
    }
    Err(insecure_url(url_span).also(at.span(), "these credentials would travel in the clear"))
}

/// The finding about credentials that would be sent over plain http.
#[must_use]
pub fn insecure_url(span: Span) -> Diagnostic {
    Diagnostic::new(Code::InsecureUrl, "credentials can't be sent over plain http")
        .at(span, "use `https://`; `http://` is for loopback and for `credentials: none`")
}

fn collect_strings(at: &Cursor<'_>, found: &mut dyn FnMut(&Cursor<'_>, &str)) {
    if let Some(text) = at.text() {
        found(at, text);
    }
    for item in at.items() {
        collect_strings(&item, found);
    }
    for (_, member) in at.entries() {
        collect_strings(&member, found);
    }
}

fn may_hold_variable(pointer: &str) -> bool {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    match parts.as_slice() {
        ["upstream", "url"]
        | ["upstream", "headers" | "credentials", ..]
        | ["tools", _, "parameters", _, "value", ..]
        | ["tools", _, "body", ..]
        | ["resources", _, "json" | "text", ..] => true,
        [first, ..] => first.starts_with("x-"),
        [] => false,
    }
}

/// The JSON type of a value, in a word.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
