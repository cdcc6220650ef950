//! Canaries: every secret, token and `${…}` value is a marked string, the whole program is run over them at trace level,
//! and all that came out is searched, also for what they look like when they are encoded.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::stdio::Pipes;
use crate::support::{Answer, Api, Fixture, Server, until};

/// A marked string, and what it is.
struct Canary {
    what: String,
    text: String,
}

/// All marked strings of a run.
#[derive(Default)]
struct Cage(Vec<Canary>);

// === impl Cage ===

impl Cage {
    /// Makes a marked string. Its middle has nothing that any encoding would change, its end has all of it.
    fn hatch(&mut self, what: &str) -> String {
        self.keep(what, format!("Zq7{}Zq7", what.replace(' ', "")));
        format!("Zq7{}Zq7/+&=\"'", what.replace(' ', ""))
    }

    /// Takes in a string that others have made.
    fn keep(&mut self, what: &str, text: String) {
        self.0.push(Canary { what: what.to_owned(), text });
    }

    /// What of it stands in a text, and how.
    fn found(&self, text: &str) -> Vec<String> {
        let lower = text.to_ascii_lowercase();
        let mut found = Vec::new();
        for Canary { what, text: secret } in &self.0 {
            for (form, looks) in forms(secret) {
                let is_there =
                    if form == "plain" { lower.contains(&looks.to_ascii_lowercase()) } else { text.contains(&looks) };
                if is_there {
                    found.push(format!("{what} ({form})"));
                }
            }
        }
        found
    }

    /// Fails when any of them stands in a text.
    fn search(&self, place: &str, text: &str) {
        let found = self.found(text);
        assert!(found.is_empty(), "{place} shows {found:?}:\n{text}");
    }
}

/// What a string looks like, encoded in the usual ways; without what depends on its neighbours.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let each = |form: &dyn Fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
    let mut forms = vec![
        ("plain", secret.to_owned()),
        ("percent", each(&|byte| format!("%{byte:02X}"))),
        ("percent, lower case", each(&|byte| format!("%{byte:02x}"))),
        ("JSON escapes", each(&|byte| format!("\\u{byte:04x}"))),
        ("hexadecimal", each(&|byte| format!("{byte:02x}"))),
        ("bytes", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
    ];
    for offset in 0..3 {
        let shifted = [&[0; 3][..offset], bytes].concat();
        // The first characters hold bits of what stands before, the last of what follows.
        let (skipped, whole) = ([0, 2, 3][offset], shifted.len() / 3 * 4);
        for (form, encoded) in
            [("base64", STANDARD_NO_PAD.encode(&shifted)), ("base64url", URL_SAFE_NO_PAD.encode(&shifted))]
        {
            forms.push((form, encoded[skipped..whole].to_owned()));
        }
    }
    forms
}

#[test]
fn the_search_finds_a_canary_in_every_form() {
    let mut cage = Cage::default();
    let secret = cage.hatch("api key");
    let pair = STANDARD_NO_PAD.encode(format!("user:{secret}"));
    let url = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    for text in [
        format!("x{secret}y"),
        secret.to_ascii_uppercase(),
        url,
        json!(secret).to_string(),
        pair,
        STANDARD_NO_PAD.encode(format!("a{secret}")),
        URL_SAFE_NO_PAD.encode(format!("ab{secret}")),
        format!("{:?}", secret.as_bytes()),
        secret.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat(),
    ] {
        assert!(!cage.found(&text).is_empty(), "{text}");
    }
    assert!(cage.found("Zq7apike").is_empty());
}

const BRIDGES: [(&str, &str); 9] = [
    ("bearer", "{ bearer: \"${BEARER}\" }"),
    ("basic", "{ basic: { username: \"${USER}\", password: \"${PASSWORD}\" } }"),
    ("header", "{ api_key: { header: X-Key, value: \"${HEADER_KEY}\" } }"),
    ("query", "{ api_key: { query: key, value: \"${QUERY_KEY}\" } }"),
    ("caller", "caller_token"),
    (
        "ours",
        "{ client_credentials: { token_url: \"${TOKEN_URL}\", client_id: svc, client_secret: \"${CLIENT_SECRET}\" } }",
    ),
    (
        "posted",
        "{ client_credentials: { token_url: \"${TOKEN_URL}\", client_id: svc, client_secret: \"${POSTED}\", client_auth: client_secret_post } }",
    ),
    (
        "signed",
        "{ client_credentials: { token_url: \"${TOKEN_URL}\", client_id: svc, private_key: \"${file:../key.pem}\" } }",
    ),
    (
        "exchanged",
        "{ token_exchange: { token_url: \"${TOKEN_URL}\", client_id: svc, client_secret: \"${CLIENT_SECRET}\", audience: api } }",
    ),
];

