//! Answers of an API, whatever they say they are: the call ends, its result is valid and no larger than allowed.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use serde_json::Map;
use tollbridge::catalog::{Answers, Catalog};
use tollbridge::live::Snapshot;
use tollbridge::principal::Principal;
use tollbridge::shape::{Content, Reply};
use tollbridge::upstream::{Canned, CannedReply, Replies};

#[path = "folder.rs"]
mod folder;

const BRIDGE: &str = r#"
bridge: b
upstream: { url: https://api.example.com, credentials: none, max_response_bytes: 64KiB }
tools:
  plain: { description: Plain., endpoint: GET /a }
  shaped:
    description: Shaped.
    endpoint: GET /a
    response:
      select: "{ items: items[].{ id: id, name: name }, total: length(items || `[]`) }"
      schema: { type: object, required: [items], properties: { items: { type: [array, "null"] }, total: { type: integer } } }
      redact: [ssn, "*.salary"]
      max_bytes: 1KiB
      errors: { 404: "No such thing: {{ body.name }}.", 5xx: Broken., detail: [message, code] }
  told: { description: Told., endpoint: GET /a, response: { text: "{{ status }} {{ body.a.b[0] }} {{ headers['content-type'] }}" } }
  parts:
    description: Parts.
    endpoint: GET /a
    response: { content: [{ text: "{{ body.note }}" }, { image: "{{ body.png }}", mime_type: image/png }] }
  pages: { description: Pages., endpoint: GET /a, paginate: { next: links.next, items: data, max_pages: 3 } }
  json: { description: JSON., endpoint: GET /a, response: { content: json, max_bytes: 512B } }
"#;

static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(folder::Folder::new("answers").catalog(BRIDGE)));
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

const KINDS: [&str; 8] = [
    "application/json",
    "application/problem+json; charset=utf-8",
    "text/plain",
    "text/html; charset=iso-8859-1",
    "image/png",
    "audio/wav",
    "",
    "nonsense;;=\"",
];

fuzz_target!(|parts: (u8, u8, u16, &[u8])| {
    let (which, kind, status, body) = parts;
    let tool = &CATALOG.tools[usize::from(which) % CATALOG.tools.len()];
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KINDS[usize::from(kind) % KINDS.len()]));
    let status = 200 + status % 400;
    let reply = Reply { status, headers, body: Bytes::copy_from_slice(body), pages_left_out: None };
    let def = CATALOG.bridges[0].upstream.as_ref().unwrap();
    let api = Canned::new(def, &CATALOG, Replies::Always(CannedReply::Reply(reply, Duration::ZERO)));
    let snapshot = Snapshot::rehearsal(Arc::clone(&CATALOG), vec![Some(Arc::new(api))]);
    let who = Principal::anonymous();
    let answers = Answers::default();
    let call = snapshot.call(tool, Map::new(), &answers, &who);
    let Ok(outcome) = RUNTIME.block_on(call) else { return };
    assert!(outcome.is_error || (200..400).contains(&status), "{status}");
    for content in &outcome.content {
        if let (Content::Text(text), "json") = (content, tool.name.as_str()) {
            assert!(text.len() < 2048, "{}", text.len());
        }
    }
    if tool.name == "shaped" && !outcome.is_error {
        assert!(outcome.structured.is_some_and(|result| result.get("items").is_some()));
    }
});
