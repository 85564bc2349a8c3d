//! The clocks that actors hand to their machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::time::{Moment, Now};

/// Tokio's steady clock (which a simulation may drive), and a wall clock that is handed in.
#[derive(Clone)]
pub struct Clock {
    zero: Instant,
    unix_ns: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    /// `unix_ns`: the wall clock.
    pub fn new(unix_ns: impl Fn() -> i64 + Send + Sync + 'static) -> Clock {
        Clock { zero: Instant::now(), unix_ns: Arc::new(unix_ns) }
    }

    pub fn now(&self) -> Now {
        let moment = Moment(crate::time::nanoseconds(self.zero.elapsed()));
        Now { moment, unix_ns: (self.unix_ns)() }
    }

    pub fn instant(&self, moment: Moment) -> Instant {
        self.zero + Duration::from_nanos(moment.0)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
