//! What a bridge file can say beyond the everyday: each key through the public face, YAML in and HTTP out.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Recorded, Server};

/// A bridge over a recording API; `upstream` is more of `upstream:`, and `rest` begins with `tools:`.
fn serve(upstream: &str, rest: &str) -> (Api, Server) {
    let api = Api::start();
    let yaml = format!("bridge: test\nupstream:\n  url: {}/base\n  credentials: none\n{upstream}\n{rest}", api.url());
    (api, Fixture::new().bridge(&yaml).serve())
}

fn tools(tools: &str) -> (Api, Server) {
    serve("", &format!("tools:\n{tools}"))
}

fn sent(tool: &str, arguments: &Value) -> Recorded {
    let (api, server) = tools(tool);
    let result = server.call("t", arguments);
    assert!(!result.is_error(), "{}", result.text());
    api.last()
}

// === parameters ===

#[test]
fn style_and_explode_are_those_of_openapi() {
    let tool = r"
  t:
    description: Styles.
    endpoint: GET /a/{ids}/{at}/x
    parameters:
      ids:    { type: array, items: { type: integer }, style: simple }
      at:     { type: object, style: matrix, explode: true }
      form:   { type: array, items: { type: string }, style: form, explode: false }
      spaces: { type: array, items: { type: string }, style: spaceDelimited }
      pipes:  { type: array, items: { type: string }, style: pipeDelimited }
      filter: { type: object, style: deepObject }
      X-Ids:  { in: header, type: array, items: { type: integer }, style: simple }
      joined: { type: array, items: { type: string }, join: ';' }
";
    let arguments = json!({"ids": [1, 2], "at": {"x": "1/2", "y": 3}, "form": ["a,b", "c&d"], "spaces": ["a", "b"],
        "pipes": ["a", "b"], "filter": {"from": "1&x=2", "to]": "3"}, "X-Ids": [3, 4], "joined": ["p", "q"]});
    let request = sent(tool, &arguments);
    assert_eq!(
        request.line(),
        "GET /base/a/1,2/;x=1%2F2;y=3/x?form=a%2Cb,c%26d&spaces=a%20b&pipes=a%7Cb\
         &filter%5Bfrom%5D=1%26x%3D2&filter%5Bto%5D%5D=3&joined=p%3Bq"
    );
    assert_eq!(request.header("x-ids"), Some("3,4"));
}

#[test]
fn reserved_lets_slashes_through_and_nothing_else() {
    let tool = r"
  t:
    description: Files.
    endpoint: GET /files/{path}
    parameters: { path: { type: string, reserved: true } }
";
    assert_eq!(sent(tool, &json!({"path": "a/b c/d?e#f.txt"})).target, "/base/files/a/b%20c/d%3Fe%23f.txt");
    let (api, server) = tools(tool);
    for path in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "a/."] {
        let error = server.call("t", &json!({ "path": path })).error().to_owned();
        assert_eq!(error, "argument `path` can't be used: it is a path segment can't be empty, `.` or `..`", "{path}");
    }
    assert!(api.requests().is_empty());
}

#[test]
fn a_claim_that_is_a_list_says_how_it_fits() {
    let provider = Provider::shared();
    let api = Api::start();
    let yaml = format!(
        r#"
bridge: test
upstream: {{ url: '{}', credentials: none }}
claims: {{ groups: groups }}
tools:
  joined:
    description: Joined.
    endpoint: GET /joined
    parameters: {{ X-Groups: {{ in: header, claim: groups, join: "," }} }}
  repeated:
    description: Repeated.
    endpoint: GET /repeated
    parameters: {{ group: {{ claim: groups }} }}
  body:
    description: In the body.
    endpoint: POST /body
    parameters: {{ groups: {{ claim: groups }} }}
  single:
    description: A header holds one value.
    endpoint: GET /single
    parameters: {{ X-Groups: {{ in: header, claim: groups }} }}
"#,
        api.url()
    );
    let server = Fixture::with_okta(provider).bridge(&yaml).serve();
    let call = |groups: Value, tool: &str| {
        let token = provider.token(&json!({"user": "alice", "claims": {"groups": groups}}));
        server.call_as(Some(&token), tool, &json!({}))
    };
    assert!(!call(json!(["A", "B c"]), "joined").is_error());
    assert_eq!(api.last().header("x-groups"), Some("A,B c"));
    call(json!(["A", "B c"]), "repeated");
    assert_eq!(api.last().target, "/repeated?group=A&group=B%20c");
    call(json!(["A", "B"]), "body");
    assert_eq!(api.last().json(), json!({"groups": ["A", "B"]}));
    let before = api.requests().len();
    let refused = "claim `groups` can't be used here: it is";
    assert!(call(json!(["A,Admins"]), "joined").error().starts_with(refused));
    assert_eq!(call(json!(["A", "B"]), "single").error(), format!("{refused} a list"));
    assert_eq!(api.requests().len(), before);
}

