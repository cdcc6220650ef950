//! Path parameters: the signature bug of bridges.

use serde_json::{Value, json};

use super::Row;
use crate::support::{Api, Fixture, Server};

pub const ROWS: &[Row] = &[
    Row {
        case: 1,
        attack: "A path value climbs or adds segments: `..`, `%2e%2e`, `a/../b`, `?`, `#`, NUL, full-width dots",
        hurt: "FastMCP CVE-2026-32871 (CVSS 10), Envoy #45931, Windmill #9211, mcphub #1083",
        does: "A value is one segment, percent-encoded byte by byte; empty, `.` and `..` are refused, since encoding does \
               not help against readers that decode first",
        tests: &[
            "case_01_path_values_stay_one_segment",
            "known_tricks_are_refused_or_stay_in_their_segment",
            "any_value_is_refused_or_stays_in_its_segment",
        ],
    },
    Row {
        case: 2,
        attack: "A value that may hold `/` climbs",
        hurt: "agentgateway #3598",
        does: "`reserved: true` looks at each segment by itself",
        tests: &["case_02_reserved_values_do_not_climb", "reserved_lets_slashes_through_and_nothing_else"],
    },
    Row {
        case: 3,
        attack: "An encoded `/` in the URI of a resource becomes more segments",
        hurt: "python-sdk #2353",
        does: "A variable is decoded once and encoded again as one segment",
        tests: &["case_03_resource_uris_do_not_add_segments", "a_value_never_spans_segments"],
    },
];

const BRIDGE: &str = "bridge: test
upstream: { url: '${API}/v1', credentials: none }
tools:
  get: { description: G., endpoint: 'GET /users/{id}/records', parameters: { id: { type: string } } }
  file: { description: F., endpoint: 'GET /files/{path}/raw', parameters: { path: { type: string, reserved: true } } }
resources:
  user://card/{id}: { endpoint: 'GET /users/{id}/card' }
";

/// What attackers put into a path. An admin's tool must not do more with it than ask for something of that name.
const VALUES: [&str; 30] = [
    "..",
    ".",
    "",
    "...",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "..;",
    "a/../b",
    "..\\",
    "%2f",
    "%5c",
    "?x=1",
    "#f",
    ";v",
    "\0",
    "\n",
    "\r\n",
    "．．",
    "../../admin",
    "..%2f..%2fadmin",
    "%252e%252e",
    "..%00",
    "/",
    "//evil.example",
    "@evil",
    "\\\\evil",
    "..\u{200b}",
    "\u{202e}..",
    "a b+c&d=e",
];

fn serve() -> (Api, Server) {
    let api = Api::start();
    let server = Fixture::new().bridge(BRIDGE).env("API", &api.url()).serve();
    (api, server)
}

/// RFC 3986: everything but unreserved characters is encoded. Written down anew, so that a mistake is not made twice.
fn encoded(value: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(one).collect()
}

#[test]
fn case_01_path_values_stay_one_segment() {
    let (api, server) = serve();
    let long = "ä/".repeat(4_000);
    for value in VALUES.into_iter().chain([long.as_str()]) {
        let before = api.requests().len();
        let result = server.call("get", &json!({ "id": value }));
        if ["", ".", ".."].contains(&value) {
            assert!(result.is_error(), "{value:?}: {}", result.text());
            assert_eq!(api.requests().len(), before, "{value:?}: something was sent");
            continue;
        }
        assert_eq!(api.requests().len(), before + 1, "{value:?}: {}", result.text());
        let target = api.last().target;
        assert_eq!(target, format!("/v1/users/{}/records", encoded(value)), "{value:?}");
        // Who reads it by the rules of browsers sees the same.
        let parsed = url::Url::parse(&format!("http://h{target}")).unwrap();
        assert_eq!((parsed.path(), parsed.query(), parsed.fragment()), (target.as_str(), None, None), "{value:?}");
    }
}

#[test]
fn case_02_reserved_values_do_not_climb() {
    let (api, server) = serve();
    for value in ["", "/", "..", ".", "a/../b", "../a", "a/..", "./a", "a/./b", "a//b", "/etc/passwd", "a/", "../../x"]
    {
        assert!(server.call("file", &json!({ "path": value })).is_error(), "{value:?}");
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    for value in ["a/b c", "%2e%2e/x", "..%2f..%2fx", "..;/x", "a\\..\\b", "．．/x", "a?b#c", ".../x", "a/..%00/b"] {
        server.call("file", &json!({ "path": value }));
        let expected: Vec<String> = value.split('/').map(encoded).collect();
        assert_eq!(api.last().target, format!("/v1/files/{}/raw", expected.join("/")), "{value:?}");
    }
}

#[test]
fn case_03_resource_uris_do_not_add_segments() {
    let (api, server) = serve();
    let read = |uri: &str| -> Value { server.rpc("/mcp", None, "resources/read", &json!({ "uri": uri })).json() };
    for uri in [
        "user://card/..",
        "user://card/%2e%2e",
        "user://card/%2E.",
        "user://card/",
        "user://card/a/b",
        "user://card/a/../b",
        "user://card/..%00",
        "user://card/a%0d%0ab",
        "user://card/a?b",
        "user://card/a#b",
        "user://card/%ff",
    ] {
        assert!(read(uri).get("error").is_some(), "{uri}");
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    for (uri, segment) in [
        ("user://card/a%2Fb", "a%2Fb"),
        ("user://card/..%2F..%2Fadmin", "..%2F..%2Fadmin"),
        ("user://card/%252e%252e", "%252e%252e"),
        ("user://card/a%3Fb%23c", "a%3Fb%23c"),
        ("user://card/..%5C", "..%5C"),
    ] {
        assert!(read(uri).get("result").is_some(), "{uri}");
        assert_eq!(api.last().target, format!("/v1/users/{segment}/card"), "{uri}");
    }
}
