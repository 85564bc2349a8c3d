//! What the coordinator's shell does for its machines: sessions for connections, and for each order's run a snapshot, a
//! linker, a writer and the writer's thread.

use std::collections::{BTreeMap, BTreeSet};

use stillframe_actors::coordinator::state::{self as coordinator, SessionId};
use stillframe_actors::linker::state as linker;
use stillframe_actors::machine::Machine;
use stillframe_actors::order::{Order, Outcome, Progress};
use stillframe_actors::session::state as session;
use stillframe_actors::snapshot::state::Snapshot;
use stillframe_actors::snapshot::{self, Member, WriterOrder};
use stillframe_actors::writer::state as writer;
use stillframe_wire::message::{Generation, OrderId, ToCoordinator, ToNode};

use super::network::Wire;
use super::world::{Address, Mail, Occurrence, Planted, World};
use super::writer::Thread;
use crate::oracle::Observation;

#[derive(Default)]
pub struct CoordinatorProcess {
    pub machine: coordinator::Coordinator,
    pub sessions: BTreeMap<u64, SessionActor>,
    pub runs: BTreeMap<u64, Run>,
}

pub struct SessionActor {
    pub machine: session::Session,
    connection: u64,
    name: String,
    pub generation: Option<Generation>,
}

/// One run of an order.
pub struct Run {
    pub order: OrderId,
    pub snapshot: Snapshot,
    pub linker: linker::Linker,
    pub writer: writer::Writer,
    pub thread: Thread,
    /// Streams that the writer was handed and has not answered for.
    loading: BTreeSet<u64>,
}

