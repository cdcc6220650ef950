//! `tollbridge doctor`: the guide's troubleshooting table, looked at line by line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Style};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::online::{self, Allowed, Auth};
use super::print::Printer;
use super::{DEFAULT_CONFIG, ExitStatus, block_on};
use crate::auth::{self, AuthError, AuthSettings, IssuerSettings, Rejection, jwt, probe};
use crate::config;
use crate::config::ServerDocument;
use crate::config::server::TokenSpec;
use crate::config::variable::Environment;
use crate::diag::{Code, Diagnostic, Findings, tame};
use crate::metrics::Meter;
use crate::serve::settings::{Overrides, Settings};

/// The variable that carries a token to `serve --stdio`.
const TOKEN_VARIABLE: &str = "OKTA_ACCESS_TOKEN";
/// How far clocks may differ, in seconds: tokens are not valid before they are issued, give or take a minute.
const MAX_SKEW: i64 = 30;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The token of OKTA_ACCESS_TOKEN is looked at too, if it is set; it is not shown.

The exit code is 1 when something is wrong, and 3 when all that is wrong is that something can't be reached.")]
pub(super) struct Args {
    /// The server file [default: tollbridge.yaml, if it is there]
    #[arg(long, short, env = "TOLLBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of bridge files, or one bridge file [default: that of the server file]
    #[arg(long, short, env = "TOLLBRIDGE_BRIDGES", value_name = "PATH")]
    bridges: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON object
    Json,
}

/// What was looked at, and what was found.
struct Check {
    what: String,
    verdict: Verdict,
}

enum Verdict {
    Fine(String),
    /// There was nothing to look at.
    Skipped(String),
    Wrong {
        why: String,
        fix: String,
        /// Something could not be reached; nothing else is wrong.
        unreached: bool,
    },
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let mut checks = Vec::new();
    look(args, &mut checks);
    match args.format {
        Format::Text => printer.result(&text(&checks, printer)),
        Format::Json => printer.result(&format!("{:#}", machine(&checks))),
    }
    let wrong: Vec<bool> = checks
        .iter()
        .filter_map(|check| match check.verdict {
            Verdict::Wrong { unreached, .. } => Some(unreached),
            Verdict::Fine(_) | Verdict::Skipped(_) => None,
        })
        .collect();
    match wrong.as_slice() {
        [] => ExitStatus::Fine,
        wrong if wrong.iter().all(|unreached| *unreached) => ExitStatus::Unreachable,
        _ => ExitStatus::Findings,
    }
}

fn look(args: &Args, checks: &mut Vec<Check>) {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let document = match config::load_server(&path) {
        Ok(document) => document,
        Err(findings) => {
            checks.extend(wrongs("server file", &findings));
            return;
        }
    };
    let overrides = Overrides { bridges: args.bridges.clone(), ..Overrides::default() };
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let settings = match Settings::resolve(Some(&document), &directory, overrides, Environment::default()) {
        Ok(settings) => settings,
        Err(findings) => {
            checks.extend(wrongs("server file", &findings));
            return;
        }
    };
    checks
        .push(Check::fine("server file", format!("{} is fine, and every `${{…}}` in it has a value", path.display())));
    identity(&settings, &document, checks);
    token(&settings, checks);
    bridges(&settings, checks);
    checks.push(port(&settings));
}

fn identity(settings: &Settings, document: &ServerDocument, checks: &mut Vec<Check>) {
    let AuthSettings::Issuers(issuers) = &settings.auth else {
        checks.push(Check::skipped("identity provider", "nobody is asked: `auth: { none: true }`"));
        return;
    };
    for (index, settings) in issuers.iter().enumerate() {
        let blame = Auth { document, index };
        let issuer = settings.issuer().unwrap_or("identity provider").to_owned();
        match block_on(async { Ok(probe::probe(settings.clone()).await) }) {
            Ok(Ok(faults)) if faults.is_empty() => {
                checks.push(Check::fine(&issuer, "it answers, is who it says, and accepts our client".to_owned()));
            }
            Ok(Ok(faults)) => {
                checks.extend(faults.iter().map(|fault| Check::of(&issuer, &blame.blame(fault))));
            }
            Ok(Err(errors)) => checks.extend(errors.iter().map(|error| Check::of(&issuer, &blame.setting(error)))),
            Err(error) => checks.push(Check::wrong(&issuer, error, "try again")),
        }
        clock(settings, checks);
    }
}

