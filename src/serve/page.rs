//! The page of the admin port: one document, no request to anywhere else, and nothing in it that a policy would not allow.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The document, with style and script in it.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| include_str!("page/page.html").replace("/* page.css */", STYLE).replace("/* page.js */", SCRIPT));

/// What the browser may do with it: run this script, use this style, and ask us.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let (script, style) = (hash(SCRIPT), hash(STYLE));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// Serves the page.
pub(super) async fn page() -> Response {
    let mut response = axum::response::Html(DOCUMENT.as_str()).into_response();
    let headers = response.headers_mut();
    if let Some(policy) = POLICY.as_ref() {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    response
}