impl World<'_> {
    pub(super) fn start_coordinator(&mut self) {
        if self.coordinator.is_none() {
            self.disk.recover();
            self.coordinator = Some(CoordinatorProcess::default());
        }
    }

    pub(super) fn crash_coordinator(&mut self, loses_power: bool) {
        let Some(process) = self.coordinator.take() else { return };
        self.forget_mail(|a| !matches!(a, Address::Node(_) | Address::Capture(..)));
        for (number, run) in process.runs {
            if run.snapshot.has_ended() && self.disk.named_by(number).is_some() {
                self.observe(Observation::MayHaveStayed { order: run.order.0 });
            }
        }
        self.oracles.coordinator_crashed();
        if loses_power {
            self.disk.lose_power(&mut self.random);
        }
        let all: Vec<u64> = self.connections.keys().copied().collect();
        for connection in all {
            if let Some(known) = self.connections.get_mut(&connection) {
                known.open[Wire::Coordinator as usize] = false;
            }
            let at = self.now_ns + self.random.below(self.plan.network.idle_ns);
            self.at(at, Occurrence::ConnectionLost { connection, end: Wire::Node });
        }
        self.clients_are_cut_off();
    }

    pub(super) fn start_session(&mut self, number: u64, connection: u64) {
        let now = self.now(None);
        let Some(process) = &mut self.coordinator else { return };
        let machine = session::Session::new(now);
        process
            .sessions
            .insert(number, SessionActor { machine, connection, name: String::new(), generation: None });
        self.set_wake(Address::Session(number));
    }

    pub(super) fn session_event(&mut self, number: u64, event: session::Event) {
        let now = self.now(None);
        let mut effects = Vec::new();
        let Some(session) = self.session(number) else { return };
        if let session::Event::Admitted { generation } = &event {
            session.generation = Some(*generation);
            let name = session.name.clone();
            self.observe(Observation::Admitted { session: number, name: &name });
        }
        let Some(session) = self.session(number) else { return };
        session.machine.handle(now, event, &mut effects);
        effects.into_iter().for_each(|effect| self.session_effect(number, effect));
    }

    pub(super) fn session_tick(&mut self, number: u64) {
        let now = self.now(None);
        let mut effects = Vec::new();
        let Some(session) = self.session(number) else { return };
        session.machine.tick(now, &mut effects);
        effects.into_iter().for_each(|effect| self.session_effect(number, effect));
    }

    fn session(&mut self, number: u64) -> Option<&mut SessionActor> {
        self.coordinator.as_mut()?.sessions.get_mut(&number)
    }

    fn session_effect(&mut self, number: u64, effect: session::Effect) {
        let id = SessionId(number);
        let admits_twice = self.planted == Planted::AdmitsTwice;
        let Some(session) = self.session(number) else { return };
        let connection = session.connection;
        let event = match effect {
            session::Effect::ToNode(message) => return self.send_to_node(connection, message),
            session::Effect::Close { .. } => {
                self.close(connection, Wire::Coordinator);
                self.observe(Observation::Closed { session: number });
                if let Some(process) = &mut self.coordinator {
                    process.sessions.remove(&number);
                }
                return;
            }
            session::Effect::Report(session::Report::Hello(mut hello)) => {
                session.name.clone_from(&hello.name);
                if admits_twice {
                    hello.name = format!("{}#{number}", hello.name);
                }
                coordinator::Event::Hello { session: id, hello }
            }
            session::Effect::Report(session::Report::Alive { clock }) => {
                coordinator::Event::Alive { session: id, clock }
            }
            session::Effect::Report(session::Report::Message(message)) => {
                coordinator::Event::Message { session: id, message }
            }
            session::Effect::Report(session::Report::Closed { .. }) => {
                coordinator::Event::Closed { session: id }
            }
        };
        self.mail(Address::Coordinator, Mail::Coordinator(event));
    }

    pub(super) fn coordinator_event(&mut self, event: coordinator::Event) {
        let now = self.now(None);
        let mut effects = Vec::new();
        let Some(process) = &mut self.coordinator else { return };
        process.machine.handle(now, event, &mut effects);
        let orders = process.machine.waiting().count();
        self.observe(Observation::Waiting { orders });
        effects.into_iter().for_each(|effect| self.coordinator_effect(effect));
    }

    fn coordinator_effect(&mut self, effect: coordinator::Effect) {
        use coordinator::{Effect, NodeMessage};
        let (session, event) = match effect {
            Effect::Admit { session, generation } => (session, session::Event::Admitted { generation }),
            Effect::Reject { session, reason } => (session, session::Event::Rejected { reason }),
            Effect::CloseSession { session, reason } => (session, session::Event::Close { reason }),
            Effect::ToSession { session, message: NodeMessage::Plain(message) } => {
                (session, session::Event::Send(message))
            }
            Effect::ToSession { session, message: NodeMessage::Arm { order, at_unix_ns } } => {
                (session, session::Event::Arm { order, at_unix_ns })
            }
            Effect::Start { order, members } => return self.start_run(order, members),
            Effect::ToSnapshot { order, event } => {
                let runs = self.coordinator.iter().flat_map(|process| &process.runs);
                let run = runs.filter(|(_, run)| run.order == order).map(|(number, _)| *number).next_back();
                if let Some(run) = run {
                    self.mail(Address::Snapshot(run), Mail::Snapshot(event));
                }
                return;
            }
            Effect::Progress { order, progress } => {
                if let Progress::Ended(outcome) = progress {
                    self.answer(order.0, &outcome);
                }
                return;
            }
        };
        self.mail(Address::Session(session.0), Mail::Session(event));
    }

    fn start_run(&mut self, order: Order, members: Vec<Member>) {
        let run = self.number();
        let names = members.iter().map(|member| member.name.clone()).collect();
        self.observe(Observation::Began { run, order: order.id.0, within: order.within, members: names });
        let Some(process) = &mut self.coordinator else { return };
        // A file of the same name may still be in the hands of the thread of an earlier run.
        let is_blocked = process.runs.values().any(|earlier| earlier.order == order.id);
        process.runs.insert(
            run,
            Run {
                order: order.id,
                snapshot: Snapshot::new(order, members),
                linker: linker::Linker::default(),
                writer: writer::Writer::default(),
                thread: Thread::new(is_blocked),
                loading: BTreeSet::new(),
            },
        );
        self.mail(Address::Snapshot(run), Mail::Snapshot(snapshot::Event::Start));
    }

    pub(super) fn run_mut(&mut self, run: u64) -> Option<&mut Run> {
        self.coordinator.as_mut()?.runs.get_mut(&run)
    }

    pub(super) fn snapshot_event(&mut self, number: u64, event: snapshot::Event) {
        let now = self.now(None);
        if self.planted == Planted::Unlimited
            && let snapshot::Event::FromNode {
                node,
                message: ToCoordinator::Captured { order, target, .. },
                ..
            } = &event
        {
            let message = coordinator::NodeMessage::Plain(ToNode::Send { order: *order, target: *target });
            let event = coordinator::Event::ToNode { node: node.clone(), message };
            self.mail(Address::Coordinator, Mail::Coordinator(event));
        }
        let Some(run) = self.run_mut(number) else { return };
        if let snapshot::Event::Written { stream, .. } | snapshot::Event::Broken { stream, .. } = &event {
            run.loading.remove(&stream.0);
        }
        let mut effects = Vec::new();
        run.snapshot.handle(now, event, &mut effects);
        effects.into_iter().for_each(|effect| self.snapshot_effect(number, effect));
    }

    pub(super) fn snapshot_tick(&mut self, number: u64) {
        let now = self.now(None);
        let mut effects = Vec::new();
        let Some(run) = self.run_mut(number) else { return };
        run.snapshot.tick(now, &mut effects);
        effects.into_iter().for_each(|effect| self.snapshot_effect(number, effect));
    }

    fn snapshot_effect(&mut self, number: u64, effect: snapshot::Effect) {
        let Some(run) = self.run_mut(number) else { return };
        let order = run.order;
        match effect {
            snapshot::Effect::ToNode { node, message } => {
                let event = coordinator::Event::ToNode { node, message };
                self.mail(Address::Coordinator, Mail::Coordinator(event));
            }
            snapshot::Effect::Writer(writer_order) => {
                if let WriterOrder::Load { stream, key } = writer_order {
                    return self.load_now(number, stream, key);
                }
                if let WriterOrder::Drop { stream } = &writer_order {
                    run.loading.remove(&stream.0);
                }
                self.mail(Address::Writer(number), Mail::Writer(writer::Event::Order(writer_order)));
            }
            snapshot::Effect::Link => {
                self.observe(Observation::Collected { run: number });
                self.mail(Address::Linker(number), Mail::Linker(linker::Event::Join));
            }
            snapshot::Effect::Progress(Progress::Ready { node, targets, refused }) => {
                self.observe(Observation::Ready { run: number, node, targets: targets + refused });
            }
            snapshot::Effect::Progress(_) => {}
            snapshot::Effect::Ended(outcome) => {
                self.observe(Observation::Ended { run: number, outcome: &outcome });
                let event = coordinator::Event::SnapshotEnded { order, outcome };
                self.mail(Address::Coordinator, Mail::Coordinator(event));
            }
        }
    }

    /// A stream goes to the writer.
    pub(super) fn load_now(&mut self, number: u64, stream: snapshot::StreamId, key: snapshot::TargetKey) {
        let Some(run) = self.run_mut(number) else { return };
        run.loading.insert(stream.0);
        let streams = run.loading.len();
        self.observe(Observation::Loading { streams });
        let order = WriterOrder::Load { stream, key };
        self.mail(Address::Writer(number), Mail::Writer(writer::Event::Order(order)));
    }

    pub(super) fn linker_event(&mut self, number: u64, event: linker::Event) {
        let now = self.now(None);
        let Some(run) = self.run_mut(number) else { return };
        let mut effects = Vec::new();
        run.linker.handle(now, event, &mut effects);
        for effect in effects {
            match effect {
                linker::Effect::Joined { .. } => {
                    self.mail(Address::Snapshot(number), Mail::Snapshot(snapshot::Event::Linked));
                }
                linker::Effect::Writer(request) => {
                    self.mail(Address::Writer(number), Mail::Writer(writer::Event::Linker(request)));
                }
            }
        }
    }

    pub(super) fn writer_event(&mut self, number: u64, event: writer::Event) {
        let now = self.now(None);
        let Some(run) = self.run_mut(number) else { return };
        let mut effects = Vec::new();
        run.writer.handle(now, event, &mut effects);
        for effect in effects {
            match effect {
                writer::Effect::Task(task) => self.start_task(number, task),
                writer::Effect::DropStream { stream } => self.end_load(number, stream.0),
                writer::Effect::ToSnapshot(event) => {
                    if let snapshot::Event::Written { key, .. } = &event {
                        let key = (key.node.clone(), key.target.0);
                        self.observe(Observation::Written { run: number, key });
                    }
                    self.mail(Address::Snapshot(number), Mail::Snapshot(event));
                }
                writer::Effect::ToLinker(event) => {
                    self.mail(Address::Linker(number), Mail::Linker(event));
                }
            }
        }
    }

    /// Runs that have ended and whose thread has nothing to do any more.
    pub(super) fn remove_ended_runs(&mut self) {
        let Some(process) = &mut self.coordinator else { return };
        let before = process.runs.len();
        process.runs.retain(|_, run| !run.snapshot.has_ended() || run.thread.is_busy());
        if process.runs.len() == before {
            return;
        }
        let mut orders = BTreeSet::new();
        let mut free = Vec::new();
        for (number, run) in &mut process.runs {
            if orders.insert(run.order) && std::mem::replace(&mut run.thread.is_blocked, false) {
                free.push(*number);
            }
        }
        free.into_iter().for_each(|run| self.next_step(run, 0));
    }

    /// The outcome of an order goes to whoever waits for it.
    fn answer(&mut self, order: u128, outcome: &Outcome) {
        self.log.line(self.now_ns, format_args!("order {order} ended: {outcome:?}"));
        self.answer_client(order, outcome);
    }
}
