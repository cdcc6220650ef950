//! Parameters become the parts of a request.

use serde_json::{Value, json};

use crate::support::{Api, Fixture, Recorded, Server};

fn serve(upstream: &str, tools: &str) -> (Api, Server) {
    let api = Api::start();
    let yaml = format!("bridge: test\nupstream:\n  url: {}/base/\n{upstream}\ntools:\n{tools}", api.url());
    (api, Fixture::new().bridge(&yaml).serve())
}

fn sent(upstream: &str, tools: &str, arguments: &Value) -> Recorded {
    let (api, server) = serve(upstream, tools);
    let result = server.call("t", arguments);
    assert!(!result.is_error(), "{}", result.text());
    api.last()
}

const OPEN: &str = "  credentials: none";

#[test]
fn every_place_of_a_request_can_be_filled() {
    let tool = r"
  t:
    description: All places.
    endpoint: POST /a/{id}/b.{kind}
    parameters:
      id:      { type: string }
      kind:    { value: json }
      q:       { in: query, type: string }
      many:    { in: query, type: array, items: { type: integer } }
      X-Trace: { in: header, type: string }
      theme:   { in: cookie, type: string }
      lang:    { in: cookie, value: de }
      deep:    { as: deepest, type: object, properties: { a: { type: array } } }
      flag:    { type: boolean }
";
    let arguments = json!({"id": "x/y z", "q": "a=1&admin=true", "many": [1, 2], "X-Trace": "t 1",
        "theme": "dark; path=/", "deep": {"a": [null, "\"}"]}, "flag": true});
    let request = sent(OPEN, tool, &arguments);
    assert_eq!(request.line(), "POST /base/a/x%2Fy%20z/b.json?q=a%3D1%26admin%3Dtrue&many=1&many=2");
    assert_eq!(request.header("x-trace"), Some("t 1"));
    assert_eq!(request.header("cookie"), Some("theme=dark%3B%20path%3D%2F; lang=de"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.json(), json!({"deepest": {"a": [null, "\"}"]}, "flag": true}));
}

#[test]
fn absent_optional_arguments_are_left_out_and_defaults_are_sent() {
    let tool = r"
  t:
    description: Optional.
    endpoint: GET /a
    parameters:
      a: { type: string, required: false }
      b: { type: integer, default: 7 }
      c: { type: [string, 'null'], required: false }
";
    assert_eq!(sent(OPEN, tool, &json!({})).target, "/base/a?b=7");
    assert_eq!(sent(OPEN, tool, &json!({"a": "", "b": 8, "c": null})).target, "/base/a?a=&b=8");
}

#[test]
fn a_data_template_keeps_types_and_nothing_is_spliced_as_text() {
    let tool = r#"
  t:
    description: A body of its own shape.
    endpoint: POST /a
    parameters:
      from: { type: string }
      days: { type: integer }
      note: { type: string, required: false }
    body:
      json: { request: { from: "{{ args.from }}", days: "{{ args.days }}", note: "{{ args.note }}", text: "{{ args.days }} days" }, list: ["{{ args.note }}", 1] }
"#;
    let request = sent(OPEN, tool, &json!({"from": "x\", \"admin\": true, \"y\": \"{{ 7 * 7 }}", "days": 3}));
    let expected = json!({"request": {"from": "x\", \"admin\": true, \"y\": \"{{ 7 * 7 }}", "days": 3, "text": "3 days"}, "list": [1]});
    assert_eq!(request.json(), expected);
}

#[test]
fn forms_and_text_bodies_are_sent_as_such() {
    let form = r#"
  t:
    description: A form.
    endpoint: POST /a
    parameters: { x: { type: string }, many: { type: array, items: { type: string } } }
    body: { form: { x: "{{ args.x }}", many: "{{ args.many }}", fixed: 1 } }
"#;
    let request = sent(OPEN, form, &json!({"x": "a&b=c", "many": ["1", "2"]}));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.body, b"x=a%26b%3Dc&many=1&many=2&fixed=1");
    let text = "\n  t:\n    description: Text.\n    endpoint: PUT /a\n    parameters: { x: { type: string } }\n    body: { text: 'say {{ args.x }}' }\n";
    let request = sent(OPEN, text, &json!({"x": "hé"}));
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(request.body, "say hé".as_bytes());
}

