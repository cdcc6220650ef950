//! `tollbridge demo`: what it prints works when it is pasted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{binary, node, tool};

struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The demo is run outside the repository, by somebody who has only the binary.
    _folder: TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start() -> (Self, String) {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(binary());
        command.args(["demo", "--port", "0"]).current_dir(folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut demo = Self { child, stdout, _folder: folder };
        let mut said = String::new();
        // The settings of Claude Desktop come last; their closing brace stands alone.
        while !said.ends_with("\n}\n") {
            assert_ne!(demo.stdout.read_line(&mut said).unwrap(), 0, "the demo ended: {said}");
        }
        (demo, said)
    }
}

/// The paragraph that begins with these words.
fn paragraph(said: &str, begin: &str) -> String {
    let start = said.find(begin).unwrap_or_else(|| panic!("no {begin:?} in {said}"));
    said[start..].split("\n\n").next().unwrap().to_owned()
}

fn shifts(text: &str) -> usize {
    serde_json::from_str::<Value>(text).unwrap()["shifts"].as_array().unwrap().len()
}

#[test]
fn the_curl_line_and_the_settings_of_claude_desktop_work_when_pasted() {
    let (_demo, said) = Demo::start();
    let output = Command::new("bash").arg("-c").arg(paragraph(&said, "curl -s ")).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shifts(answer["result"]["content"][0]["text"].as_str().unwrap()), 5);

    let settings: Value = serde_json::from_str(&said[said.find("\n{\n").unwrap()..]).unwrap();
    let server = &settings["mcpServers"]["hr"];
    let args = server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let env = server["env"].as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap()));
    let mut child = Command::new(server["command"].as_str().unwrap())
        .args(args)
        .env_clear()
        .envs(crate::support::counting())
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
            "capabilities": {}, "clientInfo": {"name": "claude", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_employee_information", "arguments": {}}}),
    ] {
        writeln!(stdin, "{message}").unwrap();
    }
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.next().unwrap();
    let answer: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Alice Arnold"), "{answer}");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_line_for_mcp_inspector_works_when_pasted() {
    let (_demo, said) = Demo::start();
    let bin = tool("node_modules/.bin");
    let line = paragraph(&said, "npx @modelcontextprotocol/inspector").replace(
        "npx @modelcontextprotocol/inspector",
        &format!("{} {}/mcp-inspector", node().display(), bin.display()),
    );
    let output = Command::new("bash").arg("-c").arg(line).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains("2026-01-05"), "{stdout}{stderr}");
}

#[test]
fn both_people_are_themselves_and_every_tool_answers() {
    let (_demo, said) = Demo::start();
    let url = said.lines().find_map(|line| line.trim().strip_prefix("MCP endpoint")).unwrap().trim();
    let tokens: Vec<&str> = said.lines().filter(|line| line.starts_with("eyJ")).collect();
    let call = |token: &str, tool: &str, arguments: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
        let answer = crate::support::block_on(async {
            let request = reqwest::Client::new().post(url).bearer_auth(token).body(body.to_string());
            let request = request
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", "tools/call")
                .header("mcp-name", tool);
            request.send().await.unwrap().text().await.unwrap()
        });
        serde_json::from_str::<Value>(&answer).unwrap()["result"].clone()
    };
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let [alice, bob] = tokens[..] else { panic!("two tokens") };
    assert!(text(&call(alice, "get_employee_information", json!({}))).contains("Alice Arnold"));
    assert!(text(&call(bob, "get_employee_information", json!({}))).contains("Bob Brandt"));
    let ask = json!({"start": "2026-12-01", "days": 3});
    assert_eq!(
        text(&call(bob, "request_time_off", ask.clone())),
        "Request TO-1001 is submitted: 3 days from 2026-12-01 to 2026-12-03."
    );
    let clash = call(bob, "request_time_off", ask);
    assert_eq!(
        (clash["isError"].as_bool(), text(&clash)),
        (Some(true), "These days overlap with request TO-1001.".to_owned())
    );
    let long = call(bob, "request_time_off", json!({"start": "2026-06-01", "days": 20}));
    assert_eq!(text(&long), "API error: 422: More than 10 consecutive days need a manager's approval");
    assert!(text(&call(bob, "get_time_off", json!({}))).contains(r#""days_left":25"#));
    assert!(text(&call(alice, "list_company_holidays", json!({}))).contains("2026-12-25"));
    assert_eq!(call(alice, "get_my_badge", json!({}))["content"][0]["mimeType"], "image/png");
    assert_eq!(text(&call(alice, "get_broken_report", json!({}))), "API error: 500: The report engine is out of order");
    assert_eq!(text(&call(alice, "get_slow_report", json!({"seconds": 5}))), "The API did not answer within 2 s");
    assert!(text(&call(alice, "get_slow_report", json!({"seconds": 0}))).contains("slept"));
    assert!(text(&call(alice, "get_leave_policy", json!({}))).starts_with("Ask two weeks ahead."));
}

#[test]
fn a_taken_port_is_said_plainly() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut child = Command::new(binary())
        .args(["demo", "--port", &(port - 1).to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("--port"), "{said}");
}
