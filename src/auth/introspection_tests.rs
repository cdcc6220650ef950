use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpSocket;

use super::*;
use crate::auth::{Rejection, TermsSettings};
use crate::net::forged::{Forged, Reply, Seen, http};
use crate::oauth::ClientAuth;

/// Long enough that a test which runs into it has failed.
const AMPLE: Duration = Duration::from_mins(1);

/// Short, for answers that never come. How short decides nothing but the duration of the test.
const SHORT: Duration = Duration::from_millis(60);

const ISSUER: &str = "https://a.okta.com/oauth2/default";

fn settings(address: &str) -> IntrospectionSettings {
    IntrospectionSettings {
        endpoint: format!("http://{address}/oauth2/default/v1/introspect").parse().unwrap(),
        client: OauthClient { id: "0oa1".to_owned(), auth: ClientAuth::Basic("s3cret".to_owned().into()) },
        terms: TermsSettings {
            issuer: Some(ISSUER.to_owned()),
            audience: "api://enterprise".to_owned(),
            client_ids: Some(vec!["client".to_owned(), "another".to_owned()]),
        },
    }
}

fn asking(server: &Forged, deadline: Duration) -> Introspection {
    let bounds = Bounds { deadline, ..Bounds::default() };
    Introspection::within(settings(&server.address), bounds, &Meter::default()).unwrap()
}

fn token(text: &str) -> SecretString {
    text.to_owned().into()
}

fn in_seconds(seconds: f64) -> Value {
    json!((now() + seconds).floor())
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What Okta answers for an access token of a custom authorization server.
fn good() -> Value {
    json!({
        "active": true, "token_type": "Bearer", "scope": "hr.read openid", "client_id": "client",
        "username": "john.doe@example.com", "exp": in_seconds(3600.0), "iat": in_seconds(-1.0),
        "sub": "john.doe@example.com", "aud": "api://enterprise", "iss": ISSUER,
        "jti": "AT.7P4KlczBYVcWLkxduEuKeZfeiNYkZIC9uGJ28Cc-YaI", "uid": "00uid4BxXw6I6TV4m0g3",
        "gpid": "G-1",
    })
}

/// A good answer with some members set, or taken away by `"absent"`.
fn good_but(changes: &Value) -> Value {
    let mut answer = good().as_object().cloned().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        answer.insert(name.clone(), value.clone());
    }
    answer.retain(|_, value| *value != json!("absent"));
    answer.into()
}

/// Asks a server that answers with these, one after the other.
async fn verdicts(answers: Vec<Value>) -> Vec<Result<Principal, AuthError>> {
    let count = answers.len();
    let answers = Mutex::new(VecDeque::from(answers));
    let server = Forged::start(move |_| Reply::json(&answers.lock().unwrap().pop_front().unwrap())).await;
    let asking = asking(&server, AMPLE);
    let mut verdicts = Vec::new();
    for _ in 0..count {
        verdicts.push(asking.authenticate(&token("t")).await);
    }
    verdicts
}

#[tokio::test]
async fn good_access_tokens_are_accepted() {
    let rows = [
        json!({}),
        json!({"aud": ["api://other", "api://enterprise"]}),
        json!({"aud": [1, null, "api://enterprise"]}),
        json!({"token_type": "bearer"}),
        json!({"token_type": "absent"}),
        json!({"token_type": null}),
        json!({"client_id": "absent", "cid": "another"}),
        json!({"client_id": "client", "cid": "client"}),
        json!({"client_id": "client", "cid": null}),
        json!({"nbf": in_seconds(30.0)}),
        json!({"cnf": null}),
        // Okta's JWT claims, as a custom authorization server may repeat them.
        json!({"ver": 1, "scp": ["hr.read"], "auth_time": in_seconds(-60.0), "groups": ["Everyone"], "device_id": "d"}),
        // Keycloak, Cognito and Hydra say what kind of token it is.
        json!({"typ": "Bearer", "nonce": "n-0S6_WzA2Mj", "auth_time": in_seconds(-60.0), "azp": "client"}),
        // Its client is among those it is for, which makes it no ID token.
        json!({"client_id": "client", "aud": ["client", "api://enterprise"], "auth_time": in_seconds(-60.0)}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "JWT"}),
        json!({"token_use": "access"}),
        json!({"token_use": "access_token", "aud": ["api://enterprise"]}),
    ];
    let answers = rows.iter().map(good_but).collect::<Vec<_>>();
    let verdicts = verdicts(answers.clone()).await;
    for ((verdict, answer), row) in verdicts.into_iter().zip(answers).zip(rows) {
        let caller = verdict.unwrap_or_else(|error| panic!("{row}: {}", error.reason()));
        assert_eq!(caller.subject(), Some("john.doe@example.com"));
        assert_eq!(caller.token().unwrap().expose_secret(), "t");
        assert!(caller.scopes().contains("hr.read"));
        let mut claims = answer.as_object().cloned().unwrap();
        claims.remove("active");
        assert_eq!(*caller.claims().as_map(), claims, "{row}");
    }
}

