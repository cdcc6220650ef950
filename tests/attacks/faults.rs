//! What breaks by itself: the API, the identity provider, the disk, the clock, and what the system gives a process. Under every
//! fault the definitions keep serving, the next good request succeeds, nothing panics, and no secret is logged.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::transport::peak;
use super::{body, lines, post, status};
use crate::support::{Answer, Api, Fixture, PATIENCE, Server, free_port, generated, until};

/// What breaks, what happens then, and the tests that prove it: a table of SECURITY.md.
const TABLE: &[(&str, &str, &[&str])] = &[
    (
        "The API refuses, resets, stalls, stops half-way, lies about its length, speaks something else, never ends its head, \
         or fails in the TLS handshake",
        "An error of the tool, in words without an address; what an answer has too much reaches no other call",
        &["an_api_that_fails_costs_one_call", "a_tls_handshake_that_fails_costs_one_call"],
    ),
    (
        "The identity provider does",
        "503 for whoever presents a token, and never 401; what is open to everybody stays open",
        &[
            "an_identity_provider_that_fails_lets_nobody_in_and_then_all_is_well",
            "a_tls_handshake_that_fails_costs_one_call",
        ],
    ),
    (
        "The disk of the audit trail is full",
        "The call is refused, or goes on with `on_failure: warn`; there is a trail again as soon as it can be written",
        &["a_full_disk_hands_out_nothing_and_passes_by_itself"],
    ),
    (
        "The clock jumps",
        "Tokens live by the clock of the wall; limits, pauses and what is kept by one that only goes forward",
        &["a_clock_that_jumps_lets_nobody_in_and_keeps_nobody_out"],
    ),
    (
        "There are no file descriptors left",
        "Who is connected is served, the log says it once, and new clients are served when there are some",
        &["without_file_descriptors_it_waits_and_goes_on"],
    ),
    (
        "128 clients get 1 MiB each at once",
        "Memory stays within 128 MiB where `max_concurrency` bounds the answers that are in it",
        &["many_large_answers_at_once_fit_into_a_small_memory"],
    ),
    (
        "Our own code panics",
        "One call gets an internal error with an id, is counted and recorded; locks, slots and sessions stay usable, and the log \
         says where it was without its words",
        &[
            "a_call_that_panics_is_answered_counted_and_recorded_and_the_next_one_is_well",
            "a_panic_does_not_end_the_session_of_an_older_client",
            "a_request_that_panics_is_answered_and_its_connection_goes_on",
            "a_panic_unwinds_and_does_not_abort",
        ],
    ),
];

#[test]
fn the_table_of_faults_is_made_from_the_tests() {
    let known = super::tests();
    let mut table = "| What breaks | What tollbridge does | Tests |\n|---|---|---|\n".to_owned();
    for (what, does, tests) in TABLE {
        for name in *tests {
            assert!(known.contains(*name), "there is no test `{name}`");
        }
        let tests: Vec<String> = tests.iter().map(|name| format!("`{name}`")).collect();
        writeln!(table, "| {what} | {does} | {} |", tests.join(", ")).unwrap();
    }
    generated("SECURITY.md", "faults", &table);
}

// === a server that fails as it is told to ===

#[derive(Clone, Copy)]
enum Step {
    /// Reads a request.
    Read,
    /// Says this.
    Say(&'static str),
    /// Says this until the other side has had enough.
    Flood(&'static str),
    /// Says nothing more.
    Stall,
    /// Ends the connection.
    Close,
    /// Ends it while there is something unread, which makes it a reset.
    Reset,
    /// Waits for the next request.
    Keep,
}

use Step::{Close, Flood, Keep, Read, Reset, Say, Stall};

/// A server on a raw socket: well, unless it has been given a fault.
struct Faulty {
    fault: Arc<Mutex<Option<&'static [Step]>>>,
    requests: Arc<Mutex<usize>>,
}

impl Faulty {
    fn on(port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (fault, requests) = (Arc::default(), Arc::default());
        let faulty = Self { fault: Arc::clone(&fault), requests: Arc::clone(&requests) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (fault, requests, tls) = (Arc::clone(&fault), Arc::clone(&requests), tls.clone());
                std::thread::spawn(move || connected(&stream, &fault, &requests, tls.as_ref()));
            }
        });
        faulty
    }

