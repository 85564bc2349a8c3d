//! The writer's thread: it does one task at a time, in steps that each take the disk's time and may each fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use stillframe_actors::writer::state::{Done, Event, Task};
use stillframe_wire::message::FailureClass;

use super::network::Wire;
use super::world::{Address, Mail, Occurrence, Planted, World};
use crate::links;
use crate::oracle::Observation;
use crate::{MILLISECOND, SECOND};

/// A reader that gets nothing for so long gives the stream up.
const READ_STALL: u64 = 10 * SECOND;
/// How often a reader that waits looks again.
const READ_POLL: u64 = 100 * MILLISECOND;
/// Rows of a part of a stream.
const PART_ROWS: u64 = 64;
/// Indices and the last row, check, fsync, rename, fsync of the folder.
const FINISH_STEPS: u64 = 5;

#[derive(Default)]
pub struct Thread {
    task: Option<Task>,
    /// How much of the task is done.
    progress: u64,
    /// Which step comes next, of all of this thread.
    step: u64,
    waits_since_ns: Option<u64>,
    dropped: BTreeSet<u64>,
    /// An earlier run of the same order still has the file.
    pub is_blocked: bool,
}

impl Thread {
    pub fn new(is_blocked: bool) -> Thread {
        Thread { is_blocked, ..Thread::default() }
    }

    pub fn is_busy(&self) -> bool {
        self.task.is_some()
    }
}

