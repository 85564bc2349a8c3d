//! A node's targets, as the plan says: a scripted [`Host`], whose freezer, decoder and spool take their time.
//!
//! Which order a capture is of is not the host's business; the oracles want to know it. So the order's number travels as a
//! pattern of the selector that fits nothing ([`marker`]), and each search gives its processes pids of their own.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillframe_actors::capture::actor::{CaptureOrder, Host, Spool};
use stillframe_actors::connection::{Later, Reading, write_frame};
use stillframe_actors::glob;
use stillframe_actors::order::Stop;
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{
    Cell, CellValue, Completeness, EnvironmentFits, Goroutine, PauseWindow, ProbeRow, ProbeTable,
    ProcessFacts,
};
use stillframe_wire::message::{FailureClass, ReadyTarget, Refusal, Selector};

use super::world::{Planted, World};
use crate::oracle::{CaptureNumber, Observation, Oracle};
use crate::plan::Target;
use crate::probes;

/// Where the order names no budget.
const BUDGET_DEFAULT: Duration = Duration::from_secs(1);
const MARKER: &str = "order:";
/// Processes of one search.
const PIDS_PER_SEARCH: u32 = 64;

/// A pattern of a selector that fits nothing, and says which order it is of.
pub fn marker(order: u128) -> String {
    format!("{MARKER}{order}")
}

pub struct Scripted {
    world: World,
    /// `None`: the stranger's.
    host: Option<usize>,
    found: Arc<Mutex<Found>>,
}

#[derive(Default)]
struct Found {
    searches: u32,
    by_pid: BTreeMap<u32, Process>,
}

#[derive(Clone)]
struct Process {
    order: u128,
    /// In the node's answer.
    place: u32,
    target: Target,
}

impl Scripted {
    pub fn new(world: &World, host: Option<usize>) -> Scripted {
        Scripted { world: world.clone(), host, found: Arc::default() }
    }
}

impl Host for Scripted {
    fn find(&self, selector: Selector, _: Stop, _: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)> {
        let Some(host) = self.host else {
            self.world.violate(Oracle::Trust, "the stranger was given an order".to_owned());
            return Box::pin(async { (Vec::new(), Duration::ZERO) });
        };
        let (world, found) = (self.world.clone(), Arc::clone(&self.found));
        Box::pin(async move {
            let plan = &world.plan().hosts[host];
            if plan.find_ns > 0 {
                tokio::time::sleep(Duration::from_nanos(plan.find_ns)).await;
            }
            let now_ns = world.now_ns();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.searches += 1;
            let first_pid = found.searches * PIDS_PER_SEARCH;
            let fitting = plan.targets.iter().filter(|target| fits(&selector, target, now_ns));
            let answers = fitting.enumerate().map(|(place, target)| {
                let place = place as u32;
                let (order, target) = (order_of(&selector), target.clone());
                let answer = ready(first_pid + place, &target);
                found.by_pid.insert(first_pid + place, Process { order, place, target });
                answer
            });
            (answers.collect(), Duration::from_nanos(plan.lead_ns))
        })
    }

    fn capture(
        &self,
        CaptureOrder { pid, stop, probes, at_node_unix_ns, .. }: CaptureOrder,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let process = found.by_pid.get(&pid).cloned();
        let (world, host) = (self.world.clone(), self.host);
        Box::pin(async move {
            let (Some(process), Some(host)) = (process, host) else {
                return Err(refusal(FailureClass::NoSuchProcess, "there is no such process"));
            };
            let ahead_ns = at_node_unix_ns.saturating_sub(world.unix_ns(Some(host)));
            tokio::time::sleep(Duration::from_nanos(u64::try_from(ahead_ns).unwrap_or(0))).await;
            capture(world, host, process, stop.max, &probes, resumed).await
        })
    }
}

