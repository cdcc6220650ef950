//! A panic is a mistake of ours. It costs the call in which it happens, and nothing else.
//!
//! Locks stay usable: all of them are taken whether or not somebody panicked with one, and none is held over an await.

use std::panic::{AssertUnwindSafe, set_hook};

use futures_util::FutureExt as _;
use tracing::error;

/// Something panicked. The log says where; the words of a panic may hold data of callers, so nobody is told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked: a mistake in tollbridge, please report it with the line of the log that says where")]
pub struct Panicked;

/// Does some work. A panic in it ends the work and nobody else's.
///
/// # Errors
/// Returns [`Panicked`] when it panicked.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    // What the work has left behind is seen by others through locks and atomics only.
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

/// Says in the log where something panics, instead of printing its words.
pub fn log_panics() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "Something panicked; it costs one call.");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_work_alone() {
        let held = std::sync::Mutex::new(1);
        let work = async {
            tokio::task::yield_now().await;
            let _held = held.lock().unwrap();
            panic!("it holds a secret");
        };
        assert_eq!(caught::<()>(work).await, Err(Panicked));
        assert_eq!(*held.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 1);
        assert_eq!(caught(async { 2 }).await, Ok(2));
        assert!(!Panicked.to_string().contains("secret"));
    }
}
