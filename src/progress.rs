//! How far a call has come, for whoever waits for it, and whether somebody still does. Where nobody asked to know, nothing is
//! said.

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    static TELL: UnboundedSender<Step>;
    static STOP: (CancellationToken, CancellationToken);
}

/// Something that is told of a call. The words reach a client: they name no address.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It has come so far.
    Said(String),
    /// The API has taken the work and is at it; it may say how much is done, in percent.
    Waits(String, Option<f64>),
}

/// Why a call has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nobody waits for it any more.
    ByCaller,
    /// The server stops.
    ByServer,
}

/// Runs a future whose steps are told.
pub async fn within<T>(tell: UnboundedSender<Step>, future: impl Future<Output = T>) -> T {
    TELL.scope(tell, future).await
}

/// Tells of a step.
pub fn tell(words: impl FnOnce() -> String) {
    let _ = TELL.try_with(|tell| tell.send(Step::Said(words())));
}

/// Tells that the API has taken the work and is at it.
pub fn waits(words: impl FnOnce() -> String, percent: Option<f64>) {
    let _ = TELL.try_with(|tell| tell.send(Step::Waits(words(), percent)));
}

/// Runs a future that asks [`stopped`] whether it has to end.
pub async fn until<T>(caller: CancellationToken, server: CancellationToken, future: impl Future<Output = T>) -> T {
    STOP.scope((caller, server), future).await
}

/// Waits until the call has to end; for ever where nobody could say so.
pub async fn stopped() -> Stopped {
    let Ok((caller, server)) = STOP.try_with(Clone::clone) else { return std::future::pending().await };
    tokio::select! {
        // A server that stops ends its clients' connections, too; that is not what they asked for.
        biased;
        () = server.cancelled() => Stopped::ByServer,
        () = caller.cancelled() => Stopped::ByCaller,
    }
}
