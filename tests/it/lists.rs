//! Lists: pages, sets of tools, search in the place of a list, and what entries carry besides words.

use serde_json::{Value, json};

use crate::stdio::Pipes;
use crate::support::{Api, Fixture, Provider, Server};

const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

/// A bridge with so many of everything.
fn many(count: usize) -> String {
    let each = |line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let tool = |n| format!("  t{n:02}: {{ description: Tool {n}., response: {{ text: hi }} }}\n");
    let resource = |n| format!("  a://{n}: {{ text: x }}\n  b://{n}/{{x}}: {{ text: x }}\n");
    let prompt = |n| format!("  p{n}: {{ messages: [{{ role: user, text: hi }}] }}\n");
    format!("bridge: b\ntools:\n{}resources:\n{}prompts:\n{}", each(&tool), each(&resource), each(&prompt))
}

fn paged(yaml: &str, size: usize) -> Server {
    let mut fixture = Fixture::new().bridge(yaml);
    fixture.write("tollbridge.yaml", &json!({ "limits": { "max_list_items": size } }).to_string());
    fixture.serve()
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| {
        let found = ["name", "uri", "uriTemplate"].iter().rev().find_map(|key| item[key].as_str());
        found.unwrap().to_owned()
    };
    list.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn every_list_comes_in_pages_that_together_are_the_list() {
    let server = paged(&many(7), 3);
    for (method, key) in LISTS {
        let (mut all, mut sizes, mut params) = (Vec::new(), Vec::new(), json!({}));
        loop {
            let page = server.rpc("/mcp", None, method, &params).json()["result"].clone();
            assert_eq!(page["cacheScope"], "private");
            sizes.push(page[key].as_array().unwrap().len());
            all.extend(names(&page[key]));
            let Some(cursor) = page.get("nextCursor") else { break };
            params = json!({ "cursor": cursor });
        }
        assert_eq!(sizes, [3, 3, 1], "{method}");
        let mut whole = all.clone();
        whole.sort();
        whole.dedup();
        assert_eq!((all.len(), &whole), (7, &all), "{method}: each once, and in order");
    }
    // As many as fit are one page.
    let exact = paged(&many(3), 3).rpc("/mcp", None, "tools/list", &json!({})).json();
    assert_eq!(exact["result"].get("nextCursor"), None);
}

#[test]
fn a_cursor_survives_a_reload_that_keeps_its_place_and_is_refused_after_any_other() {
    let server = paged(&many(7), 3);
    let page = |params: &Value| server.rpc("/mcp", None, "tools/list", params);
    let first = page(&json!({})).json();
    let cursor = json!({ "cursor": first["result"]["nextCursor"] });
    let write = |yaml: &str| {
        std::fs::write(server.fixture.path().join("bridges/test.yaml"), yaml).unwrap();
        server.wait_for("Reloaded.");
    };
    write(&many(7).replace("Tool 3.", "Another."));
    let second = page(&cursor).json();
    assert_eq!(names(&second["result"]["tools"]), ["t03", "t04", "t05"]);
    assert_eq!(second["result"]["tools"][0]["description"], "Another.");
    write(&many(7).replace("t02:", "u02:"));
    let refused = page(&cursor);
    assert_eq!(refused.json()["error"]["code"], -32602, "{refused:?}");
    assert!(refused.body.contains("begin the list anew"));
    // One list's cursor is none of another's, and what is no cursor is refused.
    for (method, cursor) in
        [("prompts/list", cursor["cursor"].as_str().unwrap()), ("tools/list", "AAAA"), ("tools/list", "%")]
    {
        let refused = server.rpc("/mcp", None, method, &json!({ "cursor": cursor })).json();
        assert_eq!(refused["error"]["code"], -32602, "{method} {cursor}");
    }
}

const SHOP: &str = r#"
bridge: shop
upstream: { url: "${API}", credentials: none }
claims: { who: sub }
tools:
  list_orders:
    description: All orders of the customer, newest first.
    endpoint: GET /orders
    toolsets: [orders]
    parameters: { limit: { type: integer, required: false, description: How many. } }
  get_invoice:
    description: The invoice of an order as PDF.
    endpoint: GET /orders/{order}/invoice
    toolsets: [orders, billing]
    parameters: { order: { type: string } }
  refund:
    description: Give money back.
    endpoint: POST /refunds
    toolsets: [billing]
    access: { groups: [Staff] }
    parameters: { order: { type: string } }
  weather: { description: Whether it rains., endpoint: GET /weather }
resources:
  a://x: { text: x }
"#;

fn shop(api: &Api) -> Server {
    Fixture::with_okta(Provider::shared()).bridge(SHOP).env("API", &api.url()).serve()
}

fn tools_at(server: &Server, path: &str, token: &str) -> Vec<String> {
    names(&server.rpc(path, Some(token), "tools/list", &json!({})).json()["result"]["tools"])
}

#[test]
fn a_toolset_holds_its_tools_and_no_others_can_be_called_there() {
    let api = Api::start();
    let (server, alice) = (shop(&api), Provider::shared().user("alice"));
    assert_eq!(tools_at(&server, "/mcp?toolset=orders", &alice), ["list_orders", "get_invoice"]);
    // `refund` is not for Alice, whatever the set.
    assert_eq!(tools_at(&server, "/mcp?toolset=billing", &alice), ["get_invoice"]);
    assert_eq!(tools_at(&server, "/mcp/shop?toolset=billing,orders", &alice), ["list_orders", "get_invoice"]);
    assert_eq!(tools_at(&server, "/mcp?utm_source=x", &alice), ["list_orders", "get_invoice", "weather"]);
    let call = |path: &str| server.rpc(path, Some(&alice), "tools/call", &json!({"name": "weather", "arguments": {}}));
    let refused = call("/mcp?toolset=orders").json();
    assert_eq!(refused["error"]["message"], "no such tool: weather", "{refused}");
    assert_eq!(api.lines(), [""; 0]);
    assert_eq!(call("/mcp").status, 200);
    let unknown = call("/mcp?toolset=order");
    assert_eq!((unknown.status, unknown.json()["error"]["message"].as_str()), (404, Some("No such toolset")));
    assert_eq!(call("/mcp?discovery=guess").status, 400);
}

#[test]
fn a_server_can_be_held_to_some_sets() {
    let fixture = Fixture::new().bridge(&SHOP.replace("    access: { groups: [Staff] }\n", ""));
    let server = fixture.env("API", "http://127.0.0.1:9").arg("--toolset=billing").serve();
    assert_eq!(server.tools(None).keys().collect::<Vec<_>>(), ["get_invoice", "refund"]);
    // Asking for more does not give more.
    let both = server.rpc("/mcp?toolset=orders", None, "tools/list", &json!({})).json();
    assert_eq!(names(&both["result"]["tools"]), ["get_invoice"]);
    let refused = server.rpc("/mcp", None, "tools/call", &json!({"name": "weather", "arguments": {}})).json();
    assert_eq!(refused["error"]["message"], "no such tool: weather");
    let mistaken = Fixture::new().bridge(&many(1)).arg("--toolset=biling").serve();
    assert!(mistaken.log().contains("No tool belongs to this set") && mistaken.tools(None).is_empty());
}

#[test]
fn in_a_big_catalogue_two_tools_find_and_call_the_others() {
    let api = Api::start();
    let (server, alice) = (shop(&api), Provider::shared().user("alice"));
    let path = "/mcp?discovery=search";
    let rpc = |method: &str, params: Value| server.rpc(path, Some(&alice), method, &params).json();
    let listed = rpc("tools/list", json!({}));
    assert_eq!(names(&listed["result"]["tools"]), ["find_tools", "call_tool"]);
    assert!(listed.to_string().contains("3 tools are behind it"), "{listed}");
    let find =
        |arguments: Value| rpc("tools/call", json!({"name": "find_tools", "arguments": arguments}))["result"].clone();
    let found = find(json!({"query": "the invoices of an order"}));
    let tools = &found["structuredContent"]["tools"];
    assert_eq!(names(tools), ["get_invoice", "list_orders"]);
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["order"]));
    assert_eq!(found["content"][0]["text"], found["structuredContent"].to_string());
    // What is not for the caller is not found, by any words.
    assert_eq!(find(json!({"query": "give money back, refund"}))["structuredContent"]["tools"], json!([]));
    let all = find(json!({"query": "", "limit": 2}));
    assert_eq!((names(&all["structuredContent"]["tools"]).len(), &all["structuredContent"]["more"]), (2, &json!(1)));
    for (wrong, words) in [
        (json!({}), "missing argument `query`"),
        (json!({"query": 1}), "argument `query` is not a string"),
        (json!({"query": "x", "limit": 0}), "argument `limit` is not a number from 1 to 25"),
        (json!({"query": "x", "gpid": "1"}), "unexpected argument `gpid`; this tool takes `query`, `limit`"),
    ] {
        let refused = find(wrong);
        assert_eq!((&refused["isError"], refused["content"][0]["text"].as_str()), (&json!(true), Some(words)));
    }

    let call = |arguments: Value| rpc("tools/call", json!({"name": "call_tool", "arguments": arguments}));
    let answer = call(json!({"name": "get_invoice", "arguments": {"order": "a/b"}}));
    assert_eq!(answer["result"]["content"][0]["text"], r#"{"ok":true}"#);
    assert_eq!(api.lines(), ["GET /orders/a%2Fb/invoice"]);
    // Every rule of the tool itself holds.
    let refused = call(json!({"name": "get_invoice", "arguments": {"order": "..", "x": 1}}));
    assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("unexpected argument `x`"), "{refused}");
    assert_eq!(
        call(json!({"name": "refund", "arguments": {"order": "1"}}))["error"]["message"],
        "no such tool: refund"
    );
    assert_eq!(call(json!({"name": "call_tool", "arguments": {}}))["error"]["message"], "no such tool: call_tool");
    for wrong in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "weather", "arguments": []}),
        json!({"name": "weather", "order": 1}),
    ] {
        assert_eq!(call(wrong)["result"]["isError"], true);
    }
    assert_eq!(api.lines().len(), 1);
    // Elsewhere these names mean nothing.
    let plain =
        server.rpc("/mcp", Some(&alice), "tools/call", &json!({"name": "find_tools", "arguments": {"query": ""}}));
    assert_eq!(plain.json()["error"]["message"], "no such tool: find_tools");
}

