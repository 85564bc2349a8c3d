//! The coordinator's files: a scripted [`Stores`], whose operations take their time and may fail. What of them outlives a
//! crash is the business of the disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stillframe_actors::coordinator::actor::Stores;
use stillframe_actors::glob;
use stillframe_actors::order::Order;
use stillframe_actors::writer::actor::{Answer, Store, StoreTask, row};
use stillframe_actors::writer::state::{Done, Event};
use stillframe_wire::batch::Batch;
use stillframe_wire::facts::{CellValue, ProbeRow};
use stillframe_wire::message::FailureClass;
use tokio::sync::mpsc;

use super::world::{Planted, World};
use crate::links;
use crate::oracle::{Observation, Run, TargetKey};
use crate::probes;

/// How often a store looks whether the one before it is gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Makes the stores of one coordinator.
pub struct Scripted(pub World);

impl Stores for Scripted {
    fn store(&self, order: &Order) -> Box<dyn Store> {
        let world = self.0.clone();
        let (run, id) = (world.number(), order.id.0);
        let mut state = world.lock();
        // Who is registered when an order begins takes part in it, if its name fits.
        let hosts = &order.selector.hosts;
        let is_wanted =
            |name: &str| hosts.is_empty() || hosts.iter().any(|pattern| glob::matches(pattern, name));
        let members: BTreeSet<String> = state
            .overview
            .iter()
            .flat_map(|overview| overview.borrow().nodes.keys().cloned().collect::<Vec<_>>())
            .filter(|name| is_wanted(name))
            .collect();
        state.observe(Observation::Began { run, order: id, within: order.within, members });
        state.runs.running.insert(id, run);
        state.runs.stores.insert((id, run));
        drop(state);
        let (tasks, to_do) = mpsc::unbounded_channel();
        let probes = Arc::clone(&order.probes);
        tokio::spawn(Work { world, run, order: id, probes, is_finished: false }.all(to_do));
        Box::new(Queue(tasks))
    }
}

/// Dropping it ends the store when all its tasks are done.
struct Queue(mpsc::UnboundedSender<(StoreTask, Answer)>);

impl Store for Queue {
    fn run(&mut self, task: StoreTask, answer: Answer) {
        let is_gone = self.0.send((task, answer)).is_err();
        assert!(!is_gone, "a store works for as long as its queue is there");
    }
}

/// What stands for the store's thread.
struct Work {
    world: World,
    run: Run,
    order: u128,
    probes: Arc<str>,
    is_finished: bool,
}

impl Work {
    async fn all(mut self, mut tasks: mpsc::UnboundedReceiver<(StoreTask, Answer)>) {
        // A file of the same name may still be in the hands of an earlier one.
        while self.is_earlier_one_there() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        while let Some((task, answer)) = tasks.recv().await {
            let event = self.one(task).await;
            self.world.line(format_args!("store {}: {event:?}", self.run));
            answer(event);
        }
        let mut state = self.world.lock();
        if !self.is_finished {
            state.disk.delete(self.run);
        }
        state.runs.stores.remove(&(self.order, self.run));
    }

    fn is_earlier_one_there(&self) -> bool {
        let state = self.world.lock();
        state.runs.stores.range((self.order, 0)..(self.order, self.run)).next().is_some()
    }

    async fn operation(&self) {
        let operation = self.world.lock().operation(self.world.plan());
        tokio::time::sleep(operation).await;
    }

    async fn one(&mut self, task: StoreTask) -> Event {
        self.operation().await;
        let loses_reasons = self.world.planted() == Planted::LosesReasons;
        match task {
            StoreTask::Abandon => {
                self.is_finished = false;
                self.world.lock().disk.delete(self.run);
                return row();
            }
            _ if self.fails() => {
                self.world.lock().disk.delete(self.run);
                return Event::Failed { class: FailureClass::Other, reason: "input/output error".to_owned() };
            }
            StoreTask::Host { member } => {
                self.world.lock().disk.file(self.run).hosts.insert(member.name);
            }
            StoreTask::LostTarget { .. } | StoreTask::LostNode { .. } if loses_reasons => {}
            StoreTask::LostTarget { key, reason, .. } => {
                let key = (key.node, key.target.0);
                self.world.lock().disk.file(self.run).lost_targets.push((key, reason));
            }
            StoreTask::LostNode { member, reason } => {
                self.world.lock().disk.file(self.run).lost_nodes.push((member.name, reason));
            }
            StoreTask::Load { key, batches } => {
                return self.load((key.node, key.target.0), batches).await;
            }
            StoreTask::Ends { from } => {
                let part = links::part(self.world.lock().disk.file(self.run), from);
                return Event::Done(Done::Ends(Arc::new(part)));
            }
            StoreTask::Links { found } => links::keep(self.world.lock().disk.file(self.run), &found),
            StoreTask::Finish => return self.finish().await,
        }
        row()
    }

