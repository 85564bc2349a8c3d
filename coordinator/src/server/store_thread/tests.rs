//! One file by tasks, as the writer's actor gives them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillframe_wire::batch::{Counts, batches};
use stillframe_wire::facts::{Completeness, EnvironmentFits, HostFacts, ProcessFacts};
use stillframe_wire::message::{Generation, InstanceId, TargetId};
use tempfile::TempDir;
use tokio::sync::mpsc::channel;

use super::*;
use crate::store::reader::Snapshot;

struct Running {
    folder: TempDir,
    output: PathBuf,
    store: Option<StoreThread>,
    thread: Option<JoinHandle<()>>,
    notices: Arc<Mutex<Vec<String>>>,
}

fn start(existing: Existing) -> Running {
    start_in(tempfile::tempdir().unwrap(), "s.db", existing)
}

fn start_in(folder: TempDir, name: &str, existing: Existing) -> Running {
    let output = folder.path().join(name);
    let meta = SnapshotMeta {
        id: "i".into(),
        label: None,
        taken_at_unix_ns: 1,
        requested_by: None,
        tool_version: "0".into(),
        selector: "--all".into(),
        probes: None,
    };
    let order = FileOrder { output: output.clone(), existing, meta };
    let notices = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notices);
    let notify = move |notice: Notice| {
        noted.lock().unwrap().push(match notice {
            Notice::Temporary(path) => {
                assert!(path.exists());
                "temporary".to_owned()
            }
            Notice::Finished(summary) => format!("{} goroutines", summary.goroutines),
            Notice::Failed(error) => error.to_string(),
        });
    };
    let clock =
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async { Clock::new(|| 1) });
    let (store, thread) = StoreThread::start(order, clock, Box::new(notify));
    Running { folder, output, store: Some(store), thread: Some(thread), notices }
}

fn member(name: &str) -> Member {
    let host = HostFacts { hostname: format!("host-{name}"), ..HostFacts::default() };
    let clock = Some(ClockEstimate { offset_ns: 5, error_ns: 7 });
    Member { name: name.into(), generation: Generation(1), instance: InstanceId(1), host, clock }
}

fn key(node: &str) -> TargetKey {
    TargetKey { node: node.into(), target: TargetId(0) }
}

fn facts() -> Vec<Batch> {
    let facts = ProcessFacts {
        pid: 1,
        ns_pid: 1,
        started_unix_ns: None,
        program: "shop".into(),
        container_id: None,
        exe: "/shop".into(),
        cmdline: String::new(),
        build_id: "b".into(),
        go_version: "go1.26.6".into(),
        main_module: None,
        arch: "amd64".into(),
        threads: 1,
        pause: None,
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Complete,
        reason: None,
        files: vec!["/main.go".into()],
        functions: Vec::new(),
        stacks: Vec::new(),
        go_statements: Vec::new(),
        sockets: Vec::new(),
        goroutines: Vec::new(),
        types: Vec::new(),
        probe_tables: Vec::new(),
        probe_rows: Vec::new(),
        gaps: Vec::new(),
    };
    batches(facts).collect()
}

