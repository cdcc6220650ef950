//! `tollbridge doctor`: each line of the troubleshooting table, with its fix.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider};

const BRIDGE: &str = "bridge: hr\nupstream: { url: \"${API}\", credentials: none }\ntools: { t: { description: T., endpoint: GET /t } }\n";

fn doctor(fixture: &Fixture, args: &[&str]) -> (i32, String) {
    let output = fixture.command(&[&["doctor"], args].concat()).stdin(Stdio::null()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn healthy(provider: &Provider, api: &Api) -> Fixture {
    let mut fixture = Fixture::new().bridge(BRIDGE).env("API", &api.url()).env("OKTA_CLIENT_SECRET", "bridge-secret");
    let server = json!({ "listen": "127.0.0.1:0", "auth": { "okta": provider.okta() } });
    fixture.write("tollbridge.yaml", &server.to_string());
    fixture
}

#[test]
fn all_that_is_well_is_said() {
    let (provider, api) = (Provider::shared(), Api::start());
    let token = provider.user("alice");
    let (code, said) = doctor(&healthy(provider, &api).env("OKTA_ACCESS_TOKEN", &token), &[]);
    let issuer = &provider.issuer;
    assert_eq!(
        said,
        format!(
            "ok     server file: tollbridge.yaml is fine, and every `${{…}}` in it has a value\n\
             ok     {issuer}: it answers, is who it says, and accepts our client\n\
             ok     clock: as that of the identity provider, give or take seconds\n\
             ok     your token: it is good; it is of `alice` and has the scopes `hr:read wfm:read`\n\
             ok     bridge files: 1 tool in bridges\n\
             ok     API: hr: the API at ${{API}} answers\n\
             ok     address: 127.0.0.1:0 is free\n"
        )
    );
    assert_eq!(code, 0);
    let (code, said) = doctor(&healthy(provider, &api), &["--format", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["checks"][3]["verdict"]), (0, &json!("skipped")), "{said}");
}

#[test]
fn a_token_that_is_refused_is_said_with_the_reason_and_the_fix() {
    let (provider, api) = (Provider::shared(), Api::start());
    let said = |token: &str| {
        let (code, said) = doctor(&healthy(provider, &api).env("OKTA_ACCESS_TOKEN", token), &[]);
        assert_eq!(code, 1, "{said}");
        assert!(!said.contains(token), "{said}");
        said
    };
    let api_token = said("00QCjAl4MlV-WPXM-ABCDEFGHIJKLMNOPQRSTUVWXY");
    assert!(api_token.contains("wrong  your token: this is an Okta API token (SSWS)"), "{api_token}");
    assert!(api_token.contains("fix: get an OAuth 2.0 access token with `tollbridge login`"), "{api_token}");
    let other = said(&provider.token(&json!({"kind": "jwt", "audience": "api://other"})));
    assert!(
        other.contains("the token is for another audience (iss: ") && other.contains("aud: \"api://other\""),
        "{other}"
    );
    assert!(other.contains("fix: compare its `aud` with `audience`"), "{other}");
    assert!(said("nonsense").contains("the token is not active"));
    assert!(said(&provider.token(&json!({"kind": "refresh"}))).contains("wrong  your token: "));
}

#[test]
fn what_is_wrong_around_it_is_said_with_the_fix() {
    let (provider, api) = (Provider::shared(), Api::start());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fixture = healthy(provider, &api);
    let mut okta = provider.okta();
    okta["client_secret"] = json!("wr0ng");
    let server = json!({ "listen": taken.local_addr().unwrap().to_string(), "auth": { "okta": okta } });
    fixture.write("tollbridge.yaml", &server.to_string());
    let (code, said) = doctor(&fixture, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("refuses our client id and secret") && said.contains("its secret the newest?"), "{said}");
    assert!(said.contains("wrong  address: ") && said.contains("is a server running there already?"), "{said}");

    // An API that can't be reached is all that is wrong.
    let fixture = healthy(provider, &api).env("API", "https://api.example.invalid");
    let (code, said) = doctor(&fixture, &[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("does not resolve") && said.contains("fix: is this machine in the network"), "{said}");

    // A variable that is not set, and no server file at all.
    let mut fixture = Fixture::new().bridge("bridge: a\n");
    fixture.write("tollbridge.yaml", &json!({ "auth": { "okta": provider.okta() } }).to_string());
    let (code, said) = doctor(&fixture, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("tollbridge.yaml:1:") && said.contains("`OKTA_CLIENT_SECRET` is not set"), "{said}");
    let (code, said) = doctor(&Fixture::new(), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("wrong  server file: "), "{said}");
}

#[test]
fn a_clock_that_is_wrong_is_noticed() {
    let issuer = Api::start();
    let keys = format!("{}/keys", issuer.url());
    issuer.answer("/.well-known", Answer::json(200, &json!({"issuer": issuer.url(), "jwks_uri": keys})));
    let page =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ndate: Tue, 05 Jan 2021 10:00:00 GMT\r\ncontent-length: 0\r\n\r\n";
    issuer.answers("/", vec![Answer::Raw(page.as_bytes().to_vec())]);
    issuer.answer("/.well-known", Answer::json(200, &json!({"issuer": issuer.url(), "jwks_uri": keys})));
    let mut fixture = Fixture::new().bridge("bridge: a\n");
    let auth = json!({"jwt": {"issuer": issuer.url(), "audience": "api://a"}});
    fixture.write("tollbridge.yaml", &json!({ "listen": "127.0.0.1:0", "auth": auth }).to_string());
    let (code, said) = doctor(&fixture, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("wrong  clock: this machine is ") && said.contains("ahead of the identity provider"),
        "{said}"
    );
}