fn bridge(name: &str, credentials: &str) -> String {
    format!(
        r#"
bridge: {name}
upstream:
  url: "${{API}}"
  credentials: {credentials}
  headers: {{ X-Fixed: "${{FIXED}}" }}
  circuit_breaker: false
claims: {{ gpid: gpid }}
tools:
  {name}_get:
    description: Reads from {name}.
    endpoint: GET /get/{{gpid}}
    parameters: {{ gpid: {{ claim: gpid }}, n: {{ type: integer, required: false }}, hidden: {{ value: "${{VALUE}}" }} }}
  {name}_post:
    description: Writes to {name}.
    endpoint: POST /post
    rate_limit: {{ calls: 1000, per: minute, by: caller }}
    parameters: {{ say: {{ type: string, required: false }} }}
    body: {{ json: {{ say: "{{{{ args.say }}}}", key: "${{BODY}}" }} }}
    response: {{ text: "{{{{ body.ok }}}} {{{{ headers }}}}" }}
tests:
  - name: reads from {name}
    tool: {name}_get
    caller: {{ gpid: "7" }}
    upstream: {{ json: {{ ok: true }} }}
    snapshot: true
"#
    )
}

/// Whatever lies below a folder, except what the test has written there itself.
fn files(folder: &Path, mine: &[&str], texts: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, mine, texts);
        } else if !mine.contains(&name.as_str()) {
            texts.push((name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()));
        }
    }
}

/// A private key as PEM, and a line of it.
fn key() -> (String, String) {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let line = pem.lines().nth(1).unwrap().to_owned();
    (pem, line)
}

/// A run: all that takes part, and all that it has said.
struct Run {
    api: Api,
    provider: Api,
    cage: Cage,
    variables: Vec<(&'static str, String)>,
    tokens: Vec<String>,
    fixture: Fixture,
    said: Vec<(String, String)>,
}

const VARIABLES: [&str; 14] = [
    "BEARER",
    "USER",
    "PASSWORD",
    "HEADER_KEY",
    "QUERY_KEY",
    "CLIENT_SECRET",
    "POSTED",
    "FIXED",
    "VALUE",
    "BODY",
    "OKTA_CLIENT_SECRET",
    "ADMIN_TOKEN",
    "AUDIT_KEY",
    "UNUSED",
];

// === impl Run ===

impl Run {
    fn new() -> Self {
        let (api, provider) = (Api::start(), Api::start());
        let mut cage = Cage::default();
        // The name of a user ends at the first colon, and a token can't hold spaces; all else may be in a secret.
        let variables: Vec<(&'static str, String)> =
            VARIABLES.iter().map(|name| (*name, cage.hatch(&name.to_ascii_lowercase()))).collect();
        let (pem, line) = key();
        cage.keep("private key", line);
        let tokens: Vec<String> = ["alice", "broken", "environment", "argument"]
            .iter()
            .map(|what| cage.hatch(&format!("token of {what}")).replace(['&', '=', '"', '\''], "."))
            .collect();
        let issued = cage.hatch("issued token").replace(['&', '=', '"', '\''], ".");

        // An identity provider that says yes to all but one token, and issues tokens.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let verdict = json!({
            "active": true, "token_type": "Bearer", "sub": "alice", "gpid": "7", "client_id": "app", "scope": "hr.read",
            "aud": "api://enterprise", "iat": now, "exp": now + 600, "jti": "id-of-token",
        });
        provider.answer("/introspect", Answer::json(200, &verdict));
        provider.answer(
            "/token",
            Answer::json(200, &json!({"access_token": issued, "token_type": "Bearer", "expires_in": 600})),
        );

        let mut fixture = Fixture::new()
            .env("API", &format!("{}/v1", api.url()))
            .env("TOKEN_URL", &format!("{}/token", provider.url()))
            .env("TOLLBRIDGE_LOG", "trace")
            .env("TOLLBRIDGE_ADMIN_TOKEN", &variables[11].1)
            .env("OKTA_ACCESS_TOKEN", &tokens[2])
            .env("RUST_BACKTRACE", "full");
        for (name, value) in &variables {
            fixture = fixture.env(name, value);
        }
        let redis = cage.hatch("redis").chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        fixture = fixture.env("REDIS", &format!("redis://:{redis}@127.0.0.1:1"));
        fixture.write("key.pem", &pem);
        for (name, credentials) in BRIDGES {
            fixture.write(&format!("bridges/{name}.yaml"), &bridge(name, credentials));
        }
        fixture.write(
            "tollbridge.yaml",
            &json!({
                "auth": {"introspection": {
                    "url": format!("{}/introspect", provider.url()), "client_id": "bridge",
                    "client_secret": "${OKTA_CLIENT_SECRET}", "audience": "api://enterprise",
                }},
                "admin": {"listen": "127.0.0.1:0", "token": "${ADMIN_TOKEN}"},
                "audit": {"to": "audit.jsonl", "hash_key": "${AUDIT_KEY}"},
                "shared": {"redis": "${REDIS}"},
                "stdio": {"token": "env"},
            })
            .to_string(),
        );
        Self { api, provider, cage, variables, tokens, fixture, said: Vec::new() }
    }

