//! The way in: hosts, origins, sessions, sizes, and what proxies say.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Row, body, lines, post, raw, status};
use crate::support::{Api, Fixture, Provider, Server};

pub const ROWS: &[Row] = &[
    Row {
        case: 22,
        attack: "A web page calls the server on the user's machine (DNS rebinding, foreign `Origin`)",
        hurt: "every MCP SDK had a CVE (csharp-sdk #1520 lists them)",
        does: "`Host` and `Origin` are checked, and unclear ones refused, before a request is looked into; beyond loopback it takes authentication and a name",
        tests: &[
            "case_22_a_web_page_does_not_get_in",
            "host_and_origin_are_checked_always",
            "a_configuration_that_is_not_safe_or_not_whole_is_refused_at_start",
            "who_may_not_ask_is_refused_and_health_is_for_all",
        ],
    },
    Row {
        case: 23,
        attack: "Somebody else's session id; a stream that outlives its token",
        hurt: "session hijacking (MCP security best practices)",
        does: "A session belongs to whoever opened it, and every request shows a token; a stream ends with its token",
        tests: &["a_session_belongs_to_the_principal_who_opened_it", "a_stream_ends_with_the_token_that_opened_it"],
    },
    Row {
        case: 24,
        attack: "Huge, deep, slow or many requests; batches",
        hurt: "unbounded consumption (OWASP API4); slowloris",
        does: "Bounds on bytes, depth, time, connections and running calls; batches are refused",
        tests: &[
            "case_24_bombs_are_refused_and_memory_is_bounded",
            "what_is_too_large_too_deep_or_too_slow_is_refused",
            "there_is_room_for_so_many_connections",
            "one_caller_has_so_many_calls_running_and_others_are_not_held_up",
        ],
    },
    Row {
        case: 25,
        attack: "`X-Forwarded-*` is believed",
        hurt: "oauth2-proxy CVE-2026-40575 and #3506",
        does: "None of these headers is read, and none goes on to the API",
        tests: &["case_25_what_proxies_say_is_not_believed"],
    },
];

const BRIDGE: &str = "bridge: test
upstream: { url: '${API}', credentials: none }
tools:
  t: { description: T., endpoint: POST /t, parameters: { x: { type: [integer, array, object], required: false } } }
";

fn serve() -> (Api, Server) {
    let api = Api::start();
    let server = Fixture::new().bridge(BRIDGE).env("API", &api.url()).arg("--admin-listen=127.0.0.1:0").serve();
    (api, server)
}

#[test]
fn case_22_a_web_page_does_not_get_in() {
    let (api, server) = serve();
    let call = body("t", "{}");
    let good = lines(&server, "tools/call", "t");
    let with = |more: &[&str]| [good.clone(), more.iter().map(ToString::to_string).collect()].concat();
    let at = |host: &str| {
        let mut lines = good.clone();
        lines[0] = host.to_owned();
        lines
    };
    let port = server.address.rsplit_once(':').unwrap().1;
    let local = format!("origin: http://localhost:{port}");
    for lines in [
        with(&["origin: https://evil.example"]),
        with(&["origin: null"]),
        with(&["origin: "]),
        with(&["origin: http://localhost.evil.example"]),
        with(&["origin: http://evil.example#localhost"]),
        with(&["origin: http://localhost@evil.example"]),
        with(&["origin: file://localhost"]),
        with(&[&local, "origin: https://evil.example"]),
        with(&["origin: https://evil.example", &local]),
        at("host: evil.example"),
        at("host: localhost.evil.example"),
        at("host: evil.example@localhost"),
        at("host: localhost#.evil.example"),
        at("host: "),
        at("x-host: none"),
        with(&["host: evil.example"]),
    ] {
        for target in ["/mcp", "/mcp/test"] {
            // Whatever the body is: it has not been read.
            for call in [call.as_str(), "not JSON"] {
                let said = post(&server, target, &lines, call);
                assert!([400, 403].contains(&status(&said)), "{lines:?} {target}: {said}");
                assert!(!said.contains("Parse") && !said.contains("expected"), "{said}");
            }
        }
        // The admin port has nothing to read for a page that can't be read by it, so there it is the host that counts.
        if lines[0] != good[0] {
            let admin = server.admin_url();
            let head = format!("GET /admin/v1/status HTTP/1.1\r\nconnection: close\r\n{}\r\n\r\n", lines.join("\r\n"));
            let said = raw(&admin["http://".len()..], head.as_bytes());
            assert!([400, 403].contains(&status(&said)), "{lines:?}: {said}");
        }
    }
    // The target names a host, too.
    let said = post(&server, "http://evil.example/mcp", &good, &call);
    assert!(status(&said) != 200, "{said}");
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    assert_eq!(status(&post(&server, "/mcp", &with(&[&local]), &call)), 200);
    assert_eq!(status(&post(&server, "/mcp", &good, &call)), 200);
}

