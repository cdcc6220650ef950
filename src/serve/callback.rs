//! The one request of a browser that brings the answer of a sign-in to this machine (RFC 8252, section 7.3).

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};

/// Where the answer comes to.
pub const PATH: &str = "/callback";

/// The answer of the authorization server (RFC 6749, section 4.1.2).
#[derive(Clone, Debug)]
pub enum Answer {
    /// A code to be traded for a token.
    Code {
        /// The code.
        code: String,
        /// What we sent along.
        state: String,
    },
    /// No.
    Refused(String),
}

type Waiting = Arc<Mutex<Option<oneshot::Sender<Answer>>>>;

/// Waits for the answer; others who come by are told that there is nothing here.
///
/// # Errors
/// When the listener breaks.
pub async fn wait(listener: TcpListener) -> Result<Answer, String> {
    let (sender, answer) = oneshot::channel();
    let waiting: Waiting = Arc::new(Mutex::new(Some(sender)));
    let app = Router::new().route(PATH, get(arrive)).with_state(waiting);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let serving = tokio::spawn(async move { serving.await });
    let answer = answer.await.map_err(|_| "the browser's answer was lost".to_owned());
    // The page gets to the browser before the server goes.
    let _ = stop.send(());
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
    answer
}

async fn arrive(State(waiting): State<Waiting>, Query(fields): Query<HashMap<String, String>>) -> Html<&'static str> {
    let field = |name: &str| fields.get(name).cloned();
    let answer = match (field("code"), field("state"), field("error")) {
        (_, _, Some(error)) => {
            let words = field("error_description").map(|words| format!(": {words}")).unwrap_or_default();
            Answer::Refused(format!("{error}{words}"))
        }
        (Some(code), Some(state), None) => Answer::Code { code, state },
        _ => return Html(PAGE_NOTHING),
    };
    if let Some(sender) = waiting.lock().await.take() {
        let _ = sender.send(answer);
    }
    Html(PAGE_DONE)
}

const PAGE_DONE: &str = "<!doctype html><meta charset=utf-8><title>tollbridge</title><p>You can close this page and go back to the terminal.";
const PAGE_NOTHING: &str = "<!doctype html><meta charset=utf-8><title>tollbridge</title><p>Nothing is waited for here.";
