//! What the tests stand on: the built binary, an API that records raw requests, and a real `OpenID` provider.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long anything may take before a test gives up waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders under `examples/` that hold bridges.
pub fn examples() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("bridges").is_dir()).collect()
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_tollbridge")
}

/// Where our binary counts which lines ran, for commands with an otherwise clean environment; nothing unless coverage is
/// measured.
pub fn counting() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file))
}

/// The Node.js that the lockfile of `tests/tools` names.
pub fn node() -> PathBuf {
    tool("node_modules/node/bin/node")
}

pub fn python() -> PathBuf {
    tool(".venv/bin/python")
}

/// A tool of `tests/tools`; a test that needs a missing one fails.
pub fn tool(path: &str) -> PathBuf {
    let path = root().join("tests/tools").join(path);
    assert!(path.exists(), "{} is missing: run tests/tools/setup first", path.display());
    path
}

/// Compares the part of a document that is made from something else, between `<!-- begin: MARKER -->` and
/// `<!-- end: MARKER -->`; with `UPDATE_README` set, writes it.
pub fn generated(document: &str, marker: &str, text: &str) {
    let path = root().join(document);
    let written = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin: {marker} -->\n"), format!("<!-- end: {marker} -->"));
    let (before, rest) = written.split_once(&begin).unwrap_or_else(|| panic!("{document} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{document} has no {end}"));
    let whole = format!("{before}{begin}{text}{end}{after}");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, whole).unwrap();
    } else {
        assert!(whole == written, "{document} is not up to date: UPDATE_README=1 cargo test {marker}\n{text}");
    }
}

// === An API that records raw requests ===

/// A request as it stood on the wire.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn echo(&self) -> Answer {
        let decoded = percent_encoding::percent_decode_str(&self.target).decode_utf8_lossy().into_owned();
        let heads: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        // Of a long message the end is cut off, so what matters stands first.
        let message = [&self.target, &decoded, &heads.join(" ")].map(String::as_str).join(" | ");
        let body = String::from_utf8_lossy(&self.body);
        Answer::json(
            500,
            &json!({ "message": message, "error": "invalid_grant", "error_description": format!("{body} {message}") }),
        )
    }
}

/// What the API answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, content type and body.
    Full(u16, &'static str, Vec<u8>),
    /// Raw bytes instead of a well-formed answer.
    Raw(Vec<u8>),
    /// An error of 500 that says all that came, as an API does that wants to do harm.
    Echo,
    /// Nothing: the connection stays open.
    Silence,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Full(status, "application/json", body.to_string().into_bytes())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::Full(status, "text/plain", body.as_bytes().to_vec())
    }
}

/// An HTTP API on a raw socket, so that what a client library would tidy up stays visible.
#[derive(Clone)]
pub struct Api {
    pub port: u16,
    state: Arc<Mutex<ApiState>>,
}

#[derive(Default)]
struct ApiState {
    requests: Vec<Recorded>,
    connections: usize,
    /// Each with what is left to say; the last thing said is said again.
    answers: Vec<(String, Vec<Answer>)>,
}

impl Api {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(ApiState::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                state.lock().unwrap().connections += 1;
                std::thread::spawn(move || serve_connection(stream, &state));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers requests whose target begins with `prefix`; the last rule given wins.
    pub fn answer(&self, prefix: &str, answer: Answer) {
        self.answers(prefix, vec![answer]);
    }

    /// Gives these answers one after the other.
    pub fn answers(&self, prefix: &str, answers: Vec<Answer>) {
        self.state.lock().unwrap().answers.push((prefix.to_owned(), answers));
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::line).collect()
    }

    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("the API was called")
    }
}

fn serve_connection(stream: TcpStream, state: &Mutex<ApiState>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut parts = line.trim_end().splitn(3, ' ');
        let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut recorded = Recorded { method, target, headers, body: Vec::new() };
        let length = recorded.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        recorded.body = vec![0; length];
        reader.read_exact(&mut recorded.body).ok()?;
        let answer = {
            let mut state = state.lock().unwrap();
            let found = state.answers.iter_mut().rev().find(|(prefix, _)| recorded.target.starts_with(prefix.as_str()));
            let answer = match found {
                None => Answer::json(200, &json!({"ok": true})),
                Some((_, left)) if left.len() > 1 => left.remove(0),
                Some((_, left)) => left[0].clone(),
            };
            let answer = if matches!(answer, Answer::Echo) { recorded.echo() } else { answer };
            state.requests.push(recorded);
            answer
        };
        match answer {
            Answer::Full(status, content_type, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).ok()?;
                stream.write_all(&body).ok()?;
            }
            Answer::Raw(bytes) => {
                stream.write_all(&bytes).ok()?;
                return None;
            }
            Answer::Echo | Answer::Silence => {
                let mut rest = Vec::new();
                let _ = reader.read_to_end(&mut rest);
                return None;
            }
        }
    }
}