// === body ===

#[test]
fn multipart_bodies_carry_files_and_no_value_can_break_out() {
    let tool = r#"
  t:
    description: Upload.
    endpoint: POST /files
    parameters: { content: { type: string }, name: { type: string }, tags: { type: array, items: { type: string } }, note: { type: string, required: false } }
    body:
      multipart:
        file: { base64: "{{ args.content }}", filename: "{{ args.name }}", content_type: image/png }
        meta: { json: { name: "{{ args.name }}" } }
        tag: "{{ args.tags }}"
        note: "{{ args.note }}"
        fixed: 7
"#;
    let request = sent(tool, &json!({"content": "iVBORw==", "name": "a\"\r\nX: y.png", "tags": ["1", "2"]}));
    let kind = request.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, body: &[u8]| {
        [format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), body, b"\r\n"].concat()
    };
    let expected = [
        part("name=\"file\"; filename=\"a%22%0D%0AX: y.png\"\r\nContent-Type: image/png", b"\x89PNG"),
        part("name=\"meta\"\r\nContent-Type: application/json", br#"{"name":"a\"\r\nX: y.png"}"#),
        part("name=\"tag\"", b"1"),
        part("name=\"tag\"", b"2"),
        part("name=\"fixed\"", b"7"),
        format!("--{boundary}--\r\n").into_bytes(),
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(&request.body), String::from_utf8_lossy(&expected));
}

#[test]
fn base64_bodies_are_sent_as_bytes_and_media_types_can_be_chosen() {
    let tool = r#"
  t:
    description: Upload.
    endpoint: PUT /image
    parameters: { content: { type: string } }
    body: { base64: "{{ args.content }}", content_type: image/png }
  patch:
    description: Patch.
    endpoint: PATCH /x
    parameters: { a: { type: integer } }
    body: { json: [{ op: replace, value: "{{ args.a }}" }], content_type: application/json-patch+json }
  xml:
    description: XML.
    endpoint: POST /x
    body: { text: <a/>, content_type: application/xml }
"#;
    let (api, server) = tools(tool);
    server.call("t", &json!({"content": "iVBO\nRw=="}));
    let request = api.last();
    assert_eq!((request.header("content-type"), request.body.as_slice()), (Some("image/png"), b"\x89PNG".as_slice()));
    let before = api.requests().len();
    assert_eq!(server.call("t", &json!({"content": "?"})).error(), "the body would be something else than base64");
    assert_eq!(api.requests().len(), before);
    server.call("patch", &json!({"a": 1}));
    assert_eq!(api.last().header("content-type"), Some("application/json-patch+json"));
    assert_eq!(api.last().json(), json!([{"op": "replace", "value": 1}]));
    server.call("xml", &json!({}));
    assert_eq!((api.last().header("content-type"), api.last().body), (Some("application/xml"), b"<a/>".to_vec()));
}

// === response ===

const ANSWER: &str = "/base/a";

fn answered(response: &str, body: &Value) -> crate::support::ToolResult {
    let tool = format!(
        "  t:\n    description: T.\n    endpoint: GET /a\n    parameters: {{ from: {{ type: string, required: false }} }}\n    response:\n{response}"
    );
    let (api, server) = tools(&tool);
    api.answer(ANSWER, Answer::json(200, body));
    server.call("t", &json!({}))
}

