//! A request from arguments and claims that somebody made up: three readers must agree on where it goes. Ours (what we put
//! on the wire), the `url` crate, and a splitter of plain text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tollbridge::call::{self, Shown};
use tollbridge::catalog::{Answers, Catalog};
use tollbridge::principal::Principal;
use url::Url;

#[path = "folder.rs"]
mod folder;

const BRIDGE: &str = r#"
bridge: b
upstream: { url: https://api.example.com/base, credentials: none }
claims: { who: sub }
tools:
  one:
    description: One.
    endpoint: GET /a/{x}/b/{who}/c
    parameters: { x: { type: string }, who: { claim: who }, q: { type: string }, list: { type: array, items: { type: string } } }
  many:
    description: Many.
    endpoint: GET /a/{x}/z
    parameters: { x: { type: string, reserved: true }, X-H: { in: header, type: string }, c: { in: cookie, type: string } }
  styled:
    description: Styled.
    endpoint: GET /s/{m}
    parameters:
      m: { type: array, items: { type: string }, style: matrix }
      d: { type: object, style: deepObject }
"#;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| folder::Folder::new("request").catalog(BRIDGE));

fuzz_target!(|parts: (u8, String, String, String, Vec<String>)| {
    let (which, x, sub, q, list) = parts;
    let (name, arguments): (_, Map<String, Value>) = match which % 3 {
        0 => ("one", json!({ "x": x, "q": q, "list": list }).as_object().cloned().unwrap()),
        1 => ("many", json!({ "x": x, "X-H": q, "c": sub }).as_object().cloned().unwrap()),
        _ => ("styled", json!({ "m": list, "d": { x.clone(): q } }).as_object().cloned().unwrap()),
    };
    let claims = json!({ "sub": sub, "iss": "https://id.example.com" }).as_object().cloned().unwrap();
    let who = Principal::verified(claims, "token".to_owned().into());
    let Ok(plan) = call::plan(&CATALOG, &CATALOG.tools[name], arguments, &Answers::default(), &who) else { return };
    let (_, request) = plan.request.unwrap();
    let (path, query) = (request.wire_path(), request.wire_query(&Shown));

    // A splitter of plain text: no segment moves, none is missing, and none was added but by `reserved`.
    assert!(path.starts_with('/') && !path.contains(['?', '#', '\\', ' ']) && path.is_ascii(), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for segment in &segments {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        assert!(!matches!(decoded.as_ref(), "" | "." | ".."), "{path}");
    }
    match name {
        "one" => {
            assert!(matches!(segments.as_slice(), ["a", _, "b", _, "c"]), "{path}");
            assert_eq!(percent_decode_str(segments[1]).decode_utf8().unwrap(), x);
            assert_eq!(percent_decode_str(segments[3]).decode_utf8().unwrap(), sub);
        }
        "many" => assert!(segments.first() == Some(&"a") && segments.last() == Some(&"z"), "{path}"),
        _ => assert!(segments.len() == 2 && segments[0] == "s", "{path}"),
    }

    // The crate that everybody has.
    let whole = match &query {
        Some(query) => format!("https://api.example.com/base{path}?{query}"),
        None => format!("https://api.example.com/base{path}"),
    };
    let url = Url::parse(&whole).unwrap();
    assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("api.example.com"), None));
    assert_eq!(url.path(), format!("/base{path}"));
    assert_eq!(url.query(), query.as_deref());
    assert_eq!((url.fragment(), url.username(), url.password()), (None, "", None));
    if name == "one" {
        let pairs: Vec<(String, String)> = url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
        let expected: Vec<(String, String)> = std::iter::once(("q".to_owned(), q))
            .chain(list.into_iter().map(|item| ("list".to_owned(), item)))
            .collect();
        assert_eq!(pairs, expected);
    }
    for (_, text, _) in &request.headers {
        assert!(text.to_string().bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
    }
    if let Some(cookies) = request.wire_cookies(&Shown) {
        assert!(cookies.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b','), "{cookies}");
    }
});