fn clock(settings: &IssuerSettings, checks: &mut Vec<Check>) {
    let Some(issuer) = settings.issuer() else { return };
    let ahead = block_on(async { Ok(probe::clock_ahead(issuer).await) }).ok().flatten();
    checks.push(match ahead {
        None => Check::skipped("clock", "the identity provider does not say what time it is"),
        Some(ahead) if ahead.abs() <= MAX_SKEW => {
            Check::fine("clock", "as that of the identity provider, give or take seconds".to_owned())
        }
        Some(ahead) => {
            let which = if ahead > 0 { "behind" } else { "ahead of" };
            Check::wrong(
                "clock",
                format!(
                    "this machine is {} s {which} the identity provider; good tokens look expired or too new",
                    ahead.abs()
                ),
                "set the clock, or let NTP do it",
            )
        }
    });
}

/// The token of the environment, if there is one.
fn token(settings: &Settings, checks: &mut Vec<Check>) {
    const WHAT: &str = "your token";
    let given = config::environment(TOKEN_VARIABLE).filter(|token| !token.trim().is_empty());
    let Some(given) = given else {
        checks.push(match settings.stdio_token {
            TokenSpec::Env => Check::skipped(
                WHAT,
                "OKTA_ACCESS_TOKEN is not set; `serve --stdio` needs it, and `tollbridge login` gets one",
            ),
            TokenSpec::Argument => Check::skipped(WHAT, "OKTA_ACCESS_TOKEN is not set"),
        });
        return;
    };
    let given = given.trim();
    let given = given.strip_prefix("Bearer ").unwrap_or(given);
    if is_api_token(given) {
        checks.push(Check::wrong(
            WHAT,
            "this is an Okta API token (SSWS), which is for Okta's own management API".to_owned(),
            "get an OAuth 2.0 access token with `tollbridge login`",
        ));
        return;
    }
    if matches!(settings.auth, AuthSettings::None) {
        checks.push(Check::skipped(WHAT, "nobody is asked about it: `auth: { none: true }`"));
        return;
    }
    let token = SecretString::from(given);
    let verdict = match auth::token::presented(given) {
        Err(error) => Err(error),
        Ok(token) => match auth::build(settings.auth.clone(), &Meter::default()) {
            Ok(authenticator) => {
                let asked = async { Ok(authenticator.authenticate(&token).await) };
                block_on(asked).unwrap_or(Err(AuthError::Missing))
            }
            Err(_) => return,
        },
    };
    checks.push(match verdict {
        Ok(who) => {
            let scopes = who.scopes().iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            let subject = tame(who.subject().unwrap_or("nobody"));
            Check::fine(WHAT, format!("it is good; it is of `{subject}` and has the scopes `{}`", tame(&scopes)))
        }
        Err(AuthError::Rejected { reason }) => {
            let about = jwt::peek(&token).map(|(_, claims)| about(&claims)).unwrap_or_default();
            Check::wrong(WHAT, format!("{reason}{about}"), fix(reason))
        }
        Err(error) => Check {
            what: WHAT.to_owned(),
            verdict: Verdict::Wrong {
                why: error.reason(),
                fix: "see what is said about the identity provider".to_owned(),
                unreached: true,
            },
        },
    });
}

/// Okta's API tokens have 42 characters and begin with `00`.
fn is_api_token(token: &str) -> bool {
    let token = token.strip_prefix("SSWS ").unwrap_or(token);
    token.len() == 42 && token.starts_with("00") && !token.contains('.')
}

