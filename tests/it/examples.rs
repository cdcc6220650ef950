//! Each example checks, and is served the way its README says.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Provider, Server, binary, counting, examples, root};

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder).env_clear().envs(counting()).stdin(Stdio::null());
    command.envs([("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "secret")]);
    command.envs([
        ("WAREHOUSE_KEY", "key"),
        ("SHOP_TOKEN", "token"),
        ("CRM_TOKEN", "token"),
        ("REPORTS_TOKEN", "token"),
    ]);
    command
}

#[test]
fn every_example_checks_and_can_be_served() {
    assert_eq!(examples().len(), 11);
    for folder in examples() {
        assert!(folder.join("README.md").exists(), "{}", folder.display());
        let checked = command(&folder, &["check"]).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && !said.contains("warning"), "{}: {said}", folder.display());
        // Without a client on its stdin it ends at once, having loaded everything.
        let served = command(&folder, &["serve", "--stdio"]).output().unwrap();
        let said = String::from_utf8_lossy(&served.stderr).into_owned();
        assert!(served.status.success(), "{}: {said}", folder.display());
    }
}

#[test]
fn an_example_without_its_variables_says_which_are_missing() {
    let folder = root().join("examples/claims-into-path");
    let output = command(&folder, &["serve", "--stdio"]).env_remove("OKTA_CLIENT_SECRET").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("`OKTA_CLIENT_SECRET` is not set") && said.contains("tollbridge.yaml:7"), "{said}");
}

/// Serves the bridges of an example in front of a recording API.
fn serve(name: &str, url_variable: &str) -> (Api, Server) {
    let api = Api::start();
    let bridges = root().join("examples").join(name).join("bridges");
    let fixture = Fixture::with_okta(Provider::shared()).env(url_variable, &api.url()).env("WAREHOUSE_KEY", "k3y");
    let fixture = fixture.env("SHOP_TOKEN", "sh0p").env("CRM_TOKEN", "crm").env("REPORTS_TOKEN", "r3p");
    (api, fixture.arg("--bridges").arg(bridges.to_str().unwrap()).serve())
}

/// Calls a tool as a user with these claims besides the usual ones.
fn call(server: &Server, claims: &Value, scope: &str, tool: &str, arguments: &Value) -> Value {
    let token = Provider::shared().token(&json!({ "claims": claims, "scope": scope }));
    server.call_as(Some(&token), tool, arguments).0
}

