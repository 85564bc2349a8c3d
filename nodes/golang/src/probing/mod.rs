//! Carries probes out on one process: finds the frames that they are about, and reads what their expressions need, in
//! rounds, while the process stands still.
//!
//! An expression is evaluated over what was copied so far; what it misses is read, for all frames together in one call,
//! and it is evaluated again. So there are as many rounds as the longest chain of pointers, however many frames.
//!
//! [`Probing::warm`] looks at the process while it runs: at the program counters where goroutines stand then, variables
//! are looked up and expressions are checked before the pause.
//!
//! Values are taken only from stacks that are whole: of any other it is not sure whose frame it is.

mod blocks;
mod captured;
mod code;
mod column;
mod frames;
mod rounds;
mod sites;

pub use captured::{Captured, Cell, Problem, Row, Table};

use std::rc::Rc;

use crate::gap::Gap;
use crate::memory::{Memory, Range};
use crate::probe::ProbeSet;
use crate::records::GRecord;
use crate::runtime::Runtime;
use crate::start::Start;
use crate::steps::Steps;
use crate::thread::Registers;
use crate::unwind::StackBytes;
use crate::value::{Limits, Redact};

use rounds::{Found, Rounds};
use sites::Sites;

/// Frames of one process that probes are about.
pub const ROWS_MAX: usize = 1 << 20;

/// A goroutine, and from where its stack is unwound.
pub(crate) struct Standing<'a> {
    pub(crate) g: GRecord,
    pub(crate) start: Start,
    /// Of its thread, if it runs.
    pub(crate) registers: Option<&'a Registers>,
    pub(crate) bytes: StackBytes<'a>,
    /// What it receives into; `None`: that is not known yet.
    pub(crate) slots: Option<Rc<[Range]>>,
}

/// What is to be captured, and under which conditions.
pub struct Order<'a> {
    pub sets: &'a [ProbeSet],
    /// The file name of the process's executable.
    pub program: &'a str,
    pub redact: &'a dyn Redact,
    pub limits: Limits,
    /// Why no value leaves this host; `None`: they do.
    pub refused: Option<&'a str>,
}

/// The probes of one order, for one process.
pub struct Probing<'a> {
    runtime: &'a Runtime<'a>,
    order: &'a Order<'a>,
    steps: Steps<'a>,
    sites: Sites<'a>,
    found: Vec<Found>,
    left_out: usize,
}

impl<'a> Probing<'a> {
    /// `None`: no probe is about this program.
    pub fn new(runtime: &'a Runtime<'a>, order: &'a Order<'a>) -> Option<Self> {
        let sites = Sites::new(runtime, order)?;
        Some(Probing {
            runtime,
            order,
            steps: Steps::new(&runtime.functions),
            sites,
            found: Vec::new(),
            left_out: 0,
        })
    }

    /// Looks up what is where a goroutine stands in a process that runs. Whether a probe is about one of its frames.
    pub(crate) fn warm(&mut self, standing: Standing<'_>) -> bool {
        let standing = [standing];
        let mut rounds = Rounds::new(self.runtime, self.order, &standing);
        rounds.find(0, &self.steps, &mut self.sites);
        !rounds.finish().0.is_empty()
    }

    /// When the process stands still, for `since`: Unix nanoseconds.
    pub fn stands_at(&mut self, now_unix_ns: i64) {
        self.sites.process.now_unix_ns = now_unix_ns;
    }

    /// Finds the frames, and reads values. Whether there was time for all of it.
    pub(crate) fn read(
        &mut self,
        standing: &[Standing<'_>],
        memory: &dyn Memory,
        still: &dyn Fn() -> bool,
    ) -> bool {
        let mut rounds = Rounds::new(self.runtime, self.order, standing);
        for index in 0..standing.len() {
            rounds.find(index, &self.steps, &mut self.sites);
        }
        let whole = rounds.read(&self.sites.process, memory, still);
        let (found, left_out) = rounds.finish();
        self.found.extend(found);
        self.left_out += left_out;
        whole
    }

    /// What it brought.
    pub fn finish(self) -> Captured {
        let rows = self.found.into_iter().map(Found::row).collect();
        let (tables, problems) = self.sites.finish();
        Captured { tables, rows, problems, left_out: self.left_out }
    }
}

/// Why values of a goroutine are not to be had.
fn refusal(order: &Order<'_>, g: &GRecord) -> Option<Gap> {
    match order.refused {
        Some(why) => Some(Gap::Policy(why.to_owned())),
        None => g.secret.then_some(Gap::Secret),
    }
}