    fn set(&self, fault: Option<&'static [Step]>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn requests(&self) -> usize {
        *self.requests.lock().unwrap()
    }
}

fn connected(
    stream: &TcpStream,
    fault: &Mutex<Option<&'static [Step]>>,
    requests: &Mutex<usize>,
    tls: Option<&Arc<ServerConfig>>,
) -> Option<()> {
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut stream = stream;
    loop {
        // Nothing is read yet, so that there is something unread.
        if stream.peek(&mut [0]).ok()? == 0 {
            return None;
        }
        *requests.lock().unwrap() += 1;
        let told = *fault.lock().unwrap();
        match (told, tls) {
            (None, None) => well(&mut stream, "keep-alive")?,
            (None, Some(config)) => {
                let connection = ServerConnection::new(Arc::clone(config)).ok()?;
                let mut secure = StreamOwned::new(connection, stream);
                well(&mut secure, "close")?;
                secure.conn.send_close_notify();
                secure.flush().ok()?;
                return None;
            }
            (Some(steps), _) => {
                if !steps.iter().try_fold(false, |_, step| act(&mut stream, *step))? {
                    return None;
                }
            }
        }
    }
}

/// Gives whether the connection goes on.
fn act(stream: &mut &TcpStream, step: Step) -> Option<bool> {
    match step {
        Read => drop(request(stream)?),
        Say(text) => stream.write_all(text.as_bytes()).ok()?,
        Flood(text) => {
            let block = text.repeat(8_192 / text.len() + 1);
            while stream.write_all(block.as_bytes()).is_ok() {
                // Endless, not all of the machine: other tests run beside it.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Stall => {
            let _ = stream.read_to_end(&mut Vec::new());
        }
        Close => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        Reset => {}
        Keep => return Some(true),
    }
    Some(false)
}

/// The target of a request, once all of it is read.
fn request(stream: &mut impl std::io::Read) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if target.is_empty() {
            line.split(' ').nth(1)?.clone_into(&mut target);
        } else if let Some(written) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = written.trim().parse().ok()?;
        } else if line.trim().is_empty() {
            reader.read_exact(&mut vec![0; length]).ok()?;
            return Some(target);
        }
    }
}