// === The identity provider ===

/// npm `oidc-provider` dressed as an Okta custom authorization server.
pub struct Provider {
    pub origin: String,
    pub issuer: String,
    control: String,
    /// Closing it ends the process.
    _stdin: Mutex<ChildStdin>,
    _child: Mutex<Child>,
}

impl Provider {
    /// The provider that tests share. Whoever makes it misbehave or counts its requests starts one of their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Provider> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let mut child = Command::new(node())
            .arg(root().join("tests/tools/identity-provider.mjs"))
            .env("PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the provider says where it is");
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self {
            origin: text("origin"),
            issuer: text("issuer"),
            control: text("control"),
            _stdin: Mutex::new(child.stdin.take().unwrap()),
            _child: Mutex::new(child),
        }
    }

    /// Mints a token through the provider's own models.
    pub fn token(&self, request: &Value) -> String {
        let mut whole = json!({"kind": "access", "audience": "api://enterprise", "scope": "hr:read wfm:read"});
        for (key, value) in request.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let answer = self.control("/token", &whole);
        answer["token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// What stands under `okta:` to ask this provider.
    pub fn okta(&self) -> Value {
        json!({
            "domain": self.origin,
            "authorization_server": "default",
            "client_id": "bridge",
            "client_secret": "${OKTA_CLIENT_SECRET}",
            "audience": "api://enterprise",
        })
    }

    pub fn user(&self, name: &str) -> String {
        self.token(&json!({ "user": name }))
    }

    pub fn revoke(&self, token: &str) {
        self.control("/revoke", &json!({ "token": token }));
    }

    pub fn mode(&self, introspection: &str) {
        self.control("/mode", &json!({ "introspection": introspection }));
    }

    pub fn introspections(&self) -> Value {
        post(&format!("{}/introspections", self.control), None)
    }

    fn control(&self, path: &str, body: &Value) -> Value {
        post(&format!("{}{path}", self.control), Some(body))
    }
}

fn post(url: &str, body: Option<&Value>) -> Value {
    let answer = block_on(async {
        let client = reqwest::Client::new();
        let request = match body {
            Some(body) => client.post(url).header("content-type", "application/json").body(body.to_string()),
            None => client.get(url),
        };
        request.timeout(PATIENCE).send().await.unwrap().text().await.unwrap()
    });
    if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}")) }
}

/// Waits until something holds that nobody tells us about.
pub fn until(mut holds: impl FnMut() -> bool) {
    let end = std::time::SystemTime::now() + PATIENCE;
    while !holds() {
        assert!(std::time::SystemTime::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

// === Other programs ===

/// A process that ends with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listened on just now, for programs that can't choose one themselves.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens.
pub fn listening(port: u16) {
    until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
}

// === The server under test ===

/// A folder of configuration, and the binary that serves it.
pub struct Fixture {
    pub folder: TempDir,
    env: Vec<(String, String)>,
    args: Vec<String>,
    listen: String,
}

impl Fixture {
    /// An empty folder; callers are not authenticated.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("bridges")).unwrap();
        Self { folder, env: Vec::new(), args: vec!["--no-auth".to_owned()], listen: "127.0.0.1:0".to_owned() }
    }

    /// A folder whose server file asks this provider about every token.
    pub fn with_okta(provider: &Provider) -> Self {
        Self::with_auth(&json!({ "okta": provider.okta() })).env("OKTA_CLIENT_SECRET", "bridge-secret")
    }

    /// A folder whose server file has this `auth`.
    pub fn with_auth(auth: &Value) -> Self {
        let mut fixture = Self::new();
        fixture.args.clear();
        fixture.write("tollbridge.yaml", &json!({ "auth": auth }).to_string());
        fixture
    }

    pub fn write(&mut self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn bridge(mut self, yaml: &str) -> Self {
        self.write("bridges/test.yaml", yaml);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Serves with these arguments and no others.
    pub fn with_args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(ToString::to_string).collect();
        self
    }

    /// Serves on this address instead of a free one.
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command in the folder, with a clean environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(counting());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Arguments and environment of `serve --stdio`, for clients that start the server themselves.
    pub fn stdio_args(&self) -> Vec<String> {
        ["serve", "--stdio"].iter().map(ToString::to_string).chain(self.args.iter().cloned()).collect()
    }

    pub fn environment(&self) -> &[(String, String)] {
        &self.env
    }

    /// Serves over HTTP on a free port.
    pub fn serve(self) -> Server {
        let mut command = self.command(&["serve", "--listen", &self.listen, "--log-format", "json"]);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let log = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                shared.lock().unwrap().extend([line.as_str(), "\n"]);
                let _ = sender.send(line);
            }
        });
        let mut server = Server { fixture: self, child, lines: Mutex::new(lines), log, address: String::new() };
        let line = server.wait_for("Serving Streamable HTTP.");
        let entry: Value = serde_json::from_str(&line).unwrap();
        entry["fields"]["address"].as_str().unwrap().clone_into(&mut server.address);
        server
    }
}

