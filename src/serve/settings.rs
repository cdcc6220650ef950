//! From the server file, the environment and the flags to proven settings. Flags win over the environment, the
//! environment over the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::audit::{AuditSettings, OnFailure, Target};
use crate::auth::{
    self, AuthSettings, IntrospectionSettings, IssuerSettings, JwtSettings, Method, SettingsError, TermsSettings,
};
use crate::config::ServerDocument;
use crate::config::client::{ClientAuthSpec, ClientSpec};
use crate::config::server::{
    AdminSpec, AnonymousMethod, AuditFailureSpec, AuditSettingsSpec, AuditSpec, AuthSpec, BreakingSpec, DiscoverySpec,
    IntrospectionSpec, IssuerSpec, JwtSpec, LimitsSpec, NetworkSpec, OktaSpec, ServerSpec, SharedSpec, TlsSpec,
    TokenSpec, ValidationSpec, WatchSpec,
};
use crate::config::variable::{self, Environment, Segment};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap};
use crate::live::ReloadRules;
use crate::metrics::Meter;
use crate::net::{Egress, Range};
use crate::oauth::{ClientAuth, OauthClient, SigningKey};
use crate::quantity;
use crate::upstream::SharedUrl;

/// Where the server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8000";

/// Everything a server needs to know besides the bridges.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The URL that clients use, when it is not the address itself.
    pub public_url: Option<Url>,
    /// The directory of bridge files, or one bridge file.
    pub bridges: PathBuf,
    /// How their changes are noticed.
    pub watch: WatchSpec,
    /// How callers are authenticated.
    pub auth: AuthSettings,
    /// The audit trail.
    pub audit: Option<AuditSettings>,
    /// Methods that are open to callers without a token.
    pub anonymous: Vec<AnonymousMethod>,
    /// Where the STDIO transport takes the token from.
    pub stdio_token: TokenSpec,
    /// Host names accepted besides loopback and `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Origins accepted besides loopback and `public_url`.
    pub allowed_origins: Vec<String>,
    /// What bridge files may read.
    pub environment: Environment,
    /// Which addresses bridges may connect to.
    pub egress: Egress,
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
    /// The longest a tool call may take.
    pub request_timeout: Duration,
    /// What bounds a client besides.
    pub limits: Limits,
    /// The admin port.
    pub admin: Option<AdminSettings>,
    /// What a reload may do.
    pub reload: ReloadRules,
    /// The files of the certificate and its key.
    pub tls: Option<TlsFiles>,
    /// Whether clients of older protocols have sessions.
    pub sessions: bool,
    /// The store that replicas share.
    pub shared: Option<SharedUrl>,
    /// The server file, if there is one.
    pub file: Option<PathBuf>,
    /// The sets of tools that are served; empty for all tools.
    pub toolsets: Vec<String>,
    /// How clients learn of tools, unless they choose.
    pub discovery: DiscoverySpec,
}

/// What bounds a client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub header_bytes: usize,
    /// How deep JSON may be nested.
    pub json_depth: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Running calls of one caller.
    pub calls_per_caller: usize,
    /// Entries of a list at a time.
    pub list_items: usize,
    /// How long head and body of a request may take, each.
    pub read: Duration,
    /// How long a connection may rest between two requests.
    pub idle: Duration,
    /// How long a stopping server goes on while it is not ready.
    pub shutdown_delay: Duration,
    /// How long running calls may take after that.
    pub shutdown_grace: Duration,
}

/// The admin port.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What callers must present.
    pub token: Option<SecretString>,
}