#[test]
fn what_is_absent_makes_no_body_and_no_part_of_one() {
    let x = "parameters: { x: { type: [string, 'null', object], required: false } }";
    let tool = |body: &str| format!("  t:\n    description: T.\n    endpoint: POST /a\n    {x}\n    body: {body}\n");
    for body in [r#"{ text: "{{ args.x }}" }"#, r#"{ base64: "{{ args.x }}" }"#] {
        let request = sent(OPEN, &tool(body), &json!({}));
        assert_eq!((request.body.len(), request.header("content-type")), (0, None), "{body}");
    }
    let parts = r#"{ multipart: { a: "{{ args.x }}", b: { base64: "{{ args.x }}" }, c: { json: "{{ args.x }}" },
        d: { text: D, filename: "{{ args.x }}" } } }"#;
    let request = sent(OPEN, &tool(parts), &json!({}));
    let text = String::from_utf8(request.body).unwrap();
    assert_eq!(text.matches("form-data; name=").count(), 1, "{text}");
    assert!(text.contains("name=\"d\"\r\n\r\nD\r\n"), "{text}");
    // What does not fit is the caller's to mend, and nothing is sent.
    for (body, what) in [
        (r#"{ text: "{{ args.x }}" }"#, "the body would be an object"),
        (r#"{ base64: "{{ args.x }}" }"#, "the body would be something else than base64"),
        (r#"{ form: { f: "{{ args.x }}" } }"#, "form field `f` would be an object"),
        (r#"{ multipart: { f: { base64: "{{ args.x }}" } } }"#, "form field `f` would be something else than base64"),
    ] {
        let (api, server) = serve(OPEN, &tool(body));
        let result = server.call("t", &json!({"x": {"a": 1}}));
        assert!(result.is_error() && result.text().contains(what), "{}", result.text());
        assert!(api.requests().is_empty());
    }
}

#[test]
fn null_sends_no_header_and_no_cookie_and_a_joined_list_is_one_member() {
    let tool = r"
  t:
    description: T.
    endpoint: POST /a
    parameters:
      X-H:  { in: header, type: [string, 'null'] }
      c:    { in: cookie, type: [string, 'null'] }
      ids:  { type: array, items: { type: integer }, join: ';' }
";
    let request = sent(OPEN, tool, &json!({"X-H": null, "c": null, "ids": [1, 2]}));
    assert_eq!((request.header("x-h"), request.header("cookie")), (None, None));
    assert_eq!(request.json(), json!({"ids": "1;2"}));
}

#[test]
fn values_can_be_computed() {
    let tool = "\n  t:\n    description: Computed.\n    endpoint: GET /a\n    parameters:\n      x: { type: string }\n      y: { value: '{{ args.x|upper }}' }\n      id: { in: header, as: Idempotency-Key, value: '{{ uuid() }}' }\n";
    let request = sent(OPEN, tool, &json!({"x": "ab"}));
    assert_eq!(request.target, "/base/a?x=ab&y=AB");
    assert_eq!(request.header("idempotency-key").map(str::len), Some(36));
}

#[test]
fn wrong_arguments_are_refused_with_their_names_and_nothing_is_sent() {
    let tool = r"
  t:
    description: Strict.
    endpoint: GET /a/{id}
    parameters:
      id: { type: string, maxLength: 9 }
      when: { type: string, format: date, required: false }
      X-Id: { in: header, type: string, required: false }
";
    let (api, server) = serve(OPEN, tool);
    for (arguments, words) in [
        (json!({}), "missing argument `id`"),
        (json!({"id": 1}), "argument `id`: 1 is not of type \"string\""),
        (json!({"id": "0123456789"}), "argument `id`: \"0123456789\" is longer than 9 characters"),
        (json!({"id": "a", "when": "tomorrow"}), "argument `when`: \"tomorrow\" is not a \"date\""),
        (json!({"id": "a", "wehn": "x"}), "unexpected argument `wehn`; this tool takes `id`, `when`, `X-Id`"),
        (json!({"id": ".."}), "argument `id` can't be used: it is a path segment can't be empty, `.` or `..`"),
        (
            json!({"id": "a", "X-Id": "a\r\nHost: evil"}),
            "argument `X-Id` can't be used: it is a text with characters that a header can't hold",
        ),
        (
            json!({"id": "a", "X-Id": "ü"}),
            "argument `X-Id` can't be used: it is a text with characters that a header can't hold",
        ),
    ] {
        assert_eq!(server.call("t", &arguments).error(), words, "{arguments}");
    }
    assert!(api.requests().is_empty());
}

#[test]
fn every_credential_signs_in_its_own_way() {
    let tool = "\n  t:\n    description: Signed in.\n    endpoint: GET /a\n";
    let send = |credentials: &str| {
        let api = Api::start();
        let yaml = format!(
            "bridge: test\nupstream:\n  url: {}\n  headers: {{ X-App: 'a ${{APP}}' }}\n  credentials: {credentials}\ntools:{tool}",
            api.url()
        );
        let fixture = Fixture::new().bridge(&yaml).env("KEY", "k3y/+ \"").env("APP", "tollbridge");
        fixture.serve().call("t", &json!({}));
        api.last()
    };
    assert_eq!(send("none").header("authorization"), None);
    assert_eq!(send("none").header("x-app"), Some("a tollbridge"));
    assert_eq!(send("{ bearer: '${KEY}' }").header("authorization"), Some("Bearer k3y/+ \""));
    assert_eq!(
        send("{ basic: { username: u, password: '${KEY}' } }").header("authorization"),
        Some("Basic dTprM3kvKyAi")
    );
    assert_eq!(send("{ api_key: { header: X-Key, value: '${KEY}' } }").header("x-key"), Some("k3y/+ \""));
    assert_eq!(send("{ api_key: { query: key, value: '${KEY}' } }").target, "/a?key=k3y%2F%2B%20%22");
}

#[test]
fn a_secret_in_a_value_or_a_body_is_sent_and_never_read_as_a_template() {
    let api = Api::start();
    let yaml = format!(
        "bridge: test\nupstream: {{ url: '{}', credentials: none }}\ntools:\n  t:\n    description: T.\n    endpoint: POST /a\n    parameters: {{ x: {{ type: string }}, q: {{ in: query, value: 'p-${{KEY}}' }} }}\n    body: {{ json: {{ key: '${{KEY}}', both: '{{{{ args.x }}}}/${{KEY}}' }} }}\n",
        api.url()
    );
    let server = Fixture::new().bridge(&yaml).env("KEY", "{{ 1 + 1 }}${HOME}").serve();
    server.call("t", &json!({"x": "${KEY}"}));
    assert_eq!(api.last().target, "/a?q=p-%7B%7B%201%20%2B%201%20%7D%7D%24%7BHOME%7D");
    assert_eq!(api.last().json(), json!({"key": "{{ 1 + 1 }}${HOME}", "both": "${KEY}/{{ 1 + 1 }}${HOME}"}));
}

#[test]
fn annotations_follow_the_method() {
    let tools = r"
  read: { description: R., endpoint: GET /a }
  make: { description: M., endpoint: POST /a }
  put: { description: P., endpoint: PUT /a }
  drop: { description: D., endpoint: DELETE /a, annotations: { destructive: false } }
  said: { description: S., response: { text: hi } }
";
    let (_, server) = serve(OPEN, tools);
    let tools = server.tools(None);
    let hints = |name: &str| {
        let hints = &tools[name]["annotations"];
        ["readOnlyHint", "idempotentHint", "destructiveHint", "openWorldHint"].map(|hint| hints[hint] == true)
    };
    assert_eq!(hints("read"), [true, true, false, true]);
    assert_eq!(hints("make"), [false, false, false, true]);
    assert_eq!(hints("put"), [false, true, true, true]);
    assert_eq!(hints("drop"), [false, true, false, true]);
    assert_eq!(hints("said"), [true, true, false, false]);
    assert_eq!(server.call("said", &json!({})).text(), "hi");
}

#[test]
fn a_value_beside_text_is_never_empty_and_never_makes_dots() {
    let api = Api::start();
    let yaml = "bridge: a\nupstream: { url: \"${API}\", credentials: none }\ntools:\n  \
                t: { description: T., endpoint: \"GET /a/.{x}/c\", parameters: { x: { type: string } } }\n  \
                u: { description: U., endpoint: \"GET /a/b.{x}/c\", parameters: { x: { type: string } } }\n";
    let server = Fixture::new().bridge(yaml).env("API", &api.url()).serve();
    for (tool, value) in [("t", "."), ("t", ""), ("u", "")] {
        let refused = server.call(tool, &json!({ "x": value }));
        assert!(refused.error().starts_with("argument `x` can't be used"), "{tool} {value:?}: {}", refused.text());
    }
    assert_eq!(api.lines(), [""; 0]);
    server.call("u", &json!({"x": ".."}));
    assert_eq!(api.lines(), ["GET /a/b.../c"]);
}

#[test]
fn a_body_of_which_nothing_is_given_is_none() {
    let api = Api::start();
    let yaml = "bridge: a\nupstream: { url: \"${API}\", credentials: none }\ntools:\n  \
                t: { description: T., endpoint: POST /t, parameters: { note: { type: string, required: false } } }\n";
    let server = Fixture::new().bridge(yaml).env("API", &api.url()).serve();
    assert!(!server.call("t", &json!({})).is_error());
    let sent = api.last();
    assert_eq!((sent.body.len(), sent.header("content-type")), (0, None));
}