/// What became of one step.
enum Step {
    Again,
    Wait,
    Done(Done),
    Broken(&'static str),
    Failed(FailureClass, &'static str),
    PowerLost(u64),
}

impl World<'_> {
    pub(super) fn start_task(&mut self, run: u64, task: Task) {
        let Some(state) = self.run_mut(run) else { return };
        let before = state.thread.task.replace(task);
        state.thread.progress = 0;
        state.thread.waits_since_ns = None;
        let is_blocked = state.thread.is_blocked;
        if before.is_some() {
            let what = format!("the thread of run {run} was given two tasks");
            self.oracles.violate(crate::oracle::Oracle::Bounds, what);
        }
        if !is_blocked {
            self.next_step(run, 0);
        }
    }

    /// The stream is closed; a load of it breaks at its next step.
    pub(super) fn end_load(&mut self, run: u64, stream: u64) {
        if let Some(state) = self.run_mut(run) {
            state.thread.dropped.insert(stream);
        }
        self.drop_stream(stream);
    }

    pub(super) fn next_step(&mut self, run: u64, wait_ns: u64) {
        let is_slow = self.now_ns < self.disk.slow_until_ns;
        let operation_ns =
            if is_slow { self.disk.operation_ns } else { self.random.spread(1_000, 2 * MILLISECOND) };
        let Some(state) = self.run_mut(run) else { return };
        state.thread.step += 1;
        let step = state.thread.step;
        self.after(wait_ns + operation_ns, Occurrence::ThreadStep { run, step });
    }

    pub(super) fn thread_step(&mut self, run: u64, step: u64) {
        let Some(state) = self.run_mut(run) else { return };
        if state.thread.step != step {
            return;
        }
        let progress = state.thread.progress;
        let Some(task) = state.thread.task.clone() else { return };
        let event = match self.step(run, &task, progress) {
            Step::Again | Step::Wait if self.run_mut(run).is_none() => return,
            Step::Again => {
                if let Some(state) = self.run_mut(run) {
                    state.thread.progress += 1;
                    state.thread.waits_since_ns = None;
                }
                let comes_ns = if matches!(task, Task::Load { .. }) { self.delay() } else { 0 };
                return self.next_step(run, comes_ns);
            }
            Step::Wait => return self.next_step(run, READ_POLL),
            Step::PowerLost(down_ns) => {
                self.crash_coordinator(true);
                return self.after(down_ns, Occurrence::Restart(None));
            }
            Step::Done(done) => Event::Done(done),
            Step::Broken(reason) => {
                if let Task::Load { stream, key } = &task {
                    if self.planted != Planted::KeepsAborted {
                        self.disk.file(run).remove(&(key.node.clone(), key.target.0));
                    }
                    self.drop_stream(stream.0);
                }
                Event::Broken { reason: reason.to_owned() }
            }
            Step::Failed(class, reason) => {
                self.disk.delete(run);
                Event::Failed { class, reason: reason.to_owned() }
            }
        };
        // What the thread says takes its time, too: orders may cross it.
        let longest_ns =
            if self.now_ns < self.disk.slow_until_ns { self.disk.operation_ns } else { 2 * MILLISECOND };
        let says_ns = self.random.below(longest_ns + 1);
        self.after(says_ns, Occurrence::ThreadSays { run, event });
    }

    pub(super) fn thread_says(&mut self, run: u64, event: Event) {
        if let Some(state) = self.run_mut(run) {
            state.thread.task = None;
            self.mail(Address::Writer(run), Mail::Writer(event));
        }
    }

    fn disk_error(&self) -> Option<Step> {
        if self.now_ns < self.disk.full_until_ns {
            return Some(Step::Failed(FailureClass::Limit, "no space left on device"));
        }
        (self.now_ns < self.disk.fails_until_ns)
            .then_some(Step::Failed(FailureClass::Other, "input/output error"))
    }

    fn step(&mut self, run: u64, task: &Task, progress: u64) -> Step {
        if *task == Task::Abandon {
            self.disk.delete(run);
            return Step::Done(Done::Row);
        }
        if let Some(failed) = self.disk_error() {
            return failed;
        }
        let loses_reasons = self.planted == Planted::LosesReasons;
        match task {
            Task::Host { member } => {
                self.disk.file(run).hosts.insert(member.name.clone());
            }
            Task::LostTarget { .. } | Task::LostNode { .. } if loses_reasons => {}
            Task::LostTarget { key, reason, .. } => {
                let key = (key.node.clone(), key.target.0);
                self.disk.file(run).lost_targets.push((key, reason.clone()));
            }
            Task::LostNode { member, reason } => {
                self.disk.file(run).lost_nodes.push((member.name.clone(), reason.clone()));
            }
            Task::Load { stream, key } => {
                return self.load_step(run, stream.0, (key.node.clone(), key.target.0), progress);
            }
            Task::Ends { from } => {
                let part = links::part(self.disk.file(run), *from);
                return Step::Done(Done::Ends(Arc::new(part)));
            }
            Task::Links { found } => links::keep(self.disk.file(run), found),
            Task::Finish => return self.finish_step(run, progress),
            Task::Abandon => {}
        }
        Step::Done(Done::Row)
    }

    fn load_step(&mut self, run: u64, number: u64, key: (String, u32), progress: u64) -> Step {
        let now_ns = self.now_ns;
        if self.run_mut(run).is_some_and(|state| state.thread.dropped.contains(&number)) {
            return Step::Broken("the stream was dropped");
        }
        let Some(stream) = self.streams.get(&number) else { return Step::Broken("the stream was reset") };
        if !self.is_open(stream.connection, Wire::Coordinator) {
            return Step::Broken("the connection was lost");
        }
        let host = &self.hosts[stream.host];
        let captures = host.process.as_ref().map(|process| &process.captures);
        let is_blocked =
            now_ns < host.link.partitioned_until.max(host.link.stalled_until[Wire::Coordinator as usize]);
        let spool = captures.and_then(|captures| captures.get(&stream.capture)?.spool);
        let (is_open, is_corrupt, is_alive) = (stream.is_open, stream.is_corrupt, captures.is_some());
        let Some(spool) = spool.filter(|_| is_open && !is_blocked) else {
            if is_alive && !is_blocked {
                return Step::Broken("the stream was reset");
            }
            // Nothing comes, and nobody says why.
            let Some(state) = self.run_mut(run) else { return Step::Wait };
            let since = *state.thread.waits_since_ns.get_or_insert(now_ns);
            return if now_ns - since >= READ_STALL {
                Step::Broken("nothing came any more")
            } else {
                Step::Wait
            };
        };
        let first = progress * PART_ROWS;
        if !(is_corrupt && progress == 0) {
            let file = self.disk.file(run);
            let part = first..(spool.rows + spool.values).min(first + PART_ROWS);
            for row in part {
                // Values come after all goroutines.
                match row.checked_sub(spool.rows) {
                    None => file.rows.entry(key.clone()).or_default().push((spool.number, row)),
                    Some(value) => file.values.entry(key.clone()).or_default().push((spool.number, value)),
                }
            }
        }
        if first + PART_ROWS < spool.rows + spool.values {
            return Step::Again;
        }
        if is_corrupt {
            return Step::Broken("the counts differ");
        }
        self.drop_stream(number);
        Step::Done(Done::Loaded { goroutines: spool.rows })
    }

    fn finish_step(&mut self, run: u64, progress: u64) -> Step {
        if let Some((step, down_ns)) = self.disk.power_lost_at
            && step as u64 == progress
            && self.now_ns < self.plan.faults_end_ns
        {
            self.disk.power_lost_at = None;
            return Step::PowerLost(down_ns);
        }
        let Some(order) = self.run_mut(run).map(|state| state.order.0) else { return Step::Wait };
        let (sync, rename) = if self.planted == Planted::RenamesFirst { (3, 2) } else { (2, 3) };
        if progress == 0 {
            let file = self.disk.file(run);
            file.is_whole = true;
            file.is_complete = file.lost_targets.is_empty() && file.lost_nodes.is_empty();
        } else if progress == sync {
            self.disk.sync(run);
        } else if progress == rename {
            let file = self.disk.rename(run, order).cloned();
            if let Some(file) = file {
                self.observe(Observation::Named { run, file: &file });
            }
        }
        if progress + 1 < FINISH_STEPS {
            return Step::Again;
        }
        self.disk.sync_folder();
        match self.disk.named_by(run) {
            Some(file) => {
                let goroutines = file.goroutines();
                Step::Done(Done::Finished { complete: file.is_complete, goroutines, bytes: goroutines * 100 })
            }
            None => Step::Failed(FailureClass::Other, "the file has gone"),
        }
    }
}
