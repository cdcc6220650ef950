//! `tollbridge demo`: everything on this machine, ready to be tried.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::json;

use super::ExitStatus;
use super::block_on;
use super::print::Printer;
use crate::config::client::ClientSpec;
use crate::config::server::{AuthSpec, OktaSpec, ValidationSpec};
use crate::config::variable::Environment;
use crate::demo::{AUDIENCE, Demo, DemoUser};
use crate::serve::settings::{Overrides, Settings};
use crate::serve::{self, App};

/// The example bridge, for those who run the demo outside a clone of the repository.
const BRIDGE: &str = include_str!("../../bridges/hr.yaml");
const POLICIES: &str = include_str!("../../bridges/docs/time-off-policies.md");
/// The variable by which the example bridge finds its API.
const API_VARIABLE: &str = "ENTERPRISE_API_BASE";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port of the bridge; the sample API and the token issuer take the next two. 0 takes any free ports
    #[arg(long, default_value_t = 8000, value_name = "PORT")]
    port: u16,
    /// The bridge files to serve [default: bridges, if hr.yaml is there, or else a copy of the example]
    #[arg(long, short, value_name = "PATH")]
    bridges: Option<PathBuf>,
}

/// A copy of the example, removed when the demo ends.
struct Copy(PathBuf);

pub(super) fn run(args: &Args, printer: &mut Printer) -> ExitStatus {
    match block_on(demo(args, printer)) {
        Ok(status) => status,
        Err(error) => {
            printer.error(&error);
            ExitStatus::Unreachable
        }
    }
}

async fn demo(args: &Args, printer: &mut Printer) -> Result<ExitStatus, String> {
    let shutdown = serve::signalled();
    let next = |offset| if args.port == 0 { 0 } else { args.port.saturating_add(offset) };
    let demo = Demo::start(next(1), next(2), &shutdown).await.map_err(|error| error.to_string())?;
    let (bridges, _copy) = bridges(args.bridges.as_deref())?;
    let settings = match settings(args.port, &bridges, &demo) {
        Ok(settings) => settings,
        Err(findings) => {
            printer.findings(&findings);
            return Ok(ExitStatus::Config);
        }
    };
    let app = match App::build(settings) {
        Ok((app, _)) => app,
        Err(findings) => {
            printer.findings(&findings);
            return Ok(ExitStatus::Config);
        }
    };
    let listeners = app.bind().map_err(|error| format!("{error}; choose other ports with --port"))?;
    let address = listeners.mcp.local_addr().map_err(|error| error.to_string())?;
    printer.result(&welcome(&format!("http://{address}/mcp"), &bridges, &demo));
    app.serve_http(listeners, shutdown).await.map_err(|error| error.to_string())?;
    Ok(ExitStatus::Fine)
}

fn settings(port: u16, bridges: &Path, demo: &Demo) -> Result<Settings, crate::diag::Findings> {
    let issuer = demo.issuer();
    let okta = OktaSpec {
        domain: issuer.domain().to_owned(),
        authorization_server: Some("default".to_owned()),
        validation: ValidationSpec::Introspection,
        audience: AUDIENCE.to_owned(),
        client_ids: None,
        client: ClientSpec {
            client_id: Some(issuer.client_id().to_owned()),
            client_secret: Some(issuer.client_secret().to_owned()),
            ..ClientSpec::default()
        },
        cache: None,
    };
    let overrides = Overrides {
        listen: Some(format!("127.0.0.1:{port}")),
        bridges: Some(bridges.to_owned()),
        auth: Some(AuthSpec { okta: Some(okta), ..AuthSpec::default() }),
        ..Overrides::default()
    };
    let environment =
        Environment { allowed: None, overrides: vec![(API_VARIABLE.to_owned(), demo.api_url().to_owned())] };
    Settings::resolve(None, Path::new(""), overrides, environment)
}

/// The files to serve, as an absolute path, so that it can be pasted elsewhere.
fn bridges(given: Option<&Path>) -> Result<(PathBuf, Option<Copy>), String> {
    let here = Path::new("bridges");
    let chosen = given.or_else(|| here.join("hr.yaml").exists().then_some(here));
    if let Some(path) = chosen {
        let path = fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok((path, None));
    }
    let folder = env::temp_dir().join(format!("tollbridge-demo-{}", std::process::id()));
    let written = fs::create_dir(&folder)
        .and_then(|()| fs::create_dir(folder.join("docs")))
        .and_then(|()| fs::write(folder.join("hr.yaml"), BRIDGE))
        .and_then(|()| fs::write(folder.join("docs/time-off-policies.md"), POLICIES));
    written.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok((folder.clone(), Some(Copy(folder))))
}

// === impl Copy ===

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn welcome(url: &str, bridges: &Path, demo: &Demo) -> String {
    let users = demo.users();
    let mut text = format!(
        "tollbridge demo: everything runs on this machine, until Ctrl-C.\n\n  \
         MCP endpoint   {url}\n  \
         bridge files   {}   (edit them: changes are taken up)\n  \
         sample API     {}\n  \
         token issuer   {}/oauth2/default   (stands in for Okta)\n",
        bridges.display(),
        demo.api_url(),
        demo.issuer().domain(),
    );
    for DemoUser { name, note, token } in &users {
        let _ = write!(text, "\n{name}'s access token ({note}; valid for 8 hours):\n\n{token}\n");
    }
    let Some(alice) = users.first() else { return text };
    let _ = write!(
        text,
        "\nCall a tool as {name} with curl:\n\n\
         curl -s {url} \\\n  \
         -H 'Authorization: Bearer {token}' \\\n  \
         -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n  \
         -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: get_employee_schedule' \\\n  \
         -d '{call}'\n\n\
         ... or with MCP Inspector (Node.js 22.19 or newer):\n\n\
         npx @modelcontextprotocol/inspector --cli {url} \\\n  \
         --method tools/call --tool-name get_employee_schedule \\\n  \
         --tool-arg start_date=2026-01-05 --tool-arg end_date=2026-01-09 \\\n  \
         --header 'Authorization: Bearer {token}'\n\n\
         ... or from Claude Desktop (claude_desktop_config.json; keep the demo running):\n\n{claude}\n",
        name = alice.name,
        token = alice.token,
        call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {
                "name": "get_employee_schedule",
                "arguments": {"start_date": "2026-01-05", "end_date": "2026-01-09"},
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        }),
        claude = claude(&alice.token, bridges, demo),
    );
    text
}

/// Settings for Claude Desktop, which starts a server of its own over STDIO.
fn claude(token: &str, bridges: &Path, demo: &Demo) -> String {
    let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("tollbridge"));
    let issuer = demo.issuer();
    let settings = json!({
        "mcpServers": {
            "hr": {
                "command": program.display().to_string(),
                "args": ["serve", "--stdio", "--bridges", bridges.display().to_string()],
                "env": {
                    "OKTA_ACCESS_TOKEN": token,
                    API_VARIABLE: demo.api_url(),
                    "TOLLBRIDGE_OKTA_DOMAIN": issuer.domain(),
                    "TOLLBRIDGE_OKTA_AUTHORIZATION_SERVER": "default",
                    "TOLLBRIDGE_OKTA_CLIENT_ID": issuer.client_id(),
                    "TOLLBRIDGE_OKTA_CLIENT_SECRET": issuer.client_secret(),
                    "TOLLBRIDGE_OKTA_AUDIENCE": AUDIENCE,
                },
            },
        },
    });
    format!("{settings:#}")
}