/// A running server.
pub struct Server {
    pub fixture: Fixture,
    child: Child,
    lines: Mutex<Receiver<String>>,
    log: Arc<Mutex<String>>,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Waits for a log line that holds `text`.
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            match self.lines.lock().unwrap().recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("waited for {text:?} ({error}); the log was:\n{}", self.log()),
            }
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a server that was told to stop.
    pub fn terminate_quietly(mut self) -> std::process::ExitStatus {
        ended(&mut self.child)
    }

    /// Sends SIGTERM and gives the exit status.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        ended(&mut self.child)
    }

    /// Ends it; gives all that it has said, on both outputs.
    pub fn said(&mut self) -> String {
        assert!(Command::new("kill").arg(self.id().to_string()).status().unwrap().success());
        self.wait_for("Stopped");
        ended(&mut self.child);
        let mut said = self.log();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    /// Where the admin port is, by the log.
    pub fn admin_url(&self) -> String {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("Serving the admin port.")).expect("there is an admin port");
        let entry: Value = serde_json::from_str(line).unwrap();
        let address = entry["fields"]["address"].as_str().unwrap();
        format!("http://127.0.0.1:{}", address.rsplit_once(':').unwrap().1)
    }

    /// A raw HTTP request to the admin port.
    pub fn admin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        send(method, &format!("{}{path}", self.admin_url()), headers, body)
    }

    /// A raw HTTP request.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        send(method, &format!("http://{}{path}", self.address), headers, body)
    }
}

/// The resident memory of a server, in KiB.
pub fn memory(server: &Server) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How a process ends that is about to.
fn ended(child: &mut Child) -> std::process::ExitStatus {
    let mut status = None;
    until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    block_on(async {
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), url).timeout(PATIENCE);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        Reply { status, headers, body: response.text().await.unwrap() }
    })
}

impl Server {
    /// One request of the 2026-07-28 protocol.
    pub fn rpc(&self, path: &str, token: Option<&str>, method: &str, params: &Value) -> Reply {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        self.send("POST", path, &headers, &body)
    }

    /// Calls a tool without a token.
    pub fn call(&self, tool: &str, arguments: &Value) -> ToolResult {
        self.call_as(None, tool, arguments)
    }

    pub fn call_as(&self, token: Option<&str>, tool: &str, arguments: &Value) -> ToolResult {
        let reply = self.rpc("/mcp", token, "tools/call", &json!({"name": tool, "arguments": arguments}));
        let body = reply.json();
        assert!(body.get("result").is_some(), "no result: {} {}", reply.status, reply.body);
        ToolResult(body["result"].clone())
    }

    /// The tools that a client sees, by name.
    pub fn tools(&self, token: Option<&str>) -> Map<String, Value> {
        let reply = self.rpc("/mcp", token, "tools/list", &json!({})).json();
        let tools = reply["result"]["tools"].as_array().unwrap_or_else(|| panic!("{reply}"));
        tools.iter().map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool.clone())).collect()
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC message, whether it came as JSON or as the last event of a stream.
    pub fn json(&self) -> Value {
        let text = self.body.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.body))
    }
}

/// The result of a tool call.
#[derive(Debug)]
pub struct ToolResult(pub Value);

impl ToolResult {
    pub fn text(&self) -> &str {
        self.0["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {}", self.0))
    }

    pub fn is_error(&self) -> bool {
        self.0["isError"] == true
    }

    /// The text of a failed call.
    pub fn error(&self) -> &str {
        assert!(self.is_error(), "not an error: {}", self.0);
        self.text()
    }

    /// The JSON of a call that went well.
    pub fn json(&self) -> Value {
        assert!(!self.is_error(), "an error: {}", self.0);
        serde_json::from_str(self.text()).unwrap()
    }
}