#[test]
fn a_tool_that_is_called_by_another_asks_for_its_scopes() {
    let api = Api::start();
    let yaml = SHOP.replace("access: { groups: [Staff] }", "access: { scopes: [refunds] }");
    let server = Fixture::with_okta(Provider::shared()).bridge(&yaml).env("API", &api.url()).serve();
    let params = json!({"name": "call_tool", "arguments": {"name": "refund", "arguments": {"order": "1"}}});
    let alice = Provider::shared().user("alice");
    let refused = server.rpc("/mcp?discovery=search", Some(&alice), "tools/call", &params);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.header("www-authenticate").unwrap().contains(r#"scope="refunds""#), "{refused:?}");
    assert_eq!(api.lines(), [""; 0]);
}

#[test]
fn a_search_over_stdio_takes_the_token_with_the_call() {
    let api = Api::start();
    let provider = Provider::shared();
    let yaml =
        SHOP.replace("endpoint: GET /weather }", "endpoint: GET /weather, parameters: { who: { claim: who } } }");
    let fixture = Fixture::with_okta(provider).bridge(&yaml).env("API", &api.url());
    let mut pipes = Pipes::start(fixture.arg("--stdio-token=argument").arg("--discovery=search"));
    let found = pipes.request("tools/call", &json!({"name": "find_tools", "arguments": {"query": "rains"}}));
    let schema = &found["result"]["structuredContent"]["tools"][0]["inputSchema"];
    assert_eq!(schema["required"], json!(["access_token"]), "{found}");
    let arguments = json!({"name": "weather", "arguments": {"access_token": provider.user("alice")}});
    let answer = pipes.request("tools/call", &json!({"name": "call_tool", "arguments": arguments}));
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    assert_eq!(api.lines(), ["GET /weather?who=alice"]);
}

#[test]
fn entries_carry_icons_and_data_for_clients() {
    let look = "icons: [https://example.com/a.svg, { src: 'data:image/png;base64,iVBORw0KGgo=', mime_type: image/png, sizes: [48x48], theme: dark }], meta: { com.example/team: people, tier: 2 }";
    let yaml = format!(
        "bridge: b\ntools:\n  t: {{ description: T., response: {{ text: x }}, {look} }}\nresources:\n  a://x: {{ text: x, {look} }}\n  \
         b://{{x}}: {{ text: x, {look} }}\nprompts:\n  p: {{ messages: [{{ role: user, text: x }}], {look} }}\n"
    );
    let server = Fixture::new().bridge(&yaml).serve();
    for (method, key) in LISTS {
        let result = server.rpc("/mcp", None, method, &json!({})).json()["result"].clone();
        let entry = &result[key][0];
        let icons = json!([
            { "src": "https://example.com/a.svg" },
            { "src": "data:image/png;base64,iVBORw0KGgo=", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark" },
        ]);
        assert_eq!(entry["icons"], icons, "{method}");
        assert_eq!((&entry["_meta"]["com.example/team"], &entry["_meta"]["tier"]), (&json!("people"), &json!(2)));
    }
}

#[test]
fn the_size_of_a_list_is_estimated() {
    let fixture = Fixture::new().bridge(&many(2));
    let printed = |args: &[&str]| {
        let output = fixture.command(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (text, json) = (printed(&["list", "--tokens"]), printed(&["list", "--tokens", "--format", "json"]));
    let listed: Value = serde_json::from_str(&json).unwrap();
    let mut entry = fixture.serve().tools(None)["t00"].clone();
    // The hash is for the client, which need not show it to its model.
    entry.as_object_mut().unwrap().remove("_meta");
    let size = entry.to_string().len().div_ceil(4);
    assert_eq!(listed["tools"][0]["tokens"], size);
    assert!(text.contains(&format!("t00   {size:>5}")), "{text}");
    assert!(text.contains(&format!("about {} tokens", 2 * size)), "{text}");
}