#[test]
fn select_takes_out_what_matters_and_schema_makes_it_structured() {
    let response = r#"
      select: "data.{id: id, state: status.code}"
      schema: { type: object, required: [id], properties: { id: { type: string }, state: { type: [string, "null"] } } }
      text: "Request {{ result.id }} is {{ result.state|default('unknown') }} ({{ body.data.extra }})."
"#;
    let body = json!({"data": {"id": "r1", "status": {"code": "open"}, "extra": 9}});
    let result = answered(response, &body);
    assert_eq!(result.text(), "Request r1 is open (9).");
    assert_eq!(result.0["structuredContent"], json!({"id": "r1", "state": "open"}));
    let result = answered(response, &json!({"data": {"id": 7}}));
    assert_eq!(result.error(), "The API's answer is not what this tool promises: /id: 7 is not of type \"string\"");
    assert!(result.0.get("structuredContent").is_none(), "{}", result.0);
    // Without `text`, the result is JSON.
    assert_eq!(answered("      select: \"data.id\"", &body).text(), "\"r1\"");
    assert_eq!(
        answered("      select: \"length(data)\"", &json!({"data": 1})).error().split(':').next(),
        Some("The API's answer is not what `select` is for")
    );
}

#[test]
fn the_output_schema_is_in_the_list() {
    let (_, server) = tools(
        "  t: { description: T., endpoint: GET /a, response: { schema: { type: object, properties: { id: { type: string } } } } }",
    );
    assert_eq!(
        server.tools(None)["t"]["outputSchema"],
        json!({"type": "object", "properties": {"id": {"type": "string"}}})
    );
}

#[test]
fn an_answer_that_is_not_json_is_an_error_where_json_is_needed() {
    for response in ["select: id", "schema: { type: object }", "redact: [ssn]", "content: json"] {
        let tool = format!("  t: {{ description: T., endpoint: GET /a, response: {{ {response} }} }}");
        let (api, server) = tools(&tool);
        api.answer(ANSWER, Answer::text(200, "ssn 123"));
        assert_eq!(server.call("t", &json!({})).error(), "The API's answer is not JSON", "{response}");
    }
    let (api, server) = tools("  t: { description: T., endpoint: GET /a, response: { schema: { type: object } } }");
    api.answer(ANSWER, Answer::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
    assert!(server.call("t", &json!({})).error().contains("not what this tool promises"));
}

#[test]
fn redacted_members_are_seen_by_nobody() {
    let body = json!({"name": "n", "ssn": "s3cret", "jobs": [{"salary": 1, "title": "t"}], "message": "m s3cret"});
    let text = answered("      redact: [ssn, '*.salary']", &body).text().to_owned();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({"name": "n", "ssn": "[redacted]", "jobs": [{"salary": "[redacted]", "title": "t"}], "message": "m s3cret"})
    );
    let response = "      redact: [ssn, message]\n      text: '{{ body.ssn }} {{ result.message }}'\n      errors: { 409: '{{ body.ssn }}' }";
    assert_eq!(answered(response, &body).text(), "[redacted] [redacted]");
    let tool = format!("  t:\n    description: T.\n    endpoint: GET /a\n    response:\n{response}");
    let (api, server) = tools(&tool);
    for status in [409, 500] {
        api.answer(ANSWER, Answer::json(status, &body));
        let error = server.call("t", &json!({})).error().to_owned();
        assert!(error.contains("[redacted]") && !error.contains("s3cret"), "{error}");
    }
    api.answer(ANSWER, Answer::text(409, "s3cret"));
    assert_eq!(server.call("t", &json!({})).error(), "API error: 409");
}

#[test]
fn a_long_answer_is_cut_between_items_and_says_so() {
    let items: Vec<Value> = (0..120).map(|n| json!({"id": n, "name": "somebody"})).collect();
    let result = answered("      max_bytes: 1KiB", &json!({"total": 120, "items": items}));
    let shown = result.json();
    let count = shown["items"].as_array().unwrap().len();
    assert!((20..60).contains(&count) && shown["total"] == 120, "{shown}");
    assert_eq!(
        result.0["content"][1]["text"],
        json!(format!("showing {count} of 120 items of `items`; narrow by `from`"))
    );
    // What fits is not even parsed.
    assert_eq!(answered("      max_bytes: 1MiB", &json!({"a": 1})).text(), "{\"a\":1}");
    // Text is cut as text.
    let response = "      max_bytes: 20B\n      text: \"{% for item in body %}{{ item.name }} {% endfor %}\"";
    let result = answered(response, &json!(items));
    assert_eq!(result.text(), "somebody somebody so");
    assert_eq!(result.0["content"][1]["text"], "showing the first 20 bytes of 1080 bytes; narrow by `from`");
}

