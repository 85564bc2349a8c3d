//! All actors together: a coordinator and nodes in one process, over memory and over QUIC, with scripted hosts and a store
//! that keeps what it got.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ED25519,
};
use stillframe_actors::capture::actor::{CaptureOrder, Host, Spool};
use stillframe_actors::clock::Clock;
use stillframe_actors::connection::{Dial, Later, Reading, write_frame};
use stillframe_actors::coordinator::actor::{Handle, Stores};
use stillframe_actors::coordinator::state::Event as CoordinatorEvent;
use stillframe_actors::linker::facts::{End, Role};
use stillframe_actors::linker::{Part, Place};
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::order::{Order, Outcome, Progress, Stop};
use stillframe_actors::quic::{self, Credentials, Quic};
use stillframe_actors::writer::actor::{Answer, Store, StoreTask, row};
use stillframe_actors::writer::state::{Done, Event as WriterEvent};
use stillframe_actors::{coordinator, local, node};
use stillframe_wire::batch::{Batch, batches};
use stillframe_wire::facts::{
    Cell, CellValue, Completeness, EnvironmentFits, Goroutine, HostFacts, PauseWindow, ProbeRow, ProbeTable,
    ProcessFacts,
};
use stillframe_wire::message::{FailureClass, InstanceId, OrderId, ReadyTarget, Refusal, Selector};
use tokio::sync::mpsc;

const PROBES: &str = "[[probe]]";

fn clock() -> Clock {
    let started = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let zero = tokio::time::Instant::now();
    Clock::new(move || (started + zero.elapsed()).as_nanos() as i64)
}

/// Each goroutine's value is the text that the order gave.
fn facts(pid: u32, goroutines: u64, probes: &str) -> ProcessFacts {
    let value = CellValue::Text(probes.to_owned());
    let cell = Cell { value, ..Cell::default() };
    let probe_row = |goroutine| ProbeRow { table: 0, goroutine, depth: 0, cells: vec![cell.clone()] };
    let goroutine = |goid| Goroutine {
        goid,
        status: "waiting".into(),
        wait_reason: Some("chan receive".into()),
        header: "[chan receive]".into(),
        stack: 0,
        arguments: String::new(),
        parent_goid: None,
        created_by: None,
        start_function: None,
        thread_id: None,
        on_cpu: false,
        is_system: false,
        labels: Vec::new(),
        waits: Vec::new(),
        blocked: None,
        born: None,
    };
    ProcessFacts {
        pid,
        ns_pid: pid,
        started_unix_ns: None,
        program: "shop".into(),
        container_id: None,
        exe: "/bin/shop".into(),
        cmdline: String::new(),
        build_id: "b".into(),
        go_version: "go1.26.6".into(),
        main_module: None,
        arch: "amd64".into(),
        threads: 1,
        pause: Some(PauseWindow::default()),
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Complete,
        reason: None,
        files: vec!["/src/main.go".into()],
        functions: Vec::new(),
        stacks: Vec::new(),
        go_statements: Vec::new(),
        sockets: Vec::new(),
        goroutines: (1..=goroutines).map(goroutine).collect(),
        types: Vec::new(),
        probe_tables: vec![ProbeTable { probe: "p".into(), columns: vec!["probes".into()] }],
        probe_rows: (0..goroutines as u32).map(probe_row).collect(),
        gaps: Vec::new(),
    }
}

/// Has three processes: one that can be captured, one that fails, and one that is refused.
struct Scripted {
    pid: u32,
    goroutines: u64,
}

struct Memory {
    goroutines: u64,
    bytes: Vec<u8>,
}

impl Spool for Memory {
    fn goroutines(&self) -> u64 {
        self.goroutines
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self) -> io::Result<Reading> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

impl Host for Scripted {
    fn find(&self, _: Selector, _: Stop, probes: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)> {
        assert_eq!(&*probes, PROBES);
        let target = |pid, refusal| ReadyTarget { pid, program: "shop".into(), refusal };
        let refusal = Refusal { class: FailureClass::Unsupported, reason: "too old".into() };
        let targets = vec![target(self.pid, None), target(2, None), target(3, Some(refusal))];
        Box::pin(async move { (targets, Duration::from_millis(1)) })
    }

