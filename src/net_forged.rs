//! A server for tests that answers whatever a test wants, down to the byte.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// A forged server on loopback. It ends when dropped.
pub(crate) struct Forged {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The request line and the headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Writes this, and waits for the next request.
    Bytes(Vec<u8>),
    /// Writes this as soon as a permit can be had from the gate.
    Gated(Arc<Semaphore>, Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this and then nothing, for ever.
    Hang(Vec<u8>),
    /// Writes this and then one byte every few milliseconds, for ever.
    Drip(Vec<u8>),
    /// Writes this and then chunks of zeros until the other side has had enough.
    Flood(Vec<u8>),
}

impl Forged {
    /// Starts a server that answers each request as `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (sender, count) = watch::channel(0);
        let (answer, sender) = (Arc::new(answer), Arc::new(sender));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log, sender) = (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&sender));
                tokio::spawn(converse(stream, move |seen| {
                    let reply = answer(&seen);
                    log.lock().unwrap().push(seen);
                    sender.send_modify(|count| *count += 1);
                    reply
                }));
            }
        });
        Self { address, seen, count, task }
    }

    /// Starts a server that says the same to every request.
    pub(crate) async fn saying(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Starts a server that writes this to every connection, before it has read anything, and closes.
    pub(crate) async fn greeting(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (_, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                // Until the client closes: a reset would overtake the greeting.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        Self { address, seen: Arc::default(), count, task }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this many requests have come.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut seen = self.count.clone();
        let arrival = seen.wait_for(|seen| *seen >= count);
        tokio::time::timeout(Duration::from_secs(30), arrival).await.expect("the requests come in time").unwrap();
    }
}

impl Drop for Forged {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reply {
    /// A complete answer.
    pub(crate) fn http(status: u16, content_type: &str, body: &str) -> Self {
        Self::Bytes(http(status, content_type, body))
    }

    /// A complete answer with status 200 and a JSON body.
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::http(200, "application/json", &body.to_string())
    }
}

/// The bytes of a complete answer.
pub(crate) fn http(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Forged\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

async fn converse(mut stream: TcpStream, mut answer: impl FnMut(Seen) -> Reply) {
    let mut pending = Vec::new();
    while let Some(seen) = read(&mut stream, &mut pending).await {
        let written = match answer(seen) {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await,
            Reply::Gated(gate, bytes) => {
                gate.acquire().await.unwrap().forget();
                stream.write_all(&bytes).await
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending().await
            }
            Reply::Drip(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let mut tick = tokio::time::interval(Duration::from_millis(5));
                loop {
                    tick.tick().await;
                    if stream.write_all(b"x").await.is_err() {
                        return;
                    }
                }
            }
            Reply::Flood(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let chunk = [b"10000\r\n".as_slice(), &vec![0; 0x1_0000], b"\r\n"].concat();
                while stream.write_all(&chunk).await.is_ok() {}
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(pending[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            if pending.len() >= end + 4 + length {
                let rest = pending.split_off(end + 4 + length);
                let body = String::from_utf8(pending[end + 4..].to_vec()).unwrap();
                *pending = rest;
                return Some(Seen { head, body });
            }
        }
        if stream.read_buf(pending).await.ok()? == 0 {
            return None;
        }
    }
}