#[tokio::test]
async fn every_other_token_is_refused() {
    use Rejection::{
        Expired, Malformed, NotAccessToken, NotActive, NotYetValid, SenderConstrained, WrongAudience, WrongClient,
        WrongIssuer,
    };
    let okta_refresh_token = json!({
        "active": true, "token_type": "Bearer", "scope": "openid profile email", "client_id": "client",
        "username": "john.doe@example.com", "exp": in_seconds(3600.0), "sub": "john.doe@example.com",
        "device_id": "q4SZgrA9sOeHkfst5uaa",
    });
    let rows = [
        (json!({"active": false}), NotActive),
        (good_but(&json!({"active": false})), NotActive),
        (good_but(&json!({"active": "absent"})), NotActive),
        (good_but(&json!({"active": "true"})), NotActive),
        (good_but(&json!({"active": 1})), NotActive),
        (good_but(&json!({"active": null})), NotActive),
        (good_but(&json!({"active": [true]})), NotActive),
        (json!({}), NotActive),
        (good_but(&json!({"iss": "absent"})), WrongIssuer),
        (good_but(&json!({"iss": format!("{ISSUER}/")})), WrongIssuer),
        (good_but(&json!({"iss": "https://a.okta.com"})), WrongIssuer),
        (good_but(&json!({"iss": "HTTPS://a.okta.com/oauth2/default"})), WrongIssuer),
        (good_but(&json!({"iss": [ISSUER]})), WrongIssuer),
        (good_but(&json!({"aud": "absent"})), WrongAudience),
        (good_but(&json!({"aud": "api://other"})), WrongAudience),
        (good_but(&json!({"aud": "api://enterprise api://other"})), WrongAudience),
        (good_but(&json!({"aud": "api://enterprise/"})), WrongAudience),
        (good_but(&json!({"aud": ["api://other"]})), WrongAudience),
        (good_but(&json!({"aud": []})), WrongAudience),
        (good_but(&json!({"aud": {"api://enterprise": true}})), WrongAudience),
        (good_but(&json!({"aud": [["api://enterprise"]]})), WrongAudience),
        (good_but(&json!({"exp": in_seconds(-1.0)})), Expired),
        (good_but(&json!({"client_id": "api://enterprise", "scope": "absent"})), NotAccessToken),
        (good_but(&json!({"exp": "absent"})), Malformed),
        (good_but(&json!({"exp": "9999999999"})), Malformed),
        (good_but(&json!({"exp": 9_999_999_999_999_u64})), Malformed),
        (good_but(&json!({"nbf": in_seconds(120.0)})), NotYetValid),
        (good_but(&json!({"nbf": "0"})), Malformed),
        (good_but(&json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})), SenderConstrained),
        (good_but(&json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}})), SenderConstrained),
        (good_but(&json!({"cnf": {"kid": "k"}})), SenderConstrained),
        (good_but(&json!({"cnf": "?"})), SenderConstrained),
        (good_but(&json!({"token_type": "DPoP"})), SenderConstrained),
        (good_but(&json!({"token_type": "mac"})), SenderConstrained),
        (good_but(&json!({"token_type": "refresh_token"})), NotAccessToken),
        (good_but(&json!({"token_type": "id_token"})), NotAccessToken),
        (good_but(&json!({"token_type": "N_A"})), NotAccessToken),
        (good_but(&json!({"token_type": ""})), NotAccessToken),
        (good_but(&json!({"token_type": ["Bearer"]})), NotAccessToken),
        (okta_refresh_token, NotAccessToken),
        (good_but(&json!({"at_hash": "x"})), NotAccessToken),
        (good_but(&json!({"c_hash": "x"})), NotAccessToken),
        (good_but(&json!({"s_hash": "x"})), NotAccessToken),
        (good_but(&json!({"at_hash": "x", "typ": "Bearer"})), NotAccessToken),
        (good_but(&json!({"nonce": "x"})), NotAccessToken),
        (good_but(&json!({"typ": "ID"})), NotAccessToken),
        (good_but(&json!({"typ": "Refresh"})), NotAccessToken),
        (good_but(&json!({"typ": "Offline"})), NotAccessToken),
        (good_but(&json!({"token_use": "id"})), NotAccessToken),
        (good_but(&json!({"token_use": "refresh_token", "typ": "Bearer"})), NotAccessToken),
        (good_but(&json!({"token_use": "urn:ietf:params:oauth:token-type:id_token"})), NotAccessToken),
        // An ID token where somebody configured the client id as the audience.
        (good_but(&json!({"client_id": "api://enterprise", "auth_time": 1})), NotAccessToken),
        (good_but(&json!({"client_id": "stranger"})), WrongClient),
        (good_but(&json!({"client_id": "absent"})), WrongClient),
        (good_but(&json!({"client_id": ["client"]})), WrongClient),
        (good_but(&json!({"client_id": "client", "cid": "another"})), WrongClient),
    ];
    let verdicts = verdicts(rows.iter().map(|(answer, _)| answer.clone()).collect()).await;
    for (verdict, (answer, reason)) in verdicts.into_iter().zip(rows) {
        assert_eq!(verdict.unwrap_err(), AuthError::Rejected { reason }, "{answer}");
    }
}

