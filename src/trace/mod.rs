//! The W3C trace context of a call (`traceparent`, `tracestate`): taken from the client, passed on to the API. With the
//! feature `otel` calls and requests are spans of that trace; the only room that names opentelemetry.

use http::{HeaderMap, HeaderName, HeaderValue};

#[cfg(feature = "otel")]
mod otel;

#[cfg(feature = "otel")]
pub use otel::{Exporter, start};

/// The header of a [`TraceContext`].
const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// The longest `tracestate` that is passed on, in bytes (Trace Context section 3.3.1.5).
const MAX_STATE: usize = 512;

/// Which trace a call belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`.
    pub parent: HeaderValue,
    /// `tracestate`, as given.
    pub state: Option<HeaderValue>,
}

/// A piece of work that a trace shows, when traces are recorded.
#[must_use]
pub struct Span(#[cfg(feature = "otel")] Option<otel::Recorded>);

/// Runs a future as part of a trace.
pub async fn within<T>(context: Option<TraceContext>, future: impl Future<Output = T>) -> T {
    CURRENT.scope(context, future).await
}

/// The trace that this call is part of.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// The trace that a client's headers name.
#[must_use]
pub fn from_headers(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(text(&PARENT)?, text(&STATE))
}

/// Adds the trace that this call is part of to the headers of a request, unless it says something itself.
pub fn send_on(headers: &mut HeaderMap) {
    if let Some(TraceContext { parent, state }) = current() {
        if headers.contains_key(&PARENT) {
            return;
        }
        headers.insert(PARENT, parent);
        if let Some(state) = state {
            headers.insert(STATE, state);
        }
    }
}

// === impl Span ===

#[cfg(not(feature = "otel"))]
impl Span {
    /// Begins what a client asked for: a method of the protocol, and the name it is about.
    pub fn asked(_: &'static str, _: &str, _: &str, _: Option<&TraceContext>) -> Self {
        Self()
    }

    /// Begins a request to another server, which then is told of this span.
    pub fn request(_: &'static str, _: &http::Method, _: &mut HeaderMap) -> Self {
        Self()
    }

    /// The trace as those see it who work on behalf of this span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    /// Ends with a status of HTTP, if there was an answer, and with a word for what went wrong.
    pub fn end(self, _: Option<u16>, _: Option<&'static str>) {}
}

// === impl TraceContext ===

impl TraceContext {
    /// Reads what a client sent; `None` for what the standard tells to ignore.
    #[must_use]
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = parent.split('-').collect();
        let (version, known) = match parts.as_slice() {
            [version, trace, span, flags] => (*version, [(*trace, 32), (*span, 16), (*flags, 2)]),
            // A later version may say more.
            [version, trace, span, flags, ..] if *version != "00" => {
                (*version, [(*trace, 32), (*span, 16), (*flags, 2)])
            }
            _ => return None,
        };
        let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let fits = known.iter().all(|(text, length)| text.len() == *length && hex(text));
        let [(trace, _), (span, _), _] = known;
        let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        if version.len() != 2 || !hex(version) || version == "ff" || !fits || is_zero(trace) || is_zero(span) {
            return None;
        }
        let state = state.filter(|state| state.len() <= MAX_STATE && state.is_ascii());
        Some(Self {
            parent: HeaderValue::from_str(parent).ok()?,
            state: state.and_then(|state| HeaderValue::from_str(state).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_standard_has_is_read_and_nothing_else() {
        assert_eq!(TraceContext::read(GOOD, Some("a=b")).unwrap().state.unwrap(), "a=b");
        assert!(TraceContext::read(&GOOD.replacen("00", "cc", 1), None).is_some());
        assert!(TraceContext::read(&format!("{}-more", GOOD.replacen("00", "cc", 1)), None).is_some());
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &format!("{GOOD}-more"),
            &GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("0af7", "0af"),
        ] {
            assert_eq!(TraceContext::read(bad, None), None, "{bad}");
        }
        assert_eq!(TraceContext::read(GOOD, Some(&"x".repeat(513))).unwrap().state, None);
    }
}
