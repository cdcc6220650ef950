//! What a writer sees in an editor: `yaml-language-server`, which most editors use, reads our schemas over LSP.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::{PATIENCE, examples, node, root, tool};

/// Where the cursor stands in a text.
const CURSOR: &str = "▮";

/// A language server, and what it says.
struct Editor {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
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
        let mut editor = Self { child, stdin, messages, sent: 0 };
        editor.ask("initialize", &json!({ "processId": null, "rootUri": uri(""), "capabilities": {} }));
        editor.tell("initialized", &json!({}));
        // It answers by asking for its settings; the schema store would be on the network.
        editor.tell("workspace/didChangeConfiguration", &json!({ "settings": null }));
        let question = editor.wait(|it| it["method"] == "workspace/configuration");
        let yaml = json!({ "validate": true, "completion": true, "hover": true, "schemaStore": { "enable": false } });
        editor.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": [yaml, null, null, null] }));
        editor
    }

    /// Opens a text as a new file of this folder, so that nothing it said about an earlier one is in the way.
    fn open(&mut self, folder: &str, text: &str) -> String {
        self.sent += 1;
        let uri = uri(&format!("{folder}/{}.yaml", self.sent));
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        uri
    }

    /// What is wrong with a text: the words that are underlined, and why.
    fn problems(&mut self, folder: &str, text: &str) -> Vec<(String, String)> {
        let uri = self.open(folder, text);
        let found = self.wait(|it| it["method"] == "textDocument/publishDiagnostics" && it["params"]["uri"] == uri);
        let problem = |it: &Value| (covered(text, &it["range"]), it["message"].as_str().unwrap().to_owned());
        found["params"]["diagnostics"].as_array().unwrap().iter().map(problem).collect()
    }

    /// What the server answers about the place of the cursor.
    fn at_cursor(&mut self, schema: &str, text: &str, method: &str) -> Value {
        let text = draft(schema, text);
        let (before, after) = text.split_once(CURSOR).unwrap();
        let column = before.lines().last().filter(|_| !before.ends_with('\n')).unwrap_or_default().len();
        let uri = self.open("", &format!("{before}{after}"));
        let position = json!({ "line": before.matches('\n').count(), "character": column });
        self.ask(method, &json!({ "textDocument": { "uri": uri }, "position": position }))
    }

    /// The keys and values that are offered at the cursor.
    fn offered(&mut self, schema: &str, text: &str) -> Vec<String> {
        let answer = self.at_cursor(schema, text, "textDocument/completion");
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        // A class (7) is a whole map, with the keys it needs.
        let words = items.iter().filter(|it| it["kind"] != 7);
        words.map(|it| it["label"].as_str().unwrap().to_owned()).collect()
    }

    /// The text that is shown for the word at the cursor, without the backslashes of Markdown.
    fn hover(&mut self, schema: &str, text: &str) -> String {
        let answer = self.at_cursor(schema, text, "textDocument/hover");
        answer["contents"]["value"].as_str().unwrap_or_else(|| panic!("{text}: {answer}")).replace('\\', "")
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.wait(|it| it["id"] == id && it.get("method").is_none());
        assert_eq!(answer["error"], Value::Null, "{method}");
        answer["result"].clone()
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap();
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

/// A file of the repository's root that names its schema as our examples do.
fn draft(schema: &str, text: &str) -> String {
    format!("# yaml-language-server: $schema=./schemas/{schema}.schema.json\n{text}")
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
fn completion_offers_what_can_stand_there() {
    let mut editor = Editor::start();
    let mut offers = |schema, text: &str, expected: &str| {
        assert_eq!(editor.offered(schema, text).join(" "), expected, "{text}");
    };
    offers("bridge", "▮\n", "bridge title instructions upstream access claims tools resources prompts skills tests");
    offers(
        "bridge",
        "bridge: a\ntools: {}\n▮\n",
        "title instructions upstream access claims resources prompts skills tests",
    );
    offers(
        "bridge",
        "upstream:\n  ▮\n",
        "url credentials headers timeout retry tls max_concurrency circuit_breaker max_response_bytes",
    );
    offers("bridge", "upstream:\n  credentials: ▮\n", "none caller_token");
    offers(
        "bridge",
        "upstream:\n  credentials:\n    ▮\n",
        "caller_token bearer basic api_key client_credentials token_exchange",
    );
    offers("bridge", "upstream:\n  credentials:\n    basic:\n      ▮\n", "username password");
    offers(
        "bridge",
        "tools:\n  a:\n    ▮\n",
        "title description endpoint access parameters confirm ask requires body response annotations icons meta toolsets audit paginate async rate_limit cache timeout",
    );
    offers("bridge", "tools:\n  a:\n    body:\n      ▮\n", "json form multipart text base64 content_type");
    offers(
        "bridge",
        "tools:\n  a:\n    response:\n      ▮\n",
        "select schema text redact max_bytes hidden content errors",
    );
    offers("bridge", "tools:\n  a:\n    response:\n      content: ▮\n", "auto json text image audio blob");
    offers("bridge", "tools:\n  a:\n    rate_limit:\n      per: ▮\n", "second minute hour day");
    offers("bridge", "tools:\n  a:\n    paginate:\n      ▮\n", "next as items max_pages");
    offers("bridge", "prompts:\n  a:\n    ▮\n", "title description arguments ask messages icons meta");
    offers("bridge", "tools:\n  a:\n    annotations:\n      read_only: ▮\n", "true false");
    let keys = "in as claim value default join style explode reserved required description type enum const format pattern minLength maxLength minimum \
                maximum exclusiveMinimum exclusiveMaximum multipleOf items minItems maxItems uniqueItems properties \
                additionalProperties examples";
    offers("bridge", "tools:\n  a:\n    parameters:\n      p:\n        ▮\n", keys);
    offers("bridge", "tools:\n  a:\n    parameters:\n      p:\n        in: ▮\n", "path query header cookie body");
    let types = "string integer number boolean array object \"null\"";
    offers("bridge", "tools:\n  a:\n    parameters:\n      p:\n        items:\n          type: ▮\n", types);
    offers(
        "bridge",
        "resources:\n  a://b:\n    ▮\n",
        "name title description mime_type json text file blob endpoint complete watch annotations icons meta",
    );

    let keys = "listen public_url bridges watch auth stdio admin reload tls sessions shared audit allowed_hosts allowed_origins allow_env toolsets discovery network limits";
    offers("tollbridge", "▮\n", keys);
    offers("tollbridge", "auth:\n  ▮\n", "okta introspection jwt issuers none anonymous");
    let keys = "domain authorization_server validation audience client_ids client_id client_secret private_key key_id client_auth cache";
    offers("tollbridge", "auth:\n  okta:\n    ▮\n", keys);
    offers("tollbridge", "stdio:\n  token: ▮\n", "env argument");
}

#[test]
fn hover_shows_what_a_key_is_for() {
    let mut editor = Editor::start();
    let mut shows = |schema, text: &str, expected: &str| {
        let said = editor.hover(schema, text);
        assert!(said.contains(expected), "{text}: {expected:?} is not in {said:?}");
    };
    shows("bridge", "bri▮dge: a\n", "lower-case letters, digits, `_` or `-`. Unique in the directory; `/mcp/{bridge}`");
    shows(
        "bridge",
        "bridge: a\nup▮stream: { url: x, credentials: none }\n",
        "The API that the tools of this bridge call.",
    );
    // The words of the key, not of its value.
    shows(
        "bridge",
        "bridge: a\nupstream: { url: x, credenti▮als: none }\n",
        "There is no default: it must be written.",
    );
    shows("bridge", "bridge: a\nupstream: { url: x, credenti▮als: none }\n", "* `none`: The API asks for nothing.");
    shows("bridge", "bridge: a\nupstream: { url: x, credentials: { bea▮rer: x } }\n", "A fixed bearer token");
    shows("bridge", "bridge: a\nclaims: { i▮d: [sub] }\n", "One name, or several in the order they are tried.");
    let parameter = |text| format!("bridge: a\ntools: {{ a: {{ parameters: {{ p: {{ {text} }} }} }} }}\n");
    shows("bridge", &parameter("i▮n: query"), "Where the parameter goes. Inferred:");
    shows("bridge", &parameter("requi▮red: false"), "`false` makes the parameter optional.");
    shows("bridge", &parameter("for▮mat: date"), "What a text stands for.");
    shows("tollbridge", "auth: { okta▮: {} }\n", "Okta, at the org or a custom authorization server");

    let schema = std::fs::read(root().join("schemas/tollbridge.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    for (key, about) in schema["properties"].as_object().unwrap() {
        let example = &about["examples"][0];
        let text = format!("▮{key}: {example}\n");
        shows("tollbridge", &text, about["description"].as_str().unwrap());
        shows("tollbridge", &text, &format!("Example:\n\n```yaml\n{}", example.as_str().unwrap_or_default()));
    }
}

#[test]
fn what_is_wrong_is_underlined_and_nothing_else() {
    let mut editor = Editor::start();
    let mut finds = |schema, text: &str, wrong: &str| {
        let problems = editor.problems("", &draft(schema, text));
        let underlined: Vec<_> = problems.iter().map(|(words, _)| words.as_str()).collect();
        assert_eq!(underlined, [wrong], "{text}: {problems:?}");
    };
    finds("bridge", "bridge: a\nbrigde: b\n", "brigde");
    finds("bridge", "bridge: a\ntitle: 5\n", "5");
    finds("bridge", "bridge: A b\n", "A b");
    finds("bridge", "bridge: a\nclaims: { a: 5 }\n", "5");
    let upstream = |text| format!("bridge: a\nupstream: {{ url: x, credentials: {text} }}\n");
    finds("bridge", &upstream("nonee"), "nonee");
    finds("bridge", &upstream("{ berer: a }"), "berer");
    finds("bridge", &upstream("{ bearer: 7 }"), "7");
    finds("bridge", &upstream("{ api_key: { header: a, value: b, in: c } }"), "in");
    finds("bridge", &upstream("{ bearer: a, api_key: { value: b } }"), "{ bearer: a, api_key: { value: b } }");
    let tool = |text| format!("bridge: a\ntools: {{ a: {{ {text} }} }}\n");
    finds("bridge", &tool("descripton: x"), "descripton");
    finds("bridge", &tool("body: { jsn: 5 }"), "jsn");
    finds("bridge", &tool("response: { txt: a }"), "txt");
    finds("bridge", &tool("parameters: { p: { in: qery } }"), "qery");
    finds("bridge", &tool("parameters: { p: { required: 5 } }"), "5");
    finds("bridge", &tool("parameters: { p: { type: strng } }"), "strng");
    finds("tollbridge", "lisen: 127.0.0.1:8000\n", "lisen");
    finds("tollbridge", "listen: 8000\n", "8000");
    finds("tollbridge", "auth: { otka: {} }\n", "otka");
    finds("tollbridge", "auth: { none: false }\n", "false");
    finds("tollbridge", "stdio: { token: environment }\n", "environment");
}

#[test]
fn our_own_files_are_fine() {
    let mut editor = Editor::start();
    let mut folders = vec![root().join("bridges")];
    for example in examples() {
        folders.extend([example.join("bridges"), example]);
    }
    let files = folders.iter().filter(|it| it.is_dir()).flat_map(|it| std::fs::read_dir(it).unwrap());
    let files: Vec<_> =
        files.map(|it| it.unwrap().path()).filter(|it| it.extension().is_some_and(|it| it == "yaml")).collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let folder = file.parent().unwrap().strip_prefix(root()).unwrap().to_str().unwrap();
        assert_eq!(editor.problems(folder, &text), [], "{}", file.display());
        // It is the schema that finds nothing, not its absence.
        assert_eq!(editor.problems(folder, &format!("{text}\nzzz: 1\n"))[0].0, "zzz", "{}", file.display());
    }
}