#[test]
fn content_can_be_of_every_kind() {
    let body = json!({"png": "iVBORw==", "wav": "data:audio/wav;base64,UklGRg==", "id": 7, "note": null});
    let response = r#"
      content:
        - { text: "Number {{ body.id }}" }
        - { image: "{{ body.png }}", mime_type: image/png }
        - { audio: "{{ body.wav }}", mime_type: audio/wav }
        - { resource: { uri: "hr://x/{{ body.id }}", text: "{{ body.id }}", mime_type: text/plain } }
        - { resource: { uri: "hr://b", blob: "{{ body.png }}" } }
        - { link: "hr://employees/{{ body.id }}", description: More }
        - { text: "{{ body.missing }}" }
"#;
    assert_eq!(
        answered(response, &body).0["content"],
        json!([
            {"type": "text", "text": "Number 7"},
            {"type": "image", "data": "iVBORw==", "mimeType": "image/png"},
            {"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "hr://x/7", "mimeType": "text/plain", "text": "7"}},
            {"type": "resource", "resource": {"uri": "hr://b", "blob": "iVBORw=="}},
            {"type": "resource_link", "uri": "hr://employees/7", "name": "7", "description": "More"},
        ])
    );
    let wrong = answered("      content: [{ image: '{{ body.id }}', mime_type: image/png }]", &body);
    assert_eq!(wrong.error(), "The API's answer has something else where base64 was expected");
    assert_eq!(answered("      content: image", &body).error(), "The API's answer is not an image");
    assert_eq!(answered("      content: text", &json!("t")).text(), "\"t\"");
    assert_eq!(answered("      content: blob", &json!(1)).0["content"][0]["resource"]["blob"], "MQ==");
}

#[test]
fn a_tool_without_an_endpoint_answers_from_the_file() {
    let (api, server) = tools(
        "  t:\n    description: T.\n    parameters: { n: { type: integer } }\n    response: { content: [{ text: 'n is {{ args.n }}' }, { link: 'docs://n', name: N }] }\n",
    );
    let result = server.call("t", &json!({"n": 3}));
    assert_eq!((result.text(), result.0["content"][1]["type"].as_str()), ("n is 3", Some("resource_link")));
    assert!(api.requests().is_empty());
}

#[test]
fn errors_have_words_by_status_or_kind_and_show_only_what_may_be_shown() {
    let tool = r#"
  t:
    description: T.
    endpoint: GET /a
    response: { errors: { 404: Nobody., 4xx: "Refused ({{ status }})", detail: [error.text, code] } }
"#;
    let (api, server) = tools(tool);
    let told = |status: u16, body: Value| {
        api.answer(ANSWER, Answer::json(status, &body));
        server.call("t", &json!({})).error().to_owned()
    };
    assert_eq!(told(404, json!({})), "Nobody.");
    assert_eq!(told(422, json!({})), "Refused (422)");
    let body = json!({"message": "internal host 10.0.0.1", "error": {"text": "boom"}, "code": "E7"});
    assert_eq!(told(500, body), "API error: 500: boom (code: E7)");
    assert_eq!(told(500, json!({"message": "hidden"})), "API error: 500");
}

// === paginate ===

#[test]
fn pages_become_one_answer() {
    let by_url =
        "  t: { description: T., endpoint: GET /a, paginate: { next: links.next, items: data, max_pages: 3 } }";
    let (api, server) = tools(by_url);
    let page =
        |items: Value, next: Value| Answer::json(200, &json!({"data": items, "links": {"next": next}, "total": 9}));
    let url = api.url();
    api.answer("/base/a?p=2", page(json!([3]), json!(format!("{url}/base/a?p=3"))));
    api.answer("/base/a?p=3", page(json!([4, 5]), json!(null)));
    api.answers("/base/a", vec![page(json!([1, 2]), json!("/base/a?p=2"))]);
    // The rule given last wins, so the more special ones come after it.
    api.answer("/base/a?p=2", page(json!([3]), json!(format!("{url}/base/a?p=3"))));
    api.answer("/base/a?p=3", page(json!([4, 5]), json!(null)));
    let result = server.call("t", &json!({}));
    assert_eq!(result.json()["data"], json!([1, 2, 3, 4, 5]));
    assert_eq!(api.lines(), ["GET /base/a", "GET /base/a?p=2", "GET /base/a?p=3"]);
    api.answer("/base/a?p=3", page(json!([4, 5]), json!("?p=4")));
    let result = server.call("t", &json!({}));
    assert_eq!(result.0["content"][1]["text"], "showing the first 3 pages; there are more");
    // An API that leads in a circle, or elsewhere.
    api.answer("/base/a?p=2", page(json!([3]), json!("?p=2")));
    assert_eq!(server.call("t", &json!({})).json()["data"], json!([1, 2, 3]));
    let before = api.requests().len();
    for next in [
        "http://127.0.0.1:1/base/a",
        "//evil.example/base/a",
        "/other",
        "/base/../other",
        "http://u:p@127.0.0.1/base/a",
    ] {
        api.answer("/base/a", page(json!([1]), json!(next)));
        let error = server.call("t", &json!({})).error().to_owned();
        assert_eq!(error, "The API's answer leads to a next page outside of the API", "{next}");
    }
    assert_eq!(api.requests().len(), before + 5);
}

#[test]
fn a_cursor_or_a_link_header_leads_on_too() {
    let tools_ = r#"
  cursor:
    description: T.
    endpoint: GET /c
    parameters: { q: { type: string } }
    paginate: { next: "meta.next", as: cursor, items: rows }
    response: { select: "rows[].id" }
  link: { description: T., endpoint: GET /l, paginate: { next: link_header } }
"#;
    let (api, server) = tools(tools_);
    api.answers(
        "/base/c",
        vec![
            Answer::json(200, &json!({"rows": [{"id": 1}], "meta": {"next": "a&b"}})),
            Answer::json(200, &json!({"rows": [{"id": 2}], "meta": {"next": 77}})),
            Answer::json(200, &json!({"rows": [{"id": 3}], "meta": {"next": ""}})),
        ],
    );
    assert_eq!(server.call("cursor", &json!({"q": "x"})).json(), json!([1, 2, 3]));
    assert_eq!(api.lines(), ["GET /base/c?q=x", "GET /base/c?q=x&cursor=a%26b", "GET /base/c?q=x&cursor=77"]);
    let linked = |items: &str, link: &str| {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{link}content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{items}",
            items.len()
        );
        Answer::Raw(head.into_bytes())
    };
    api.answers("/base/l", vec![linked("[1]", "link: </base/l?p=2>; rel=\"next\"\r\n"), linked("[2]", "")]);
    assert_eq!(server.call("link", &json!({})).json(), json!([1, 2]));
}