    fn fails(&self) -> bool {
        let state = self.world.lock();
        state.now_ns() < state.disk.fails_until_ns
    }

    async fn load(&mut self, key: TargetKey, mut batches: mpsc::Receiver<Result<Batch, String>>) -> Event {
        let (mut capture, mut rows, mut values) = (0, 0, 0);
        let reason = loop {
            let Some(batch) = batches.recv().await else { break "the stream was dropped".to_owned() };
            self.operation().await;
            match batch {
                Ok(Batch::Process(head)) => match head.build_id.parse() {
                    Ok(number) => capture = number,
                    Err(_) => break "it is of no capture".to_owned(),
                },
                Ok(Batch::Goroutines(some)) => {
                    rows += some.len() as u64;
                    let mut state = self.world.lock();
                    let of_target = state.disk.file(self.run).rows.entry(key.clone()).or_default();
                    of_target.extend(some.iter().map(|goroutine| (capture, goroutine.goid)));
                }
                Ok(Batch::ProbeRows(some)) => {
                    let Some(some) = some.iter().map(|row| self.value(row)).collect::<Option<Vec<u64>>>()
                    else {
                        break "a value is not of this order".to_owned();
                    };
                    values += some.len() as u64;
                    let mut state = self.world.lock();
                    let of_target = state.disk.file(self.run).values.entry(key.clone()).or_default();
                    of_target.extend(some.into_iter().map(|value| (capture, value)));
                }
                Ok(Batch::Done(counts)) if (counts.goroutines, counts.probe_rows) == (rows, values) => {
                    self.world.observe(Observation::Written { run: self.run, key });
                    return Event::Done(Done::Loaded { goroutines: rows });
                }
                Ok(Batch::Done(_)) => break "the counts differ".to_owned(),
                Ok(_) => {}
                Err(reason) => break reason,
            }
        };
        if self.world.planted() != Planted::KeepsAborted {
            self.world.lock().disk.file(self.run).remove(&key);
        }
        Event::Broken { reason }
    }

    /// The number of a captured value, if it is of the goroutine and of the probes that it has to be of.
    fn value(&self, row: &ProbeRow) -> Option<u64> {
        let [number, probes] = row.cells.as_slice() else { return None };
        let CellValue::Uint(value) = number.value else { return None };
        let is_of_order = probes.value == CellValue::Text(self.probes.to_string());
        let is_of_goroutine = probes::every(&self.probes)? * value == u64::from(row.goroutine);
        (is_of_order && is_of_goroutine).then_some(value)
    }

    /// Rows that say it is whole, fsync, rename, fsync of the folder.
    async fn finish(&mut self) -> Event {
        {
            let mut state = self.world.lock();
            let file = state.disk.file(self.run);
            file.is_whole = true;
            file.is_complete = file.lost_targets.is_empty() && file.lost_nodes.is_empty();
        }
        self.operation().await;
        self.world.lock().disk.sync(self.run);
        self.operation().await;
        let named = self.world.lock().disk.rename(self.run, self.order).cloned();
        let Some(file) = named else {
            return Event::Failed { class: FailureClass::Other, reason: "the file has gone".to_owned() };
        };
        self.is_finished = true;
        self.world.observe(Observation::Named { run: self.run, file: &file });
        self.operation().await;
        self.world.lock().disk.sync_folder();
        let goroutines = file.goroutines();
        Event::Done(Done::Finished { complete: file.is_complete, goroutines, bytes: bytes(goroutines) })
    }
}

/// Of a file of so many goroutines.
pub fn bytes(goroutines: u64) -> u64 {
    goroutines * 100
}