    fn say(&mut self, said: (String, String)) {
        self.said.push(said);
    }

    fn run(&mut self, args: &[&str]) {
        let output = self.fixture.command(args).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!text.is_empty() || output.status.success(), "{args:?} said nothing");
        self.say((args.join(" "), text));
    }

    /// Every command that reads these files, the real ones last.
    fn commands(&mut self) {
        self.fixture.write("old/bearer.yaml", &bridge("bearer", "none").replace("GET /get", "GET /old"));
        for format in ["text", "json", "github", "sarif"] {
            self.run(&["check", "--verbose", "--format", format]);
        }
        self.run(&["check", "--online", "bridges"]);
        self.run(&["doctor"]);
        self.run(&["doctor", "--format", "json"]);
        self.run(&["diff", "old", "bridges"]);
        self.run(&["diff", "old", "bridges", "--format", "json"]);
        self.run(&["test", "--accept"]);
        self.run(&["test", "--format", "json", "bridges"]);
        self.run(&["list"]);
        for (name, _) in BRIDGES {
            let (get, post) = (format!("{name}_get"), format!("{name}_post"));
            self.run(&["show", &get]);
            for format in ["text", "json", "curl"] {
                self.run(&["explain", &get, "--claims", "gpid=7", "--format", format]);
                self.run(&["explain", &post, "say=x", "--format", format]);
            }
            self.api.answer("/", Answer::json(200, &json!({"ok": true})));
            self.run(&["call", &get, "n=1", "--record", "bridges/recorded.test.yaml"]);
            self.run(&["call", &post, "say=x", "--raw"]);
            self.api.answer("/", Answer::Echo);
            self.run(&["call", &get]);
            self.run(&["call", &post]);
        }
        assert!(self.api.requests().len() >= BRIDGES.len() * 4, "{:?}", self.api.lines());
    }

    /// Over STDIO, where a token may be an argument.
    fn stdio(&mut self) {
        let stdio = Fixture::new().env("TOLLBRIDGE_LOG", "trace");
        let mut stdio = self.fixture.environment().iter().fold(stdio, |stdio, (name, value)| stdio.env(name, value));
        for name in ["tollbridge.yaml", "key.pem"] {
            let text = std::fs::read_to_string(self.fixture.path().join(name)).unwrap();
            let text =
                if name.ends_with("yaml") { text.replace("\"token\":\"env\"", "\"token\":\"argument\"") } else { text };
            stdio.write(name, &text);
        }
        for (name, credentials) in BRIDGES {
            stdio.write(&format!("bridges/{name}.yaml"), &bridge(name, credentials));
        }
        let mut pipes = Pipes::start(stdio.with_args(&[]));
        for (name, _) in BRIDGES {
            let token = &self.tokens[3].clone();
            for arguments in [
                json!({"access_token": token, "n": 1}),
                json!({"access_token": token, "wrong": token}),
                json!({"access_token": 1}),
            ] {
                let answer =
                    pipes.request("tools/call", &json!({"name": format!("{name}_get"), "arguments": arguments}));
                // The name of an argument is the model's own; its value is not repeated.
                self.say((format!("STDIO {name}"), answer.to_string()));
            }
        }
        self.say(("STDIO tools/list".to_owned(), pipes.request("tools/list", &json!({})).to_string()));
        self.say(("STDIO log".to_owned(), pipes.end().1));
    }

    /// Over HTTP, with an API and an authorization server that are well, and that turn bad.
    fn http(&mut self, server: &Server) {
        until(|| server.log().contains("Watching the bridge files."));
        for (round, answer) in
            [Answer::json(200, &json!({"ok": true})), Answer::Echo, Answer::text(401, "no"), Answer::Raw(b"x".to_vec())]
                .into_iter()
                .enumerate()
        {
            for (name, _) in BRIDGES {
                for tool in ["get", "post"] {
                    self.api.answer("/", answer.clone());
                    for arguments in [json!({}), json!({"say": "x", "wrong": 1})] {
                        let call = json!({"name": format!("{name}_{tool}"), "arguments": arguments});
                        let reply = server.rpc("/mcp", Some(&self.tokens[0]), "tools/call", &call);
                        assert_eq!(reply.status, 200, "{reply:?}");
                        self.say((
                            format!("HTTP {name}_{tool} {round}"),
                            format!("{:?} {}", reply.headers, reply.body),
                        ));
                    }
                }
            }
            // The authorization server turns bad, and says what it was sent.
            if round == 1 {
                self.provider.answer("/token", Answer::Echo);
            }
        }
        for (method, params) in [
            ("tools/list", json!({})),
            ("server/discover", json!({})),
            ("resources/list", json!({})),
            ("nothing", json!({})),
        ] {
            self.say((method.to_owned(), format!("{:?}", server.rpc("/mcp", Some(&self.tokens[0]), method, &params))));
        }
        self.provider.answer("/introspect", Answer::json(200, &json!({"active": false})));
        self.say((
            "401".to_owned(),
            format!("{:?}", server.rpc("/mcp", Some(&self.tokens[1]), "tools/list", &json!({}))),
        ));
        self.provider
            .answer("/introspect", Answer::json(401, &json!({"error": format!("{:?}", self.provider.last().headers)})));
        self.say((
            "503".to_owned(),
            format!("{:?}", server.rpc("/mcp", Some(&self.tokens[1]), "tools/list", &json!({}))),
        ));
    }

    /// The admin port, and the commands that ask it.
    fn admin(&mut self, server: &Server) {
        let bearer = format!("Bearer {}", self.variables[11].1);
        // A reload that is refused, with a secret in what is wrong.
        let wrong = bridge("bearer", &format!("{{ bearer: [\"{}\"] }}", self.variables[13].1.replace('"', "\\\"")));
        std::fs::write(server.fixture.path().join("bridges/bearer.yaml"), wrong).unwrap();
        server.wait_for("Reload refused");
        let auth = [("authorization", bearer.as_str())];
        for path in [
            "/",
            "/livez",
            "/readyz",
            "/metrics",
            "/admin/v1/status",
            "/admin/v1/catalogue",
            "/admin/v1/reloads",
            "/admin/v1/calls",
            "/admin/v1/auth",
        ] {
            let reply = server.admin("GET", path, &auth, "");
            assert_eq!(reply.status, 200, "{path}");
            self.say((path.to_owned(), format!("{reply:?}")));
        }
        let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        for tool in ["bearer_get", "query_get", "basic_post"] {
            let body = json!({"tool": tool, "arguments": {}, "claims": {"gpid": "7"}}).to_string();
            self.say((
                format!("explain {tool}"),
                format!("{:?}", server.admin("POST", "/admin/v1/explain", &asked, &body)),
            ));
        }
        self.say((
            "refused admin".to_owned(),
            format!("{:?}", server.admin("GET", "/admin/v1/status", &[("authorization", "Bearer x")], "")),
        ));
        for args in [&["status"][..], &["status", "--format", "json"], &["reload"], &["rollback"]] {
            let output = server.fixture.command(args).args(["--admin", &server.admin_url()]).output().unwrap();
            self.say((args.join(" "), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()));
        }
    }

    /// Every secret was used, so that there was something to be seen.
    fn used_all(&self) {
        let sent = format!("{:?} {:?}", self.api.requests(), self.provider.requests());
        let sent = format!("{sent} {}", bodies(&[&self.api, &self.provider]));
        for Canary { what, text } in &self.cage.0 {
            let is_used = !matches!(what.as_str(), "private key" | "admin_token" | "audit_key" | "unused" | "redis");
            let alone = Cage(vec![Canary { what: what.clone(), text: text.clone() }]);
            assert!(!is_used || !alone.found(&sent).is_empty(), "{what} was never sent");
        }
    }
}

