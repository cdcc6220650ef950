//! What a request may hold, before anybody reads it: so many bytes, so deep, not too slowly, and no name twice.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, Method, StatusCode, header};
use serde_json::Value;

use super::http::{json_rpc, refusal};
use crate::unique::names_twice;

/// Bounds of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) depth: usize,
    pub(super) time: Duration,
}

/// Reads the whole body, or refuses it.
pub(super) async fn within(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return in_json(next.run(request).await, None).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = match tokio::time::timeout(bounds.time, to_bytes(body, bounds.bytes)).await {
        Ok(Ok(bytes)) => bytes,
        // The client has gone, or it sent too much; the former reads no answer.
        Ok(Err(_)) => return refusal(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
    };
    if is_deeper(&bytes, bounds.depth) {
        let words = format!("The request is nested deeper than {} levels", bounds.depth);
        return refusal(StatusCode::BAD_REQUEST, &words);
    }
    // Whoever looks at a request before us may read the first of two, and we the last.
    if names_twice(&bytes) {
        return refusal(StatusCode::BAD_REQUEST, "The request has an object in which a name stands twice");
    }
    let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(JSON));
    let response = next.run(Request::from_parts(parts, Body::from(bytes.clone()))).await;
    in_json(response, is_json.then_some(bytes.as_ref())).await
}

/// The media type of a request.
const JSON: &[u8] = b"application/json";
/// The longest explanation that is passed on.
const MAX_WORDS: usize = 2 << 10;

/// What the protocol library refuses in plain text, as a JSON-RPC error; a request that it could not read, by what is wrong
/// with it.
async fn in_json(response: Response, read: Option<&[u8]>) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !(status.is_client_error() || status.is_server_error()) || kind.is_some_and(|kind| kind.as_bytes() == JSON) {
        return response;
    }
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE
        && let Some(bytes) = read
    {
        return unread(bytes);
    }
    let (parts, body) = response.into_parts();
    let words = to_bytes(body, MAX_WORDS).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let words = if words.is_empty() { status.canonical_reason().unwrap_or("Refused") } else { words.as_ref() };
    let mut said = refusal(status, words);
    for (name, value) in parts.headers.iter().filter(|(name, _)| !said_anew(name)) {
        said.headers_mut().append(name, value.clone());
    }
    said
}

fn said_anew(name: &HeaderName) -> bool {
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name)
}

/// Why a body is no message: no JSON, several messages, or something else (JSON-RPC 2.0, section 5.1).
fn unread(bytes: &[u8]) -> Response {
    let (code, id, words) = match serde_json::from_slice::<Value>(bytes) {
        Err(error) => (-32_700, Value::Null, format!("Parse error: {error}")),
        Ok(Value::Array(_)) => {
            let words = "Invalid request: batches are not taken; send one message at a time";
            (-32_600, Value::Null, words.to_owned())
        }
        Ok(message) => {
            let id = message.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
            let words = "Invalid request: this is no JSON-RPC 2.0 message of the protocol";
            (-32_600, id.unwrap_or_default(), words.to_owned())
        }
    };
    json_rpc(StatusCode::BAD_REQUEST, code, &id, &words)
}

/// Whether lists and objects of a JSON text are nested deeper than this. Needs no valid JSON.
fn is_deeper(text: &[u8], most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_deeper;

    #[test]
    fn levels_are_counted_outside_of_strings() {
        assert!(is_deeper(b"[[{}]]", 2) && !is_deeper(b"[[{}]]", 3));
        assert!(!is_deeper(br#"["[[[\"[[["]"#, 1));
        assert!(!is_deeper(b"[],[],[]", 1));
    }
}
