//! `check --online`: whether what the files name is there, and what to do when it is not.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider};

fn bridge(url: &str) -> String {
    format!(
        "bridge: hr\nupstream:\n  url: {url}\n  credentials: {{ bearer: \"${{KEY}}\" }}\n\
         tools: {{ t: {{ description: T., endpoint: GET /t }} }}\n"
    )
}

/// Exit code, stdout and stderr of `check --online`.
fn check(fixture: &Fixture, args: &[&str]) -> (i32, String, String) {
    let output = fixture.command(&[&["check", "--online"], args].concat()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn all_is_well_and_no_credential_is_sent() {
    let provider = Provider::shared();
    let api = Api::start();
    let fixture = Fixture::with_okta(provider).bridge(&bridge("${API}/base")).env("KEY", "c4nary");
    let fixture = fixture.env("API", &api.url());
    let (code, stdout, stderr) = check(&fixture, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(
        stdout,
        "tollbridge.yaml: the identity provider answers, and lets us check tokens\n\
         hr: the API at ${API}/base answers\n\
         bridges: 1 bridge, 1 tool, 0 resources: fine\n"
    );
    assert_eq!(api.lines(), ["HEAD /base"]);
    assert!(!format!("{:?}", api.last()).contains("c4nary"));
}

#[test]
fn an_api_that_is_not_there_is_said_with_the_step_that_failed() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let api = Api::start();
    for (url, id, words) in [
        ("https://api.example.invalid".to_owned(), "TB0401", "does not resolve"),
        (format!("http://127.0.0.1:{closed}"), "TB0402", "onnection refused"),
        (format!("https://127.0.0.1:{}", api.port), "TB0403", "no secure connection"),
    ] {
        let fixture = Fixture::new().bridge(&bridge(&url)).env("KEY", "c4nary");
        let (code, stdout, stderr) = check(&fixture, &[]);
        assert_eq!(code, 3, "{stdout}{stderr}");
        assert!(stderr.contains(&format!("error[{id}]")) && stderr.contains(words), "{stderr}");
        assert!(stderr.contains("--> bridges/test.yaml:3:8") && stderr.contains("= help: "), "{stderr}");
        assert_eq!(stdout, "bridges: 1 bridge, 1 tool, 0 resources: 1 error\n");
        let (code, stdout, stderr) = check(&fixture, &["--format", "json"]);
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, stderr.as_str(), &report["diagnostics"][0]["code"]), (3, "", &json!(id)), "{stdout}");
    }
}

#[test]
fn what_is_wrong_in_the_files_comes_first() {
    let fixture = Fixture::new().bridge(&bridge("https://api.example.invalid"));
    let (code, _, stderr) = check(&fixture, &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("`KEY` is not set") && !stderr.contains("TB0401"), "{stderr}");

    let mut fixture = Fixture::new().bridge(&bridge("https://api.example.invalid")).env("KEY", "k");
    fixture.write("tollbridge.yaml", "auth: { otka: {} }\n");
    let (code, _, stderr) = check(&fixture, &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("did you mean `okta`?") && stderr.contains("tollbridge.yaml:1:9"), "{stderr}");
    // The server file is checked without the network, too.
    let output = fixture.command(&["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    fixture.write("other.yaml", "auth: { none: true }\n");
    let output = fixture.command(&["check", "--config", "other.yaml"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().next(), Some("other.yaml: fine"));
    let (code, _, stderr) = check(&fixture, &["--config", "none.yaml"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("none.yaml"), "{stderr}");
}

/// What is said about a server file with this `auth`.
fn auth(auth: &Value) -> (i32, String) {
    let mut fixture = Fixture::new().bridge("bridge: a\n");
    fixture.write("tollbridge.yaml", &json!({ "auth": auth }).to_string());
    let (code, stdout, stderr) = check(&fixture, &[]);
    assert!(!stdout.contains("lets us check tokens"), "{stdout}");
    (code, stderr)
}

#[test]
fn an_identity_provider_that_does_not_fit_is_said_with_what_to_do() {
    let provider = Provider::shared();
    let okta = |server: &str, secret: &str| {
        json!({ "okta": {
            "domain": provider.origin, "authorization_server": server, "client_id": "bridge",
            "client_secret": secret, "audience": "api://enterprise",
        } })
    };
    let (code, said) = auth(&okta("defualt", "bridge-secret"));
    assert_eq!(code, 1);
    assert!(said.contains("error[TB0404]") && said.contains("status 404"), "{said}");
    assert!(said.contains("Security > API > Authorization Servers"), "{said}");

    let (code, said) = auth(&okta("default", "wr0ng-secret"));
    assert_eq!(code, 1);
    assert!(said.contains("error[TB0406]") && said.contains("its secret the newest?"), "{said}");
    assert!(!said.contains("TB0404") && !said.contains("wr0ng-secret"), "{said}");

    let generic = |url: &str, issuer: &str| {
        json!({ "introspection": {
            "url": url, "issuer": issuer, "client_id": "bridge", "client_secret": "bridge-secret",
            "audience": "api://enterprise",
        } })
    };
    // The same provider by another name.
    let by_name = provider.issuer.replace("127.0.0.1", "localhost");
    let (code, said) = auth(&generic(&format!("{}/v1/introspect", provider.issuer), &by_name));
    assert_eq!(code, 1);
    assert!(said.contains("error[TB0405]") && said.contains(&format!("it says `{}`", provider.issuer)), "{said}");

    let api = Api::start();
    api.answer("/introspect", Answer::text(200, "hello"));
    let (code, said) = auth(&generic(&format!("{}/introspect", api.url()), &api.url()));
    assert_eq!(code, 1);
    assert!(said.contains("error[TB0407]") && said.contains("is not a JSON object"), "{said}");

    let (code, said) = auth(&generic("https://id.example.invalid/introspect", "https://id.example.invalid"));
    assert_eq!(code, 3);
    assert!(said.contains("error[TB0401]: the host name of the identity provider"), "{said}");
}