/// Answers as an API, and as an identity provider to whom every token is good.
fn well(stream: &mut (impl std::io::Read + std::io::Write), connection: &str) -> Option<()> {
    let target = request(stream)?;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let verdict =
        json!({"active": true, "sub": "alice", "aud": "api://enterprise", "client_id": "app", "exp": now + 600});
    let (kind, body) = if target == "/introspect" {
        ("application/json", verdict.to_string())
    } else {
        ("text/plain", "fine".to_owned())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 X\r\nconnection: {connection}\r\ncontent-type: {kind}\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()?;
    stream.flush().ok()
}

const BROKEN: &str = "The connection to the API broke";
const LATE: &str = "The API did not answer within 1 s";

/// What is done instead of an answer, and what the model is told.
const FAULTS: &[(&str, &[Step], &str)] = &[
    ("reset at once", &[Reset], BROKEN),
    ("closed at once", &[Read, Close], BROKEN),
    ("reset within the head", &[Say("HTTP/1.1 200 O"), Reset], BROKEN),
    ("closed within the head", &[Read, Say("HTTP/1.1 200 X\r\ncontent-le"), Close], BROKEN),
    ("reset within the body", &[Say("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf"), Reset], BROKEN),
    ("closed within the body", &[Read, Say("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf"), Close], BROKEN),
    (
        "closed within a chunk",
        &[Read, Say("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf"), Close],
        BROKEN,
    ),
    ("stalls before the head", &[Read, Stall], LATE),
    ("stalls after the head", &[Read, Say("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n"), Stall], LATE),
    ("longer than it is", &[Read, Say("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf"), Stall], LATE),
    (
        "another protocol",
        &[Read, Say("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello"), Stall],
        "API error: 101",
    ),
    ("HTTP/0.9", &[Read, Say("<html>hello</html>\r\n"), Close], BROKEN),
    ("HTTP/2", &[Read, Say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Close], BROKEN),
    ("endless 100", &[Read, Flood("HTTP/1.1 100 Continue\r\n\r\n")], LATE),
    ("endless 103", &[Read, Flood("HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")], LATE),
    ("endless headers", &[Read, Say("HTTP/1.1 200 X\r\n"), Flood("x-more: and more\r\n")], BROKEN),
    ("an endless header", &[Read, Say("HTTP/1.1 200 X\r\nx-more: "), Flood("more and more ")], BROKEN),
    (
        "endless trailers",
        &[Read, Say("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"), Flood("x-a: b\r\n")],
        BROKEN,
    ),
    (
        "an endless body",
        &[Read, Say("HTTP/1.1 200 X\r\n\r\n"), Flood("more and more ")],
        "The API's answer is larger than",
    ),
];

/// In the TLS handshake.
const HANDSHAKES: &[(&str, &[Step])] = &[
    ("reset", &[Reset]),
    ("closed", &[Close]),
    ("plain HTTP", &[Say("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nevil"), Close]),
    ("an alert", &[Say("\x15\x03\x03\0\x02\x02\x28"), Close]),
    ("half a message", &[Say("\x16\x03\x03\x40\0\x02\0"), Close]),
    ("stalls", &[Stall]),
];

const BRIDGE: &str = "bridge: test
upstream: { url: '${API}', credentials: { bearer: '${KEY}' }, timeout: 1s, circuit_breaker: false TLS }
tools:
  t: { description: T., endpoint: POST /t }
  fixed: { description: F., response: { text: fixed } }
";

fn introspection(url: &str) -> Value {
    json!({"introspection": {
        "url": format!("{url}/introspect"), "client_id": "b", "client_secret": "s3cret-canary", "audience": "api://enterprise",
    }})
}

/// What holds after every fault.
fn unharmed(server: &Server) {
    let log = server.log();
    for never in ["panicked", "canary"] {
        assert!(!log.contains(never), "{log}");
    }
    assert!(peak(server) < 128, "{} MiB", peak(server));
}

fn says_no_address(text: &str, port: u16) {
    assert!(!text.contains(&port.to_string()) && !text.contains("127.0.0.1") && !text.contains("canary"), "{text}");
}

#[test]
fn an_api_that_fails_costs_one_call() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let server = Fixture::new().bridge(&BRIDGE.replace(" TLS", "")).env("API", &url).env("KEY", "k3y-canary").serve();
    let fails = |what: &str, words: &str| {
        let result = server.call("t", &json!({}));
        assert!(result.error().starts_with(words), "{what}: {}", result.text());
        says_no_address(&result.0.to_string(), port);
        assert_eq!(server.call("fixed", &json!({})).text(), "fixed", "{what}");
        assert!(server.tools(None).contains_key("t"), "{what}");
    };
    fails("refused", "The API can't be reached");
    let api = Faulty::on(port, None);
    let well = |what: &str| {
        api.set(None);
        let result = server.call("t", &json!({}));
        assert!(!result.is_error() && result.text() == "fine", "after {what}: {}", result.text());
    };
    well("refused");
    for (what, steps, words) in FAULTS {
        api.set(Some(steps));
        fails(what, words);
        well(what);
    }
    // More than it should be: what is too much is nobody's answer.
    api.set(Some(&[
        Read,
        Say("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nlessHTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nevil"),
        Keep,
    ]));
    for _ in 0..5 {
        assert_eq!(server.call("t", &json!({})).text(), "less");
    }
    well("too much");
    unharmed(&server);
}

