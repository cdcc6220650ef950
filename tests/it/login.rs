//! How people and clients get their token: `tollbridge login`, and a real MCP client that is told where to ask.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Api, Fixture, Provider, node, root};

fn login(provider: &Provider, args: &[&str]) -> Command {
    let fixture = Fixture::new();
    let common = ["login", "--issuer", provider.issuer.as_str(), "--client-id", "cli", "--scope", "openid hr:read"];
    let mut command = fixture.command(&[&common[..], args].concat());
    // The folder of the fixture is not needed, and goes.
    command.current_dir(root());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until the command says where to go.
fn told(child: &mut Child, begins: &str) -> String {
    told_first(child, begins).0
}

/// The same, with what it says after that.
fn told_first(child: &mut Child, begins: &str) -> (String, impl Iterator<Item = String>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find_map(|line| line.strip_prefix(begins).map(str::to_owned));
    (line.unwrap_or_else(|| panic!("nothing begins with {begins:?}")), lines)
}

fn browse(url: &str, user: &str) -> String {
    let output = Command::new(node()).arg(root().join("tests/clients/browser.mjs")).args([url, user]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn finish(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// Whether a server takes a token, and as whom.
fn accepted(provider: &Provider, token: &str) -> String {
    let api = Api::start();
    let yaml = "bridge: hr\nupstream: { url: \"${API}\", credentials: none }\nclaims: { sub: sub }\n\
        tools: { who: { description: Who., endpoint: \"GET /{sub}\", parameters: { sub: { claim: sub } } } }\n";
    let server = Fixture::with_okta(provider).bridge(yaml).env("API", &api.url()).serve();
    let result = server.call_as(Some(token), "who", &json!({}));
    assert!(!result.is_error(), "{}", result.text());
    api.last().target
}

#[test]
fn a_person_signs_in_by_browser() {
    let provider = Provider::shared();
    let mut child = login(provider, &["--no-browser"]).spawn().unwrap();
    let url = told(&mut child, "Sign in at ");
    assert!(url.contains("code_challenge_method=S256"), "{url}");
    let page = browse(&url, "alice");
    assert!(page.contains("close this page"), "{page}");
    let (code, stdout) = finish(child);
    assert_eq!((code, stdout.lines().count()), (0, 1), "{stdout}");
    assert_eq!(accepted(provider, stdout.trim()), "/alice");

    // As a line for a shell, and for a command.
    let mut child = login(provider, &["--no-browser", "--export"]).spawn().unwrap();
    browse(&told(&mut child, "Sign in at "), "bob");
    let (_, line) = finish(child);
    let shell = Command::new("sh").args(["-c", &format!("{line}\nprintf %s \"$OKTA_ACCESS_TOKEN\"")]).output().unwrap();
    assert_eq!(accepted(provider, &String::from_utf8(shell.stdout).unwrap()), "/bob");
    let mut child =
        login(provider, &["--no-browser", "--exec", "sh", "-c", "printf %s $OKTA_ACCESS_TOKEN"]).spawn().unwrap();
    browse(&told(&mut child, "Sign in at "), "carol");
    assert_eq!(accepted(provider, &finish(child).1), "/carol");
}

#[test]
fn a_person_enters_a_code_on_another_device() {
    let provider = Provider::shared();
    let mut child = login(provider, &["--device"]).spawn().unwrap();
    browse(&told(&mut child, "or open "), "alice");
    let (code, stdout) = finish(child);
    assert_eq!(code, 0);
    assert_eq!(accepted(provider, stdout.trim()), "/alice");
}

#[test]
fn a_service_gets_a_token_of_its_own() {
    let provider = Provider::shared();
    let run = |secret: Option<&str>| {
        let mut command = Command::new(crate::support::binary());
        command.args(["login", "--issuer", &provider.issuer, "--client-id", "svc", "--scope", "hr:read"]);
        command.arg("--client-credentials").env_clear().envs(crate::support::counting()).stdin(Stdio::null());
        if let Some(secret) = secret {
            command.env("TOLLBRIDGE_LOGIN_CLIENT_SECRET", secret);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, token, _) = run(Some("svc-secret"));
    assert_eq!(code, 0);
    assert_eq!(accepted(provider, token.trim()), "/svc");
    let (code, stdout, stderr) = run(Some("wr0ng"));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("no token was issued: invalid_client") && !stderr.contains("wr0ng"), "{stderr}");
    let (code, _, stderr) = run(None);
    assert_eq!((code, stderr.as_str()), (2, "error: put the client's secret into TOLLBRIDGE_LOGIN_CLIENT_SECRET\n"));
}

#[test]
fn answers_to_others_and_wrong_places_are_refused() {
    let provider = Provider::shared();
    let mut child = login(provider, &["--no-browser"]).spawn().unwrap();
    let (url, rest) = told_first(&mut child, "Sign in at ");
    let redirect = url::Url::parse(&url).unwrap();
    let redirect = redirect.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    let visit = |query: &str| {
        crate::support::block_on(async {
            reqwest::get(format!("{redirect}{query}")).await.unwrap().text().await.unwrap()
        })
    };
    assert!(visit("").contains("Nothing is waited for"));
    visit("?code=stolen&state=another");
    // The code is not even tried.
    let rest: Vec<String> = rest.collect();
    assert_eq!(rest, ["error: the browser brought the answer to somebody else's sign-in"]);
    let (code, stdout) = finish(child);
    assert_eq!((code, stdout.as_str()), (1, ""));

    let fixture = Fixture::new();
    let run = |args: &[&str]| {
        let output =
            fixture.command(&[&["login", "--client-id", "cli", "--no-browser"], args].concat()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (args, status, words) in [
        (&[][..], 2, "which authorization server? Write --issuer"),
        (&["--issuer", "your-org.okta.com"], 2, "is no issuer; write it in full"),
        (&["--issuer", "https://id.example.invalid"], 3, "can't be used: the identity provider cannot be reached"),
        (
            &["--issuer", &format!("{}/oauth2/defualt", provider.origin)],
            3,
            "can't be used: the identity provider answered with status 404",
        ),
    ] {
        let (code, stderr) = run(args);
        assert_eq!(code, status, "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_client_without_a_token_does_the_whole_dance_and_steps_up() {
    let provider = Provider::shared();
    let api = Api::start();
    let yaml = "bridge: hr\nupstream: { url: \"${API}\", credentials: none }\naccess: { scopes: [\"hr:read\"] }\ntools:\n  \
        read:  { description: Reads., endpoint: GET /read }\n  \
        write: { description: Writes., endpoint: POST /write, access: { scopes: [\"hr:write\"] } }\n";
    let server = Fixture::with_okta(provider).bridge(yaml).env("API", &api.url()).serve();
    let mut command = Command::new(node());
    command.arg(root().join("tests/clients/oauth_client.mjs")).args([&server.url(), "alice", "read", "write"]);
    let output = command.output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    let seen: Value = serde_json::from_str(seen.trim())
        .unwrap_or_else(|_| panic!("{seen} {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(seen["error"], Value::Null, "{seen}\n{}", server.log());
    let authorizations = seen["authorizations"].as_array().unwrap();
    assert_eq!(authorizations.len(), 2, "{seen}");
    assert_eq!(
        (&authorizations[0]["scope"], &authorizations[0]["method"]),
        (&json!("hr:read"), &json!("S256")),
        "{seen}"
    );
    assert_eq!(seen["resource"], json!(server.url()), "{seen}");
    let second = authorizations[1]["scope"].as_str().unwrap();
    assert!(second.contains("hr:read") && second.contains("hr:write"), "{seen}");
    assert!(seen["calls"].as_array().unwrap().iter().all(|call| call["is_error"] == false), "{seen}");
    assert_eq!(api.lines(), ["GET /read", "POST /write"]);
}
