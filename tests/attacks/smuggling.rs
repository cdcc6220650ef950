//! Headers, queries and bodies: a value stays a value.

use serde_json::{Value, json};

use super::{Row, body, lines, post, refused, status};
use crate::support::{Api, Fixture, Server};

pub const ROWS: &[Row] = &[
    Row {
        case: 7,
        attack: "A line break in a header value begins another header; a name shadows a trusted one",
        hurt: "CWE-113; `X_Forwarded_User` read as `X-Forwarded-User` (oauth2-proxy CVE-2025-64484)",
        does: "Control characters and non-ASCII are refused, never left out; names stand in the file, and arguments that it \
               does not declare are refused",
        tests: &["case_07_header_values_are_sent_whole_or_not_at_all"],
    },
    Row {
        case: 8,
        attack: "A query value brings parameters along; a name stands twice in the arguments",
        hurt: "HTTP parameter pollution; two components reading one request differently (oauth2-proxy, five advisories)",
        does: "A value is one value; a request in which a name stands twice is refused before anybody reads it",
        tests: &["case_08_one_value_stays_one_value", "a_name_that_stands_twice_is_found_wherever_it_is"],
    },
    Row {
        case: 9,
        attack: "A quote in a value changes the shape of a body",
        hurt: "JSON built by text templates, in most generators of bridges",
        does: "Bodies are made as data; a JSON body put together of text is refused at load",
        tests: &[
            "case_09_no_value_changes_the_shape_of_a_body",
            "a_data_template_keeps_types_and_nothing_is_spliced_as_text",
            "multipart_bodies_carry_files_and_no_value_can_break_out",
        ],
    },
];

const BRIDGE: &str = "bridge: test
upstream: { url: '${API}/v1', credentials: none }
tools:
  head: { description: H., endpoint: GET /h, parameters: { X-User: { in: header, type: string, required: false } } }
  find: { description: F., endpoint: GET /f, parameters: { q: { type: string }, fixed: { value: 'no' } } }
  list: { description: L., endpoint: GET /l, parameters: { q: { type: array, items: { type: string } } } }
  send: { description: S., endpoint: POST /s, parameters: { a: { type: string }, b: { type: string, required: false } } }
  form: { description: S., endpoint: POST /x, parameters: { a: { type: string } }, body: { form: { a: '{{ args.a }}', admin: 'no' } } }
  data: { description: D., endpoint: POST /d, parameters: { a: { type: string } }, body: { json: { say: 'x{{ args.a }}', admin: false } } }
";

const NASTY: &str = "\",\"admin\":true,\"x\":\"\\\u{0}\r\n&admin=true#</a>{{ 7 * 7 }}${PATH}";

fn serve() -> (Api, Server) {
    let api = Api::start();
    let server = Fixture::new().bridge(BRIDGE).env("API", &api.url()).serve();
    (api, server)
}

#[test]
fn case_07_header_values_are_sent_whole_or_not_at_all() {
    let (api, server) = serve();
    for value in [
        "a\r\nX-Admin: 1",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\0b",
        "\u{7f}",
        "ä",
        "a\u{85}b",
        "a\u{2028}b",
        "\u{e0041}",
        "\u{1b}[0m",
    ] {
        let result = server.call("head", &json!({ "X-User": value }));
        assert!(result.is_error(), "{value:?}: {}", result.text());
    }
    for name in
        ["X_User", "x-user", "x_user", "X-User ", "X-User\r\nX-Admin", "Authorization", "Host", "X-Forwarded-User"]
    {
        let result = server.call("head", &json!({ name: "x" }));
        assert!(result.error().starts_with("unexpected argument"), "{name:?}: {}", result.text());
    }
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    server.call("head", &json!({"X-User": "plain: value, \"quoted\""}));
    assert_eq!(api.last().header("x-user"), Some("plain: value, \"quoted\""));
    for name in [
        "Authorization",
        "Host",
        "Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "X-Forwarded-User",
        "X_Forwarded_User",
        "Forwarded",
        "TE",
        "Upgrade",
    ] {
        let tool = format!(
            "{{ description: T., endpoint: GET /t, parameters: {{ {name}: {{ in: header, type: string }} }} }}"
        );
        let said = refused(&[(
            "a.yaml",
            &format!("bridge: a\nupstream: {{ url: https://a.example, credentials: none }}\ntools:\n  t: {tool}\n"),
        )]);
        assert!(said.contains("TB0112"), "{name}: {said}");
    }
}

