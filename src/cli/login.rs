//! `tollbridge login`: a token for whoever sits here, as the guide's chapter "How users obtain their token" has it.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#![allow(rustdoc::bare_urls, reason = "these comments are the text of --help")]

use std::path::PathBuf;
use std::process::Command;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use url::Url;

use super::print::Printer;
use super::{DEFAULT_CONFIG, ExitStatus, block_on};
use crate::auth::AuthSettings;
use crate::catalog::compile::keeps_secrets;
use crate::config;
use crate::config::variable::Environment;
use crate::diag::tame;
use crate::net::{Client, ClientSettings};
use crate::oauth::{ClientAuth, DeviceCode, Metadata, OauthClient, Pkce, Token, discover, grant};
use crate::serve::callback::{self, Answer};
use crate::serve::settings::{Overrides, Settings};

/// The variable that carries a token to `serve --stdio`.
const TOKEN_VARIABLE: &str = "OKTA_ACCESS_TOKEN";
/// The secret has no flag: arguments of a process can be seen by others.
const SECRET_VARIABLE: &str = "TOLLBRIDGE_LOGIN_CLIENT_SECRET";

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tollbridge login --issuer https://your-org.okta.com/oauth2/default --client-id 0oa1 --scope 'openid hr.read'
  eval \"$(tollbridge login --client-id 0oa1 --export)\"
  tollbridge login --client-id 0oa1 --exec tollbridge serve --stdio

You need an OAuth 2.0 access token, not an Okta API token (SSWS): those are for Okta's own management API.
The app behind --client-id is a native app with the redirect URI http://127.0.0.1:PORT/callback, see --port.")]
#[expect(clippy::struct_excessive_bools, reason = "these are flags")]
pub(super) struct Args {
    /// The authorization server, such as https://your-org.okta.com/oauth2/default [default: that of the server file]
    #[arg(long, env = "TOLLBRIDGE_LOGIN_ISSUER", value_name = "URL")]
    issuer: Option<String>,
    /// The server file that names the authorization server [default: tollbridge.yaml, if it is there]
    #[arg(long, short, env = "TOLLBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The id of the app that signs people in; with --client-credentials, of the service app
    #[arg(long, env = "TOLLBRIDGE_LOGIN_CLIENT_ID", value_name = "ID")]
    client_id: String,
    /// What the token is for, with blanks between the scopes
    #[arg(long, env = "TOLLBRIDGE_LOGIN_SCOPE", value_name = "SCOPES", default_value = "openid")]
    scope: String,
    /// Enter a code on another device instead of signing in here
    #[arg(long, conflicts_with_all = ["client_credentials", "port"])]
    device: bool,
    /// Get a token of the app itself; its secret is read from TOLLBRIDGE_LOGIN_CLIENT_SECRET
    #[arg(long, conflicts_with = "port")]
    client_credentials: bool,
    /// The port of the redirect URI on this machine; 0 takes any, which Okta allows for loopback addresses only
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Don't open a browser; print where to sign in
    #[arg(long)]
    no_browser: bool,
    /// Print a line for a shell that sets OKTA_ACCESS_TOKEN
    #[arg(long, conflicts_with = "exec")]
    export: bool,
    /// Run this command, which takes the rest of the line, with OKTA_ACCESS_TOKEN set
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    exec: Option<Vec<String>>,
}

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    let issuer = match issuer(args, printer) {
        Ok(issuer) => issuer,
        Err(status) => return status,
    };
    let token = match block_on(async { Ok(sign_in(args, &issuer, printer).await) }) {
        Ok(Ok(token)) => token,
        Ok(Err((status, words))) => {
            printer.error(&words);
            return status;
        }
        Err(error) => {
            printer.error(&error);
            return ExitStatus::Unreachable;
        }
    };
    hand_out(args, &token.access_token, printer)
}

fn hand_out(args: &Args, token: &SecretString, printer: &mut Printer) -> ExitStatus {
    let token = token.expose_secret();
    let Some([command, rest @ ..]) = args.exec.as_deref() else {
        // A token is visible ASCII without quotes; the single quotes are for the eye.
        printer.result(&if args.export { format!("export {TOKEN_VARIABLE}='{token}'") } else { token.to_owned() });
        return ExitStatus::Fine;
    };
    match Command::new(command).args(rest).env(TOKEN_VARIABLE, token).status() {
        Ok(status) if status.success() => ExitStatus::Fine,
        Ok(_) => ExitStatus::Findings,
        Err(error) => {
            printer.error(&format!("`{}` can't be run: {error}", tame(command)));
            ExitStatus::Usage
        }
    }
}

