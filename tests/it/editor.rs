//! What a writer sees in an editor: `yaml-language-server`, which most editors use, reads our schemas over LSP.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::{PATIENCE, node, root, tool};

/// Where the cursor stands in a text.
const CURSOR: &str = "▮";

/// A language server that has one file open at a time.
struct Editor {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    uri: String,
    sent: u32,
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Editor {
    fn start() -> Self {
        let mut child = Command::new(node())
            .arg(tool("node_modules/yaml-language-server/bin/yaml-language-server"))
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            while let Some(message) = read(&mut stdout) {
                let _ = sender.send(message);
            }
        });
        let stdin = child.stdin.take().unwrap();
        let mut editor = Self { child, stdin, messages, uri: String::new(), sent: 0 };
        editor.ask("initialize", json!({ "processId": null, "rootUri": uri(""), "capabilities": {} }));
        editor.tell("initialized", json!({}));
        // It answers by asking for its settings; the schema store would be on the network.
        editor.tell("workspace/didChangeConfiguration", json!({ "settings": null }));
        let question = editor.wait(|it| it["method"] == "workspace/configuration");
        let yaml = json!({ "validate": true, "completion": true, "hover": true, "schemaStore": { "enable": false } });
        editor.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": [yaml, null, null, null] }));
        editor
    }

    /// Opens a file of the repository, whether it exists or not.
    fn open(&mut self, path: &str, text: &str) {
        self.sent += 1;
        self.uri = uri(&format!("bridges/{}.yaml", self.sent));
        let document = json!({ "uri": self.uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn close(&mut self) {
        let uri = self.uri.clone();
        self.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    /// What the server says about a text: the words that are underlined, and why.
    fn problems(&mut self, path: &str, text: &str) -> Vec<(String, String)> {
        self.open(path, text);
        let uri = self.uri.clone();
        let found = self.wait(|it| it["method"] == "textDocument/publishDiagnostics" && it["params"]["uri"] == uri);
        self.close();
        let problems = found["params"]["diagnostics"].as_array().unwrap();
        let problem = |it: &Value| (covered(text, &it["range"]), it["message"].as_str().unwrap().to_owned());
        problems.iter().map(problem).collect()
    }

    /// What the server answers about the place of the cursor.
    fn at_cursor(&mut self, path: &str, text: &str, method: &str) -> Value {
        let before = text.split(CURSOR).next().unwrap();
        let column = before.rsplit('\n').next().unwrap().encode_utf16().count();
        self.open(path, &text.replace(CURSOR, ""));
        let uri = self.uri.clone();
        let position = json!({ "line": before.matches('\n').count(), "character": column });
        let answer = self.ask(method, json!({ "textDocument": { "uri": uri }, "position": position }));
        self.close();
        answer
    }

    /// The labels of what is offered at the cursor.
    fn offered(&mut self, path: &str, text: &str) -> Vec<String> {
        let answer = self.at_cursor(path, text, "textDocument/completion");
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        items.iter().map(|it| format!("{}:{}", it["label"].as_str().unwrap().to_owned(), it["kind"])).collect()
    }

    /// The text that is shown for the word at the cursor.
    fn hover(&mut self, path: &str, text: &str) -> String {
        let answer = self.at_cursor(path, text, "textDocument/hover");
        answer["contents"]["value"].as_str().unwrap_or_else(|| "NULL").to_owned()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.wait(|it| it["id"] == id && it.get("method").is_none());
        assert_eq!(answer["error"], Value::Null, "{method}");
        answer["result"].clone()
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap();
            if std::env::var_os("SHOW").is_some() {
                eprintln!("<- {message}");
            }
            if wanted(&message) {
                return message;
            }
        }
    }
}

/// One message: headers, an empty line, the body.
fn read(stdout: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", text)) => length = text.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stdout.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn uri(path: &str) -> String {
    format!("file://{}/{path}", root().display())
}

/// The part of a text that an LSP range covers; it must be on one line.
fn covered(text: &str, range: &Value) -> String {
    let (start, end) = (&range["start"], &range["end"]);
    assert_eq!(start["line"], end["line"], "{range}\n{text}");
    let at = |it: &Value| usize::try_from(it.as_u64().unwrap()).unwrap();
    let line: Vec<u16> = text.lines().nth(at(&start["line"])).unwrap_or_default().encode_utf16().collect();
    String::from_utf16(&line[at(&start["character"])..at(&end["character"])]).unwrap()
}

#[test]
fn explore() {
    let mut e = Editor::start();
    let m = "# yaml-language-server: $schema=../schemas/bridge.schema.json\n";
    for text in [
        "▮\n",
        "bridge: a\n▮\n",
        "bridge: a\nupstream:\n  ▮\n",
        "bridge: a\nupstream:\n  credentials: ▮\n",
        "bridge: a\nupstream:\n  credentials:\n    ▮\n",
        "bridge: a\nupstream:\n  credentials:\n    api_key:\n      ▮\n",
        "bridge: a\nupstream:\n  credentials: { ▮ }\n",
        "bridge: a\ntools:\n  a:\n    ▮\n",
        "bridge: a\ntools:\n  a:\n    description: x\n    ▮\n",
        "bridge: a\ntools:\n  a:\n    parameters:\n      p:\n        ▮\n",
        "bridge: a\ntools:\n  a:\n    parameters:\n      p: { ▮ }\n",
        "bridge: a\ntools:\n  a:\n    parameters:\n      p:\n        in: ▮\n",
        "bridge: a\ntools:\n  a:\n    response:\n      ▮\n",
        "bridge: a\ntools:\n  a:\n    body:\n      ▮\n",
        "bridge: a\ntools:\n  a:\n    annotations:\n      read_only: ▮\n",
        "bridge: a\nresources:\n  a://b:\n    ▮\n",
    ] {
        eprintln!("{text}   => {:?}", e.offered("bridges/x.yaml", &format!("{m}{text}")));
    }
    for text in [
        "bri▮dge: a\n",
        "bridge: a\nup▮stream: { url: 'https://a', credentials: none }\n",
        "bridge: a\nupstream: { url: 'https://a', cred▮entials: none }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: no▮ne }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: { api_k▮ey: { header: a, value: b} } }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: { api_key: { header: a, val▮ue: b} } }\n",
        "bridge: a\ncla▮ims: { a: [b] }\n",
        "bridge: a\nclaims: { a▮: [b] }\n",
        "bridge: a\ntools: { a▮: {description: x} }\n",
        "bridge: a\ntools: { a: { parameters: { p: { requi▮red: false } } } }\n",
        "bridge: a\ntools: { a: { parameters: { p: { i▮n: query } } } }\n",
        "bridge: a\ntools: { a: { parameters: { p: { in: que▮ry } } } }\n",
        "bridge: a\ntools: { a: { body: { js▮on: {a: 1} } } }\n",
        "bridge: a\ntools: { a: { parameters: { p: { val▮ue: 1 } } } }\n",
    ] {
        eprintln!("{text}   => {}", e.hover("bridges/x.yaml", &format!("{m}{text}")));
    }
    for text in [
        "bridge: a\nbrigde: b\n",
        "bridge: a\ntitle: 5\n",
        "bridge: A b\n",
        "title: x\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: nonee }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: { berer: a } }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: { api_key: { header: a, valeu: b} } }\n",
        "bridge: a\nupstream: { url: 'https://a', credentials: { api_key: { header: 5, value: b} } }\n",
        "bridge: a\ntools: { a: { parameters: { p: { in: qery } } } }\n",
        "bridge: a\ntools: { a: { parameters: { p: { required: 5 } } } }\n",
        "bridge: a\ntools: { a: { body: { jsn: 5 } } }\n",
        "bridge: a\ntools: { a: { response: { txt: 5 } } }\n",
        "bridge: a\ntools: { a: { response: { errors: { 404: No such. } } } }\n",
        "bridge: a\ntitle:\n",
        "bridge: a\ntools: { a: { parameters: { p: { type: strng } } } }\n",
        "bridge: a\nclaims: { a: 5 }\n",
    ] {
        eprintln!("{text}   => {:?}", e.problems("bridges/x.yaml", &format!("{m}{text}")));
    }
}
