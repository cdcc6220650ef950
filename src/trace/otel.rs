//! Spans over OTLP, set up by the variables of OpenTelemetry (`OTEL_SERVICE_NAME` and the like).

use std::str::FromStr as _;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, Method};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as Inner};

use super::{PARENT, STATE, Span, TraceContext, current};

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Sends what is recorded; dropping it sends the rest.
pub struct Exporter(SdkTracerProvider);

/// A span that is recorded.
pub(super) struct Recorded {
    span: Inner,
}

/// Begins to record spans and to send them to a collector, whose base URL this is; `/v1/traces` is added. Whatever else
/// there is to say, the variables of OpenTelemetry say. To be called outside of a runtime.
///
/// # Errors
/// Returns what is wrong with the URL or the settings.
pub fn start(collector: &str) -> Result<Exporter, String> {
    let url = format!("{}/v1/traces", collector.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(url).build().map_err(|error| error.to_string())?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    let resource = match Resource::builder().build().get(&"service.name".into()) {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => resource.with_service_name("tollbridge"),
    };
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let _ = TRACER.set(provider.tracer("tollbridge"));
    Ok(Exporter(provider))
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Whoever stops a server waits for its calls, and not for a collector.
        let _ = self.0.shutdown();
    }
}

// === impl Span ===

impl Span {
    /// Begins what a client asked for: a method of the protocol, and the name it is about.
    pub fn asked(method: &'static str, name: &str, id: &str, parent: Option<&TraceContext>) -> Self {
        Self::begin(parent, |tracer| {
            tracer.span_builder(format!("{method} {name}")).with_kind(SpanKind::Server).with_attributes([
                KeyValue::new("mcp.method.name", method),
                KeyValue::new("gen_ai.tool.name", name.to_owned()),
                KeyValue::new("tollbridge.request_id", id.to_owned()),
            ])
        })
    }

    /// Begins a request to another server, which then is told of this span.
    pub fn request(purpose: &'static str, method: &Method, headers: &mut HeaderMap) -> Self {
        let parent = current();
        let this = Self::begin(parent.as_ref(), |tracer| {
            // Addresses are none of what leaves the house.
            tracer.span_builder(format!("{method} {purpose}")).with_kind(SpanKind::Client).with_attributes([
                KeyValue::new("http.request.method", method.to_string()),
                KeyValue::new("tollbridge.purpose", purpose),
            ])
        });
        // What a definition itself says stays.
        if let Some(own) = this.context()
            && headers.get(PARENT) == parent.as_ref().map(|parent| &parent.parent)
        {
            headers.insert(PARENT, own.parent);
            if let Some(state) = own.state {
                headers.insert(STATE, state);
            }
        }
        this
    }

    /// The trace as those see it who work on behalf of this span.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let context = self.0.as_ref()?.span.span_context();
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
        let parent = HeaderValue::from_str(&format!("00-{trace}-{span}-{:02x}", flags.to_u8())).ok()?;
        let state = context.trace_state().header();
        Some(TraceContext { parent, state: HeaderValue::from_str(&state).ok().filter(|it| !it.is_empty()) })
    }

    /// Ends with a status of HTTP, if there was an answer, and with a word for what went wrong.
    pub fn end(self, status: Option<u16>, wrong: Option<&'static str>) {
        let Some(Recorded { mut span }) = self.0 else { return };
        if let Some(status) = status {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some(wrong) = wrong {
            span.set_attribute(KeyValue::new("error.type", wrong));
            span.set_status(Status::error(wrong));
        }
        span.end();
    }

    fn begin(parent: Option<&TraceContext>, builder: impl FnOnce(&SdkTracer) -> SpanBuilder) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent =
            parent.and_then(remote).map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        Self(Some(Recorded { span: builder(tracer).start_with_context(tracer, &parent) }))
    }
}

fn remote(context: &TraceContext) -> Option<SpanContext> {
    let mut parts = context.parent.to_str().ok()?.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = context.state.as_ref().and_then(|state| TraceState::from_str(state.to_str().ok()?).ok());
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
}