fn text(result: &Value) -> &str {
    assert_ne!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[test]
fn api_key() {
    let (api, server) = serve("api-key", "WAREHOUSE_API");
    let result = call(&server, &json!({}), "", "find_stock", &json!({"article": "A-100", "warehouses": ["N", "S"]}));
    assert_eq!(text(&result), r#"{"ok":true}"#);
    assert_eq!(api.last().line(), "GET /stock/A-100?warehouse=N&warehouse=S");
    assert_eq!(api.last().header("x-api-key"), Some("k3y"));
}

#[test]
fn claims_into_path() {
    let (api, server) = serve("claims-into-path", "TIME_OFF_API");
    let claims = json!({"org": {"tenant_id": "t-9"}});
    call(&server, &claims, "", "request_time_off", &json!({"days": 3}));
    assert_eq!(api.last().line(), "POST /employees/10012345/time-off?source=assistant");
    assert_eq!((api.last().header("x-tenant"), api.last().json()), (Some("t-9"), json!({"days": 3})));
}

#[test]
fn form_upload() {
    let (api, server) = serve("form-upload", "EXPENSES_API");
    api.answer("/reports", Answer::json(201, &json!({"id": 12})));
    let arguments = json!({"report": "R-7", "receipt": "JVBERi0xLjcK", "file_name": "hotel.pdf"});
    let result = call(&server, &json!({}), "", "add_receipt", &arguments);
    assert_eq!(text(&result), "Receipt 12 is added to report R-7.");
    let body = String::from_utf8(api.last().body).unwrap();
    for part in ["name=\"employee\"\r\n\r\nE-77\r\n", "filename=\"hotel.pdf\"", "application/pdf\r\n\r\n%PDF-1.7\n\r\n"]
    {
        assert!(body.contains(part), "{part} is missing: {body}");
    }
    assert!(!body.contains("amount"), "{body}");
    call(&server, &json!({}), "", "set_cost_center", &json!({"report": "R-7", "center": "4 & 5"}));
    assert_eq!(api.last().body, b"employee=E-77&center=4%20%26%205");
}

#[test]
fn forty_tools() {
    let (api, server) = serve("forty-tools", "BACK_OFFICE_API");
    let token = Provider::shared().token(&json!({"scope": "office.read office.write"}));
    assert_eq!(server.tools(Some(&token)).len(), 40);
    let call = |scope: &str, tool: &str, arguments: Value| call(&server, &json!({}), scope, tool, &arguments);
    text(&call("office.read", "list_assets", json!({"q": "phone"})));
    text(&call("office.read office.write", "update_training", json!({"id": 7, "date": "2026-01-05"})));
    assert_eq!(api.lines(), ["GET /assets?q=phone&limit=50", "PATCH /trainings/7"]);
    assert_eq!(api.last().header("x-editor"), Some("E-77"));
    let token = Provider::shared().token(&json!({"scope": "office.read"}));
    let refused = server.rpc("/mcp", Some(&token), "tools/call", &json!({"name": "delete_asset"}));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["message"], "Access denied: the token lacks the scope office.write");
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn graphql() {
    let (api, server) = serve("graphql", "TICKETS_API");
    let ticket = json!({"id": "T1", "title": "Broken", "updatedAt": "2026-01-05"});
    let good = json!({"data": {"user": {"tickets": {"nodes": [ticket]}}}});
    let bad = json!({"data": null, "errors": [{"message": "no"}]});
    api.answers("/graphql", vec![Answer::json(200, &good), Answer::json(200, &bad)]);
    let claims = json!({"preferred_username": "al\") { secrets }"});
    let result = call(&server, &claims, "", "list_my_tickets", &json!({"first": 3}));
    let tickets = json!({"tickets": [{"id": "T1", "title": "Broken", "updated": "2026-01-05"}]});
    assert_eq!(result["structuredContent"], tickets, "{result}");
    let sent = api.last().json();
    assert_eq!(sent["variables"], json!({"login": "al\") { secrets }", "state": "OPEN", "first": 3}));
    assert!(!sent["query"].as_str().unwrap().contains("secrets"));
    let result = call(&server, &claims, "", "list_my_tickets", &json!({}));
    assert_eq!(result["isError"], true, "{result}");
}

#[test]
fn image_answer() {
    let (api, server) = serve("image-answer", "CHARTS_API");
    api.answer("/charts", Answer::Full(200, "image/png", b"\x89PNG".to_vec()));
    api.answer("/render", Answer::json(200, &json!({"count": 2, "min": 1, "max": 2, "png": "iVBORw=="})));
    let result = call(&server, &json!({}), "", "get_chart", &json!({"name": "orders"}));
    assert_eq!(result["content"], json!([{"type": "image", "data": "iVBORw==", "mimeType": "image/png"}]));
    assert_eq!(api.last().line(), "GET /charts/orders.png");
    let result = call(&server, &json!({}), "", "render_chart", &json!({"values": [1, 2]}));
    assert_eq!(text(&result), "2 values, 1 to 2.");
    assert_eq!(result["content"][1], json!({"type": "image", "data": "iVBORw==", "mimeType": "image/png"}));
}

#[test]
fn paginated_list() {
    let (api, server) = serve("paginated-list", "SHOP_API");
    let order = |id: u32| json!({"id": id, "total": 5, "state": "open", "notes": "long"});
    let page = |id, next: Value| Answer::json(200, &json!({"orders": [order(id)], "meta": {"next_cursor": next}}));
    api.answers("/orders", vec![page(1, json!("c/2")), page(2, Value::Null)]);
    let result = call(&server, &json!({}), "", "list_orders", &json!({"state": "open"}));
    let orders: Value = serde_json::from_str(text(&result)).unwrap();
    assert_eq!(orders, json!([{"id": 1, "state": "open", "total": 5}, {"id": 2, "state": "open", "total": 5}]));
    let lines = ["GET /orders?state=open&limit=100", "GET /orders?state=open&limit=100&cursor=c%2F2"];
    assert_eq!(api.lines(), lines);
    assert_eq!(api.last().header("authorization"), Some("Bearer sh0p"));

    let (link, body) = ("</customers?page=2>; rel=\"next\"", r#"[{"id":1,"name":"A","email":"a@b.example"}]"#);
    let first = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\nlink: {link}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let second = Answer::json(200, &json!([{"id": 2, "name": "B"}]));
    api.answers("/customers", vec![Answer::Raw(first.into_bytes()), second]);
    let result = call(&server, &json!({}), "", "list_customers", &json!({}));
    assert_eq!(text(&result), r#"[{"id":1,"name":"A"},{"id":2,"name":"B"}]"#);
}

#[test]
fn public_api() {
    let (api, server) = serve("public-api", "WEATHER_API");
    let day = json!({"date": "2026-01-05", "temperature": {"max": 4, "min": -1}, "precipitation": 0.2});
    api.answer("/v1/forecast", Answer::json(200, &json!({ "daily": [day] })));
    let token = Provider::shared().user("alice");
    for _ in 0..2 {
        let result = server.call_as(Some(&token), "get_forecast", &json!({"city": "Berlin"})).0;
        assert_eq!(text(&result), r#"[{"date":"2026-01-05","high":4,"low":-1,"rain":0.2}]"#);
    }
    assert_eq!(api.lines(), ["GET /v1/forecast?city=Berlin&days=3"], "the second answer was kept");
    assert_eq!(api.last().header("authorization"), None);
    let reply = server.rpc("/mcp", Some(&token), "resources/read", &json!({"uri": "weather://stations/de"})).json();
    assert_eq!(reply["result"]["contents"][0]["text"], r#"{"ok":true}"#, "{reply}");
    assert_eq!(api.last().line(), "GET /v1/stations/de");
}

#[test]
fn slow_api() {
    let (api, server) = serve("slow-api", "REPORTS_API");
    let location = "HTTP/1.1 202 X\r\nconnection: close\r\nretry-after: 0\r\ncontent-length: 0\r\n";
    let begun = format!("{location}location: /orders/exports/8\r\n\r\n").into_bytes();
    api.answer("/orders/exports", Answer::Raw(begun));
    api.answers(
        "/orders/exports/8",
        vec![Answer::Raw(format!("{location}\r\n").into_bytes()), Answer::text(200, "id\n1\n")],
    );
    let result = call(&server, &json!({}), "", "export_orders", &json!({}));
    assert_eq!(text(&result), "id\n1\n");
    let asked = "GET /orders/exports/8";
    assert_eq!(api.lines(), ["POST /orders/exports", asked, asked]);
    assert_eq!(api.last().header("authorization"), Some("Bearer r3p"));
}

#[test]
fn stdio_desktop() {
    let (api, server) = serve("stdio-desktop", "ENTERPRISE_API_BASE");
    call(&server, &json!({}), "", "get_employee_information", &json!({}));
    assert_eq!(api.last().line(), "GET /hr/employees?gpid=10012345");
}

#[test]
fn two_bridges() {
    let (api, server) = serve("two-bridges", "CRM_API");
    let result = call(&server, &json!({}), "crm.read", "find_customers", &json!({"name": "Acme"}));
    assert_eq!(text(&result), r#"{"ok":true}"#);
    assert_eq!(api.last().line(), "GET /customers?q=Acme");
    let request = api.last();
    let headers = (request.header("x-act-as"), request.header("authorization"));
    assert_eq!(headers, (Some("alice@example.com"), Some("Bearer crm")));
    let note = json!({"customer": 7, "text": "Called."});
    let sales = json!({"groups": ["Sales"]});
    for (claims, scope) in [(&json!({}), "crm.read crm.write"), (&sales, "crm.read"), (&sales, "crm.write")] {
        let token = Provider::shared().token(&json!({ "claims": claims, "scope": scope }));
        let params = json!({"name": "add_note", "arguments": note});
        let refused = server.rpc("/mcp", Some(&token), "tools/call", &params);
        assert!(refused.json()["error"]["message"].is_string(), "{scope}: {}", refused.body);
    }
    text(&call(&server, &sales, "crm.read crm.write", "add_note", &note));
    assert_eq!(api.last().json(), json!({"text": "Called.", "author": "alice@example.com"}));
    assert_eq!(api.requests().len(), 2);
    let token = Provider::shared().token(&json!({ "claims": sales }));
    let names = |path: &str| {
        let reply = server.rpc(path, Some(&token), "tools/list", &json!({})).json();
        reply["result"]["tools"].as_array().unwrap().len()
    };
    assert_eq!((names("/mcp"), names("/mcp/crm"), names("/mcp/calendar")), (3, 2, 1));
}