    fn capture(
        &self,
        CaptureOrder { pid, probes, .. }: CaptureOrder,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        let (own, goroutines) = (self.pid, self.goroutines);
        Box::pin(async move {
            if pid != own {
                return Err(Refusal { class: FailureClass::Vanished, reason: "it ended".into() });
            }
            resumed(PauseWindow::default());
            let mut bytes = Vec::new();
            for batch in batches(facts(pid, goroutines, &probes)) {
                write_frame(&mut bytes, &batch).await.unwrap();
            }
            Ok(Box::new(Memory { goroutines, bytes }) as Box<dyn Spool>)
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Kept {
    hosts: Vec<String>,
    goroutines: Vec<(String, u64)>,
    lost: Vec<(String, u32, String)>,
    unmatched: Vec<i64>,
    finished: bool,
    abandoned: bool,
}

#[derive(Clone, Default)]
struct Keeping(Arc<Mutex<Kept>>);

impl Stores for Keeping {
    fn store(&self, _: &Order) -> Box<dyn Store> {
        Box::new(self.clone())
    }
}

impl Store for Keeping {
    fn run(&mut self, task: StoreTask, answer: Answer) {
        let mut kept = self.0.lock().unwrap();
        let event = match task {
            StoreTask::Host { member } => {
                kept.hosts.push(member.name);
                row()
            }
            StoreTask::Load { key, mut batches } => {
                let kept = Arc::clone(&self.0);
                tokio::spawn(async move {
                    let (mut goroutines, mut values) = (0, 0);
                    while let Some(batch) = batches.recv().await {
                        match batch {
                            Ok(Batch::Goroutines(some)) => goroutines += some.len() as u64,
                            Ok(Batch::ProbeRows(rows)) => {
                                let is_asked = |cell: &Cell| cell.value == CellValue::Text(PROBES.into());
                                assert!(rows.iter().flat_map(|row| &row.cells).all(is_asked));
                                values += rows.len() as u64;
                            }
                            Ok(Batch::Done(counts)) => {
                                assert_eq!((counts.goroutines, counts.probe_rows), (goroutines, goroutines));
                                assert_eq!(values, goroutines);
                                kept.lock().unwrap().goroutines.push((key.node, goroutines));
                                return answer(WriterEvent::Done(Done::Loaded { goroutines }));
                            }
                            Ok(_) => {}
                            Err(reason) => return answer(WriterEvent::Broken { reason }),
                        }
                    }
                    answer(WriterEvent::Broken { reason: "it ended".into() });
                });
                return;
            }
            StoreTask::LostTarget { key, pid, reason, .. } => {
                kept.lost.push((key.node, pid, reason));
                row()
            }
            StoreTask::LostNode { member, reason } => {
                kept.lost.push((member.name, 0, reason));
                row()
            }
            StoreTask::Ends { from: Place::Start } => {
                let part = Part { next: Some(Place::Ends(0)), ..Part::default() };
                WriterEvent::Done(Done::Ends(Arc::new(part)))
            }
            StoreTask::Ends { from } => {
                assert_eq!(from, Place::Ends(0));
                let end = End {
                    id: 7,
                    goroutine: 1,
                    process: 1,
                    socket: None,
                    fd: None,
                    role: Role::Client,
                    protocol: "http1".into(),
                    stream: None,
                    method: None,
                    trace: None,
                    answered: None,
                    buffered_bytes: None,
                    writes: false,
                };
                let part = Part { ends: vec![end], ..Part::default() };
                WriterEvent::Done(Done::Ends(Arc::new(part)))
            }
            StoreTask::Links { found } => {
                kept.unmatched.extend(found.unmatched.iter().map(|(end, _)| *end));
                row()
            }
            StoreTask::Finish => {
                // What was found is written before the file is finished.
                assert_eq!(std::mem::take(&mut kept.unmatched), [7]);
                kept.finished = true;
                let goroutines = kept.goroutines.iter().map(|(_, count)| count).sum();
                WriterEvent::Done(Done::Finished { complete: kept.lost.is_empty(), goroutines, bytes: 1 })
            }
            StoreTask::Abandon => {
                kept.abandoned = true;
                row()
            }
        };
        drop(kept);
        answer(event);
    }
}

fn identity(name: &str, instance: u64) -> Identity {
    Identity { name: name.into(), instance: InstanceId(instance), host: HostFacts::default() }
}

fn order(id: u128) -> Order {
    Order {
        id: OrderId(id),
        selector: Selector::default(),
        stop: Stop::default(),
        probes: PROBES.into(),
        within: Duration::from_secs(20),
        label: None,
        requested_by: None,
    }
}

struct Running {
    coordinator: Handle,
    progress: mpsc::UnboundedReceiver<(OrderId, Progress)>,
    kept: Keeping,
}

fn coordinator() -> Running {
    let kept = Keeping::default();
    let (listener, progress) = mpsc::unbounded_channel();
    let coordinator =
        coordinator::actor::start(Default::default(), Arc::new(kept.clone()), listener, clock());
    Running { coordinator, progress, kept }
}

impl Running {
    async fn nodes(&mut self, count: usize) {
        let registered = self.coordinator.overview.wait_for(|overview| overview.nodes.len() == count);
        tokio::time::timeout(Duration::from_secs(20), registered).await.unwrap().unwrap();
    }

    async fn order(&mut self, id: u128) -> (Outcome, Vec<Progress>) {
        self.coordinator.mailbox.tell(CoordinatorEvent::Order(order(id)));
        self.outcome(id).await
    }

    async fn outcome(&mut self, id: u128) -> (Outcome, Vec<Progress>) {
        let mut all = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.progress.recv()).await;
            let (order, progress) = next.unwrap().unwrap();
            assert_eq!(order, OrderId(id));
            if let Progress::Ended(outcome) = progress {
                return (outcome, all);
            }
            all.push(progress);
        }
    }
}

fn local_node(running: &Running, name: &str, instance: u64, host: Scripted) {
    let (local, mut accepted) = local::pair();
    let (_node, _) =
        node::actor::start(identity(name, instance), Arc::new(local), Arc::new(host), instance, clock());
    let coordinator = running.coordinator.clone();
    tokio::spawn(async move {
        while let Some(connection) = accepted.recv().await {
            coordinator.connected(connection);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_two_nodes_in_one_process() {
    let mut running = coordinator();
    local_node(&running, "a", 1, Scripted { pid: 10, goroutines: 5_000 });
    local_node(&running, "b", 2, Scripted { pid: 11, goroutines: 3 });
    running.nodes(2).await;
    let (outcome, progress) = running.order(1).await;
    assert_eq!(outcome, Outcome::Committed { complete: false, goroutines: 5_003, bytes: 1 }, "{progress:#?}");
    let mut kept = running.kept.0.lock().unwrap().clone();
    kept.hosts.sort();
    kept.goroutines.sort();
    kept.lost.sort();
    assert_eq!(kept.hosts, ["a", "b"]);
    assert_eq!(kept.goroutines, [("a".to_owned(), 5_000), ("b".to_owned(), 3)]);
    let lost: Vec<_> = kept.lost.iter().map(|(node, pid, reason)| (&**node, *pid, &**reason)).collect();
    let (ended, old) = ("it ended", "too old");
    assert_eq!(lost, [("a", 2, ended), ("a", 3, old), ("b", 2, ended), ("b", 3, old)]);
    let written = progress.iter().filter(|p| matches!(p, Progress::Written { .. })).count();
    assert_eq!(written, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_may_be_asked_for_again_at_once() {
    let mut running = coordinator();
    local_node(&running, "a", 1, Scripted { pid: 10, goroutines: 5_000 });
    running.nodes(1).await;
    for round in 0..20 {
        running.coordinator.mailbox.tell(CoordinatorEvent::Order(order(round)));
        let cancel = CoordinatorEvent::Cancel { order: OrderId(round), reason: "cancelled".into() };
        running.coordinator.mailbox.tell(cancel);
        let (cancelled, _) = running.outcome(round).await;
        assert!(
            matches!(&cancelled, Outcome::Failed { reason, .. } if reason == "cancelled"),
            "{cancelled:?}"
        );
        let (again, progress) = running.order(round).await;
        assert!(matches!(again, Outcome::Committed { .. }), "{again:?} {progress:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_an_order_fails_at_once() {
    let mut running = coordinator();
    let (outcome, _) = running.order(1).await;
    assert!(matches!(outcome, Outcome::Failed { class: FailureClass::NoSuchProcess, .. }), "{outcome:?}");
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new() -> Ca {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Ca { issuer: Issuer::new(params, key), pem }
    }

    fn credentials(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Credentials {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Credentials { ca: self.pem.clone(), certificate, key: key.serialize_pem() }
    }
}

fn listen(running: &Running, ca: &Ca) -> SocketAddr {
    let credentials = ca.credentials(quic::COORDINATOR_NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let server = quic::server_config(credentials.server().unwrap(), quic::transport(true)).unwrap();
    let endpoint = quic::bind("127.0.0.1:0".parse().unwrap(), Some(server), &[7; 64]).unwrap();
    let address = endpoint.local_addr().unwrap();
    let coordinator = running.coordinator.clone();
    tokio::spawn(async move {
        while let Some(accepting) = quic::accept(&endpoint).await {
            let coordinator = coordinator.clone();
            tokio::spawn(async move {
                if let Ok(connection) = accepting.finish().await {
                    coordinator.connected(connection);
                }
            });
        }
    });
    address
}

fn dial(coordinator: SocketAddr, credentials: &Credentials) -> Arc<dyn Dial> {
    let client = quic::client_config(credentials.client().unwrap(), quic::transport(true)).unwrap();
    let endpoint = quic::bind("127.0.0.1:0".parse().unwrap(), None, &[8; 64]).unwrap();
    Arc::new(Quic { endpoint, client, coordinator })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_quic_with_the_same_ca_and_with_another_one() {
    let mut running = coordinator();
    let ca = Ca::new();
    let address = listen(&running, &ca);
    let credentials = ca.credentials("node.stillframe", ExtendedKeyUsagePurpose::ClientAuth);
    let host = |pid| Arc::new(Scripted { pid, goroutines: 100_000 });
    let (_a, mut a) = node::actor::start(identity("a", 1), dial(address, &credentials), host(10), 1, clock());
    running.nodes(1).await;
    let registered = a.wait_for(|status| matches!(status, Status::Registered(_)));
    tokio::time::timeout(Duration::from_secs(10), registered).await.unwrap().unwrap();

    // Another process that claims the name.
    let (_b, mut b) = node::actor::start(identity("a", 2), dial(address, &credentials), host(11), 2, clock());
    let refused = b.wait_for(|status| matches!(status, Status::Refused(reason) if reason.contains("--name")));
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap().unwrap();

    // A certificate of another CA, and that of a coordinator.
    for credentials in [
        Ca::new().credentials("node.stillframe", ExtendedKeyUsagePurpose::ClientAuth),
        ca.credentials(quic::COORDINATOR_NAME, ExtendedKeyUsagePurpose::ServerAuth),
    ] {
        let client = quic::client_config(credentials.client().unwrap(), quic::transport(true)).unwrap();
        let endpoint = quic::bind("127.0.0.1:0".parse().unwrap(), None, &[9; 64]).unwrap();
        let stranger = Quic { endpoint, client, coordinator: address };
        if let Ok(connection) = stranger.dial().await {
            // A client learns only after its own handshake that it was turned away.
            let closed = tokio::time::timeout(Duration::from_secs(5), connection.streams.closed()).await;
            println!("turned away: {}", closed.unwrap());
        }
    }
    let (outcome, progress) = running.order(2).await;
    assert_eq!(
        outcome,
        Outcome::Committed { complete: false, goroutines: 100_000, bytes: 1 },
        "{progress:#?}"
    );
    assert_eq!(running.coordinator.overview.borrow().nodes.len(), 1);
}
