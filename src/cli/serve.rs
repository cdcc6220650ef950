//! `tollbridge serve`: the bridges over Streamable HTTP or STDIO.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#![allow(rustdoc::bare_urls, reason = "these comments are the text of --help")]

use std::path::{Path, PathBuf};

use super::print::Printer;
use super::{DEFAULT_CONFIG, ExitStatus, block_on};
use crate::config::client::ClientSpec;
use crate::config::server::{AuthSpec, DiscoverySpec, OktaSpec, TokenSpec, True, ValidationSpec, WatchSpec};
use crate::config::variable::Environment;
use crate::config::{self, ServerDocument};
use crate::diag::Findings;
use crate::mishap;
use crate::serve::settings::{Overrides, Settings};
use crate::serve::{self, App};
#[cfg(feature = "otel")]
use crate::trace;

/// The client secret has no flag: arguments of a process can be seen by others.
const SECRET_VARIABLE: &str = "TOLLBRIDGE_OKTA_CLIENT_SECRET";

/// Arguments of `serve`. Flags win over TOLLBRIDGE_* variables, and those over the server file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Serve one client over standard input and output instead of HTTP
    #[arg(long)]
    stdio: bool,
    /// The server file [default: tollbridge.yaml, if it is there]
    #[arg(long, short, env = "TOLLBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of bridge files, or one bridge file [default: bridges]
    #[arg(long, short, env = "TOLLBRIDGE_BRIDGES", value_name = "PATH")]
    bridges: Option<PathBuf>,
    /// How changes of the bridge files are noticed [default: events]
    #[arg(long, env = "TOLLBRIDGE_WATCH", value_enum, value_name = "HOW")]
    watch: Option<WatchSpec>,
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, env = "TOLLBRIDGE_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address of the admin port: health, metrics, and the page
    #[arg(long, env = "TOLLBRIDGE_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Serve clients of the protocols before 2026-07-28 without sessions, so that any replica answers any request
    #[arg(long, env = "TOLLBRIDGE_NO_SESSIONS", value_parser = clap::builder::BoolishValueParser::new())]
    no_sessions: bool,
    /// The URL that clients use, such as https://mcp.example.com
    #[arg(long, env = "TOLLBRIDGE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Where the token of a STDIO caller comes from [default: env, that is OKTA_ACCESS_TOKEN]
    #[arg(long, env = "TOLLBRIDGE_STDIO_TOKEN", value_enum, value_name = "SOURCE")]
    stdio_token: Option<TokenSpec>,
    /// A host name accepted in the Host header, besides loopback and the public URL; may be repeated
    #[arg(long, env = "TOLLBRIDGE_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allowed_host: Vec<String>,
    /// An origin accepted in the Origin header, besides loopback and the public URL; may be repeated
    #[arg(long, env = "TOLLBRIDGE_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    allowed_origin: Vec<String>,
    /// Serve only the tools of this set; may be repeated
    #[arg(long, env = "TOLLBRIDGE_TOOLSETS", value_name = "NAME", value_delimiter = ',')]
    toolset: Vec<String>,
    /// How clients learn of tools, unless they choose [default: list]
    #[arg(long, env = "TOLLBRIDGE_DISCOVERY", value_enum, value_name = "HOW")]
    discovery: Option<DiscoverySpec>,
    /// Send traces to this OpenTelemetry collector, by OTLP over HTTP (in builds with the feature `otel`)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Serve without authentication beyond loopback, and without knowing the names of this server
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    auth: AuthArgs,
}

/// Who may call. Given here, it replaces `auth` of the server file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authentication (replaces `auth` of the server file)")]
struct AuthArgs {
    /// The Okta domain, such as https://your-org.okta.com; the client secret is read from TOLLBRIDGE_OKTA_CLIENT_SECRET
    #[arg(long, env = "TOLLBRIDGE_OKTA_DOMAIN", value_name = "URL", requires_all = ["okta_audience"])]
    okta_domain: Option<String>,
    /// The id of the custom authorization server, such as default
    #[arg(long, env = "TOLLBRIDGE_OKTA_AUTHORIZATION_SERVER", value_name = "ID")]
    okta_authorization_server: Option<String>,
    /// The client id of the service app that may introspect
    #[arg(long, env = "TOLLBRIDGE_OKTA_CLIENT_ID", value_name = "ID")]
    okta_client_id: Option<String>,
    /// How tokens are validated [default: introspection]
    #[arg(long, env = "TOLLBRIDGE_OKTA_VALIDATION", value_enum, value_name = "HOW")]
    okta_validation: Option<Validation>,
    /// The audience that tokens must be issued for
    #[arg(long, env = "TOLLBRIDGE_OKTA_AUDIENCE", value_name = "AUDIENCE")]
    okta_audience: Option<String>,
    /// Let everybody call; only for a server on loopback
    #[arg(long, conflicts_with = "okta_domain")]
    no_auth: bool,
}