#[test]
fn case_32_no_canary_is_ever_seen() {
    let mut run = Run::new();
    run.commands();
    run.stdio();
    let fixture = std::mem::replace(&mut run.fixture, Fixture::new());
    let folder = fixture.path().to_owned();
    let mut server = fixture.with_args(&[]).serve();
    until(|| server.log().contains("Watching the bridge files."));
    run.http(&server);
    run.admin(&server);
    run.say(("HTTP stdout and log".to_owned(), server.said()));
    let mine: Vec<String> = BRIDGES.iter().map(|(name, _)| format!("{name}.yaml")).collect();
    let mine: Vec<&str> = mine.iter().map(String::as_str).chain(["tollbridge.yaml", "key.pem"]).collect();
    files(&folder, &mine, &mut run.said);
    for kind in ["audit.jsonl", ".snap", "recorded.test.yaml"] {
        assert!(run.said.iter().any(|(place, _)| place.ends_with(kind)), "there is no {kind}");
    }
    assert!(run.said.iter().any(|(_, text)| text.contains("TRACE")), "nothing was said at trace level");
    run.used_all();
    for (place, text) in &run.said {
        run.cage.search(place, text);
    }
}

fn bodies(apis: &[&Api]) -> String {
    apis.iter()
        .flat_map(|api| api.requests())
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect()
}