#[test]
fn an_identity_provider_that_fails_lets_nobody_in_and_then_all_is_well() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut auth = introspection(&url);
    auth["anonymous"] = json!(["tools/list"]);
    let server =
        Fixture::with_auth(&auth).bridge(&BRIDGE.replace(" TLS", "")).env("API", &url).env("KEY", "k3y-canary").serve();
    let call = |token: &str| server.rpc("/mcp", Some(token), "tools/call", &json!({"name": "fixed", "arguments": {}}));
    let fails = |what: &str| {
        let reply = call("t0ken-canary");
        assert_eq!(reply.status, 503, "{what}: {reply:?}");
        assert!(
            reply.header("retry-after").is_some() && reply.header("www-authenticate").is_none(),
            "{what}: {reply:?}"
        );
        says_no_address(&reply.body, port);
        assert!(server.tools(None).contains_key("t"), "{what}");
    };
    fails("refused");
    let provider = Faulty::on(port, None);
    let well = |what: &str| {
        provider.set(None);
        assert_eq!(call("t0ken-canary").status, 200, "after {what}");
    };
    well("refused");
    // Three seconds each are spent on a provider that stalls, so not all of those.
    let stalls = ["stalls before the head", "longer than it is", "endless 100"];
    for (what, steps, _) in FAULTS.iter().filter(|(what, _, words)| *words != LATE || stalls.contains(what)) {
        provider.set(Some(steps));
        fails(what);
        well(what);
    }
    // Behind a verdict stands another one: it is nobody's.
    provider.set(Some(&[
        Read,
        Say(
            "HTTP/1.1 200 X\r\ncontent-length: 16\r\n\r\n{\"active\":false}HTTP/1.1 200 X\r\ncontent-length: 77\r\n\r\n\
             {\"active\":true,\"sub\":\"e\",\"aud\":\"api://enterprise\",\"client_id\":\"app\",\"exp\":9999999999}",
        ),
        Keep,
    ]));
    for number in 0..5 {
        assert_eq!(call(&format!("t0ken-canary-{number}")).status, 401);
    }
    well("too much");
    unharmed(&server);
}

#[test]
fn a_tls_handshake_that_fails_costs_one_call() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()], key)
        .unwrap();
    let config = Arc::new(config);
    let (api_port, provider_port) = (free_port(), free_port());
    let (api, provider) =
        (Faulty::on(api_port, Some(Arc::clone(&config))), Faulty::on(provider_port, Some(Arc::clone(&config))));
    let mut fixture = Fixture::with_auth(&introspection(&format!("https://localhost:{provider_port}")))
        .bridge(&BRIDGE.replace(" TLS", ", tls: { ca: '${file:ca.pem}' }"))
        .env("API", &format!("https://localhost:{api_port}"))
        .env("KEY", "k3y-canary");
    fixture.write("bridges/ca.pem", &made.cert.pem());
    let authority = fixture.path().join("bridges/ca.pem");
    // The provider's certificate is trusted as those of the machine are.
    let server = fixture.env("SSL_CERT_FILE", authority.to_str().unwrap()).serve();
    let call = || server.rpc("/mcp", Some("t0ken-canary"), "tools/call", &json!({"name": "t", "arguments": {}}));
    let well = |what: &str| {
        api.set(None);
        provider.set(None);
        let reply = call();
        assert!(reply.status == 200 && reply.json()["result"]["content"][0]["text"] == "fine", "{what}: {reply:?}");
    };
    well("the beginning");
    for (what, steps) in HANDSHAKES {
        api.set(Some(steps));
        let reply = call();
        let words = reply.json()["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        let expected = if *what == "stalls" { LATE } else { "No secure connection to the API can be made" };
        assert!(words == expected && reply.json()["result"]["isError"] == true, "{what}: {words}");
        says_no_address(&reply.body, api_port);
        well(what);
        provider.set(Some(steps));
        let reply = call();
        assert!(reply.status == 503 && reply.header("www-authenticate").is_none(), "{what}: {reply:?}");
        says_no_address(&reply.body, provider_port);
        well(what);
    }
    unharmed(&server);
}