/// The files of a certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What flags and `TOLLBRIDGE_*` variables say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--public-url`.
    pub public_url: Option<String>,
    /// `--bridges`, relative to the working directory.
    pub bridges: Option<PathBuf>,
    /// `--watch`.
    pub watch: Option<WatchSpec>,
    /// `--stdio-token`.
    pub stdio_token: Option<TokenSpec>,
    /// `--okta-…` or `--no-auth`; replaces `auth` of the file.
    pub auth: Option<AuthSpec>,
    /// `--allowed-host`; added to the file's.
    pub allowed_hosts: Vec<String>,
    /// `--allowed-origin`; added to the file's.
    pub allowed_origins: Vec<String>,
    /// `--toolset`; replaces the file's.
    pub toolsets: Vec<String>,
    /// `--discovery`.
    pub discovery: Option<DiscoverySpec>,
    /// `--insecure`: serve without authentication beyond loopback.
    pub insecure: bool,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--no-sessions`.
    pub no_sessions: bool,
    /// The server file, if there is one.
    pub file: Option<PathBuf>,
    /// Which transport will be served.
    pub stdio: bool,
}

/// Reads strings of the server file, filling in `${…}`.
struct Reader {
    environment: Environment,
    directory: PathBuf,
    report: Report,
}

/// The place of a key of the server file, when there is a file.
#[derive(Clone)]
struct At<'a>(Option<Cursor<'a>>);

// === impl Settings ===

impl Settings {
    /// Proves the settings. The findings that come with them are warnings and notes.
    ///
    /// # Errors
    /// Returns all findings when one of them is an error.
    pub fn resolve(
        document: Option<&ServerDocument>,
        directory: &Path,
        overrides: Overrides,
        environment: Environment,
    ) -> Result<Self, Findings> {
        let sources = document.map_or_else(SourceMap::new, |document| document.sources.clone());
        let empty = ServerSpec::default();
        let spec = document.map_or(&empty, |document| &document.spec);
        let root = At(document.map(|document| Cursor::root(&document.tree)));
        let mut reader = Reader { environment, directory: directory.to_owned(), report: Report::new() };
        let settings = reader.settings(spec, &root, overrides);
        match settings {
            Some(settings) if !reader.report.has_errors() => Ok(settings),
            _ => Err(Findings { report: reader.report, sources }),
        }
    }

    /// The URL that clients use, without a slash at the end.
    #[must_use]
    pub fn public_url_for(&self, local: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{local}"),
        }
    }

    /// Accepted `Host` values.
    #[must_use]
    pub fn hosts(&self, local: SocketAddr) -> Vec<String> {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]", "::1"].map(str::to_owned).into();
        if !local.ip().is_unspecified() {
            hosts.push(local.ip().to_string());
        }
        hosts.extend(self.public_url.as_ref().and_then(Url::host_str).map(str::to_owned));
        hosts.extend(self.allowed_hosts.iter().cloned());
        hosts
    }

    /// Accepted `Origin` values, with explicit ports.
    #[must_use]
    pub fn origins(&self, local: SocketAddr) -> Vec<String> {
        let mut origins: Vec<String> =
            ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned).into();
        if !local.ip().is_unspecified() && !local.ip().is_loopback() {
            origins.push(format!("http://{local}"));
        }
        let given = self.allowed_origins.iter().filter_map(|origin| Url::parse(origin).ok());
        origins.extend(self.public_url.iter().cloned().chain(given).filter_map(|url| {
            let port = url.port_or_known_default()?;
            Some(format!("{}://{}:{port}", url.scheme(), url.host_str()?))
        }));
        origins
    }
}

// === impl Reader ===

impl Reader {
    fn settings(&mut self, spec: &ServerSpec, root: &At<'_>, overrides: Overrides) -> Option<Settings> {
        let Overrides {
            listen,
            public_url,
            bridges,
            watch,
            stdio_token,
            auth,
            allowed_hosts,
            allowed_origins,
            toolsets,
            discovery,
            insecure,
            admin_listen,
            no_sessions,
            file,
            stdio,
        } = overrides;
        let (listen, listen_at) = self.listen(listen, spec, root);
        let public_at = if public_url.is_some() { At(None) } else { root.get("public_url") };
        let public_url = public_url.or_else(|| self.optional(spec.public_url.as_deref(), &public_at));
        let public_url = public_url.and_then(|written| self.public_url(&written, &public_at));
        let bridges = bridges.unwrap_or_else(|| {
            let written = self.optional(spec.bridges.as_deref(), &root.get("bridges"));
            self.directory.join(written.as_deref().unwrap_or("bridges"))
        });
        let from_flags = auth.is_some();
        let auth_at = if from_flags { At(None) } else { root.get("auth") };
        let auth = if let Some(auth) = auth.as_ref().or(spec.auth.as_ref()) {
            self.auth(auth, &auth_at)
        } else {
            self.push(
                Diagnostic::new(Code::MissingAuth, "there is no `auth`: who may call?")
                    .help("write `auth: { okta: … }` into tollbridge.yaml, or use --okta-domain and its companions")
                    .help("to try things out on this machine only: `--no-auth`"),
            );
            None
        };
        let allowed_hosts: Vec<String> = spec.allowed_hosts.iter().cloned().chain(allowed_hosts).collect();
        let allowed_origins = self.origins(spec, root, allowed_origins);
        if let (Some(listen), Some(auth)) = (listen, &auth)
            && !stdio
        {
            let named = public_url.is_some() || !allowed_hosts.is_empty();
            self.check_exposure(listen, auth, named, insecure, &listen_at);
        }
        let audit = match &spec.audit {
            Some(audit) => Some(self.audit(audit, &root.get("audit"))?),
            None => None,
        };
        let egress = self.egress(&spec.network, &root.get("network"));
        let limits_at = root.get("limits");
        let max_request_bytes =
            self.size(spec.limits.max_request_bytes.as_deref(), &limits_at.get("max_request_bytes"), 1 << 20);
        let request_timeout = self.request_timeout(spec, root);
        let limits = self.limits(&spec.limits, &limits_at);
        let admin = self.admin(spec.admin.as_ref(), admin_listen, &root.get("admin"));
        let tls = spec.tls.as_ref().and_then(|tls| self.tls(tls, &root.get("tls")));
        let shared = spec.shared.as_ref().and_then(|shared| self.shared(shared, &root.get("shared")));
        let keep = usize::from(spec.reload.keep.unwrap_or(10).min(100));
        let reload = ReloadRules { refuses_breaking: spec.reload.breaking == BreakingSpec::Refuse, keep };
        let mut environment = self.environment.clone();
        environment.allowed.clone_from(&spec.allow_env);
        Some(Settings {
            listen: listen?,
            public_url,
            bridges,
            auth: auth?,
            audit,
            anonymous: spec
                .auth
                .as_ref()
                .filter(|_| !from_flags)
                .map(|auth| auth.anonymous.clone())
                .unwrap_or_default(),
            watch: watch.unwrap_or(spec.watch),
            stdio_token: stdio_token.unwrap_or(spec.stdio.token),
            allowed_hosts,
            allowed_origins,
            environment,
            egress,
            max_request_bytes,
            request_timeout,
            limits,
            admin,
            reload,
            tls,
            sessions: !no_sessions && spec.sessions.unwrap_or(true),
            shared,
            file,
            toolsets: if toolsets.is_empty() { spec.toolsets.clone() } else { toolsets },
            discovery: discovery.unwrap_or(spec.discovery),
        })
    }

    /// The address to listen on, and where it is written.
    fn listen<'a>(&mut self, flag: Option<String>, spec: &ServerSpec, root: &At<'a>) -> (Option<SocketAddr>, At<'a>) {
        let written = match flag {
            Some(flag) => Some((flag, At(None))),
            None => self.optional(spec.listen.as_deref(), &root.get("listen")).map(|text| (text, root.get("listen"))),
        };
        let (written, at) = written.unwrap_or_else(|| (LISTEN.to_owned(), At(None)));
        let listen: Option<SocketAddr> = written.parse().ok();
        if listen.is_none() {
            self.push(at.error(
                Code::InvalidValue,
                format!("`{written}` is not an address to listen on"),
                "write an IP address and a port, such as `127.0.0.1:8000` or `0.0.0.0:8000`",
            ));
        }
        (listen, at)
    }

    /// Beyond loopback, callers must be checked, and the names under which the server is reached must be known, or a
    /// web page could reach it by rebinding a name.
    fn check_exposure(&mut self, listen: SocketAddr, auth: &AuthSettings, named: bool, insecure: bool, at: &At<'_>) {
        if listen.ip().is_loopback() || insecure {
            return;
        }
        if matches!(auth, AuthSettings::None) {
            self.push(
                at.error(
                    Code::InsecureListen,
                    format!("`{listen}` can be reached from other machines, and everybody may call"),
                    "without `auth`, listen on loopback, such as `127.0.0.1:8000`",
                )
                .help("`--insecure` serves it all the same"),
            );
        }
        if !named {
            self.push(
                at.error(
                    Code::InsecureListen,
                    format!("`{listen}` can be reached from other machines, but under which name is not said"),
                    "write `public_url` or `allowed_hosts`: the `Host` of every request is checked",
                )
                .help("clients that reach it by address need that address in `allowed_hosts`"),
            );
        }
    }

    fn public_url(&mut self, written: &str, at: &At<'_>) -> Option<Url> {
        let url = Url::parse(written).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if url.is_none() {
            self.push(at.error(
                Code::InvalidUrl,
                format!("`{written}` is not a URL that clients can use"),
                "write it without query and fragment, such as `https://mcp.example.com`",
            ));
        }
        url
    }

    fn origins(&mut self, spec: &ServerSpec, root: &At<'_>, flags: Vec<String>) -> Vec<String> {
        let at = root.get("allowed_origins");
        let file = spec.allowed_origins.iter().enumerate().map(|(index, origin)| (origin.clone(), at.index(index)));
        let all: Vec<(String, At<'_>)> = file.chain(flags.into_iter().map(|origin| (origin, At(None)))).collect();
        let mut origins = Vec::new();
        for (origin, at) in all {
            let fits = Url::parse(&origin).is_ok_and(|url| {
                url.origin().ascii_serialization() == origin.trim_end_matches('/') || url.path() == "/"
            });
            if !fits {
                self.push(at.error(
                    Code::InvalidUrl,
                    format!("`{origin}` is not an origin"),
                    "write scheme, host and perhaps port, such as `https://app.example.com`",
                ));
            }
            origins.push(origin);
        }
        origins
    }

    fn auth(&mut self, spec: &AuthSpec, at: &At<'_>) -> Option<AuthSettings> {
        let AuthSpec { okta, introspection, jwt, issuers, none, anonymous: _ } = spec;
        let one = [
            ("okta", okta.clone().map(IssuerSpec::Okta)),
            ("introspection", introspection.clone().map(IssuerSpec::Introspection)),
            ("jwt", jwt.clone().map(IssuerSpec::Jwt)),
        ];
        let mut given: Vec<&str> = one.iter().filter(|(_, spec)| spec.is_some()).map(|(key, _)| *key).collect();
        given.extend(issuers.as_ref().map(|_| "issuers"));
        given.extend(none.map(|_| "none"));
        match given.as_slice() {
            [] => {
                self.push(at.error(
                    Code::MissingAuth,
                    "`auth` says nothing about who may call",
                    "write one of `okta`, `introspection`, `jwt`, `issuers` and `none`",
                ));
                return None;
            }
            [_] => {}
            [first, second, ..] => {
                let message = format!("`auth` takes either `{first}` or `{second}`");
                let finding = at.get(second).error(Code::ConflictingKeys, message, "one too many");
                self.push(finding.help("several at once: `issuers: [{ okta: … }, { jwt: … }]`"));
                return None;
            }
        }
        if none.is_some() {
            return Some(AuthSettings::None);
        }
        let several = issuers.iter().flatten().enumerate().map(|(index, spec)| {
            let key = match spec {
                IssuerSpec::Okta(_) => "okta",
                IssuerSpec::Introspection(_) => "introspection",
                IssuerSpec::Jwt(_) => "jwt",
            };
            (at.get("issuers").index(index).get(key), spec.clone())
        });
        let one = one.into_iter().filter_map(|(key, spec)| Some((at.get(key), spec?)));
        let specs: Vec<(At<'_>, IssuerSpec)> = one.chain(several).collect();
        if specs.is_empty() {
            self.push(at.get("issuers").error(Code::MissingAuth, "`issuers` lists none", "who may call?"));
            return None;
        }
        let settings: Vec<Option<IssuerSettings>> = specs.iter().map(|(at, spec)| self.issuer(spec, at)).collect();
        let settings: Vec<IssuerSettings> = settings.into_iter().collect::<Option<_>>()?;
        let settings = AuthSettings::Issuers(settings);
        // What is wrong with one of them has been said at its key; this is about all of them together.
        if let Err(errors) = auth::build(settings.clone(), &Meter::default()) {
            for error in errors {
                self.settings_error(&error, at);
            }
            return None;
        }
        Some(settings)
    }

    fn audit(&mut self, spec: &AuditSpec, at: &At<'_>) -> Option<AuditSettings> {
        let (to, to_at, on_failure, hash_key) = match spec {
            AuditSpec::To(to) => (to, at.clone(), AuditFailureSpec::default(), None),
            AuditSpec::Settings(AuditSettingsSpec { to, on_failure, hash_key }) => {
                (to, at.get("to"), *on_failure, hash_key.as_deref())
            }
        };
        let to = self.string(to, &to_at)?;
        if to.trim().is_empty() {
            self.push(to_at.error(Code::InvalidValue, "the audit trail has no name", "write `stderr` or a file"));
            return None;
        }
        let hash_key = match hash_key {
            Some(written) => Some(self.string(written, &at.get("hash_key")).filter(|key| !key.is_empty())?.into()),
            None => None,
        };
        Some(AuditSettings {
            target: if to == "stderr" { Target::Stderr } else { Target::File(self.directory.join(to)) },
            on_failure: match on_failure {
                AuditFailureSpec::Block => OnFailure::Block,
                AuditFailureSpec::Warn => OnFailure::Warn,
            },
            hash_key,
        })
    }

    fn issuer(&mut self, spec: &IssuerSpec, at: &At<'_>) -> Option<IssuerSettings> {
        let (method, cache) = match spec {
            IssuerSpec::Okta(spec) => (self.okta(spec, at), &spec.cache),
            IssuerSpec::Introspection(spec) => (self.introspection(spec, at), &spec.cache),
            IssuerSpec::Jwt(spec) => (self.jwt(spec, at), &spec.cache),
        };
        let keep = self.keep(cache.as_deref(), &at.get("cache"));
        let settings = IssuerSettings { method: method?, keep };
        match auth::build(AuthSettings::Issuers(vec![settings.clone()]), &Meter::default()) {
            Ok(_) => Some(settings),
            Err(errors) => {
                for error in errors {
                    self.settings_error(&error, at);
                }
                None
            }
        }
    }

    /// How long verdicts are kept. It weakens what `introspection` is for, so it is said.
    fn keep(&mut self, written: Option<&str>, at: &At<'_>) -> Option<Duration> {
        let time = self.duration(written?, at)?;
        if time > auth::MAX_KEEP {
            self.push(at.error(
                Code::InvalidQuantity,
                "verdicts on tokens are kept for 5 minutes at most",
                "a revoked token stays good for as long",
            ));
        }
        (!time.is_zero()).then_some(time)
    }

    fn okta(&mut self, spec: &OktaSpec, at: &At<'_>) -> Option<Method> {
        let OktaSpec { domain, authorization_server, validation, audience, client_ids, client, cache: _ } = spec;
        let domain = self.string(domain, &at.get("domain"));
        let server = self.optional(authorization_server.as_deref(), &at.get("authorization_server"));
        let audience = self.string(audience, &at.get("audience"));
        let client = match validation {
            ValidationSpec::Jwks => None,
            ValidationSpec::Introspection | ValidationSpec::Both => Some(self.client(client, at)?),
        };
        let urls = match auth::okta(&domain?, server.as_deref()) {
            Ok(urls) => urls,
            Err(error) => {
                self.settings_error(&error, at);
                return None;
            }
        };
        if server.is_none() && *validation != ValidationSpec::Introspection {
            self.push(
                at.get("validation")
                    .error(
                        Code::InvalidValue,
                        "tokens of Okta's org authorization server can't be checked by keys",
                        "its keys are not published",
                    )
                    .help(
                        "write `validation: introspection`, or name a custom `authorization_server` such as `default`",
                    ),
            );
            return None;
        }
        let terms =
            TermsSettings { issuer: Some(urls.issuer.clone()), audience: audience?, client_ids: client_ids.clone() };
        let jwt = JwtSettings { issuer: urls.issuer, keys: None, terms: terms.clone(), algorithms: None };
        Some(match client {
            None => Method::Jwt(jwt),
            Some(client) => {
                let introspection = IntrospectionSettings { endpoint: urls.endpoint, client, terms };
                match validation {
                    ValidationSpec::Both => Method::Both(Box::new((jwt, introspection))),
                    ValidationSpec::Introspection | ValidationSpec::Jwks => Method::Introspection(introspection),
                }
            }
        })
    }

    fn introspection(&mut self, spec: &IntrospectionSpec, at: &At<'_>) -> Option<Method> {
        let IntrospectionSpec { url, issuer, audience, client_ids, client, cache: _ } = spec;
        let url = self.string(url, &at.get("url"));
        let issuer = self.optional(issuer.as_deref(), &at.get("issuer"));
        let audience = self.string(audience, &at.get("audience"));
        let client = self.client(client, at);
        let endpoint = self.accepted(auth::endpoint(&url?), at)?;
        let terms = TermsSettings { issuer, audience: audience?, client_ids: client_ids.clone() };
        Some(Method::Introspection(IntrospectionSettings { endpoint, client: client?, terms }))
    }

    fn jwt(&mut self, spec: &JwtSpec, at: &At<'_>) -> Option<Method> {
        let JwtSpec { issuer, jwks_url, audience, client_ids, algorithms, cache: _ } = spec;
        let issuer = self.string(issuer, &at.get("issuer"));
        let keys = self.optional(jwks_url.as_deref(), &at.get("jwks_url"));
        let audience = self.string(audience, &at.get("audience"));
        let issuer = issuer?;
        self.accepted(auth::issuer(&issuer), at)?;
        let keys = match keys {
            Some(written) => Some(self.accepted(auth::keys_url(&written), at)?),
            None => None,
        };
        let terms = TermsSettings { issuer: Some(issuer.clone()), audience: audience?, client_ids: client_ids.clone() };
        Some(Method::Jwt(JwtSettings { issuer, keys, terms, algorithms: algorithms.clone() }))
    }

    fn accepted<T>(&mut self, checked: Result<T, SettingsError>, at: &At<'_>) -> Option<T> {
        checked.map_err(|error| self.settings_error(&error, at)).ok()
    }

    /// Our own client: a secret or a private key, and not both.
    fn client(&mut self, spec: &ClientSpec, at: &At<'_>) -> Option<OauthClient> {
        let ClientSpec { client_id, client_secret, private_key, key_id, client_auth } = spec;
        let Some(client_id) = client_id else {
            self.push(at.error(Code::MissingKey, "missing key `client_id`", "needs the id of our own client"));
            return None;
        };
        let id = self.string(client_id, &at.get("client_id"));
        let auth = match (client_secret, private_key) {
            (Some(secret), None) => {
                let secret = self.string(secret, &at.get("client_secret")).map(SecretString::from)?;
                match client_auth {
                    Some(ClientAuthSpec::ClientSecretPost) => ClientAuth::Post(secret),
                    Some(ClientAuthSpec::ClientSecretBasic) | None => ClientAuth::Basic(secret),
                }
            }
            (None, Some(key)) => {
                let key_at = at.get("private_key");
                let pem = self.string(key, &key_at).map(SecretString::from)?;
                let Some(key) = SigningKey::read(&pem, key_id.clone()) else {
                    self.push(key_at.error(
                        Code::InvalidCertificate,
                        "`private_key` can't be used",
                        "expected an RSA or EC private key in PEM, such as `${file:key.pem}`",
                    ));
                    return None;
                };
                ClientAuth::PrivateKey(key)
            }
            (Some(_), Some(_)) => {
                self.push(at.get("private_key").error(
                    Code::ConflictingKeys,
                    "a client has either `client_secret` or `private_key`",
                    "one too many",
                ));
                return None;
            }
            (None, None) => {
                self.push(at.error(
                    Code::MissingSecret,
                    "missing `client_secret` or `private_key`",
                    "how does our own client prove who it is?",
                ));
                return None;
            }
        };
        Some(OauthClient { id: id?, auth })
    }

    fn settings_error(&mut self, error: &SettingsError, at: &At<'_>) {
        let code = match error {
            SettingsError::NotHttps(_) => Code::InsecureIdentityProvider,
            SettingsError::Empty(_) => Code::MissingSecret,
            SettingsError::NotUrl(_)
            | SettingsError::UserInfo(_)
            | SettingsError::Fragment
            | SettingsError::NotOnlyDomain { .. }
            | SettingsError::AdminDomain { .. } => Code::InvalidUrl,
            SettingsError::NotServerId
            | SettingsError::NoClients
            | SettingsError::NoAlgorithms
            | SettingsError::NoIssuer
            | SettingsError::SameIssuer(_)
            | SettingsError::Net(_) => Code::InvalidValue,
        };
        let key = error.key();
        let at = key.map_or_else(|| at.clone(), |key| at.get(key));
        let what = key
            .map_or_else(|| "the settings of `auth` can't be used".to_owned(), |key| format!("`{key}` can't be used"));
        self.push(at.error(code, what, error.to_string()));
    }

    fn egress(&mut self, spec: &NetworkSpec, at: &At<'_>) -> Egress {
        let mut denied = Vec::new();
        for (index, written) in spec.deny.iter().enumerate() {
            match written.parse::<Range>() {
                Ok(range) => denied.push(range),
                Err(why) => self.push(at.get("deny").index(index).error(
                    Code::InvalidValue,
                    format!("`{written}` is no range of addresses"),
                    why,
                )),
            }
        }
        Egress { refuses_private: spec.allow_private == Some(false), denied: denied.into() }
    }

    fn limits(&mut self, spec: &LimitsSpec, at: &At<'_>) -> Limits {
        let mut time = |written: &Option<String>, key: &str, default: Duration| {
            let written = written.as_deref();
            written.and_then(|written| self.duration(written, &at.get(key))).unwrap_or(default)
        };
        let read = time(&spec.read_timeout, "read_timeout", Duration::from_secs(10));
        let idle = time(&spec.idle_timeout, "idle_timeout", Duration::from_secs(75));
        let shutdown_delay = time(&spec.shutdown_delay, "shutdown_delay", Duration::from_millis(500));
        let shutdown_grace = time(&spec.shutdown_grace, "shutdown_grace", Duration::from_secs(10));
        let count = |given: Option<u32>, default: usize| {
            given.map_or(default, |given| usize::try_from(given).unwrap_or(usize::MAX))
        };
        // Below 8 KiB the HTTP library has no buffer to work with.
        let header_bytes =
            self.size(spec.max_header_bytes.as_deref(), &at.get("max_header_bytes"), 64 << 10).max(8 << 10);
        Limits {
            header_bytes,
            json_depth: usize::from(spec.max_json_depth.unwrap_or(64).clamp(8, 127)),
            connections: count(spec.max_connections, 4096).max(1),
            calls_per_caller: count(spec.max_calls_per_caller, 128).max(1),
            list_items: count(spec.max_list_items, 1000).max(1),
            read,
            idle,
            shutdown_delay,
            shutdown_grace,
        }
    }

    fn admin(&mut self, spec: Option<&AdminSpec>, flag: Option<String>, at: &At<'_>) -> Option<AdminSettings> {
        let token = spec.and_then(|spec| self.optional(spec.token.as_deref(), &at.get("token")));
        if token.as_ref().is_some_and(|token| token.trim().is_empty()) {
            self.push(at.get("token").error(
                Code::MissingSecret,
                "`token` of the admin port is empty",
                "without a token, leave it out and listen on loopback",
            ));
            return None;
        }
        let (written, at) = match (flag, spec) {
            (Some(flag), _) => (flag, At(None)),
            (None, Some(spec)) => {
                let at = at.get("listen");
                (self.string(&spec.listen, &at)?, at)
            }
            (None, None) => return None,
        };
        let Ok(listen) = written.parse() else {
            self.push(at.error(
                Code::InvalidValue,
                format!("`{written}` is not an address to listen on"),
                "write an IP address and a port, such as `127.0.0.1:9090`",
            ));
            return None;
        };
        Some(AdminSettings { listen, token: token.map(Into::into) })
    }

    fn tls(&mut self, spec: &TlsSpec, at: &At<'_>) -> Option<TlsFiles> {
        let cert = self.string(&spec.cert, &at.get("cert"))?;
        let key = self.string(&spec.key, &at.get("key"))?;
        let files = TlsFiles { cert: self.directory.join(cert), key: self.directory.join(key) };
        if let Err(why) = super::tls::read(&files) {
            self.push(at.error(Code::InvalidCertificate, "no certificate to serve with", why));
            return None;
        }
        Some(files)
    }

    fn shared(&mut self, spec: &SharedSpec, at: &At<'_>) -> Option<SharedUrl> {
        let at = at.get("redis");
        let url = self.string(&spec.redis, &at)?;
        match SharedUrl::parse(&url) {
            Ok(url) => Some(url),
            Err(why) => {
                self.push(at.error(Code::InvalidUrl, "`redis` is not the URL of a Redis or Valkey server", why));
                None
            }
        }
    }

    fn size(&mut self, written: Option<&str>, at: &At<'_>, default: usize) -> usize {
        let Some(written) = written else { return default };
        quantity::size(written).unwrap_or_else(|| {
            self.push(at.error(
                Code::InvalidQuantity,
                format!("`{written}` is not a size"),
                "write a whole number and a unit, such as `512KiB` or `2MiB`",
            ));
            default
        })
    }

    fn request_timeout(&mut self, spec: &ServerSpec, root: &At<'_>) -> Duration {
        const DEFAULT: Duration = Duration::from_mins(1);
        let written = spec.limits.request_timeout.as_deref();
        let at = root.get("limits").get("request_timeout");
        written.and_then(|written| self.duration(written, &at)).unwrap_or(DEFAULT)
    }

    fn duration(&mut self, written: &str, at: &At<'_>) -> Option<Duration> {
        let duration = quantity::duration(written);
        if duration.is_none() {
            self.push(at.error(
                Code::InvalidQuantity,
                format!("`{written}` is not a duration"),
                "write a whole number and a unit, such as `30s` or `2m`",
            ));
        }
        duration
    }

    fn optional(&mut self, written: Option<&str>, at: &At<'_>) -> Option<String> {
        written.and_then(|written| self.string(written, at))
    }

    /// A string with its `${…}` filled in.
    fn string(&mut self, written: &str, at: &At<'_>) -> Option<String> {
        let segments = match variable::split(written) {
            Ok(segments) => segments,
            Err(malformed) => {
                self.push(at.error(Code::InvalidVariable, "this `${…}` can't be read", malformed.why));
                return None;
            }
        };
        let mut text = String::new();
        for segment in segments {
            match segment {
                Segment::Text(plain) => text.push_str(&plain),
                Segment::Variable(variable) => match variable.resolve(&self.environment, &self.directory) {
                    Ok(value) => text.push_str(secrecy::ExposeSecret::expose_secret(&value)),
                    Err(why) => {
                        self.push(at.error(Code::MissingVariable, format!("`{}` has no value", variable.shown()), why));
                        return None;
                    }
                },
            }
        }
        Some(text)
    }

    fn push(&mut self, finding: Diagnostic) {
        self.report.push(finding);
    }
}

// === impl At ===

impl At<'_> {
    fn get(&self, key: &str) -> Self {
        Self(self.0.as_ref().map(|cursor| cursor.get(key)))
    }

    fn index(&self, index: usize) -> Self {
        Self(self.0.as_ref().map(|cursor| cursor.index(index)))
    }

    /// A finding at this place; without a file, the label becomes a hint.
    fn error(&self, code: Code, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        match &self.0 {
            Some(cursor) => cursor.error(code, message, label),
            None => Diagnostic::new(code, message).help(label),
        }
    }
}
