//! Bytes on a connection to the MCP endpoint: HTTP heads, bodies, messages of both eras. The server answers something or hangs
//! up, and goes on serving.
#![no_main]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tollbridge::config::server::{AuthSpec, True, WatchSpec};
use tollbridge::config::variable::Environment;
use tollbridge::serve::App;
use tollbridge::serve::settings::{Overrides, Settings};

#[path = "folder.rs"]
mod folder;

const BRIDGE: &str = r#"
bridge: b
tools:
  hi: { description: Hi., parameters: { name: { type: string, x-mcp-header: Name } }, response: { text: "Hi {{ args.name }}" } }
resources:
  a://x: { text: x }
  b://{x}: { text: "{{ x }}" }
prompts:
  p: { arguments: { a: { complete: [one, two] } }, messages: [{ role: user, text: "{{ a }}" }] }
"#;

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = folder::Folder::new("frames");
    let overrides = Overrides {
        listen: Some(format!("127.0.0.1:{port}")),
        bridges: Some(folder.write(BRIDGE.as_bytes())),
        watch: Some(WatchSpec::Off),
        auth: Some(AuthSpec { none: Some(True), ..AuthSpec::default() }),
        ..Overrides::default()
    };
    let settings =
        Settings::resolve(None, std::path::Path::new("."), overrides, Environment::default()).map_err(drop).unwrap();
    let (app, _) = App::build(settings).map_err(drop).unwrap();
    let listeners = app.bind().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _ = runtime.block_on(app.serve_http(listeners, tokio_util::sync::CancellationToken::new()));
    });
    std::mem::forget(folder);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::yield_now();
    }
    port
});

static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Says something, and hears the beginning of the answer. Who `leaves` says no more, so that nobody waits for the rest of half
/// a message; a server may take that for the end of it all.
fn say(bytes: &[&[u8]], leaves: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", *PORT)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for part in bytes {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    if leaves {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut heard = vec![0; 4096];
    let count = stream.read(&mut heard).unwrap_or(0);
    heard.truncate(count);
    heard
}

fn head(length: usize, more: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n"
    )
}

fuzz_target!(|parts: (u8, &[u8])| {
    let (form, bytes) = parts;
    match form % 3 {
        // All of it is made up.
        0 => drop(say(&[bytes], true)),
        // A message of the older protocols, and one of the current one.
        1 => drop(say(&[head(bytes.len(), "").as_bytes(), bytes], true)),
        _ => {
            let more = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: hi\r\n";
            drop(say(&[head(bytes.len(), more).as_bytes(), bytes], true));
        }
    }
    if ROUNDS.fetch_add(1, Ordering::Relaxed) % 256 == 0 {
        let list = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let more = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n";
        let heard = say(&[head(list.len(), more).as_bytes(), list], false);
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with("HTTP/1.1 200") && heard.contains("\"hi\""), "no answer any more: {heard}");
    }
});
