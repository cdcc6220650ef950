//! The admin page, in a real browser.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::{Api, Fixture, node, root, until};

const BRIDGE: &str = "bridge: hr
upstream: { url: \"${API}\", credentials: none }
claims: { gpid: gpid }
tools:
  get_schedule:
    description: Reads your schedule.
    endpoint: GET /schedules
    access: { scopes: [hr:read] }
    parameters:
      gpid: { claim: gpid }
      start: { type: string, format: date, description: The first day }
  plain: { description: \"<img src=x onerror=alert(1)>\", response: { text: plain } }
";

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.exists());
    found.expect("Chromium is missing: install it (Debian: apt-get install chromium)")
}

#[test]
fn the_page_shows_what_runs_while_it_changes() {
    let api = Api::start();
    let server = Fixture::new().bridge(BRIDGE).env("API", &api.url()).arg("--admin-listen=127.0.0.1:0").serve();
    until(|| server.log().contains("Watching the bridge files."));
    assert_eq!(server.call("plain", &json!({})).text(), "plain");
    let shots = std::env::var_os("SCREENSHOTS").map_or_else(|| server.fixture.path().to_owned(), PathBuf::from);
    let output = Command::new(node())
        .arg(root().join("tests/clients/page.mjs"))
        .arg(format!("{}/", server.admin_url()))
        .arg(server.fixture.path().join("bridges/test.yaml"))
        .arg(shots)
        .env("CHROMIUM", chromium())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(api.requests().is_empty());
}