#[tokio::test]
async fn whatever_troubles_the_provider_nobody_gets_in_and_nobody_is_sent_to_sign_in() {
    let good = good().to_string();
    let as_json = |status| Reply::http(status, "application/json", &good);
    let with_body = |body: &str| Reply::http(200, "application/json", body);
    let chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let fifty_mb = b"HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n".to_vec();
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"active\":true".to_vec();
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let moved = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec();
    let twice = good.replacen('{', "{\"active\":true,", 1);
    let twice_within = good.replacen('{', "{\"cnf\":{\"jkt\":null,\"jkt\":1},", 1);
    let rows = [
        ("silence", Reply::Hang(Vec::new()), SHORT, Trouble::Timeout),
        ("half an answer, then silence", Reply::Hang(cut.clone()), SHORT, Trouble::Timeout),
        ("a slow drip", Reply::Drip(Vec::new()), AMPLE, Trouble::Broken),
        ("a slow drip of a body", Reply::Drip(cut.clone()), SHORT, Trouble::Timeout),
        ("50 MB", Reply::Flood(chunked), AMPLE, Trouble::TooLarge),
        ("50 MB announced", Reply::Hang(fifty_mb), AMPLE, Trouble::TooLarge),
        ("65 KB of spaces", with_body(&format!("{good}{}", " ".repeat(65_536))), AMPLE, Trouble::TooLarge),
        ("204", Reply::Bytes(no_content), AMPLE, Trouble::Status(204)),
        ("201", as_json(201), AMPLE, Trouble::Status(201)),
        ("302", Reply::Bytes(moved), AMPLE, Trouble::Status(302)),
        ("400", as_json(400), AMPLE, Trouble::Status(400)),
        ("401", as_json(401), AMPLE, Trouble::Refused401),
        ("403", as_json(403), AMPLE, Trouble::Status(403)),
        ("429", as_json(429), AMPLE, Trouble::RateLimited),
        ("500", as_json(500), AMPLE, Trouble::Status(500)),
        ("503", as_json(503), AMPLE, Trouble::Status(503)),
        ("HTML", Reply::http(200, "text/html", "<!doctype html><p>Sign in"), AMPLE, Trouble::NotJson),
        ("nothing", with_body(""), AMPLE, Trouble::NotJson),
        ("a list", with_body("[{\"active\":true}]"), AMPLE, Trouble::NotJson),
        ("true", with_body("true"), AMPLE, Trouble::NotJson),
        ("two objects", with_body(&format!("{good}{good}")), AMPLE, Trouble::NotJson),
        ("a name twice", with_body(&twice), AMPLE, Trouble::NotJson),
        ("a name twice within", with_body(&twice_within), AMPLE, Trouble::NotJson),
        (
            "a number out of range",
            with_body(&good.replace("\"exp\":", "\"exp\":1e999,\"x\":")),
            AMPLE,
            Trouble::NotJson,
        ),
        ("too deep", with_body(&"[".repeat(10_000)), AMPLE, Trouble::NotJson),
        ("closed at once", Reply::Close(Vec::new()), AMPLE, Trouble::Broken),
        ("closed half-way", Reply::Close(cut), AMPLE, Trouble::Broken),
    ];
    for (what, reply, deadline, reason) in rows {
        let server = Forged::saying(reply).await;
        let error = asking(&server, deadline).authenticate(&token("t")).await.unwrap_err();
        assert_eq!(error, AuthError::Unavailable { reason }, "{what}");
        assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(server.seen().len() <= 1, "{what}: asked once");
    }
}

