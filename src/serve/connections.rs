//! How connections are taken: so many at a time, and none that dawdles.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::settings::Limits;
use crate::metrics::{Counted, Metrics};

/// What a client reads when there is no room, and no TLS in between.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 38\r\n\r\nThe server has too many connections\r\n\r\n";

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

/// Serves a router on a listener until `handle` says otherwise.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
    limits: Limits,
    tls: Option<RustlsConfig>,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    let free = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let room = Room { free, metrics, is_plain: tls.is_none() };
    let mut server = axum_server::from_tcp(listener)?.http1_only().handle(handle).first_request_timeout(limits.read);
    server.http_builder().http1().header_read_timeout(limits.read).max_buf_size(limits.header_bytes);
    let service = router.into_make_service();
    match tls {
        None => server.acceptor(room).serve(service).await,
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.read).acceptor(room);
            let server: Server<SocketAddr, RustlsAcceptor<Room>> = server.acceptor(acceptor);
            server.serve(service).await
        }
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
