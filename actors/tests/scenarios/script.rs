//! A scenario: events at times, and as text what the machine did.

use std::fmt::Write;
use std::time::Duration;

use stillframe_actors::machine::Machine;
use stillframe_actors::time::{Moment, Now};

/// Wall clocks in scenarios: so far ahead of the moments.
pub const UNIX_NS: i64 = 1_000_000_000_000;
/// A machine that wants to be woken more often between two events does not stop.
const WAKES_MAX: usize = 200;

pub fn now(ms: u64) -> Now {
    Now { moment: Moment(ms * 1_000_000), unix_ns: UNIX_NS + ms as i64 * 1_000_000 }
}

pub struct Script<M> {
    machine: M,
    text: String,
    /// Pings and the like, which would hide the rest.
    is_noise: fn(&str) -> bool,
}

impl<M: Machine> Script<M> {
    pub fn new(machine: M) -> Script<M> {
        Script { machine, text: String::new(), is_noise: |_| false }
    }

    pub fn without(mut self, is_noise: fn(&str) -> bool) -> Script<M> {
        self.is_noise = is_noise;
        self
    }

    /// The event comes at this time, after all that the machine wanted to be woken for until then.
    pub fn at(mut self, ms: u64, event: M::Event) -> Script<M> {
        self.wake_until(ms);
        writeln!(self.text, "{ms} ms  {event:?}").expect("a String takes everything");
        let mut effects = Vec::new();
        self.machine.handle(now(ms), event, &mut effects);
        self.print(&effects);
        self
    }

    /// Time passes.
    pub fn until(mut self, ms: u64) -> Script<M> {
        self.wake_until(ms);
        self
    }

    fn wake_until(&mut self, ms: u64) {
        for _ in 0..WAKES_MAX {
            let Some(at) = self.machine.wake_at().filter(|at| *at <= now(ms).moment) else { return };
            let mut effects = Vec::new();
            let wall = Now { moment: at, unix_ns: UNIX_NS + at.0 as i64 };
            self.machine.tick(wall, &mut effects);
            if effects.iter().any(|effect| !(self.is_noise)(&format!("{effect:?}"))) {
                writeln!(self.text, "{:?} woken", Duration::from_nanos(at.0)).expect("a String");
                self.print(&effects);
            }
        }
        panic!("the machine wants to be woken for ever:\n{}", self.text);
    }

    fn print(&mut self, effects: &[M::Effect]) {
        for effect in effects {
            let effect = format!("{effect:?}");
            if !(self.is_noise)(&effect) {
                writeln!(self.text, "    -> {effect}").expect("a String takes everything");
            }
        }
    }

    /// What was done, and when the machine wants to be woken next.
    pub fn text(mut self) -> String {
        let next = self.machine.wake_at().map(|at| Duration::from_nanos(at.0));
        writeln!(self.text, "next wake: {next:?}").expect("a String takes everything");
        self.text
    }
}
