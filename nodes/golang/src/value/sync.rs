//! What locks and their kin of package `sync` say of themselves.
//!
//! | type | parts |
//! | --- | --- |
//! | Mutex | `locked`, `waiters` |
//! | RWMutex | `write_locked`, `readers` (that hold it), `readers_waiting`, `writers_waiting` |
//! | WaitGroup | `counter`, `waiters` |
//! | Once | `done` |
//! | Cond | `waiters` |

use crate::gap::Gap;
use crate::types::Type;
use crate::value::buffer::View;
use crate::value::{Reader, Value};

/// Bits of a mutex's state (sync/mutex.go; internal/sync/mutex.go in Go 1.24 and later).
//
// @go const internal/sync.mutexLocked = none (..1.23), 1 (1.24..)
// @go const internal/sync.mutexWaiterShift = none (..1.23), 3 (1.24..)
const LOCKED: u64 = 1;
const WAITER_SHIFT: u32 = 3;

/// A writer takes so many off the count of readers (sync/rwmutex.go, `rwmutexMaxReaders`).
const READERS_MAX: i64 = 1 << 30;

/// The first Go version whose WaitGroup marks with bit 31 that it belongs to a bubble of testing/synctest
/// (sync/waitgroup.go, `waitGroupBubbleFlag`).
const MINOR_WITH_BUBBLE_FLAG: u32 = 25;

fn record<const N: usize>(parts: [(&str, Value); N]) -> Value {
    Value::Record(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Reader<'_> {
    /// A mutex is in one of another package since Go 1.24.
    fn mutex_state(&self, view: View<'_>, ty: &Type, path: &str) -> Result<u64, Gap> {
        match self.number(view, ty, &format!("{path}state")) {
            Err(Gap::UnknownType(_)) => self.number(view, ty, &format!("{path}mu.state")),
            state => state,
        }
    }

    pub(super) fn mutex(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let state = self.mutex_state(view, ty, "")?;
        Ok(record([
            ("locked", Value::Bool(state & LOCKED != 0)),
            ("waiters", Value::Uint(state >> WAITER_SHIFT)),
        ]))
    }

    pub(super) fn rw_mutex(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let signed = |path: &str| Ok::<_, Gap>(i64::from(self.number(view, ty, path)? as u32 as i32));
        let writers = (self.mutex_state(view, ty, "w.")? >> WAITER_SHIFT) as i64;
        let (count, departing) = (signed("readerCount")?, signed("readerWait")?);
        // (readers, waiting readers, waiting writers, whether a writer has it)
        let (readers, readers_waiting, writers_waiting, locked) = match (count < 0, departing > 0) {
            (false, _) => (count, 0, writers, false),
            // A writer waits for the readers that were there before it.
            (true, true) => (departing, count + READERS_MAX - departing, writers + 1, false),
            (true, false) => (0, count + READERS_MAX, writers, true),
        };
        if readers_waiting < 0 || count >= READERS_MAX {
            return Err(Gap::Implausible(format!("an RWMutex of {count} readers")));
        }
        Ok(record([
            ("write_locked", Value::Bool(locked)),
            ("readers", Value::Int(readers)),
            ("readers_waiting", Value::Int(readers_waiting)),
            ("writers_waiting", Value::Int(writers_waiting)),
        ]))
    }

    pub(super) fn wait_group(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let state = self.number(view, ty, "state")?;
        let waiters = state as u32
            & if self.facts.minor >= MINOR_WITH_BUBBLE_FLAG { i32::MAX as u32 } else { u32::MAX };
        Ok(record([
            ("counter", Value::Int(i64::from((state >> 32) as u32 as i32))),
            ("waiters", Value::Uint(u64::from(waiters))),
        ]))
    }

    pub(super) fn once(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        Ok(record([("done", Value::Bool(self.number(view, ty, "done")? != 0))]))
    }

    /// `notifyList` counts those that came to wait, and those that were told to go (runtime/sema.go).
    pub(super) fn cond(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let came = self.number(view, ty, "notify.wait")? as u32;
        let gone = self.number(view, ty, "notify.notify")? as u32;
        Ok(record([("waiters", Value::Uint(u64::from(came.wrapping_sub(gone))))]))
    }
}