/// The most memory that a process has had, in MiB.
pub fn peak(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[test]
fn case_24_bombs_are_refused_and_memory_is_bounded() {
    let (api, server) = serve();
    let good = lines(&server, "tools/call", "t");
    let one = body("t", "{}");
    let batch = format!("[{}]", vec![one.as_str(); 3_000].join(","));
    let said = post(&server, "/mcp", &good, &batch);
    assert!((400..500).contains(&status(&said)), "{said}");
    for depth in [200, 1_000, 100_000] {
        let deep = body("t", &format!("{{\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(status(&post(&server, "/mcp", &good, &deep)), 400, "{depth}");
        let open = "{\"x\":".repeat(depth);
        assert_eq!(status(&post(&server, "/mcp", &good, &open)), 400, "{depth}");
    }
    // 900 KB of names, all in one object; one that comes in pieces; a length that is a lie.
    let mut names = String::new();
    for number in 0..60_000 {
        write!(names, "\"n{number:07}\":0,").unwrap();
    }
    let wide = body("t", &format!("{{{names}\"x\":1}}"));
    assert!(wide.len() < 1 << 20);
    assert_eq!(status(&post(&server, "/mcp", &good, &wide)), 200);
    let large = format!("{:x}\r\n{}\r\n0\r\n\r\n", 2 << 20, "x".repeat(2 << 20));
    let head = format!(
        "POST /mcp HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{}\r\n\r\n",
        good.join("\r\n")
    );
    let said = raw(&server.address, format!("{head}{large}").as_bytes());
    assert!(said.is_empty() || status(&said) == 413, "{said}");
    let both = format!(
        "POST /mcp HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n{}\r\n\r\n0\r\n\r\n",
        good.join("\r\n")
    );
    let said = raw(&server.address, both.as_bytes());
    assert!(said.matches("HTTP/1.1 ").count() == 1 && status(&said) != 200, "{said}");
    let said = post(&server, "/mcp", &(0..5_000).map(|number| format!("x-{number}: y")).collect::<Vec<_>>(), &one);
    assert_eq!(status(&said), 431, "{said}");
    assert!(api.requests().is_empty(), "{:?}", api.lines());
    assert!(peak(&server) < 150, "{} MiB", peak(&server));
    assert_eq!(status(&post(&server, "/mcp", &good, &one)), 200);
}

#[test]
fn case_25_what_proxies_say_is_not_believed() {
    let (provider, api) = (Provider::shared(), Api::start());
    let server = Fixture::with_okta(provider).bridge(BRIDGE).env("API", &api.url()).serve();
    let told = [
        "x-forwarded-host: evil.example",
        "x-forwarded-proto: https",
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-user: admin",
        "x-forwarded-email: admin@example.com",
        "x-forwarded-access-token: x",
        "x-forwarded-uri: /mcp/test",
        "x-original-url: /admin",
        "x-rewrite-url: /admin",
        "x-real-ip: 127.0.0.1",
        "x-http-method-override: DELETE",
        "forwarded: host=evil.example;proto=https;for=127.0.0.1",
    ];
    let head = |more: &[String]| {
        [lines(&server, "tools/call", "t"), told.iter().map(ToString::to_string).collect(), more.to_vec()].concat()
    };
    let said = post(&server, "/mcp", &head(&[]), &body("t", "{}"));
    assert_eq!(status(&said), 401, "{said}");
    assert!(said.contains(&format!("http://{}/.well-known", server.address)) && !said.contains("evil"), "{said}");
    let document = format!(
        "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nconnection: close\r\n{}\r\n\r\n",
        head(&[]).join("\r\n")
    );
    let said = raw(&server.address, document.as_bytes());
    assert!(status(&said) == 200 && !said.contains("evil"), "{said}");
    // A host that only a proxy vouches for is none.
    let mut forged = head(&[]);
    forged[0] = "host: evil.example".to_owned();
    forged.push(format!("x-forwarded-host: {}", server.address));
    assert_eq!(status(&post(&server, "/mcp", &forged, &body("t", "{}"))), 401);
    forged.push(format!("authorization: Bearer {}", provider.user("alice")));
    assert_eq!(status(&post(&server, "/mcp", &forged, &body("t", "{}"))), 403);
    assert!(api.requests().is_empty());
    let token = format!("authorization: Bearer {}", provider.user("alice"));
    assert_eq!(status(&post(&server, "/mcp", &head(&[token]), &body("t", "{}"))), 200);
    let sent: Value = json!(api.last().headers);
    assert!(!sent.to_string().contains("orward") && !sent.to_string().contains("evil"), "{sent}");
}
