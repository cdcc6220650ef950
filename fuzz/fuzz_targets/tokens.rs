//! Tokens and what an identity provider says of them: nobody gets in whom it does not plainly vouch for.
#![no_main]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollbridge::auth::{self, AuthSettings, Authenticator};
use tollbridge::config::variable::Environment;
use tollbridge::config;
use tollbridge::metrics::{Meter, Purpose};
use tollbridge::serve::settings::{Overrides, Settings};

#[path = "folder.rs"]
mod folder;

/// What the provider says of the next token.
static SAYS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A provider that says what it is told to, and whose keys nobody has the other half of.
static PROVIDER: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let (mut length, mut line, mut first) = (0, String::new(), String::new());
                    loop {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if first.is_empty() {
                            first = line.clone();
                        }
                        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = text.trim().parse().unwrap_or(0);
                        }
                        if line.trim().is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    let says = if first.contains("/keys") {
                        br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#
                            .to_vec()
                    } else {
                        SAYS.lock().unwrap().clone()
                    };
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", says.len());
                    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&says)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
});

struct Under {
    runtime: tokio::runtime::Runtime,
    asking: Arc<dyn Authenticator>,
    by_keys: Arc<dyn Authenticator>,
}

static UNDER: LazyLock<Under> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let port = *PROVIDER;
    let build = |yaml: String| {
        let folder = folder::Folder::new("tokens");
        let document = config::load_server(&folder.write(yaml.as_bytes())).map_err(drop).unwrap();
        let settings =
            Settings::resolve(Some(&document), std::path::Path::new("."), Overrides::default(), Environment::default())
                .map_err(drop)
                .unwrap();
        assert!(!matches!(settings.auth, AuthSettings::None));
        auth::build(settings.auth, &Meter::new(&Arc::default(), Purpose::Introspection)).unwrap()
    };
    let _inside = runtime.enter();
    let asking = build(format!(
        "auth: {{ introspection: {{ url: 'http://127.0.0.1:{port}/introspect', client_id: c, client_secret: s, audience: aud }} }}\n"
    ));
    let by_keys = build(format!(
        "auth: {{ jwt: {{ issuer: 'http://127.0.0.1:{port}', jwks_url: 'http://127.0.0.1:{port}/keys', audience: aud }} }}\n"
    ));
    drop(_inside);
    Under { runtime, asking, by_keys }
});

/// What a plain reader thinks of an answer: the only ones that may let somebody in.
fn may_enter(answer: &[u8]) -> bool {
    let Ok(Value::Object(answer)) = serde_json::from_slice(answer) else { return false };
    let audience = match answer.get("aud") {
        Some(Value::String(aud)) => aud == "aud",
        Some(Value::Array(all)) => all.iter().any(|aud| aud == "aud"),
        _ => false,
    };
    answer.get("active") == Some(&Value::Bool(true)) && audience
}

fuzz_target!(|parts: (bool, String, &[u8])| {
    let (asks, token, answer) = parts;
    let token: secrecy::SecretString = token.into();
    let Under { runtime, asking, by_keys } = &*UNDER;
    if asks {
        answer.clone_into(&mut SAYS.lock().unwrap());
        if let Ok(who) = runtime.block_on(asking.authenticate(&token)) {
            assert!(may_enter(answer), "let in: {}", String::from_utf8_lossy(answer));
            assert!(!who.identity().is_empty());
        }
    } else {
        let _ = auth::jwt::peek(&token);
        assert!(runtime.block_on(by_keys.authenticate(&token)).is_err(), "nobody has the key");
    }
});
