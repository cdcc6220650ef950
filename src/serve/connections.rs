//! How connections are taken: so many at a time, and none that dawdles.

use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{AddrListener, Address, Handle, Server};
use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::http::json_rpc;
use super::settings::Limits;
use crate::call::CallError;
use crate::metrics::{Counted, Metrics};
use crate::mishap::caught;

/// What a client reads when there is no room, and no TLS in between.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 38\r\n\r\nThe server has too many connections\r\n\r\n";

/// Closes what [`serve`] serves, step by step.
#[derive(Clone, Default)]
pub(super) struct Door {
    /// No connection is taken any more.
    shut: CancellationToken,
    handle: Handle<Peer>,
}

/// Who connected, or where to listen.
#[derive(Clone)]
struct Peer(SocketAddr);

/// A listener that can be closed before the connections that it brought are told to end.
struct Listener {
    /// Open until the door is shut.
    open: Mutex<Option<tokio::net::TcpListener>>,
    shut: CancellationToken,
}

/// Takes a connection if there is room for it.
#[derive(Clone)]
struct Room {
    free: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    /// Whether a refusal can be read by whoever connected.
    is_plain: bool,
}

/// Says that no connection can be taken, and says it again only after a while: it is tried twenty times a second.
#[derive(Default)]
struct Trouble {
    said: Option<Instant>,
    /// How often it was not said since.
    more: u32,
}

/// How long nothing is said about the same trouble.
const SAID_ONCE: Duration = Duration::from_secs(30);

/// A connection and its place.
struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Serves a router on a listener until the door is closed.
pub(super) async fn serve(
    listener: net::TcpListener,
    router: Router,
    door: Door,
    limits: Limits,
    tls: Option<RustlsConfig>,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    let free = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let room = Room { free, metrics, is_plain: tls.is_none() };
    listener.set_nonblocking(true)?;
    let open = Mutex::new(Some(tokio::net::TcpListener::from_std(listener)?));
    let server = Server::<Peer>::from_listener(Listener { open, shut: door.shut });
    let mut server = server.http1_only().handle(door.handle).first_request_timeout(limits.read);
    // hyper counts from the end of the answer before, so this is the time to rest as well.
    server.http_builder().http1().header_read_timeout(limits.idle).max_buf_size(limits.header_bytes);
    let trouble = std::sync::Mutex::<Trouble>::default();
    // With a peer, it is that one's connection that failed, such as its handshake.
    let server = server.accept_error_handler(move |peer: Option<&Peer>, error: &io::Error| {
        if peer.is_none() {
            trouble.lock().unwrap_or_else(PoisonError::into_inner).say(error);
        }
    });
    let service = router.layer(middleware::from_fn(guarded)).into_make_service();
    match tls {
        None => server.acceptor(room).serve(service).await,
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.read).acceptor(room);
            let server: Server<Peer, RustlsAcceptor<Room>> = server.acceptor(acceptor);
            server.serve(service).await
        }
    }
}

/// Answers a request whose handling panics; the connection would be cut without a word.
async fn guarded(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    caught(next.run(request)).await.unwrap_or_else(|panicked| {
        let error = CallError::internal(panicked.to_string());
        error.log(&path);
        json_rpc(StatusCode::INTERNAL_SERVER_ERROR, -32_603, &Value::Null, &error.to_string())
    })
}

// === impl Trouble ===

impl Trouble {
    fn say(&mut self, error: &io::Error) {
        // Who hangs up before we answer is no trouble.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        if self.said.is_some_and(|said| said.elapsed() < SAID_ONCE) {
            self.more = self.more.saturating_add(1);
            return;
        }
        let more = std::mem::take(&mut self.more);
        self.said = Some(Instant::now());
        error!(%error, more, "No connection can be taken; those that there are go on.");
    }
}

// === impl Door ===

impl Door {
    /// Takes no more connections, once those that have been waiting are taken; those that there are go on.
    pub(super) fn shut(&self) {
        self.shut.cancel();
    }

    /// Ends each connection after the request that it is at, and cuts off what is left after `grace`.
    pub(super) fn clear(&self, grace: Duration) {
        self.handle.graceful_shutdown(Some(grace));
    }

    /// How many are connected.
    pub(super) fn connections(&self) -> usize {
        self.handle.connection_count()
    }
}

// === impl Peer ===

impl Address for Peer {
    type Stream = TcpStream;
    type Listener = Listener;
}

// === impl Listener ===

impl AddrListener<TcpStream, Peer> for Listener {
    async fn bind_to(peer: Peer) -> io::Result<Self> {
        let open = Mutex::new(Some(tokio::net::TcpListener::bind(peer.0).await?));
        Ok(Self { open, shut: CancellationToken::new() })
    }

    async fn accept_stream(&self) -> io::Result<(TcpStream, Peer)> {
        let mut open = self.open.lock().await;
        if let Some(listener) = open.as_ref() {
            tokio::select! {
                // Whoever waits in the queue of the listener would be cut off with it.
                biased;
                came = listener.accept() => return came.map(|(stream, from)| (stream, Peer(from))),
                () = self.shut.cancelled() => {}
            }
        }
        *open = None;
        std::future::pending().await
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        let open = self.open.try_lock().ok();
        let local = open.as_deref().and_then(Option::as_ref).map(tokio::net::TcpListener::local_addr);
        local.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into())).map(Peer)
    }
}

// === impl Room ===

impl<S: Send + 'static> Accept<TcpStream, S> for Room {
    type Stream = Placed;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Placed, S)>> + Send>>;

    fn accept(&self, mut stream: TcpStream, service: S) -> Self::Future {
        let place = Arc::clone(&self.free).try_acquire_owned();
        let (metrics, is_plain) = (Arc::clone(&self.metrics), self.is_plain);
        Box::pin(async move {
            let Ok(place) = place else {
                metrics.turned_away();
                if is_plain {
                    let _ = stream.write_all(FULL).await;
                    let _ = stream.shutdown().await;
                }
                return Err(io::Error::other("too many connections"));
            };
            stream.set_nodelay(true)?;
            Ok((Placed { stream, _place: place, _counted: metrics.connected() }, service))
        })
    }
}

// === impl Placed ===

impl AsyncRead for Placed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_that_panics_is_answered_and_its_connection_goes_on() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let limits = Limits {
            header_bytes: 16 << 10,
            json_depth: 8,
            connections: 8,
            calls_per_caller: 8,
            list_items: 8,
            read: minute,
            idle: minute,
            shutdown_delay: second,
            shutdown_grace: second,
        };
        let panics = || async { [""].get(1).copied().expect("s3cret-canary") };
        let router = Router::new().route("/bad", get(panics)).route("/good", get(|| async { "fine" }));
        tokio::spawn(serve(listener, router, Door::default(), limits, None, Arc::default()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let requests = "GET /bad HTTP/1.1\r\nhost: x\r\n\r\nGET /good HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 500 ") && said.contains(r#""message":"internal error "#), "{said}");
        assert!(said.ends_with("fine") && !said.contains("canary"), "{said}");
    }
}
