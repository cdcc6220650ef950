//! How far a call has come, for whoever waits for it. Where nobody asked to know, nothing is said.

use tokio::sync::mpsc::UnboundedSender;

tokio::task_local! {
    static TELL: UnboundedSender<String>;
}

/// Runs a future whose steps are told.
pub async fn within<T>(tell: UnboundedSender<String>, future: impl Future<Output = T>) -> T {
    TELL.scope(tell, future).await
}

/// Tells of a step. The words reach a client: they name no address.
pub fn tell(words: impl FnOnce() -> String) {
    let _ = TELL.try_with(|tell| tell.send(words()));
}