// === what holds calls back ===

#[test]
fn a_rate_limit_counts_by_tool_or_by_caller() {
    let provider = Provider::shared();
    let api = Api::start();
    let yaml = format!(
        "bridge: test\nupstream: {{ url: '{}', credentials: none }}\nclaims: {{ sub: sub }}\ntools:\n  mine: {{ description: T., endpoint: GET /a, parameters: {{ s: {{ claim: sub }} }}, rate_limit: {{ calls: 2, per: hour }} }}\n  ours: {{ description: T., endpoint: GET /a, rate_limit: {{ calls: 1, per: minute, by: tool }} }}\n",
        api.url()
    );
    let server = Fixture::with_okta(provider).bridge(&yaml).serve();
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    let call = |token: &str, tool: &str| server.call_as(Some(token), tool, &json!({}));
    assert!(!call(&alice, "mine").is_error() && !call(&alice, "mine").is_error());
    let error = call(&alice, "mine").error().to_owned();
    assert!(error.starts_with("Rate limit: mine was called too often; try again in 1800 s"), "{error}");
    assert!(!call(&bob, "mine").is_error());
    // A new token does not make a new caller.
    assert!(call(&provider.user("alice"), "mine").is_error());
    assert!(!call(&alice, "ours").is_error());
    assert!(call(&bob, "ours").error().contains("try again in 60 s"));
    assert_eq!(api.requests().len(), 4);
}

