//! Credentials go where they are meant for, and nowhere else.

use serde_json::json;

use super::{Row, body, lines, post, status};
use crate::support::{Answer, Api, Fixture, Provider};

pub const ROWS: &[Row] = &[
    Row {
        case: 20,
        attack: "The caller's token reaches an API that it was not issued for",
        hurt: "litellm #33190, MCPJungle #252, ContextForge #3033",
        does: "It goes to the one upstream that says `caller_token`, over https or loopback, after the audience was checked \
               if one is named; over HTTP, the server's own environment opens nothing",
        tests: &[
            "case_20_a_callers_token_goes_to_its_api_only",
            "a_token_is_forwarded_only_if_it_names_the_audience_of_the_api",
        ],
    },
    Row {
        case: 21,
        attack: "A failed exchange falls back to the caller's token; one user gets another's",
        hurt: "confused deputies; MCP forbids token passthrough",
        does: "No fallback; tokens are kept by the token that they were exchanged for",
        tests: &[
            "a_failed_exchange_fails_the_call_and_nothing_is_sent",
            "the_callers_token_is_exchanged_for_one_of_the_api_and_nobody_gets_anothers",
        ],
    },
];

#[test]
fn case_20_a_callers_token_goes_to_its_api_only() {
    let (provider, ours, theirs) = (Provider::shared(), Api::start(), Api::start());
    let mut fixture = Fixture::with_okta(provider).env("OURS", &ours.url()).env("THEIRS", &theirs.url());
    let token = provider.user("alice");
    // A token that somebody has left in the environment of an HTTP server is nobody's.
    fixture = fixture.env("OKTA_ACCESS_TOKEN", &provider.user("bob"));
    let bridge = |name: &str, url: &str, credentials: &str| {
        format!(
            "bridge: {name}\nupstream: {{ url: '${{{url}}}', credentials: {credentials} }}\ntools:\n  {name}: {{ description: {name}., \
             endpoint: GET /{name}, parameters: {{ note: {{ type: string, required: false }} }} }}\n"
        )
    };
    fixture.write("bridges/ours.yaml", &bridge("ours", "OURS", "caller_token"));
    fixture.write("bridges/open.yaml", &bridge("open", "THEIRS", "none"));
    fixture.write("bridges/keyed.yaml", &bridge("keyed", "THEIRS", "{ bearer: k3y }"));
    fixture.write(
        "bridges/templated.yaml",
        "bridge: templated\nupstream: { url: '${THEIRS}', credentials: none }\ntools:\n  templated: { description: T., endpoint: POST /t, \
         body: { json: '{{ claims }}' } }\n",
    );
    let server = fixture.serve();
    assert_eq!(status(&post(&server, "/mcp", &lines(&server, "tools/call", "ours"), &body("ours", "{}"))), 401);
    assert!(ours.requests().is_empty());
    // It leads elsewhere, and is not followed.
    let head = format!("HTTP/1.1 307 X\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", theirs.url());
    ours.answers("/ours", vec![Answer::json(200, &json!({})), Answer::Raw(head.into_bytes())]);
    for _ in 0..2 {
        server.call_as(Some(&token), "ours", &json!({}));
        assert_eq!(ours.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
    }
    for tool in ["open", "keyed", "templated"] {
        server.call_as(Some(&token), tool, &json!({}));
    }
    assert_eq!(theirs.requests().len(), 3, "{:?}", theirs.lines());
    for request in theirs.requests() {
        assert!(!format!("{request:?}").contains(&token), "{request:?}");
        assert!(!String::from_utf8_lossy(&request.body).contains(&token));
    }
}
