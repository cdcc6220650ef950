//! How connections are taken: so many at a time, and none that dawdles.

use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{AddrListener, Address, Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::settings::Limits;
use crate::metrics::{Counted, Metrics};

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
    let service = router.into_make_service();
    match tls {
        None => server.acceptor(room).serve(service).await,
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.read).acceptor(room);
            let server: Server<Peer, RustlsAcceptor<Room>> = server.acceptor(acceptor);
            server.serve(service).await
        }
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
