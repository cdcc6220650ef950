//! What becomes of the API's answer, good or bad.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Fixture, Server};

const TOOLS: &str = r#"
  t: { description: T., endpoint: GET /t, timeout: 1s }
  worded:
    description: Own words.
    endpoint: GET /worded
    response:
      text: "{{ body.name }} is {{ body.state|default('unknown') }} ({{ status }})"
      errors: { 404: No such thing., 409: "Overlaps with {{ body.conflict }}." }
"#;

fn serve() -> (Api, Server) {
    let api = Api::start();
    let yaml = format!(
        "bridge: test\nupstream: {{ url: '{}/secret-base', credentials: {{ bearer: '${{KEY}}' }}, max_response_bytes: 64KiB }}\ntools:{TOOLS}",
        api.url()
    );
    (api, Fixture::new().bridge(&yaml).env("KEY", "s3cr3t-k3y").serve())
}

#[test]
fn answers_pass_through_as_they_are() {
    let (api, server) = serve();
    // Not even parsed: spacing and numbers stay as the API wrote them.
    let odd = b"{\"a\" : 1.0000000000000000001,\n \"a\": 2}".to_vec();
    api.answer("/secret-base/t", Answer::Full(200, "application/json", odd.clone()));
    assert_eq!(server.call("t", &json!({})).text().as_bytes(), odd);
    api.answer("/secret-base/t", Answer::text(201, "made"));
    assert_eq!(server.call("t", &json!({})).text(), "made");
    api.answer("/secret-base/t", Answer::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
    assert_eq!(server.call("t", &json!({})).text(), "The API answered 204 without content.");
}

#[test]
fn the_media_type_says_what_kind_of_content_it_is() {
    let (api, server) = serve();
    let content = |content_type: &'static str, body: &[u8]| {
        api.answer("/secret-base/t", Answer::Full(200, content_type, body.to_vec()));
        server.call("t", &json!({})).0["content"][0].clone()
    };
    assert_eq!(content("image/png", b"\x89PNG"), json!({"type": "image", "data": "iVBORw==", "mimeType": "image/png"}));
    assert_eq!(content("audio/wav", b"RIFF"), json!({"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}));
    let blob = content("application/pdf", b"%PDF\xff");
    assert_eq!(
        (blob["type"].as_str(), blob["resource"]["mimeType"].as_str()),
        (Some("resource"), Some("application/pdf"))
    );
    assert_eq!(blob["resource"]["blob"], "JVBERv8=");
}

#[test]
fn the_text_of_a_response_is_a_template_over_the_answer() {
    let (api, server) = serve();
    api.answer("/secret-base/worded", Answer::json(200, &json!({"name": "{{ 7 }}", "state": "open"})));
    assert_eq!(server.call("worded", &json!({})).text(), "{{ 7 }} is open (200)");
    api.answer("/secret-base/worded", Answer::json(200, &json!({"name": "n"})));
    assert_eq!(server.call("worded", &json!({})).text(), "n is unknown (200)");
}

#[test]
fn errors_of_the_api_are_told_in_the_guides_words() {
    let (api, server) = serve();
    let told = |status: u16, body: Value| {
        api.answer("/secret-base/t", Answer::json(status, &body));
        server.call("t", &json!({})).error().to_owned()
    };
    assert_eq!(told(401, json!({})), "Token rejected by API");
    assert_eq!(told(403, json!({"message": "not yours"})), "Access denied by API: not yours");
    assert_eq!(told(404, json!({"title": "gone"})), "Resource not found: gone");
    assert_eq!(
        told(500, json!({"error": {"message": "boom\n\u{1b}[31m at line 3"}})),
        "API error: 500: boom [31m at line 3"
    );
    assert_eq!(told(418, json!([])), "API error: 418");
    api.answer("/secret-base/t", Answer::text(502, "<html>stack trace</html>"));
    assert_eq!(server.call("t", &json!({})).error(), "API error: 502");
    api.answer(
        "/secret-base/t",
        Answer::Raw(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec()),
    );
    assert_eq!(server.call("t", &json!({})).error(), "API error: 302");
    assert!(!api.lines().iter().any(|line| line.contains("elsewhere")));
}

#[test]
fn a_bridge_has_its_own_words_for_errors() {
    let (api, server) = serve();
    let told = |status: u16, body: Value| {
        api.answer("/secret-base/worded", Answer::json(status, &body));
        server.call("worded", &json!({})).error().to_owned()
    };
    assert_eq!(told(404, json!({"message": "internal"})), "No such thing.");
    assert_eq!(told(409, json!({"conflict": 7})), "Overlaps with 7.");
    // Words that need a field which the answer lacks give way to the standard ones.
    assert_eq!(told(409, json!({"message": "clash"})), "API error: 409: clash");
    assert_eq!(told(400, json!({})), "API error: 400");
}

#[test]
fn secrets_and_addresses_in_an_error_are_hidden() {
    let (api, server) = serve();
    let message = format!("call to {}/x with s3cr3t-k3y failed", api.url());
    api.answer("/secret-base/t", Answer::json(500, &json!({ "message": message })));
    assert_eq!(server.call("t", &json!({})).error(), "API error: 500: call to http://[hidden]/x with [hidden] failed");
}

#[test]
fn an_api_that_does_not_answer_well_is_an_error_the_model_can_read() {
    let (api, server) = serve();
    api.answer("/secret-base/t", Answer::Silence);
    assert_eq!(server.call("t", &json!({})).error(), "The API did not answer within 1 s");
    api.answer("/secret-base/t", Answer::Raw(Vec::new()));
    assert_eq!(server.call("t", &json!({})).error(), "The connection to the API broke");
    api.answer("/secret-base/t", Answer::Raw(b"nonsense\r\n\r\n".to_vec()));
    assert_eq!(server.call("t", &json!({})).error(), "The connection to the API broke");
    api.answer("/secret-base/t", Answer::text(200, &"x".repeat(65 * 1024)));
    assert_eq!(server.call("t", &json!({})).error(), "The API's answer is larger than 64 KiB; ask for less");
    let endless = [
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        b"8000\r\n".to_vec(),
        vec![b'x'; 0x8000],
        b"\r\n".to_vec(),
        b"8000\r\n".to_vec(),
        vec![b'x'; 0x8000],
        b"\r\n1\r\nx\r\n".to_vec(),
    ]
    .concat();
    api.answer("/secret-base/t", Answer::Raw(endless));
    assert_eq!(server.call("t", &json!({})).error(), "The API's answer is larger than 64 KiB; ask for less");
}

#[test]
fn a_small_compressed_answer_cannot_unfold_into_a_large_one() {
    let (api, server) = serve();
    // gzip of 1 MiB of zeros, stored blocks avoided: made once by `gzip -9 -n`.
    let bomb = gzip_of_zeros();
    assert!(bomb.len() < 8 * 1024);
    let head = format!("HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
    api.answer("/secret-base/t", Answer::Raw([head.into_bytes(), bomb].concat()));
    assert_eq!(server.call("t", &json!({})).error(), "The API's answer is larger than 64 KiB; ask for less");
}

fn gzip_of_zeros() -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut gzip = Command::new("gzip").arg("-9nc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&vec![0; 1 << 20]));
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

#[test]
fn an_api_that_is_not_there_is_told_without_its_address() {
    let yaml = "bridge: test\nupstream: { url: 'http://127.0.0.1:9/x', credentials: none }\ntools: { t: { description: T., endpoint: GET /t } }\n";
    let server = Fixture::new().bridge(yaml).serve();
    assert_eq!(server.call("t", &json!({})).error(), "The API can't be reached");
}
