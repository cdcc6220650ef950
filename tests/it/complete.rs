//! Suggestions while a user types: from a list, from all values there are, and from the API.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Server};

const YAML: &str = r#"
bridge: hr
upstream: { url: "${API}", credentials: caller_token }
prompts:
  report:
    arguments:
      kind: { complete: { enum: [weekly, monthly, yearly] } }
      department: { complete: { endpoint: GET /departments, select: "[].code" } }
      team: { complete: { endpoint: "GET /departments/{department}/teams", select: teams, as: q } }
      tone: { complete: [short, long] }
      free: {}
    messages: [{ role: user, text: "A {{ kind }} report." }]
resources:
  docs://{kind}/{name}:
    text: "{{ kind }}: {{ name }}"
    complete: { kind: { enum: [policy, guide] }, name: { endpoint: "GET /docs/{kind}", as: begins } }
"#;

fn serve(api: &Api) -> Server {
    Fixture::with_okta(Provider::shared()).bridge(YAML).env("API", &api.url()).serve()
}

fn ask(server: &Server, token: &str, reference: &Value, argument: (&str, &str), chosen: &Value) -> Value {
    let params = json!({
        "ref": reference,
        "argument": { "name": argument.0, "value": argument.1 },
        "context": { "arguments": chosen },
    });
    server.rpc("/mcp", Some(token), "completion/complete", &params).json()
}

fn prompt() -> Value {
    json!({ "type": "ref/prompt", "name": "report" })
}

fn values(answer: &Value) -> Vec<&str> {
    let values = answer["result"]["completion"]["values"].as_array().unwrap_or_else(|| panic!("{answer}"));
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn what_is_known_is_suggested_and_what_does_not_exist_is_refused() {
    let api = Api::start();
    let (server, alice) = (serve(&api), Provider::shared().user("alice"));
    let typed = |name: &str, text: &str| ask(&server, &alice, &prompt(), (name, text), &json!({}));
    assert_eq!(values(&typed("kind", "")), ["weekly", "monthly", "yearly"]);
    assert_eq!(values(&typed("kind", "W")), ["weekly"]);
    assert_eq!(values(&typed("tone", "l")), ["long"]);
    assert_eq!(values(&typed("free", "x")), [""; 0]);
    let get = |kind: &str| {
        server.rpc("/mcp", Some(&alice), "prompts/get", &json!({"name": "report", "arguments": {"kind": kind}})).json()
    };
    assert!(get("weekly")["result"]["messages"].to_string().contains("A weekly report."));
    assert_eq!(get("daily")["error"]["message"], "argument `kind` is none of `weekly`, `monthly` or `yearly`");
    let read = |uri: &str| server.rpc("/mcp", Some(&alice), "resources/read", &json!({ "uri": uri })).json();
    assert_eq!(read("docs://policy/leave")["result"]["contents"][0]["text"], "policy: leave");
    assert_eq!(read("docs://secret/leave")["error"]["message"], "no such resource: docs://secret/leave");
    assert_eq!(api.lines(), [""; 0]);
}

#[test]
fn an_api_suggests_as_the_caller_and_its_answer_is_kept() {
    let api = Api::start();
    api.answer("/departments", Answer::json(200, &json!([{"code": "HR"}, {"code": "IT"}, {"code": "hq"}])));
    let (server, provider) = (serve(&api), Provider::shared());
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    let typed = |token: &str, text: &str| ask(&server, token, &prompt(), ("department", text), &json!({}));
    assert_eq!(values(&typed(&alice, "")), ["HR", "IT", "hq"]);
    assert_eq!(values(&typed(&alice, "h")), ["HR", "hq"]);
    assert_eq!(api.lines(), ["GET /departments"]);
    assert_eq!(api.last().header("authorization"), Some(format!("Bearer {alice}").as_str()));
    // Another caller may see others.
    assert_eq!(values(&typed(&bob, "i")), ["IT"]);
    assert_eq!(api.last().header("authorization"), Some(format!("Bearer {bob}").as_str()));
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn an_api_that_searches_gets_what_was_typed_and_what_was_chosen() {
    let api = Api::start();
    api.answer("/departments/", Answer::json(200, &json!({"teams": ["Pay", 7]})));
    api.answer("/docs", Answer::json(200, &json!(["x"])));
    let (server, alice) = (serve(&api), Provider::shared().user("alice"));
    let typed = |chosen: Value| ask(&server, &alice, &prompt(), ("team", "a&b=c"), &chosen);
    // Who searches decides what fits.
    assert_eq!(values(&typed(json!({"department": "H/R"}))), ["Pay", "7"]);
    assert_eq!(api.lines(), ["GET /departments/H%2FR/teams?q=a%26b%3Dc"]);
    // Without what the path needs nothing is asked, and nothing leads elsewhere.
    assert_eq!(values(&typed(json!({}))), [""; 0]);
    let refused = typed(json!({"department": ".."}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert_eq!(api.requests().len(), 1);
    let template = json!({ "type": "ref/resource", "uri": "docs://{kind}/{name}" });
    let answer = ask(&server, &alice, &template, ("name", "l"), &json!({"kind": "guide"}));
    assert_eq!((values(&answer), api.last().line().as_str()), (vec!["x"], "GET /docs/guide?begins=l"));
}

#[test]
fn suggestions_are_bounded_and_an_api_that_fails_says_so() {
    let api = Api::start();
    let many: Vec<Value> = (0..250).map(|n| json!({ "code": format!("d{n}") })).collect();
    api.answers(
        "/departments",
        vec![
            Answer::json(200, &json!(many)),
            Answer::json(403, &json!({"message": "not yours"})),
            Answer::json(200, &json!([{"code": {"a": 1}}])),
            Answer::text(200, "<html>"),
        ],
    );
    let server = serve(&api);
    let typed = || {
        // A token of its own each time, so that nothing is kept.
        ask(&server, &Provider::shared().user("alice"), &prompt(), ("department", "d"), &json!({}))
    };
    let first = typed();
    let completion = &first["result"]["completion"];
    assert_eq!((values(&first).len(), &completion["total"], &completion["hasMore"]), (100, &json!(250), &json!(true)));
    let words = |answer: Value| answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert_eq!(words(typed()), "Access denied by API: not yours");
    assert_eq!(words(typed()), "The API's suggestions can't be used: it is not a list of texts; see `select`");
    assert_eq!(words(typed()), "The API's suggestions can't be used: the answer is not JSON");
}