impl Running {
    fn run(&mut self, task: StoreTask) -> Event {
        let (sender, answer) = mpsc::channel();
        let tell = Box::new(move |event| sender.send(event).unwrap());
        self.store.as_mut().unwrap().run(task, tell);
        answer.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    fn load(&mut self, node: &str, some: Vec<Result<Batch, String>>) -> Event {
        let (sender, batches) = channel(some.len().max(1));
        some.into_iter().for_each(|batch| sender.try_send(batch).unwrap());
        drop(sender);
        self.run(StoreTask::Load { key: key(node), batches })
    }

    fn end(&mut self) {
        drop(self.store.take());
        self.thread.take().unwrap().join().unwrap();
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn hosts_targets_and_losses_become_a_file() {
    let mut running = start(Existing::Refuse);
    assert_eq!(running.run(StoreTask::Host { member: member("a") }), row());
    let whole = facts().into_iter().map(Ok).collect();
    assert_eq!(running.load("a", whole), Event::Done(Done::Loaded { goroutines: 0 }));
    let lost = StoreTask::LostTarget { key: key("a"), pid: 2, program: "p".into(), reason: "ended".into() };
    assert_eq!(running.run(lost), row());
    for name in ["a", "b"] {
        assert_eq!(running.run(StoreTask::LostNode { member: member(name), reason: "gone".into() }), row());
    }
    let finished = running.run(StoreTask::Finish);
    assert!(
        matches!(finished, Event::Done(Done::Finished { complete: false, goroutines: 0, .. })),
        "{finished:?}"
    );
    running.end();
    assert_eq!(running.files(), ["s.db"]);
    assert_eq!(*running.notices.lock().unwrap(), ["temporary", "0 goroutines"]);
    let mut snapshot = Snapshot::open(&running.output).unwrap();
    assert_eq!(snapshot.summary().unwrap().processes, 2);
    let mut rows = Rows::default();
    let sql = "select hostname, clock_offset_ns, clock_error_ns, state from hosts order by host_id";
    let limits = crate::store::QueryLimits { rows_max: None, time_max: None };
    snapshot.query(sql, &limits, &mut rows).unwrap();
    assert_eq!(rows.0, ["host-a -5 7 partial", "host-b - - lost"]);
}

#[derive(Default)]
struct Rows(Vec<String>);

impl crate::store::RowSink for Rows {
    fn columns(&mut self, _: &[String]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[crate::store::Value]) -> std::io::Result<()> {
        let text = |value: &crate::store::Value| match value {
            crate::store::Value::Integer(number) => number.to_string(),
            crate::store::Value::Text(text) => text.to_string(),
            _ => "-".to_owned(),
        };
        self.0.push(values.iter().map(text).collect::<Vec<_>>().join(" "));
        Ok(())
    }
}

#[test]
fn a_broken_load_leaves_nothing_and_the_next_one_goes_on() {
    let mut running = start(Existing::Refuse);
    running.run(StoreTask::Host { member: member("a") });
    let mut ended: Vec<_> = facts().into_iter().map(Ok).collect();
    ended.pop();
    let mut failed = ended.clone();
    failed.push(Err("reset".into()));
    let mut wrong = ended.clone();
    wrong.push(Ok(Batch::Done(Counts { goroutines: 9, ..Counts::default() })));
    for (broken, reason) in [(ended, "before its end"), (failed, "reset"), (wrong, "were announced")] {
        let event = running.load("a", broken);
        assert!(matches!(&event, Event::Broken { reason: said } if said.contains(reason)), "{event:?}");
    }
    let whole = facts().into_iter().map(Ok).collect();
    assert_eq!(running.load("a", whole), Event::Done(Done::Loaded { goroutines: 0 }));
    assert!(matches!(running.run(StoreTask::Finish), Event::Done(Done::Finished { complete: true, .. })));
    running.end();
    assert_eq!(Snapshot::open(&running.output).unwrap().summary().unwrap().processes, 1);
}

#[test]
fn abandoned_and_dropped_files_are_deleted() {
    let mut running = start(Existing::Refuse);
    running.run(StoreTask::Host { member: member("a") });
    assert_eq!(running.files().len(), 1);
    assert_eq!(running.run(StoreTask::Abandon), row());
    assert_eq!(running.files(), [""; 0]);

    let mut running = start(Existing::Refuse);
    running.run(StoreTask::Host { member: member("a") });
    running.end();
    assert_eq!(running.files(), [""; 0]);

    // Who ordered it was told that there is none, while it was being finished.
    let mut running = start(Existing::Refuse);
    running.run(StoreTask::Host { member: member("a") });
    running.run(StoreTask::Finish);
    assert_eq!(running.files(), ["s.db"]);
    assert_eq!(running.run(StoreTask::Abandon), row());
    running.end();
    assert_eq!(running.files(), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_made_fails_the_first_task_and_names_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.db"), "mine").unwrap();
    let mut running = start_in(folder, "s.db", Existing::Refuse);
    let event = running.run(StoreTask::Host { member: member("a") });
    assert!(
        matches!(&event, Event::Failed { class: FailureClass::Other, reason } if reason.contains("s.db") && reason.contains("--force")),
        "{event:?}"
    );
    // Not a second time, and what was there is not deleted.
    assert_eq!(running.run(StoreTask::Abandon), row());
    running.end();
    assert_eq!(std::fs::read(&running.output).unwrap(), b"mine");
    assert_eq!(running.notices.lock().unwrap().len(), 1);
}