#[test]
fn case_08_one_value_stays_one_value() {
    let (api, server) = serve();
    for value in ["a=1&admin=true", "a&q=b", "a;b=c", "a#b", "a\0b", "a\r\nb", "%26admin=true", "+", "[]", "ä"] {
        server.call("find", &json!({ "q": value }));
        let target = api.last().target;
        let parsed = url::Url::parse(&format!("http://h{target}")).unwrap();
        let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("q", value), pair("fixed", "no")], "{target}");
        assert_eq!(target.matches(['&', '=', '#', ';']).count(), 3, "{target}");
    }
    server.call("list", &json!({"q": ["a&b", "c=d"]}));
    assert_eq!(api.last().target, "/v1/l?q=a%26b&q=c%3Dd");
    let sent = api.requests().len();
    // A list where one value is declared, and a value that the file has fixed.
    for arguments in [json!({"q": ["a", "b"]}), json!({"q": {"a": "b"}}), json!({"q": "a", "fixed": "yes"})] {
        assert!(server.call("find", &arguments).is_error(), "{arguments}");
    }
    // Who reads the first of two names and who reads the last would see two requests.
    for arguments in [r#"{"q":"a","q":"b"}"#, r#"{"q":"a","\u0071":"b"}"#, r#"{"q":{"x":1,"x":2}}"#] {
        let said = post(&server, "/mcp", &lines(&server, "tools/call", "find"), &body("find", arguments));
        assert!(status(&said) == 400 && said.contains("a name stands twice"), "{said}");
    }
    let twice = body("find", r#"{"q":"a"}"#).replace("\"name\":\"find\"", "\"name\":\"head\",\"name\":\"find\"");
    assert_eq!(status(&post(&server, "/mcp", &lines(&server, "tools/call", "find"), &twice)), 400);
    assert_eq!(api.requests().len(), sent, "{:?}", api.lines());
    let once = post(&server, "/mcp", &lines(&server, "tools/call", "find"), &body("find", r#"{"q":"a"}"#));
    assert_eq!((status(&once), api.requests().len()), (200, sent + 1), "{once}");
    // Of a query in the endpoint, nobody could say which of two counts.
    for endpoint in ["GET /f?q=1", "GET /f?", "GET /f#q"] {
        let tool = format!("{{ description: T., endpoint: '{endpoint}', parameters: {{ q: {{ type: string }} }} }}");
        refused(&[(
            "a.yaml",
            &format!("bridge: a\nupstream: {{ url: https://a.example, credentials: none }}\ntools:\n  t: {tool}\n"),
        )]);
    }
}

#[test]
fn case_09_no_value_changes_the_shape_of_a_body() {
    let (api, server) = serve();
    server.call("send", &json!({ "a": NASTY }));
    assert_eq!(api.last().json(), json!({ "a": NASTY }));
    server.call("data", &json!({ "a": NASTY }));
    assert_eq!(api.last().json(), json!({"say": format!("x{NASTY}"), "admin": false}));
    server.call("form", &json!({ "a": NASTY }));
    let sent = String::from_utf8(api.last().body).unwrap();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
    assert_eq!(pairs, [("a".to_owned(), NASTY.to_owned()), ("admin".to_owned(), "no".to_owned())], "{sent}");
    let before = api.requests().len();
    for arguments in
        [json!({"a": 1}), json!({"a": {"admin": true}}), json!({"a": "x", "admin": true}), Value::Null, json!([])]
    {
        let result = server.rpc("/mcp", None, "tools/call", &json!({"name": "send", "arguments": arguments})).json();
        assert!(result["result"]["isError"] == true || result.get("error").is_some(), "{arguments}: {result}");
    }
    assert_eq!(api.requests().len(), before);
    let text = |text: &str, media_type: &str| {
        format!(
            "bridge: a\nupstream: {{ url: https://a.example, credentials: none }}\ntools:\n  t:\n    description: T.\n    \
             endpoint: POST /t\n    parameters: {{ a: {{ type: string }} }}\n    body: {{ text: '{text}', content_type: {media_type} }}\n"
        )
    };
    for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        for spliced in
            [r#"{"a": "{{ args.a }}"}"#, "{{ args.a }}, {{ args.a }}", "[{% if true %}1{% endif %}, \"{{ args.a }}\"]"]
        {
            let said = refused(&[("a.yaml", &text(spliced, media_type))]);
            assert!(said.contains("TB0121") && said.contains("`json:`"), "{said}");
        }
    }
}
