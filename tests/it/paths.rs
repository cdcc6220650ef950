//! Whatever a value holds, what goes on the wire has exactly the template's segments.
//!
//! The `url` crate collapses `.` and `..` even when they are percent-encoded, and drops a pushed `..` silently, so this
//! is proven against a raw socket.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollbridge::catalog::Answers;
use tollbridge::config::variable::Environment;
use tollbridge::live::{Live, Loader};
use tollbridge::principal::Principal;

use crate::support::Api;

const TRICKS: [&str; 30] = [
    "..",
    ".",
    "",
    "...",
    "%2e%2e",
    "%2E",
    "..;",
    "a/../b",
    "..\\",
    "%2f",
    "%5c",
    "?x=1",
    "#f",
    ";v",
    "\0",
    "\n",
    "．．",
    "a b",
    "/",
    "//",
    "/..",
    "../",
    "..%00",
    "%252e%252e",
    ".%2e",
    "%c0%ae",
    "\u{202e}..",
    "..\u{200b}",
    "+",
    "ü",
];

struct Bench {
    api: Api,
    live: Live,
    _folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let api = Api::start();
        let folder = TempDir::new().unwrap();
        let yaml = format!(
            "bridge: test\nupstream: {{ url: '{}/v1', credentials: none }}\ntools:\n  t:\n    description: T.\n    endpoint: GET /users/{{id}}/records/x-{{kind}}.json\n    parameters: {{ id: {{ type: string }}, kind: {{ type: string }}, q: {{ type: string, required: false }} }}\n",
            api.url()
        );
        std::fs::write(folder.path().join("test.yaml"), yaml).unwrap();
        let loader =
            Loader { path: folder.path().to_owned(), environment: Environment::default(), ..Loader::default() };
        let live = Live::start(loader).unwrap_or_else(|findings| panic!("{findings:?}")).0;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { api, live, _folder: folder, runtime }
    }

    /// The target that the API saw, or `None` when the call was refused and nothing was sent.
    fn send(&self, arguments: &Value) -> Option<String> {
        let before = self.api.requests().len();
        let snapshot: Arc<_> = self.live.load();
        let tool = &snapshot.catalog.tools["t"];
        let arguments = arguments.as_object().cloned().unwrap();
        let outcome =
            self.runtime.block_on(snapshot.call(tool, arguments, &Answers::default(), &Principal::anonymous()));
        let requests = self.api.requests();
        if outcome.is_err() {
            assert_eq!(requests.len(), before, "a refused call sent something");
            return None;
        }
        assert_eq!(requests.len(), before + 1);
        Some(requests[before].target.clone())
    }
}

fn check(bench: &Bench, id: &str, kind: &str, query: &str) {
    let sent = bench.send(&json!({"id": id, "kind": kind, "q": query}));
    let Some(target) = sent else {
        let refused = |value: &str| ["", ".", ".."].contains(&value);
        assert!(refused(id) || kind.is_empty(), "{id:?} {kind:?} was refused");
        return;
    };
    let (path, sent_query) = target.split_once('?').unwrap();
    let segments: Vec<&str> = path.split('/').collect();
    assert_eq!(segments.len(), 6, "{target}");
    assert_eq!([segments[0], segments[1], segments[2], segments[4]], ["", "v1", "users", "records"], "{target}");
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    assert_eq!(decode(segments[3]), id, "{target}");
    assert_eq!(decode(segments[5]), format!("x-{kind}.json"), "{target}");
    assert_eq!(decode(sent_query.strip_prefix("q=").unwrap()), query, "{target}");
    assert!(!sent_query[2..].contains(['&', '=', '#']), "{target}");
    // A second reader, with the rules of browsers, sees the same segments.
    let parsed = url::Url::parse(&format!("http://h{target}")).unwrap();
    assert_eq!(parsed.path(), path, "{target}");
}

#[test]
fn known_tricks_are_refused_or_stay_in_their_segment() {
    let bench = Bench::new();
    for id in TRICKS {
        for kind in ["k", "..", "/"] {
            check(&bench, id, kind, id);
        }
    }
    check(&bench, &"ä".repeat(4_000), "k", "");
}

#[test]
fn any_value_is_refused_or_stays_in_its_segment() {
    let bench = Bench::new();
    let piece = prop_oneof![
        proptest::sample::select(&TRICKS[..]).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[./\\\\%2eE?#&=; ]{0,6}",
    ];
    let value = proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat());
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(id in value.clone(), kind in value.clone(), query in value)| {
        check(&bench, &id, &kind, &query);
    });
}
