//! The targets of one order on this host: none is let go before all of them stand still, for what they say of each other
//! is to be of one instant. Nobody waits for long: a target that stands still is somebody's production.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use stillframe_wire::message::OrderId;

/// Who is waited for, of all orders under way.
#[derive(Clone, Default)]
pub(crate) struct Together {
    orders: Arc<Mutex<HashMap<OrderId, Weak<Gate>>>>,
}

struct Gate {
    all: usize,
    /// That stand still, or never will.
    there: Mutex<usize>,
    changed: Condvar,
}

/// One of them. Dropped before it stands still it is waited for no more.
pub(crate) struct Place {
    gate: Arc<Gate>,
    is_there: bool,
}

impl Together {
    /// `all`: how many targets the order has.
    pub(crate) fn join(&self, order: OrderId, all: usize) -> Place {
        let mut orders = lock(&self.orders);
        orders.retain(|_, gate| gate.strong_count() > 0);
        let known = orders.get(&order).and_then(Weak::upgrade).filter(|gate| gate.all == all);
        let gate = known.unwrap_or_else(|| {
            let gate = Arc::new(Gate { all, there: Mutex::new(0), changed: Condvar::new() });
            orders.insert(order, Arc::downgrade(&gate));
            gate
        });
        Place { gate, is_there: false }
    }
}

impl Place {
    /// It stands still.
    pub(crate) fn stands(&mut self) {
        if !std::mem::replace(&mut self.is_there, true) {
            *lock(&self.gate.there) += 1;
            self.gate.changed.notify_all();
        }
    }

    /// Until all stand still, or until `within` is over. Whether all do.
    pub(crate) fn wait(&self, within: Duration) -> bool {
        let began = Instant::now();
        let mut there = lock(&self.gate.there);
        while *there < self.gate.all {
            let left = within.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.gate.changed.wait_timeout(there, left);
            there = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stands();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn all_stand_before_one_goes() {
        let together = Together::default();
        let [mut first, mut second] = [(), ()].map(|()| together.join(OrderId(1), 2));
        first.stands();
        assert!(!first.wait(SHORT));
        let other = std::thread::spawn(move || {
            second.stands();
            second.wait(LONG)
        });
        assert!(first.wait(LONG) && other.join().unwrap());
    }

    #[test]
    fn who_has_failed_is_not_waited_for() {
        let together = Together::default();
        let (mut first, second) = (together.join(OrderId(1), 2), together.join(OrderId(1), 2));
        first.stands();
        first.stands();
        assert!(!first.wait(SHORT), "it counts once");
        drop(second);
        assert!(first.wait(SHORT));
    }

    #[test]
    fn orders_do_not_wait_for_each_other() {
        let together = Together::default();
        let (mut first, _other) = (together.join(OrderId(1), 1), together.join(OrderId(2), 2));
        first.stands();
        assert!(first.wait(SHORT));
        drop(first);
        // Asked again, it begins again.
        let again = together.join(OrderId(1), 1);
        assert!(!again.wait(SHORT));
        assert_eq!(lock(&together.orders).len(), 2);
    }
}
