use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use reqwest::Request;
use tokio::net::TcpSocket;

use super::forged::{Forged, Reply, http};
use super::*;

/// 100 000 zeros in 132 bytes.
const BOMB: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXA32VEdSghgEA";

/// Long enough that a test which runs into it has failed.
const AMPLE: Duration = Duration::from_mins(1);

/// Short, for answers that never come. How short decides nothing but the duration of the test.
const SHORT: Duration = Duration::from_millis(60);

fn client() -> Client {
    Client::new(&ClientSettings::default()).unwrap()
}

fn get(address: &str) -> Request {
    Request::new(Method::GET, format!("http://{address}/secret-path?key=canary").parse().unwrap())
}

fn gzip(length: Option<usize>, body: &[u8]) -> Vec<u8> {
    let length = length.unwrap_or(body.len());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn every_way_to_fail_has_its_name() {
    let bomb = STANDARD.decode(BOMB).unwrap();
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let promised = b"HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n".to_vec();
    let long = http(200, "text/plain", "eleven byte");
    let limit = 10;
    let rows = [
        ("silence", Reply::Hang(Vec::new()), SHORT, NetError::Timeout(SHORT)),
        ("headers, then silence", Reply::Hang(cut.clone()), SHORT, NetError::Timeout(SHORT)),
        ("50 MB announced", Reply::Hang(promised), AMPLE, NetError::TooLarge { limit }),
        ("one byte too many", Reply::Bytes(long), AMPLE, NetError::TooLarge { limit }),
        ("endless chunks", Reply::Flood(chunked.clone()), AMPLE, NetError::TooLarge { limit }),
        ("a bomb", Reply::Bytes(gzip(None, &bomb)), AMPLE, NetError::TooLarge { limit }),
        ("closed at once", Reply::Close(Vec::new()), AMPLE, NetError::Broken),
        ("closed half-way", Reply::Close(cut), AMPLE, NetError::Broken),
        ("not HTTP", Reply::Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), AMPLE, NetError::Broken),
        ("a bad chunk", Reply::Close([chunked, b"zz\r\n".to_vec()].concat()), AMPLE, NetError::Broken),
        ("not gzip", Reply::Bytes(gzip(None, b"{}")), AMPLE, NetError::Broken),
        ("half of a gzip", Reply::Bytes(gzip(None, &bomb[..8])), AMPLE, NetError::Broken),
    ];
    for (what, reply, deadline, expected) in rows {
        let server = Forged::saying(reply).await;
        let error = client().send(get(&server.address), deadline, limit).await.unwrap_err();
        assert_eq!(error, expected, "{what}");
        for secret in ["127.0.0.1", "secret-path", "canary"] {
            assert!(!format!("{error} {error:?}").contains(secret), "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn a_drip_does_not_outlive_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n".to_vec();
    let server = Forged::saying(Reply::Drip(head)).await;
    let error = client().send(get(&server.address), SHORT, usize::MAX).await.unwrap_err();
    assert_eq!(error, NetError::Timeout(SHORT));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable_and_the_log_keeps_the_query_out() {
    // Bound, so that nobody else gets the port, but not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    assert_eq!(client().send(get(&address), AMPLE, 10).await.unwrap_err(), NetError::Unreachable);
    let error = client().inner.execute(get(&address)).await.unwrap_err();
    assert!(error.to_string().contains("canary"), "the trap is set: {error}");
    let text = describe(error);
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("refused"), "the cause is told: {text}");
}

#[tokio::test]
async fn a_failed_handshake_is_not_mistaken_for_anything_else() {
    for greeting in [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b""] {
        let server = Forged::greeting(greeting).await;
        let url = format!("https://{}/", server.address).parse().unwrap();
        let error = client().send(Request::new(Method::GET, url), AMPLE, 10).await.unwrap_err();
        assert_eq!(error, NetError::Tls, "{greeting:?}");
    }
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_whole_and_decoded() {
    let bomb = STANDARD.decode(BOMB).unwrap();
    let server = Forged::saying(Reply::Bytes(gzip(None, &bomb))).await;
    let answer = client().send(get(&server.address), AMPLE, 100_000).await.unwrap();
    assert_eq!(answer.body.len(), 100_000);
    assert!(!answer.headers.contains_key("content-encoding"));

    let server = Forged::saying(Reply::http(418, "text/plain", "short")).await;
    let answer = client().send(get(&server.address), AMPLE, 5).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (418, b"short".as_slice()));
    assert_eq!(answer.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn the_length_that_a_head_answer_announces_is_not_a_body() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n".to_vec();
    let server = Forged::saying(Reply::Bytes(head)).await;
    let mut request = get(&server.address);
    *request.method_mut() = Method::HEAD;
    let answer = client().send(request, AMPLE, 5).await.unwrap();
    assert_eq!(answer.headers["content-length"], "52428800");
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let elsewhere = Forged::saying(Reply::http(200, "text/plain", "")).await;
    for status in [301, 302, 303, 307, 308] {
        let location =
            format!("HTTP/1.1 {status} Moved\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
        let server = Forged::saying(Reply::Bytes(location.into())).await;
        let answer = client().send(get(&server.address), AMPLE, 5).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_request_says_who_we_are_and_no_more() {
    let server = Forged::saying(Reply::http(200, "text/plain", "")).await;
    client().send(get(&server.address), AMPLE, 5).await.unwrap();
    let mut lines = server.seen()[0].head.lines().map(str::to_owned).collect::<Vec<_>>();
    lines.sort_unstable();
    let agent = format!("user-agent: tollbridge/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        [
            "GET /secret-path?key=canary HTTP/1.1".to_owned(),
            "accept-encoding: gzip".to_owned(),
            "accept: */*".to_owned(),
            format!("host: {}", server.address),
            agent,
        ]
    );
}
