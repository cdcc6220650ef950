//! What a request may hold, before anybody reads it: so many bytes, so deep, and not too slowly.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};

use super::http::refusal;

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
        return next.run(request).await;
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
    next.run(Request::from_parts(parts, Body::from(bytes))).await
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