/// What the token says that matters here; none of it is secret.
fn about(claims: &serde_json::Map<String, Value>) -> String {
    let said = ["iss", "aud", "exp"].iter().filter_map(|name| {
        let value = claims.get(*name)?;
        let shown = match value.as_i64().filter(|_| *name == "exp").and_then(|at| jiff::Timestamp::from_second(at).ok())
        {
            Some(time) => time.to_string(),
            None => value.to_string(),
        };
        Some(format!("{name}: {}", tame(&shown)))
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn fix(reason: Rejection) -> &'static str {
    match reason {
        Rejection::NotActive | Rejection::Expired => {
            "it has expired, was revoked, or is of another authorization server: `tollbridge login` gets a new one"
        }
        Rejection::WrongIssuer => "compare its `iss` with `auth`; is it of the same authorization server?",
        Rejection::WrongAudience => "compare its `aud` with `audience` of `auth`; ask for a token of this API",
        Rejection::NotYetValid => "set the clock of this machine",
        Rejection::NotAccessToken => "this is a refresh or ID token; send the access token",
        Rejection::WrongClient => "the app that got it is not among `client_ids`",
        Rejection::SenderConstrained => "let the app ask for plain bearer tokens, without DPoP",
        Rejection::OrgServerToken => {
            "use a custom authorization server such as `default`, or `validation: introspection`"
        }
        Rejection::NotJwt => "use `introspection`, or let the authorization server issue JWTs",
        Rejection::UnknownKey | Rejection::WrongAlgorithm | Rejection::BadSignature | Rejection::CriticalHeader => {
            "it is of another authorization server, or was changed on the way"
        }
        Rejection::Malformed | Rejection::TooLong => "copy it once more, whole and without quotes",
    }
}

fn bridges(settings: &Settings, checks: &mut Vec<Check>) {
    let allowed = Allowed { environment: settings.environment.clone(), egress: settings.egress.clone() };
    let (live, mut findings) = match online::load(&settings.bridges, &allowed) {
        Ok(loaded) => loaded,
        Err(findings) => {
            checks.extend(wrongs("bridge files", &findings));
            return;
        }
    };
    let snapshot = live.load();
    let tools = snapshot.catalog.tools.len();
    let plural = if tools == 1 { "" } else { "s" };
    checks.push(Check::fine("bridge files", format!("{tools} tool{plural} in {}", settings.bridges.display())));
    let lines = online::bridges(&snapshot, &mut findings);
    checks.extend(lines.into_iter().map(|line| Check::fine("API", line)));
    let unreached = findings.report.iter().filter(|finding| is_unreached(finding));
    checks.extend(unreached.map(|finding| Check::of("API", finding)));
}

fn port(settings: &Settings) -> Check {
    let bound = block_on(async { Ok(tokio::net::TcpListener::bind(settings.listen).await) });
    match bound {
        Ok(Ok(_)) => Check::fine("address", format!("{} is free", settings.listen)),
        Ok(Err(error)) => Check::wrong(
            "address",
            format!("{} can't be listened on: {error}", settings.listen),
            "is a server running there already? Else choose another one with `listen`",
        ),
        Err(error) => Check::wrong("address", error, "try again"),
    }
}

fn is_unreached(finding: &Diagnostic) -> bool {
    matches!(finding.code(), Code::UnknownHost | Code::NoConnection | Code::NoSecureConnection)
}

/// Findings of a file, a check each.
fn wrongs(what: &str, findings: &Findings) -> Vec<Check> {
    let errors = findings.report.iter().filter(|finding| finding.severity() == crate::diag::Severity::Error);
    errors
        .map(|finding| {
            let mut check = Check::of(what, finding);
            if let (Verdict::Wrong { why, .. }, Some(span)) = (&mut check.verdict, finding.span()) {
                let place = format!("{}:{}", findings.sources.name(span.file), findings.sources.line_col(span));
                why.insert_str(0, &format!("{place}: "));
            }
            check
        })
        .collect()
}

// === impl Check ===

impl Check {
    fn fine(what: &str, words: String) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Fine(words) }
    }

    fn skipped(what: &str, words: &str) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Skipped(words.to_owned()) }
    }

    fn wrong(what: &str, why: String, fix: &str) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Wrong { why, fix: fix.to_owned(), unreached: false } }
    }

    fn of(what: &str, finding: &Diagnostic) -> Self {
        let label = finding.primary().map(|label| label.text.clone()).filter(|text| !text.is_empty());
        let why = match label {
            Some(label) => format!("{}: {label}", finding.message()),
            None => finding.message().to_owned(),
        };
        let fix = finding.helps().join("; ");
        let code = finding.code().id();
        let fix = if fix.is_empty() { format!("`tollbridge check --explain {code}` tells more") } else { fix };
        Self { what: what.to_owned(), verdict: Verdict::Wrong { why, fix, unreached: is_unreached(finding) } }
    }
}

fn text(checks: &[Check], printer: &Printer) -> String {
    let mut text = String::new();
    let color = |color: AnsiColor, word: &str| printer.paint(Style::new().fg_color(Some(color.into())).bold(), word);
    for Check { what, verdict } in checks {
        let what = tame(what);
        let _ = match verdict {
            Verdict::Fine(words) => writeln!(text, "{}  {what}: {}", color(AnsiColor::Green, "ok   "), tame(words)),
            Verdict::Skipped(words) => writeln!(text, "-      {what}: {}", tame(words)),
            Verdict::Wrong { why, fix, .. } => {
                writeln!(text, "{}  {what}: {}\n       fix: {}", color(AnsiColor::Red, "wrong"), tame(why), tame(fix))
            }
        };
    }
    text
}

fn machine(checks: &[Check]) -> Value {
    let check = |Check { what, verdict }: &Check| match verdict {
        Verdict::Fine(words) => json!({"check": what, "verdict": "ok", "words": words}),
        Verdict::Skipped(words) => json!({"check": what, "verdict": "skipped", "words": words}),
        Verdict::Wrong { why, fix, .. } => json!({"check": what, "verdict": "wrong", "words": why, "fix": fix}),
    };
    json!({ "checks": checks.iter().map(check).collect::<Vec<_>>() })
}