#[tokio::test]
async fn a_wrong_secret_of_ours_is_an_alarm_and_no_log_line_holds_a_secret() {
    // Where there is only one dispatcher, `tracing` lets any thread decide that nobody listens to a line.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let rows = [(401, "ERROR"), (429, " WARN"), (500, " WARN")];
    for (status, level) in rows {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer({
                let log = log.clone();
                move || log.clone()
            })
            .finish();
        let recording = tracing::subscriber::set_default(subscriber);
        let server = Forged::saying(Reply::http(status, "text/plain", "canary-body")).await;
        let asking = asking(&server, AMPLE);
        asking.authenticate(&token("canary-token")).await.unwrap_err();
        drop(recording);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let ours = text.lines().filter(|line| line.contains("tollbridge::auth")).collect::<Vec<_>>();
        assert_eq!(ours.len(), 1, "{text}");
        assert!(ours[0].starts_with(level), "{text}");
        for secret in ["canary", "s3cret", &STANDARD.encode("0oa1:s3cret")] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unreachable() {
    // Bound, so that nobody else gets the port, but not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let asking = Introspection::new(settings(&address), &Meter::default()).unwrap();
    let reason = Trouble::Unreachable;
    assert_eq!(asking.authenticate(&token("t")).await.unwrap_err(), AuthError::Unavailable { reason });
}

#[tokio::test]
async fn the_provider_must_speak_tls_when_the_url_says_so() {
    let server = Forged::greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let mut settings = settings(&server.address);
    settings.endpoint.set_scheme("https").unwrap();
    let error = Introspection::new(settings, &Meter::default()).unwrap().authenticate(&token("t")).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable { reason: Trouble::Tls });
}

#[tokio::test]
async fn the_question_is_the_one_of_the_rfcs() {
    let server = Forged::saying(Reply::json(&good())).await;
    let mut settings = settings(&server.address);
    settings.client =
        OauthClient { id: "id with:colon&é".to_owned(), auth: ClientAuth::Basic("p%ss+w/rd=\"~*".to_owned().into()) };
    let asking = Introspection::new(settings, &Meter::default()).unwrap();
    asking.authenticate(&token("a+/=.-_~z")).await.unwrap();
    let Seen { head, body } = server.seen().remove(0);
    assert!(head.starts_with("POST /oauth2/default/v1/introspect HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, "token=a%2B%2F%3D.-_%7Ez&token_type_hint=access_token");
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let values = lines.filter(|(found, _)| *found == name).map(|(_, value)| value);
        values.collect::<Vec<_>>()
    };
    assert_eq!(header("accept"), ["application/json"]);
    assert_eq!(header("content-type"), ["application/x-www-form-urlencoded"]);
    let basic = header("authorization")[0].strip_prefix("Basic ").unwrap();
    assert_eq!(
        String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap(),
        "id+with%3Acolon%26%C3%A9:p%25ss%2Bw%2Frd%3D%22%7E*"
    );
    assert!(!format!("{asking:?}").contains(basic));
    assert_eq!(asking.authorization_servers(), [ISSUER]);
}

#[tokio::test]
async fn callers_with_one_token_share_one_question() {
    let gate = Arc::new(Semaphore::new(0));
    let reply = Reply::Gated(Arc::clone(&gate), http(200, "application/json", &good().to_string()));
    let server = Forged::saying(reply).await;
    let asking = asking(&server, AMPLE);
    let token = token("t");
    let all = join_all((0..20).map(|_| asking.authenticate(&token)));
    let open = async {
        server.arrived(1).await;
        gate.add_permits(1000);
    };
    let (verdicts, ()) = tokio::join!(all, open);
    assert!(verdicts.iter().all(Result::is_ok));
    assert_eq!(server.seen().len(), 1);
    assert!(asking.flights.board().flights.is_empty(), "nothing is kept");

    asking.authenticate(&token).await.unwrap();
    assert_eq!(server.seen().len(), 2, "who comes later asks anew");
}

#[tokio::test]
async fn callers_with_different_tokens_do_not() {
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let server = Forged::start(move |seen| {
        let subject = seen.body.split(['=', '&']).nth(1).unwrap();
        let answer = good_but(&json!({"sub": subject})).to_string();
        Reply::Gated(Arc::clone(&shared), http(200, "application/json", &answer))
    })
    .await;
    let asking = asking(&server, AMPLE);
    let tokens = (0..20).map(|number| token(&format!("t{number}"))).collect::<Vec<_>>();
    let all = join_all(tokens.iter().map(|token| asking.authenticate(token)));
    let open = async {
        server.arrived(20).await;
        gate.add_permits(1000);
    };
    let (verdicts, ()) = tokio::join!(all, open);
    for (verdict, token) in verdicts.into_iter().zip(&tokens) {
        assert_eq!(verdict.unwrap().subject(), Some(token.expose_secret()), "nobody is taken for another");
    }
    assert_eq!(server.seen().len(), 20);
}

#[tokio::test]
async fn a_refusal_is_shared_and_forgotten_like_an_acceptance() {
    let answers = Mutex::new(VecDeque::from([good(), json!({"active": false}), good()]));
    let server = Forged::start(move |_| Reply::json(&answers.lock().unwrap().pop_front().unwrap())).await;
    let asking = asking(&server, AMPLE);
    let verdicts = [
        asking.authenticate(&token("t")).await.is_ok(),
        asking.authenticate(&token("t")).await.is_ok(),
        asking.authenticate(&token("t")).await.is_ok(),
    ];
    assert_eq!(verdicts, [true, false, true], "a revocation counts at once, and only once");
}

#[tokio::test]
async fn who_asked_first_may_leave() {
    let gate = Arc::new(Semaphore::new(0));
    let reply = Reply::Gated(Arc::clone(&gate), http(200, "application/json", &good().to_string()));
    let server = Forged::saying(reply).await;
    let asking = Arc::new(asking(&server, AMPLE));
    let ask = || {
        let asking = Arc::clone(&asking);
        tokio::spawn(async move { asking.authenticate(&token("t")).await })
    };
    let leader = ask();
    server.arrived(1).await;
    let follower = ask();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.add_permits(1000);
    assert!(follower.await.unwrap().is_ok());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_taken_back() {
    let server = Forged::saying(Reply::Hang(Vec::new())).await;
    let asking = Arc::new(asking(&server, AMPLE));
    let lonely = tokio::spawn({
        let asking = Arc::clone(&asking);
        async move { asking.authenticate(&token("t")).await.map(drop) }
    });
    server.arrived(1).await;
    assert_eq!(asking.flights.board().flights.len(), 1);
    assert_eq!(asking.oracle.turns.available_permits(), 63);
    lonely.abort();
    assert!(lonely.await.unwrap_err().is_cancelled());
    assert!(asking.flights.board().flights.is_empty());
    assert_eq!(asking.oracle.turns.available_permits(), 64);
}

#[tokio::test]
async fn a_landing_leaves_a_later_flight_alone() {
    let server = Forged::saying(Reply::json(&good())).await;
    let asking = asking(&server, AMPLE);
    let flight = asking.flights.join(&token("t"), &asking.oracle);
    drop(Landing { flights: Arc::clone(&asking.flights), key: key(&token("t")), number: 0 });
    assert_eq!(asking.flights.board().flights.len(), 1);
    drop(flight);
    assert!(asking.flights.board().flights.is_empty());
}

#[tokio::test]
async fn the_wait_for_a_turn_counts() {
    let server = Forged::saying(Reply::json(&good())).await;
    let asking = asking(&server, SHORT);
    let turns = asking.oracle.turns.acquire_many(64).await.unwrap();
    let reason = Trouble::Timeout;
    let error = asking.authenticate(&token("t")).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable { reason });
    assert!(server.seen().is_empty());
    assert!(asking.flights.board().flights.is_empty());
    drop(turns);
    assert_eq!(asking.oracle.turns.available_permits(), 64);
}

#[tokio::test]
async fn a_turn_that_comes_too_late_is_not_taken() {
    let server = Forged::saying(Reply::json(&good())).await;
    let asking = asking(&server, Duration::ZERO);
    let reason = Trouble::Timeout;
    let error = asking.authenticate(&token("t")).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable { reason });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_on_many_threads_gets_its_answers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = Forged::start(move |seen| {
        counter.fetch_add(1, Ordering::Relaxed);
        let subject = seen.body.split(['=', '&']).nth(1).unwrap();
        Reply::json(&good_but(&json!({"sub": subject})))
    })
    .await;
    let asking = Arc::new(asking(&server, AMPLE));
    let crowd = (0..64).map(|caller| {
        let asking = Arc::clone(&asking);
        tokio::spawn(async move {
            for turn in 0..50 {
                let token = token(&format!("t{}", (caller + turn) % 5));
                let principal = asking.authenticate(&token).await.unwrap();
                assert_eq!(principal.subject(), Some(token.expose_secret()));
            }
        })
    });
    for caller in join_all(crowd).await {
        caller.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) <= 3200);
    assert!(asking.flights.board().flights.is_empty());
}