/// The issuer that is named, or the one of the server file.
fn issuer(args: &Args, printer: &mut Printer) -> Result<String, ExitStatus> {
    if let Some(issuer) = &args.issuer {
        let is_good = Url::parse(issuer).is_ok_and(|url| keeps_secrets(&url));
        return if is_good {
            Ok(issuer.trim_end_matches('/').to_owned())
        } else {
            printer.error(&format!(
                "`{issuer}` is no issuer; write it in full, such as https://your-org.okta.com/oauth2/default"
            ));
            Err(ExitStatus::Usage)
        };
    }
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    if !path.exists() {
        printer.error(&format!(
            "which authorization server? Write --issuer, or name a server file ({} is not there)",
            path.display()
        ));
        return Err(ExitStatus::Usage);
    }
    let directory = path.parent().unwrap_or(std::path::Path::new("")).to_owned();
    let resolved = config::load_server(&path).and_then(|document| {
        Settings::resolve(Some(&document), &directory, Overrides::default(), Environment::default())
    });
    match resolved.map(|settings| settings.auth) {
        Ok(AuthSettings::Issuers(issuers)) => {
            let issuer = issuers.iter().find_map(|settings| settings.issuer());
            issuer.map(str::to_owned).ok_or_else(|| {
                printer.error("the server file names no issuer; write --issuer");
                ExitStatus::Usage
            })
        }
        Ok(AuthSettings::None) => {
            printer
                .error("the server file has `auth: { none: true }`, so no token is needed; write --issuer to get one");
            Err(ExitStatus::Usage)
        }
        Err(findings) => {
            printer.findings(&findings);
            Err(ExitStatus::Findings)
        }
    }
}

type Failure = (ExitStatus, String);

async fn sign_in(args: &Args, issuer: &str, printer: &mut Printer) -> Result<Token, Failure> {
    let unreachable = |words: String| (ExitStatus::Unreachable, words);
    let refused = |what: &str, error: &dyn std::fmt::Display| (ExitStatus::Findings, format!("{what}: {error}"));
    let client = Client::new(&ClientSettings::default()).map_err(|error| unreachable(error.to_string()))?;
    let metadata = discover(&client, issuer)
        .await
        .map_err(|trouble| unreachable(format!("the authorization server {issuer} can't be used: {trouble}")))?;
    let missing = |what: &str| (ExitStatus::Findings, format!("the authorization server {issuer} has no {what}"));
    let Metadata { authorization_endpoint, token_endpoint, device_authorization_endpoint, .. } = metadata;
    let tokens = token_endpoint.ok_or_else(|| missing("token endpoint"))?;
    let mut who = OauthClient { id: args.client_id.clone(), auth: ClientAuth::None };
    if args.client_credentials {
        let secret = config::environment(SECRET_VARIABLE).filter(|secret| !secret.is_empty());
        let secret =
            secret.ok_or_else(|| (ExitStatus::Usage, format!("put the client's secret into {SECRET_VARIABLE}")))?;
        who.auth = ClientAuth::Basic(secret.into());
        let fields = [("grant_type", "client_credentials"), ("scope", args.scope.as_str())];
        return grant(&client, &tokens, &who, &fields).await.map_err(|error| refused("no token was issued", &error));
    }
    if args.device {
        let endpoint = device_authorization_endpoint.ok_or_else(|| missing("device authorization endpoint"))?;
        let code = DeviceCode::ask(&client, &endpoint, &who, &args.scope)
            .await
            .map_err(|error| refused("no code was issued", &error))?;
        printer.note(&format!("Open {} and enter {}", code.verification_uri, code.user_code));
        if let Some(url) = &code.complete_uri {
            printer.note(&format!("or open {url}"));
        }
        return code.wait(&client, &tokens, &who).await.map_err(|error| refused("no token was issued", &error));
    }
    let endpoint = authorization_endpoint.ok_or_else(|| missing("authorization endpoint"))?;
    let pkce = Pkce::new().ok_or_else(|| unreachable("the system gives no random bytes".to_owned()))?;
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.map_err(|error| {
        unreachable(format!("can't listen on 127.0.0.1:{}: {error}; choose another --port", args.port))
    })?;
    let port = listener.local_addr().map_err(|error| unreachable(error.to_string()))?.port();
    let redirect = format!("http://127.0.0.1:{port}{}", callback::PATH);
    let url = pkce.url(&endpoint, &args.client_id, &redirect, &args.scope);
    printer.note(&format!("Sign in at {url}"));
    if !args.no_browser {
        open(&url);
    }
    match callback::wait(listener).await.map_err(unreachable)? {
        Answer::Refused(words) => Err(refused("the sign-in was refused", &tame(&words))),
        Answer::Code { state, .. } if !pkce.is_ours(&state) => {
            Err((ExitStatus::Findings, "the browser brought the answer to somebody else's sign-in".to_owned()))
        }
        Answer::Code { code, .. } => pkce
            .redeem(&client, &tokens, &who, &redirect, &code)
            .await
            .map_err(|error| refused("no token was issued", &error)),
    }
}

/// Opens a browser if there is one; where to sign in has been printed anyway.
fn open(url: &Url) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let _ = Command::new(program).arg(url.as_str()).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}