#[test]
fn kept_answers_are_given_to_the_same_caller_for_the_same_request_only() {
    let provider = Provider::shared();
    let api = Api::start();
    let yaml = format!(
        "bridge: test\nupstream: {{ url: '{}', credentials: caller_token }}\ntools:\n  t: {{ description: T., endpoint: GET /a, parameters: {{ x: {{ type: string }} }}, cache: 1m }}\n",
        api.url()
    );
    let server = Fixture::with_okta(provider).bridge(&yaml).serve();
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    let call = |token: &str, x: &str| server.call_as(Some(token), "t", &json!({ "x": x })).text().to_owned();
    api.answer("/a", Answer::text(200, "first"));
    assert_eq!(call(&alice, "1"), "first");
    api.answer("/a", Answer::text(200, "second"));
    assert_eq!(call(&alice, "1"), "first");
    assert_eq!(call(&bob, "1"), "second");
    assert_eq!(call(&alice, "2"), "second");
    assert_eq!(call(&provider.user("alice"), "1"), "second", "another token may be allowed less");
    api.answer("/a?x=3", Answer::text(500, "no"));
    call(&alice, "3");
    api.answer("/a?x=3", Answer::text(200, "yes"));
    assert_eq!(call(&alice, "3"), "yes");
    let secret =
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncache-control: private, no-store\r\ncontent-length: 1\r\n\r\n1"
            .to_vec();
    api.answers("/a?x=4", vec![Answer::Raw(secret), Answer::text(200, "2")]);
    assert_eq!([call(&alice, "4"), call(&alice, "4")], ["1", "2"]);
}

#[test]
fn idempotent_requests_are_sent_again_and_others_never() {
    let rest = "tools:\n  get: { description: T., endpoint: GET /a }\n  put: { description: T., endpoint: PUT /a }\n  post: { description: T., endpoint: POST /a }\n";
    let (api, server) = serve("  retry: { attempts: 3 }", rest);
    let busy = || Answer::text(503, "busy");
    api.answers(ANSWER, vec![busy(), Answer::Raw(Vec::new()), Answer::text(200, "at last")]);
    assert_eq!(server.call("get", &json!({})).text(), "at last");
    assert_eq!(api.requests().len(), 3);
    api.answer(ANSWER, busy());
    assert_eq!(server.call("put", &json!({})).error(), "API error: 503");
    assert_eq!(api.requests().len(), 6);
    assert_eq!(server.call("post", &json!({})).error(), "API error: 503");
    assert_eq!(api.requests().len(), 7);
    // An API that wants to be left alone for long is left alone.
    let later = b"HTTP/1.1 429 X\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n".to_vec();
    api.answer(ANSWER, Answer::Raw(later));
    assert_eq!(server.call("get", &json!({})).error(), "API error: 429");
    assert_eq!(api.requests().len(), 8);
}

#[test]
fn an_api_that_does_not_answer_is_left_alone_and_calls_are_told_until_when() {
    let rest = "tools:\n  t: { description: T., endpoint: GET /a }\n";
    let (api, server) = serve("  circuit_breaker: { failures: 2, pause: 1s }", rest);
    api.answers(ANSWER, vec![Answer::Raw(Vec::new()), Answer::Raw(Vec::new()), Answer::text(200, "back")]);
    for _ in 0..2 {
        assert_eq!(server.call("t", &json!({})).error(), "The connection to the API broke");
    }
    let error = server.call("t", &json!({})).error().to_owned();
    assert_eq!(error, "The API has not answered lately; the next try is in 1 s");
    assert_eq!(api.requests().len(), 2);
    // The pause ends by the clock of the server; until then it says no, many times a second.
    assert!((0..100_000).any(|_| !server.call("t", &json!({})).is_error()));
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    let rest = "tools:\n  t: { description: T., endpoint: GET /a, timeout: 1s }\n";
    let (api, server) = serve("  max_concurrency: 1", rest);
    api.answers(ANSWER, vec![Answer::Silence, Answer::text(200, "mine")]);
    let errors: Vec<String> = std::thread::scope(|scope| {
        let call = || server.call("t", &json!({})).text().to_owned();
        let handles = [scope.spawn(call), scope.spawn(call)];
        handles.map(|handle| handle.join().unwrap()).into()
    });
    // One of them waited for the other in vain, or was served once it was over.
    assert!(errors.iter().any(|text| text == "The API did not answer within 1 s"), "{errors:?}");
    assert!(errors.iter().any(|text| text == "mine" || text.contains("busy with other calls")), "{errors:?}");
}

