//! Who the caller is: nobody but the token says so.

use serde_json::{Value, json};

use super::{Row, body, lines, post, status};
use crate::support::{Api, Fixture, Provider, Server};

pub const ROWS: &[Row] = &[
    Row {
        case: 10,
        attack: "An argument, `_meta` or a header names another user; concurrent calls are mixed up",
        hurt: "broken object level authorization (OWASP API1)",
        does: "What comes from a claim is in no schema and can be set by nothing else",
        tests: &[
            "case_10_nothing_but_the_token_says_who_calls",
            "the_model_neither_sees_nor_sets_who_the_caller_is",
            "ten_thousand_interleaved_calls_are_each_answered_to_whoever_asked",
        ],
    },
    Row {
        case: 11,
        attack: "A claim is missing, of another type, or holds `../` or a line break",
        hurt: "claims taken for trusted input",
        does: "Claims go through the encoders and checks of arguments; one that is missing stops the call",
        tests: &[
            "case_11_claims_are_checked_like_arguments",
            "claims_go_through_the_same_checks_as_arguments",
            "a_call_without_the_identifying_claim_is_refused_before_anything_is_sent",
            "a_claim_that_is_a_list_says_how_it_fits",
        ],
    },
    Row {
        case: 12,
        attack: "A tool that is hidden from a caller, or served elsewhere, is called by its name",
        hurt: "otto-support (Bishop Fox)",
        does: "What is not listed does not exist, by the same answer",
        tests: &[
            "case_12_what_is_not_listed_can_not_be_called",
            "a_hidden_tool_is_not_listed_and_looks_like_one_that_does_not_exist",
        ],
    },
];

const BRIDGE: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: none }
claims: { gpid: [gpid, sub], only: only }
tools:
  who: { description: Who., endpoint: "GET /who/{gpid}", parameters: { gpid: { claim: gpid }, note: { type: string, required: false } } }
  path: { description: P., endpoint: "GET /path/{only}", parameters: { only: { claim: only } } }
  query: { description: Q., endpoint: GET /query, parameters: { only: { claim: only } } }
  head: { description: H., endpoint: GET /head, parameters: { X-Only: { in: header, claim: only } } }
  body: { description: B., endpoint: POST /body, parameters: { only: { claim: only } } }
"#;

fn serve(provider: &Provider) -> (Api, Server) {
    let api = Api::start();
    let server = Fixture::with_okta(provider).bridge(BRIDGE).env("API", &api.url()).serve();
    (api, server)
}

#[test]
fn case_10_nothing_but_the_token_says_who_calls() {
    let provider = Provider::shared();
    let (api, server) = serve(provider);
    let token = provider.user("alice");
    for arguments in [
        json!({"gpid": "9"}),
        json!({"claims": {"gpid": "9"}}),
        json!({"GPID": "9"}),
        json!({"note": "x", "gpid": null}),
    ] {
        let result = server.call_as(Some(&token), "who", &arguments);
        assert!(result.error().starts_with("unexpected argument"), "{arguments}: {}", result.text());
    }
    assert!(api.requests().is_empty());
    let mut head = lines(&server, "tools/call", "who");
    head.push(format!("authorization: Bearer {token}"));
    let meta = r#""_meta":{"gpid":"9","claims":{"gpid":"9"},"io.tollbridge/claims":{"gpid":"9"},"#;
    let call = body("who", "{}").replace("\"_meta\":{", meta);
    for forged in ["mcp-param-gpid: 9", "gpid: 9", "x-gpid: 9", "x-forwarded-user: 9", "x-user: 9", "note: 9"] {
        head.push(forged.to_owned());
        let said = post(&server, "/mcp?gpid=9&claims[gpid]=9", &head, &call);
        head.pop();
        // A header that says something else than the body may be refused; it is never followed.
        assert!([200, 400].contains(&status(&said)), "{forged}: {said}");
    }
    assert!(!api.requests().is_empty());
    for request in api.requests() {
        assert_eq!(request.line(), "GET /who/10012345");
        assert!(request.headers.iter().all(|(_, value)| value != "9"), "{request:?}");
    }
}

#[test]
fn case_11_claims_are_checked_like_arguments() {
    let provider = Provider::shared();
    let (api, server) = serve(provider);
    let token = |only: &Value| provider.token(&json!({"user": "alice", "claims": {"only": only}}));
    let call = |token: &str, tool: &str| server.call_as(Some(token), tool, &json!({}));
    // Nothing to say who it is: nothing is sent, wherever it would have stood.
    for only in [json!(null), json!({"a": "b"}), json!("")] {
        let token = token(&only);
        for tool in ["path", "head"] {
            assert!(call(&token, tool).is_error(), "{tool} {only}");
        }
    }
    let missing = provider.user("alice");
    for tool in ["path", "query", "head", "body"] {
        assert!(call(&missing, tool).error().starts_with("Token does not contain user identifier"), "{tool}");
    }
    for only in [json!(".."), json!("."), json!(["a"]), json!([])] {
        assert!(call(&token(&only), "path").is_error(), "{only}");
    }
    for only in [json!("a\r\nX-Admin: 1"), json!("a\0"), json!("ä"), json!(["a"])] {
        assert!(call(&token(&only), "head").is_error(), "{only}");
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    for (only, segment) in
        [("../../admin", "..%2F..%2Fadmin"), ("a?b#c&d=e", "a%3Fb%23c%26d%3De"), ("a\r\nb", "a%0D%0Ab")]
    {
        let token = token(&json!(only));
        call(&token, "path");
        assert_eq!(api.last().target, format!("/path/{segment}"));
        call(&token, "query");
        assert_eq!(api.last().target, format!("/query?only={segment}"));
        call(&token, "body");
        assert_eq!(api.last().json(), json!({ "only": only }));
    }
    let long = "9".repeat(10_240);
    call(&token(&json!(long)), "path");
    assert_eq!(api.last().target, format!("/path/{long}"));
}

#[test]
fn case_12_what_is_not_listed_can_not_be_called() {
    let provider = Provider::shared();
    let api = Api::start();
    let mut fixture = Fixture::with_okta(provider).bridge(BRIDGE).env("API", &api.url());
    fixture.write(
        "bridges/other.yaml",
        "bridge: other\nupstream: { url: '${API}', credentials: none }\ntools: { theirs: { description: T., endpoint: GET /theirs } }\n",
    );
    let server = fixture.serve();
    let token = provider.user("alice");
    let call = |path: &str, tool: &str| {
        server.rpc(path, Some(&token), "tools/call", &json!({"name": tool, "arguments": {}})).json()
    };
    assert_eq!(call("/mcp/hr", "theirs")["error"]["message"], "no such tool: theirs");
    for name in ["Theirs", "theirs ", "other/theirs", "other.theirs", "../other/theirs", "ｔheirs"] {
        assert!(call("/mcp", name).get("error").is_some(), "{name}");
    }
    for path in ["/mcp/nothing", "/mcp/hr/..", "/mcp/..%2fother", "/mcp/hr%2f..%2fother", "/mcp/HR"] {
        assert_ne!(
            server.send("POST", path, &[("authorization", &format!("Bearer {token}"))], &body("theirs", "{}")).status,
            200
        );
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    assert!(call("/mcp/other", "theirs").get("result").is_some());
}