async fn capture(
    world: World,
    host: usize,
    process: Process,
    max_pause: Option<Duration>,
    probes: &str,
    resumed: Box<dyn FnOnce(PauseWindow) + Send>,
) -> Result<Box<dyn Spool>, Refusal> {
    let Process { order, place, target } = process;
    let vanished = || refusal(FailureClass::Vanished, "the process has exited");
    if has_exited(&target, world.now_ns()) {
        return Err(vanished());
    }
    let (frozen_at_ns, frozen_at_unix_ns) = (world.now_ns(), world.unix_ns(Some(host)));
    // What the order says, as opposed to what arrived here.
    let ordered = world.plan().asks.iter().find(|ask| ask.order == order).and_then(|ask| ask.max_pause);
    let budget = max_pause.unwrap_or(BUDGET_DEFAULT);
    let work = Duration::from_nanos(target.freeze_ns);
    let frozen = Frozen::new(&world, ordered.unwrap_or(BUDGET_DEFAULT));
    let is_held = world.planted() == Planted::Overstays;
    tokio::time::sleep(if is_held { work } else { work.min(budget) }).await;
    drop(frozen);
    let pause_ns = work.min(budget).as_nanos() as i64;
    resumed(PauseWindow {
        pause_start_unix_ns: frozen_at_unix_ns,
        pause_ns,
        frozen_start_unix_ns: frozen_at_unix_ns,
        frozen_ns: pause_ns,
        reused: 0,
    });
    if work > budget {
        return Err(refusal(FailureClass::Limit, "the pause budget was spent"));
    }
    tokio::time::sleep(Duration::from_nanos(target.decode_ns)).await;
    if target.fails_to_decode {
        return Err(refusal(FailureClass::BadFile, "the runtime's tables make no sense"));
    }
    assert!(world.planted() != Planted::Panics, "planted");
    let (number, rows) = (world.number(), target.goroutines);
    let key = (world.plan().hosts[host].name.clone(), place);
    // What the order says, as above.
    let values = probes::rows(&probes::of_order(order), rows);
    world.observe(Observation::Captured { capture: number, order, key, rows, values, frozen_at_ns });
    let sent = if world.planted() == Planted::LosesRows { rows / 2 } else { rows };
    let mut facts = facts(number, sent, target.program, probes);
    if world.planted() == Planted::LosesValues {
        facts.probe_rows.truncate(facts.probe_rows.len() / 2);
    }
    let mut bytes = Vec::new();
    for batch in batches(facts) {
        write_frame(&mut bytes, &batch)
            .await
            .map_err(|error| refusal(FailureClass::Other, &error.to_string()))?;
    }
    *world.lock().spools.entry(host).or_default() += 1;
    Ok(Box::new(Memory { world, host, goroutines: rows, bytes }))
}

/// A target that stands still: its freezer lets it go when the capture ends, is given up, or dies with its node.
struct Frozen {
    world: World,
    freeze: u64,
}

impl Frozen {
    fn new(world: &World, budget: Duration) -> Frozen {
        let (freeze, budget_ns) = (world.number(), budget.as_nanos() as u64);
        world.observe(Observation::Frozen { freeze, budget_ns });
        Frozen { world: world.clone(), freeze }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        if state.is_in_step {
            state.observe(Observation::Resumed { freeze: self.freeze });
        } else {
            state.resumed_by_crash.insert(self.freeze);
        }
    }
}

/// A spool that is counted.
struct Memory {
    world: World,
    host: usize,
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
        self.world.lock().sends(self.host, self.world.plan());
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(count) = self.world.lock().spools.get_mut(&self.host) {
            *count -= 1;
        }
    }
}

fn has_exited(target: &Target, now_ns: u64) -> bool {
    target.exits_at_ns.is_some_and(|at| at <= now_ns)
}

fn order_of(selector: &Selector) -> u128 {
    let number = selector.programs.iter().find_map(|pattern| pattern.strip_prefix(MARKER)?.parse().ok());
    number.expect("every order of the plan is marked")
}

fn fits(selector: &Selector, target: &Target, at_ns: u64) -> bool {
    let mut programs = selector.programs.iter().filter(|pattern| !pattern.starts_with(MARKER)).peekable();
    let demands_nothing = programs.peek().is_none();
    !has_exited(target, at_ns)
        && (demands_nothing || programs.any(|pattern| glob::matches(pattern, target.program)))
}

fn ready(pid: u32, target: &Target) -> ReadyTarget {
    let refusal = target
        .is_refused
        .then(|| refusal(FailureClass::Permission, "the policy of this node does not allow it"));
    ReadyTarget { pid, program: target.program.to_owned(), refusal }
}

fn refusal(class: FailureClass, reason: &str) -> Refusal {
    Refusal { class, reason: reason.to_owned() }
}

/// The capture's number stands where a build's id belongs, and the goroutines are numbered from 0; so are the values.
fn facts(number: CaptureNumber, goroutines: u64, program: &str, probes: &str) -> ProcessFacts {
    let cell = |value| Cell { value, ..Cell::default() };
    let every = probes::every(probes).unwrap_or(1);
    let probe_row = |value: u64| ProbeRow {
        table: 0,
        goroutine: (value * every) as u32,
        depth: 0,
        cells: vec![cell(CellValue::Uint(value)), cell(CellValue::Text(probes.to_owned()))],
    };
    let probe_table =
        ProbeTable { probe: "p".to_owned(), columns: vec!["value".to_owned(), "probes".to_owned()] };
    let goroutine = |goid| Goroutine {
        goid,
        status: "waiting".to_owned(),
        wait_reason: None,
        header: String::new(),
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
        pid: 1,
        ns_pid: 1,
        started_unix_ns: None,
        program: program.to_owned(),
        container_id: None,
        exe: String::new(),
        cmdline: String::new(),
        build_id: number.to_string(),
        go_version: String::new(),
        main_module: None,
        arch: String::new(),
        threads: 1,
        pause: None,
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Complete,
        reason: None,
        files: Vec::new(),
        functions: Vec::new(),
        stacks: Vec::new(),
        go_statements: Vec::new(),
        sockets: Vec::new(),
        goroutines: (0..goroutines).map(goroutine).collect(),
        types: Vec::new(),
        probe_tables: vec![probe_table],
        probe_rows: (0..probes::rows(probes, goroutines)).map(probe_row).collect(),
        gaps: Vec::new(),
    }
}