// === the machine ===

#[test]
fn a_full_disk_hands_out_nothing_and_passes_by_itself() {
    let api = Api::start();
    api.answer("/", Answer::text(200, "fine"));
    let serve = |on_failure: &str| {
        let mut fixture =
            Fixture::new().bridge(&BRIDGE.replace(" TLS", "")).env("API", &api.url()).env("KEY", "k3y-canary");
        fixture.write("tollbridge.yaml", &format!("audit: {{ to: audit.jsonl, on_failure: {on_failure} }}"));
        // A disk that is full.
        symlink("/dev/full", fixture.path().join("audit.jsonl")).unwrap();
        fixture.serve()
    };
    let server = serve("block");
    let file = server.fixture.path().join("audit.jsonl");
    for _ in 0..3 {
        let result = server.call("t", &json!({}));
        assert_eq!(result.error(), "the audit trail can't be written");
        assert!(!result.0.to_string().contains("fine") && server.tools(None).contains_key("t"));
    }
    assert_eq!(api.requests().len(), 1, "only the first call did not know yet");
    // There is room again.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(server.call("t", &json!({})).text(), "fine");
    let trail = std::fs::read_to_string(&file).unwrap();
    assert!(trail.lines().count() == 2 && trail.contains("earlier lines could not be written"), "{trail}");
    unharmed(&server);

    let server = serve("warn");
    let file = server.fixture.path().join("audit.jsonl");
    for _ in 0..2 {
        assert_eq!(server.call("t", &json!({})).text(), "fine");
    }
    server.wait_for("The audit trail can't be written.");
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    server.wait_for("The audit trail was opened again.");
    assert_eq!(server.call("t", &json!({})).text(), "fine");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    unharmed(&server);
}