#[test]
fn certificates_that_cannot_be_used_are_said_at_start() {
    let says = |tls: &str, words: &str| {
        let yaml =
            format!("bridge: test\nupstream:\n  url: https://api.example.com\n  credentials: none\n  tls: {tls}\n");
        let mut fixture = Fixture::new().bridge(&yaml);
        fixture.write("bridges/key.pem", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n");
        let output = fixture.command(&["serve", "--stdio", "--no-auth"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(
            said.contains("error[TB0139]") && said.contains("bridges/test.yaml:5:3") && said.contains(words),
            "{said}"
        );
        assert!(!said.contains("nonsense"), "{said}");
    };
    says("{ ca: 'not PEM' }", "`ca` holds no certificate in PEM");
    let pair = "{ cert: '${file:key.pem}', key: '${file:key.pem}' }";
    says(pair, "`cert` and `key` are not a certificate and its private key in PEM");
}

// === who may call ===

#[test]
fn access_asks_for_scopes_groups_and_conditions() {
    let provider = Provider::shared();
    let api = Api::start();
    let yaml = format!(
        r#"
bridge: test
upstream: {{ url: '{}', credentials: none }}
access: {{ scopes: [hr:read] }}
claims: {{ country: country, level: /job/level }}
tools:
  scoped: {{ description: T., endpoint: GET /a, access: {{ scopes: [hr:write, hr:admin, hr:read] }} }}
  grouped: {{ description: T., endpoint: GET /a, access: {{ groups: [HR, Admins] }} }}
  placed:
    description: T.
    endpoint: GET /a
    access: {{ when: "claims.country in ['DE', 'US'] and claims.level > 2" }}
  said: {{ description: T., response: {{ text: hi }} }}
"#,
        api.url()
    );
    let server = Fixture::with_okta(provider).bridge(&yaml).serve();
    let call = |tool: &str, scope: &str, claims: Value| {
        let token = provider.token(&json!({"user": "alice", "scope": scope, "claims": claims}));
        let reply = server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": tool, "arguments": {}})).json();
        reply["error"]["message"].as_str().unwrap_or_default().to_owned()
    };
    let none = || json!({});
    assert_eq!(call("scoped", "hr:read", none()), "Access denied: the token lacks the scope hr:write hr:admin");
    assert_eq!(
        call("scoped", "wfm:read", none()),
        "Access denied: the token lacks the scope hr:read hr:write hr:admin"
    );
    assert_eq!(call("said", "wfm:read", none()), "Access denied: the token lacks the scope hr:read");
    assert_eq!(call("said", "hr:read", none()), "");
    assert!(api.requests().is_empty());
    let refused = "no such tool: grouped";
    assert_eq!(call("grouped", "hr:read", json!({"groups": ["Sales"]})), refused);
    assert_eq!(call("grouped", "hr:read", json!({"groups": "Admin"})), refused);
    assert_eq!(call("grouped", "hr:read", json!({"groups": ["Sales", "Admins"]})), "");
    let refused = "no such tool: placed";
    for claims in [
        json!({"country": "FR", "job": {"level": 3}}),
        json!({"country": "DE"}),
        json!({"country": "DE", "job": {"level": 2}}),
    ] {
        assert_eq!(call("placed", "hr:read", claims), refused);
    }
    assert_eq!(call("placed", "hr:read", json!({"country": "DE", "job": {"level": 3}})), "");
}

#[test]
fn without_authentication_nobody_has_access_to_what_asks_for_it() {
    let (api, server) = tools("  t: { description: T., endpoint: GET /a, access: { when: 'true', scopes: [a] } }");
    assert_eq!(server.call("t", &json!({})).error(), "Access denied: the token lacks the scope a");
    assert!(api.requests().is_empty());
}

#[test]
fn a_token_is_forwarded_only_if_it_names_the_audience_of_the_api() {
    let provider = Provider::shared();
    let api = Api::start();
    let serve = |audience: &str| {
        let yaml = format!(
            "bridge: test\nupstream: {{ url: '{}', credentials: {{ caller_token: {{ audience: '{audience}' }} }} }}\ntools: {{ t: {{ description: T., endpoint: GET /a }} }}\n",
            api.url()
        );
        Fixture::with_okta(provider).bridge(&yaml).serve()
    };
    let token = provider.user("alice");
    let error = serve("api://hr").call_as(Some(&token), "t", &json!({})).error().to_owned();
    assert_eq!(error, "Access denied: the caller's token is not meant for the API of this tool");
    assert!(api.requests().is_empty());
    assert!(!serve("api://enterprise").call_as(Some(&token), "t", &json!({})).is_error());
    assert_eq!(api.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
}

// === resources and prompts ===

#[test]
fn a_resource_can_be_a_public_get() {
    let rest = "resources:\n  docs://policies/{name}: { endpoint: 'GET /policies/{name}', annotations: { audience: [user], priority: 0.5 } }\n  docs://search/{q}: { endpoint: GET /search, mime_type: text/x-list }\n  docs://logo: { endpoint: GET /logo }\n";
    let (api, server) = serve("", rest);
    let read = |uri: &str| server.rpc("/mcp", None, "resources/read", &json!({ "uri": uri })).json();
    api.answer("/base/policies", Answer::json(200, &json!({"a": 1})));
    assert_eq!(
        read("docs://policies/time%20off")["result"]["contents"],
        json!([{"uri": "docs://policies/time%20off", "mimeType": "application/json", "text": "{\"a\":1}"}])
    );
    assert_eq!(api.last().line(), "GET /base/policies/time%20off");
    assert_eq!(api.last().header("authorization"), None);
    api.answer("/base/search", Answer::text(200, "x"));
    assert_eq!(read("docs://search/a%26b")["result"]["contents"][0]["mimeType"], "text/x-list");
    assert_eq!(api.last().line(), "GET /base/search?q=a%26b");
    api.answer("/base/logo", Answer::Full(200, "image/png", b"\x89PNG".to_vec()));
    assert_eq!(read("docs://logo")["result"]["contents"][0]["blob"], "iVBORw==");
    api.answer("/base/logo", Answer::text(404, ""));
    assert_eq!(read("docs://logo")["error"]["message"], "Resource not found");
    api.answer("/base/logo", Answer::text(500, ""));
    assert_eq!(read("docs://logo")["error"]["message"], "API error: 500");
    let before = api.requests().len();
    assert!(read("docs://policies/..")["error"]["message"].as_str().unwrap().contains("`..`"));
    assert_eq!(api.requests().len(), before);
    let listed = server.rpc("/mcp", None, "resources/templates/list", &json!({})).json();
    assert_eq!(listed["result"]["resourceTemplates"][0]["annotations"], json!({"audience": ["user"], "priority": 0.5}));
}

#[test]
fn prompts_are_listed_and_filled_in() {
    let rest = r#"
prompts:
  plan_vacation:
    title: Plan a vacation
    description: Plan a vacation within policy.
    arguments: { month: { description: Month, required: true }, place: {} }
    messages:
      - { role: user, text: "Plan my vacation in {{ month }}." }
      - { role: user, text: "I want to go to {{ place }}." }
      - { role: assistant, resource: { uri: docs://policy, text: Ten days. } }
"#;
    let (_, server) = serve("", rest);
    let listed = server.rpc("/mcp", None, "prompts/list", &json!({})).json();
    assert_eq!(
        listed["result"]["prompts"],
        json!([{"name": "plan_vacation", "title": "Plan a vacation", "description": "Plan a vacation within policy.",
            "arguments": [{"name": "month", "description": "Month", "required": true}, {"name": "place", "required": false}]}])
    );
    let get = |arguments: Value| {
        server.rpc("/mcp", None, "prompts/get", &json!({"name": "plan_vacation", "arguments": arguments})).json()
    };
    assert_eq!(
        get(json!({"month": "{{ 7 * 7 }}"}))["result"]["messages"],
        json!([
            {"role": "user", "content": {"type": "text", "text": "Plan my vacation in {{ 7 * 7 }}."}},
            {"role": "assistant", "content": {"type": "resource", "resource": {"uri": "docs://policy", "mimeType": "text/plain", "text": "Ten days."}}},
        ])
    );
    assert_eq!(get(json!({"month": "May", "place": "Rome"}))["result"]["messages"].as_array().unwrap().len(), 3);
    assert_eq!(get(json!({}))["error"]["message"], "missing argument `month`");
    assert_eq!(get(json!({"month": "May", "mnth": "x"}))["error"]["message"], "unexpected argument `mnth`");
    let none = server.rpc("/mcp", None, "prompts/get", &json!({"name": "nothing"})).json();
    assert_eq!(none["error"]["message"], "no such prompt: nothing");
}
