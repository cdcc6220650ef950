//! Where requests go: nobody but the admin decides.

use std::process::Stdio;

use serde_json::json;

use super::{Row, refused};
use crate::support::{Answer, Api, Fixture, Provider};

pub const ROWS: &[Row] = &[
    Row {
        case: 4,
        attack: "An argument names the host, or a next page lies elsewhere",
        hurt: "contentful #374, Azure MCP CVE-2026-26118 (8.8), awslabs #3695",
        does: "Scheme, host and port are written in the file or come from `${…}`; anything else there is refused at load, \
               and what leads off the base URL is not followed",
        tests: &["case_04_nothing_but_the_file_names_the_host"],
    },
    Row {
        case: 5,
        attack: "A name leads to the cloud's metadata or into the private network",
        hurt: "Azure MCP CVE-2026-26118, server-side request forgery in general",
        does: "The address itself is looked at, right before the connection: metadata and link-local addresses never, \
               private ones and ranges by `network`; however they are written",
        tests: &[
            "case_05_addresses_are_looked_at_when_connecting",
            "metadata_and_link_local_addresses_never_may_however_they_are_written",
            "private_addresses_and_ranges_can_be_refused",
            "what_a_name_leads_to_is_looked_at_each_time",
        ],
    },
    Row {
        case: 6,
        attack: "A redirect takes the credential elsewhere",
        hurt: "aisix #879, HolmesGPT #2414, toolhive #4168, smithers #914",
        does: "No redirect is followed, whatever the credential",
        tests: &["case_06_redirects_are_not_followed", "a_redirect_is_an_answer"],
    },
];

fn tool(url: &str, endpoint: &str) -> String {
    let url = serde_json::Value::from(url);
    let endpoint = serde_json::Value::from(endpoint);
    format!(
        "bridge: test\nupstream: {{ url: {url}, credentials: none }}\ntools:\n  t: {{ description: T., endpoint: {endpoint}, \
         parameters: {{ h: {{ in: query, type: string }} }} }}\n"
    )
}

#[test]
fn case_04_nothing_but_the_file_names_the_host() {
    for url in [
        "https://{{ args.h }}/",
        "https://{h}/",
        "https://api.{{ args.h }}.example/",
        "https://api.example:{{ args.h }}/",
        "{{ args.h }}",
        "//evil.example",
        "\\\\evil.example",
        "file:///etc/passwd",
        "ftp://api.example",
        "https://api.example/?next={{ args.h }}",
        "https://api.example/#x",
    ] {
        refused(&[("a.yaml", &tool(url, "GET /t"))]);
    }
    for endpoint in [
        "GET //evil.example/t",
        "GET https://evil.example/t",
        "GET \\\\evil.example",
        "GET /..//evil.example",
        "GET /a/../../t",
        "GET /%2e%2e/t",
        "GET @evil.example/",
        "GET /t?x={{ args.h }}",
        "GET /{{ args.h }}",
        "GET /${HOST}/t",
    ] {
        refused(&[("a.yaml", &tool("https://api.example", endpoint))]);
    }

    let (api, evil) = (Api::start(), Api::start());
    let yaml = "bridge: test\nupstream: { url: '${API}', credentials: { bearer: k3y } }\ntools:
  first: { description: F., endpoint: 'GET /{h}', parameters: { h: { type: string } } }
  pages: { description: P., endpoint: GET /pages, paginate: { next: next, items: items } }\n";
    let server = Fixture::new().bridge(yaml).env("API", &api.url()).serve();
    let at = format!("127.0.0.1:{}", evil.port);
    for value in [format!("/{at}"), format!("//{at}"), format!("@{at}"), format!("\\\\{at}"), format!("http://{at}/")] {
        server.call("first", &json!({ "h": value }));
        let last = api.last();
        assert!(last.target.starts_with('/') && !last.target[1..].contains('/'), "{value}: {}", last.target);
        assert_eq!(last.header("host"), Some(&api.url()["http://".len()..]), "{value}");
    }
    let sent = api.requests().len();
    for next in [format!("http://{at}/p"), format!("//{at}/p"), format!("\\\\{at}\\p"), format!("http://{at}@x/")] {
        api.answer("/pages", Answer::json(200, &json!({"items": [1], "next": next})));
        let result = server.call("pages", &json!({}));
        assert!(result.is_error(), "{next}: {}", result.text());
    }
    assert_eq!(api.requests().len(), sent + 4, "{:?}", api.lines());
    assert_eq!(evil.connections(), 0);
}

