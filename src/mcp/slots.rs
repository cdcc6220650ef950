//! How many calls one caller has running.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::CallError;
use crate::principal::Principal;

/// Counts the running calls of each caller.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// A running call.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    caller: String,
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// Takes a slot for a caller. Callers without a token can't be told apart, so they are not counted.
    ///
    /// # Errors
    /// Returns [`CallError::Limited`] when the caller has all of them.
    pub(super) fn take(self: &Arc<Self>, who: &Principal) -> Result<Option<Slot>, CallError> {
        if who.token().is_none() {
            return Ok(None);
        }
        let caller = who.identity();
        let mut taken = self.taken();
        let count = taken.entry(caller.clone()).or_insert(0);
        if *count >= self.most {
            let most = self.most;
            return Err(CallError::Limited(format!(
                "{most} of your calls are running already; try again when one has ended"
            )));
        }
        *count += 1;
        drop(taken);
        Ok(Some(Slot { slots: Arc::clone(self), caller }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        if let Some(count) = taken.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}
