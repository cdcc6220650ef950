//! A rehearsal: the clock stands still, made-up ids come in order, and what a template decides is noted.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;

/// What stands still, and what was noted so far.
struct Rehearsal {
    now: Timestamp,
    ids: u64,
    decided: BTreeSet<(usize, bool)>,
}

thread_local! {
    /// Functions of templates are given nothing but their arguments, and a rehearsal runs on one thread.
    static CURRENT: RefCell<Option<Rehearsal>> = const { RefCell::new(None) };
}

/// Ends a rehearsal, however it ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

/// Runs something while `now()` is this moment and `uuid()` counts. Gives what came of it, and which way each condition of
/// the templates went, by the numbers of [`super::Builder::conditions`].
pub fn rehearse<T>(now: Timestamp, run: impl FnOnce() -> T) -> (T, BTreeSet<(usize, bool)>) {
    CURRENT.replace(Some(Rehearsal { now, ids: 0, decided: BTreeSet::new() }));
    let end = End;
    let came = run();
    let decided = CURRENT.with_borrow_mut(|it| it.as_mut().map(|it| std::mem::take(&mut it.decided)));
    drop(end);
    (came, decided.unwrap_or_default())
}

/// The time.
pub(super) fn now() -> Timestamp {
    CURRENT.with_borrow(|it| it.as_ref().map(|it| it.now)).unwrap_or_else(Timestamp::now)
}

/// An id that nobody else has; in a rehearsal one that is the same the next time.
pub(super) fn uuid() -> String {
    let counted = CURRENT.with_borrow_mut(|it| {
        it.as_mut().map(|it| {
            it.ids += 1;
            it.ids
        })
    });
    match counted {
        Some(number) => format!("00000000-0000-4000-8000-{number:012}"),
        None => uuid::Uuid::new_v4().to_string(),
    }
}

/// Notes which way a condition went.
pub(super) fn decided(condition: usize, way: bool) {
    CURRENT.with_borrow_mut(|it| it.as_mut().map(|it| it.decided.insert((condition, way))));
}