#[test]
fn case_05_addresses_are_looked_at_when_connecting() {
    let api = Api::start();
    let bridge = "bridge: test\nupstream: { url: '${API}', credentials: none }\ntools:
  t: { description: T., endpoint: GET /t }\n";
    let fixture = |url: &str, network: &str| {
        let mut fixture = Fixture::new().bridge(bridge).env("API", url);
        fixture.write("tollbridge.yaml", &format!("network: {network}"));
        fixture
    };
    // An address that is written is refused at the start.
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166",
        "http://0xA9.0xFE.0xA9.0xFE",
        "http://[::ffff:169.254.169.254]",
        "http://[fe80::1]",
        "http://[fd00:ec2::254]",
        "http://100.100.100.200",
    ] {
        let output = fixture(url, "{}").command(&["serve", "--no-auth"]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{url}: {said}");
        assert!(said.contains("error[TB0119]") && said.contains("never called"), "{url}: {said}");
    }
    let output =
        fixture("http://10.0.0.1", "{ allow_private: false }").command(&["serve", "--no-auth"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));

    // A name is looked at when it has been resolved, for each connection.
    let by_name = format!("http://localhost:{}", api.port);
    let words = "The API can't be reached: its address may not be connected to";
    for network in ["{ deny: [127.0.0.0/8, '::1'] }", "{ deny: ['0.0.0.0/0', '::/0'] }"] {
        let server = fixture(&by_name, network).serve();
        let error = server.call("t", &json!({})).error().to_owned();
        assert_eq!(error, words);
    }
    assert_eq!(api.connections(), 0);
    // What the admin has written as this machine is meant so.
    for network in ["{}", "{ allow_private: false }"] {
        for url in [by_name.as_str(), &api.url()] {
            assert!(!fixture(url, network).serve().call("t", &json!({})).is_error(), "{network} {url}");
        }
    }

    // The same holds for where tokens of the bridge come from.
    let issued = "{ client_credentials: { token_url: 'http://localhost:PORT/token', client_id: a, client_secret: b } }";
    let issued =
        bridge.replace("credentials: none", &format!("credentials: {issued}")).replace("PORT", &api.port.to_string());
    let sent = api.connections();
    let mut fixture_of_tokens = Fixture::new().bridge(&issued).env("API", "https://api.example");
    fixture_of_tokens.write("tollbridge.yaml", "network: { deny: [127.0.0.0/8, '::1'] }");
    let server = fixture_of_tokens.serve();
    assert!(server.call("t", &json!({})).is_error());
    assert_eq!(api.connections(), sent);

    for wrong in ["[10.0.0.0/40]", "[example.com]", "['10.0.0.0/8/8']"] {
        let output =
            fixture("http://127.0.0.1:1", &format!("{{ deny: {wrong} }}")).command(&["serve", "--no-auth"]).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(78) && said.contains("tollbridge.yaml:1:"), "{said}");
    }
}

#[test]
fn case_06_redirects_are_not_followed() {
    let (provider, api, evil) = (Provider::shared(), Api::start(), Api::start());
    let token = provider.user("alice");
    for credentials in [
        "none",
        "caller_token",
        "{ bearer: k3y-canary }",
        "{ basic: { username: me, password: k3y-canary } }",
        "{ api_key: { header: X-Key, value: k3y-canary } }",
        "{ api_key: { query: key, value: k3y-canary } }",
    ] {
        let yaml = format!(
            "bridge: test\nupstream: {{ url: '${{API}}', credentials: {credentials}, retry: {{ attempts: 2 }} }}\n\
             tools:\n  get: {{ description: T., endpoint: GET /t }}\n  post: {{ description: T., endpoint: POST /t }}\n"
        );
        let server = Fixture::with_okta(provider).bridge(&yaml).env("API", &api.url()).serve();
        for status in [301, 302, 303, 307, 308] {
            let to = format!("http://127.0.0.1:{}/stolen", evil.port);
            let head = format!(
                "HTTP/1.1 {status} Found\r\nlocation: {to}\r\nrefresh: 0; url={to}\r\ncontent-length: 0\r\n\r\n"
            );
            api.answer("/t", Answer::Raw(head.into_bytes()));
            for tool in ["get", "post"] {
                let result = server.call_as(Some(&token), tool, &json!({}));
                assert_eq!(result.error(), format!("API error: {status}"), "{credentials}");
            }
        }
    }
    assert_eq!(evil.connections(), 0);
}