/// How tokens are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Validation {
    /// Ask Okta about every request: a revoked token is refused at once
    Introspection,
    /// By Okta's keys: fast, and a revoked token stays good until it expires
    Jwks,
    /// By Okta's keys first, and then by asking
    #[value(name = "jwks+introspection")]
    Both,
}

pub(super) fn run(args: Args, printer: &mut Printer) -> ExitStatus {
    let stdio = args.stdio;
    let collector = args.otlp_endpoint.clone();
    let app = match configure(args).and_then(App::build) {
        Ok((app, findings)) => {
            printer.findings(&findings);
            app
        }
        Err(findings) => {
            printer.findings(&findings);
            printer.error("the configuration can't be served; nothing was started");
            return ExitStatus::Config;
        }
    };
    let _exporter = match collector.as_deref().map(export).transpose() {
        Ok(exporter) => exporter,
        Err(error) => {
            printer.error(&format!("no traces can be sent to the collector: {error}"));
            return ExitStatus::Config;
        }
    };
    match block_on(serve_app(app, stdio)) {
        Ok(()) => ExitStatus::Fine,
        Err(error) => {
            printer.error(&error);
            ExitStatus::Unreachable
        }
    }
}

#[cfg(feature = "otel")]
fn export(collector: &str) -> Result<trace::Exporter, String> {
    trace::start(collector)
}

/// A variable that is set for everything on a machine must not keep us from serving.
#[cfg(not(feature = "otel"))]
#[expect(clippy::unnecessary_wraps, reason = "the face of the other one")]
fn export(_: &str) -> Result<(), String> {
    tracing::warn!(
        "A collector for traces is named, but this build has no OpenTelemetry: build it with `--features otel`."
    );
    Ok(())
}

async fn serve_app(app: App, stdio: bool) -> Result<(), String> {
    mishap::log_panics();
    let shutdown = serve::signalled();
    let served = if stdio {
        app.serve_stdio(shutdown).await
    } else {
        let listeners = app.bind().map_err(|error| error.to_string())?;
        app.serve_http(listeners, shutdown).await
    };
    served.map_err(|error| error.to_string())
}

fn configure(args: Args) -> Result<Settings, Findings> {
    let path = args.config.clone().or_else(|| {
        let path = PathBuf::from(DEFAULT_CONFIG);
        path.exists().then_some(path)
    });
    let document: Option<ServerDocument> = path.as_deref().map(config::load_server).transpose()?;
    let directory = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let overrides = Overrides { file: path, ..overrides(args) };
    Settings::resolve(document.as_ref(), &directory, overrides, Environment::default())
}

fn overrides(args: Args) -> Overrides {
    let Args {
        stdio,
        config: _,
        otlp_endpoint: _,
        bridges,
        watch,
        listen,
        admin_listen,
        no_sessions,
        public_url,
        stdio_token,
        allowed_host,
        allowed_origin,
        toolset,
        discovery,
        insecure,
        auth,
    } = args;
    Overrides {
        listen,
        public_url,
        bridges,
        watch,
        stdio_token,
        auth: auth.spec(),
        allowed_hosts: allowed_host,
        allowed_origins: allowed_origin,
        toolsets: toolset,
        discovery,
        insecure,
        admin_listen,
        no_sessions,
        file: None,
        stdio,
    }
}

// === impl AuthArgs ===

impl AuthArgs {
    fn spec(self) -> Option<AuthSpec> {
        if self.no_auth {
            return Some(AuthSpec { none: Some(True), ..AuthSpec::default() });
        }
        // What comes from flags is meant as it is, so no `${` in it is read.
        let literal = |text: String| text.replace("${", "$${");
        let okta = OktaSpec {
            domain: literal(self.okta_domain?),
            authorization_server: self.okta_authorization_server.map(literal),
            validation: self.okta_validation.map(ValidationSpec::from).unwrap_or_default(),
            audience: literal(self.okta_audience.unwrap_or_default()),
            client_ids: None,
            client: ClientSpec {
                client_id: self.okta_client_id.map(literal),
                client_secret: Some(literal(config::environment(SECRET_VARIABLE).unwrap_or_default())),
                ..ClientSpec::default()
            },
            cache: None,
        };
        Some(AuthSpec { okta: Some(okta), ..AuthSpec::default() })
    }
}

// === impl Validation ===

impl From<Validation> for ValidationSpec {
    fn from(validation: Validation) -> Self {
        match validation {
            Validation::Introspection => Self::Introspection,
            Validation::Jwks => Self::Jwks,
            Validation::Both => Self::Both,
        }
    }
}