#[test]
fn a_clock_that_jumps_lets_nobody_in_and_keeps_nobody_out() {
    // What makes a program believe in another time; the clock that only goes forward is left alone, as by the system.
    let found = Command::new("faketime").args(["-m", "-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]).output();
    let found = found.expect("faketime is missing: install it (Debian: apt-get install faketime)");
    let library = String::from_utf8(found.stdout).unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let provider = Faulty::on(port, None);
    let mut auth = introspection(&url);
    auth["introspection"]["cache"] = json!("2s");
    let yaml = "bridge: test
tools:
  fixed: { description: F., response: { text: fixed } }
  few: { description: F., rate_limit: { calls: 1, per: hour }, response: { text: few } }
  often: { description: O., rate_limit: { calls: 1, per: second }, response: { text: often } }
";
    let mut fixture = Fixture::with_auth(&auth).bridge(yaml).env("LD_PRELOAD", library.trim());
    fixture.write("clock", "+0");
    let clock = fixture.path().join("clock");
    let server = fixture
        .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .serve();
    let is = |seconds: i64| std::fs::write(&clock, format!("{seconds:+}")).unwrap();
    let reply =
        |tool: &str| server.rpc("/mcp", Some("t0ken-canary"), "tools/call", &json!({"name": tool, "arguments": {}}));
    let call = |tool: &str| reply(tool).json()["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!((call("fixed").as_str(), call("few").as_str()), ("fixed", "few"));
    let asked = provider.requests();
    // An hour on, the token has expired, and no kept verdict says otherwise.
    is(3_600);
    assert_eq!(reply("fixed").status, 401);
    // The jump is taken back: it is good again, and limits have not moved either way.
    is(0);
    assert_eq!(call("fixed"), "fixed");
    for seconds in [86_400 * 30, -86_400 * 30, 0] {
        is(seconds);
        let reply = reply("few");
        let words = reply.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        assert!(reply.status == 401 || words.starts_with("Rate limit: few was called too often"), "{seconds}: {words}");
    }
    // Back by a month, a kept verdict is not kept for a month, and who may call once in a second has not to wait for one.
    is(-86_400 * 30);
    assert_eq!(call("often"), "often");
    let before = provider.requests();
    assert!(before > asked);
    until(|| {
        assert_eq!(call("fixed"), "fixed");
        provider.requests() > before
    });
    until(|| call("often") == "often");
    is(0);
    assert_eq!(call("fixed"), "fixed");
    unharmed(&server);
}

#[test]
fn without_file_descriptors_it_waits_and_goes_on() {
    let api = Api::start();
    let server =
        Fixture::new().bridge(&BRIDGE.replace(" TLS", "")).env("API", &api.url()).env("KEY", "k3y-canary").serve();
    let call = |stream: &mut TcpStream, tool: &str| {
        let text = body(tool, "{}");
        let head = lines(&server, "tools/call", tool).join("\r\n");
        write!(stream, "POST /mcp HTTP/1.1\r\ncontent-length: {}\r\n{head}\r\n\r\n{text}", text.len()).unwrap();
        let (mut said, mut block) = (String::new(), [0; 4096]);
        while !said.contains("isError") {
            let read = stream.read(&mut block).unwrap();
            assert!(read > 0, "cut off: {said}");
            said.push_str(&String::from_utf8_lossy(&block[..read]));
        }
        said
    };
    let mut first = TcpStream::connect(&server.address).unwrap();
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(call(&mut first, "fixed").contains("\"fixed\""));
    let limit = Command::new("prlimit").args(["--nofile=64:64", "--pid", &server.id().to_string()]).status();
    assert!(limit.unwrap().success());
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    server.wait_for("No connection can be taken");
    // Whoever is connected is served; what would take another descriptor fails, in the words of any other failure.
    for _ in 0..20 {
        assert!(call(&mut first, "fixed").contains("\"fixed\""));
        assert!(call(&mut first, "t").contains("The API can't be reached"));
    }
    drop(held);
    assert_eq!(server.call("fixed", &json!({})).text(), "fixed");
    until(|| !server.call("t", &json!({})).is_error());
    assert_eq!(server.log().matches("No connection can be taken").count(), 1, "{}", server.log());
    assert!(server.log().lines().count() < 100, "{}", server.log());
    unharmed(&server);
}

#[test]
fn many_large_answers_at_once_fit_into_a_small_memory() {
    const CLIENTS: usize = 128;
    let api = Api::start();
    api.answer("/", Answer::text(200, &"x".repeat(1 << 20)));
    let yaml = BRIDGE
        .replace("circuit_breaker: false TLS", "circuit_breaker: false, max_concurrency: 4")
        .replace("timeout: 1s", "timeout: 2m");
    let mut fixture = Fixture::new().bridge(&yaml).env("API", &api.url()).env("KEY", "k3y-canary");
    fixture.write("tollbridge.yaml", "limits: { request_timeout: 2m }");
    let server = fixture.serve();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let said = post(&server, "/mcp", &lines(&server, "tools/call", "t"), &body("t", "{}"));
                assert!(status(&said) == 200 && said.len() > 1 << 20, "{} bytes", said.len());
            });
        }
    });
    assert_eq!(server.call("fixed", &json!({})).text(), "fixed");
    unharmed(&server);
}

#[test]
fn a_panic_unwinds_and_does_not_abort() {
    let manifest = std::fs::read_to_string(crate::support::root().join("Cargo.toml")).unwrap();
    let profiles = manifest.split("\n[").filter(|part| part.starts_with("profile."));
    assert!(profiles.clone().count() > 0 && profiles.clone().all(|part| !part.contains("panic")), "{manifest}");
}
