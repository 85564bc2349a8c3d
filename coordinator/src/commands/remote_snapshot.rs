//! `stillframe snapshot --coordinator`: orders a snapshot of many hosts, follows it, and fetches it.
//!
//! The order's id is drawn here. Whatever happens to the connection, asking again with it is the same order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use stillframe_actors::order::Stop;
use stillframe_actors::time::nanoseconds;
use uuid::Uuid;

use super::coordinator::{Client, Trouble};
use super::interrupt::{self, Interrupt};
use super::{Class, Done, Failure, download, output, snapshot};
use crate::api::{Event, OrderRequest, OrderState, Selector, State};
use crate::store::order::Existing;
use crate::store::reader::{Host, Process, ProcessFilter, Snapshot};

/// A coordinator that was reached once, and is gone, may come back within this time.
const RETRY_FOR: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What is wanted.
pub struct Wanted {
    pub coordinator: String,
    pub selector: Selector,
    pub output: PathBuf,
    pub existing: Existing,
    pub label: Option<String>,
    pub stop: Stop,
    /// Source text of the probe sets.
    pub probes: String,
    pub within: Duration,
}

pub fn run(wanted: Wanted, json: bool) -> anyhow::Result<Done> {
    let interrupt = Interrupt::install()?;
    let to_stdout = wanted.output == Path::new("-");
    let folder = if to_stdout { Some(tempfile::tempdir()?) } else { None };
    if let Some(folder) = &folder {
        interrupt.delete(folder.path());
    }
    let file = folder.as_ref().map_or(wanted.output.clone(), |folder| folder.path().join("snapshot.db"));
    download::check_output(&file, wanted.existing).map_err(Failure::from)?;

    let client = Client::new(&wanted.coordinator)?;
    let order = OrderRequest {
        id: Uuid::now_v7(),
        selector: wanted.selector,
        max_pause_ns: wanted.stop.max.map(nanoseconds),
        hold_ns: nanoseconds(wanted.stop.hold),
        probes: wanted.probes,
        within_ns: nanoseconds(wanted.within),
        label: wanted.label,
        requested_by: snapshot::requested_by(),
    };
    let (to_cancel, id) = (client.clone(), order.id);
    interrupt.first(move || match to_cancel.cancel(id) {
        Ok(OrderState { state: State::Accepted, .. }) => output::say(&format!("order {id} was cancelled")),
        Ok(OrderState { state: State::Ended, .. }) => output::say(&format!("order {id} had ended already")),
        Err(Trouble::Unreachable(failure) | Trouble::Refused(failure)) => {
            output::say(&format!("order {id} may go on: {}", output::printable(&failure.message)));
        }
    });

    let mut progress = Progress { json, said: BTreeSet::new() };
    progress.say(&json!({ "phase": "order", "id": id }).to_string(), || format!("order {id}"));
    let mut patience = Patience::default();
    let complete = patience.keep_trying(|reached| follow(&client, &order, &mut progress, reached))??;
    let fetched =
        patience.keep_trying(|_| download::fetch(&client, id, &file, wanted.existing, &interrupt))?;
    let publish = || download::publish(fetched, &file, wanted.existing);
    let bytes = if to_stdout { publish()? } else { interrupt.publish(publish)? };
    if to_stdout {
        snapshot::print_file(&file)?;
    }
    report(id, &file, bytes, to_stdout, json)?;
    Ok(if complete { Done::Whole } else { Done::Partial })
}

/// Orders, again if need be, and follows to the end. Whether the snapshot is complete; the inner error: there is none.
fn follow(
    client: &Client,
    order: &OrderRequest,
    progress: &mut Progress,
    reached: &mut bool,
) -> Result<Result<bool, Failure>, Trouble> {
    client.order(order)?;
    *reached = true;
    Ok(match client.follow(order.id, &mut |event| progress.event(event))? {
        Event::Failed { class, message, remedy } => {
            Err(Failure::new(Class::of_name(&class), message, remedy))
        }
        Event::Committed { complete, .. } => Ok(complete),
        _ => Err(download::damaged(order.id, "the coordinator did not say how it ended")),
    })
}

/// A coordinator that never answered is not waited for.
#[derive(Default)]
struct Patience {
    until: Option<Instant>,
    /// Said last: it is tried often, and the same is not said again.
    said: String,
}

impl Patience {
    /// The attempt says whether it has reached the coordinator.
    fn keep_trying<T>(
        &mut self,
        mut attempt: impl FnMut(&mut bool) -> Result<T, Trouble>,
    ) -> anyhow::Result<T> {
        loop {
            let mut reached = false;
            let result = attempt(&mut reached);
            if reached || result.is_ok() {
                self.until = Some(Instant::now() + RETRY_FOR);
                self.said.clear();
            }
            match result {
                Ok(done) => return Ok(done),
                Err(Trouble::Unreachable(failure)) => {
                    if self.until.is_none_or(|until| Instant::now() >= until) {
                        return Err(failure.into());
                    }
                    interrupt::give_way();
                    if self.said != failure.message {
                        let message = output::printable(&failure.message);
                        output::say(&format!("{message}; trying again for up to {RETRY_FOR:?}"));
                        self.said = failure.message;
                    }
                    std::thread::sleep(RETRY_EVERY);
                }
                Err(Trouble::Refused(failure)) => return Err(failure.into()),
            }
        }
    }
}

/// Each line once: after a lost connection the coordinator tells everything again.
struct Progress {
    json: bool,
    said: BTreeSet<String>,
}

impl Progress {
    fn event(&mut self, event: &Event) {
        // That an order was cancelled from here is no news.
        interrupt::give_way();
        // An event is made of texts and numbers.
        let json = serde_json::to_string(event).unwrap_or_default();
        self.say(&json, || line(event));
    }

    fn say(&mut self, json: &str, line: impl FnOnce() -> String) {
        if self.said.insert(json.to_owned()) {
            if self.json { output::say(json) } else { output::say(&output::printable(&line())) }
        }
    }
}

pub(super) fn line(event: &Event) -> String {
    let goroutines_of = |count: u64| output::count(count, "goroutine");
    match event {
        Event::Queued { before } => format!("queued behind {}", output::count(*before as u64, "order")),
        Event::Returning { nodes, within_ns } => format!(
            "the coordinator was restarted: waiting up to {} for {}",
            output::duration(i64::try_from(*within_ns).unwrap_or(i64::MAX)),
            output::count(*nodes as u64, "node")
        ),
        Event::Prepare { nodes } => format!("prepare {}", output::count(*nodes as u64, "node")),
        Event::Ready { node, targets, refused: 0 } => {
            format!("ready   {node}: {}", output::count(*targets as u64, "process"))
        }
        Event::Ready { node, targets, refused } => {
            format!("ready   {node}: {}, {refused} refused", output::count(*targets as u64, "process"))
        }
        Event::Arm { targets, in_ns } => format!(
            "arm     {} in {}",
            output::count(*targets as u64, "process"),
            output::duration(i64::try_from(*in_ns).unwrap_or(i64::MAX))
        ),
        Event::Frozen { node, pid, program, pause } => {
            format!("frozen  {node} pid {pid} {program}: stopped for {}", output::duration(pause.pause_ns))
        }
        Event::Captured { node, pid, program, goroutines, bytes } => {
            format!(
                "read    {node} pid {pid} {program}: {}, {}",
                goroutines_of(*goroutines),
                output::size(*bytes)
            )
        }
        Event::Stream { node, pid, program } => format!("stream  {node} pid {pid} {program}"),
        Event::Written { node, pid, program, goroutines } => {
            format!("written {node} pid {pid} {program}: {}", goroutines_of(*goroutines))
        }
        Event::TargetLost { node, pid, program, reason, .. } => {
            format!("lost    {node} pid {pid} {program}: {reason}")
        }
        Event::NodeLost { node, reason } => format!("lost    {node}: {reason}"),
        Event::Commit => "commit  indexing and checking the file".to_owned(),
        Event::Committed { complete, goroutines, bytes } => format!(
            "committed: {}, {}{}",
            goroutines_of(*goroutines),
            output::size(*bytes),
            if *complete { "" } else { "; something is missing" }
        ),
        Event::Failed { message, .. } => format!("failed: {message}"),
        Event::Omitted { events } => format!("{} were forgotten", output::count(*events, "event")),
    }
}

/// JSON (on stdout; on stderr if the snapshot itself goes to stdout): `{"file", "id", "bytes", "complete", "goroutines",
/// "hosts": [{"hostname", "state", "reason"}], "processes": [{"host", "pid", "program", "go_version", "goroutines", "state", "reason"}]}`.
fn report(id: Uuid, file: &Path, bytes: u64, to_stdout: bool, json: bool) -> anyhow::Result<()> {
    let unreadable = |error: crate::store::reader::ReadError| download::damaged(id, &error.to_string());
    let snapshot = Snapshot::open(file).map_err(unreadable)?;
    let summary = snapshot.summary().map_err(unreadable)?;
    let hosts = snapshot.hosts().map_err(unreadable)?;
    let processes = snapshot.processes(&ProcessFilter::default()).map_err(unreadable)?;
    let empty_probes = snapshot.empty_probes().map_err(unreadable)?;
    if json {
        let text = json!({
            "file": if to_stdout { "-".into() } else { file.to_string_lossy() },
            "id": summary.id,
            "bytes": bytes,
            "complete": summary.complete,
            "goroutines": summary.goroutines,
            "hosts": hosts,
            "processes": processes,
        });
        if to_stdout {
            output::say(&text.to_string());
        } else {
            output::write_json(&mut output::stdout(), &text)?;
        }
        return Ok(());
    }
    hosts.iter().filter(|host| host.state != "complete").for_each(say_incomplete_host);
    processes.iter().filter(|process| process.state != "complete").for_each(say_incomplete);
    output::say(&format!(
        "{} on {}, {}; {}",
        output::count(processes.len() as u64, "process"),
        output::count(hosts.len() as u64, "host"),
        output::count(u64::try_from(summary.goroutines).unwrap_or(0), "goroutine"),
        output::size(bytes)
    ));
    snapshot::say_empty_probes(&empty_probes);
    if !summary.complete {
        output::say("something is missing: select * from gaps");
    }
    if !to_stdout {
        use std::io::Write;
        writeln!(std::io::stdout(), "{}", file.display())?;
    }
    Ok(())
}

fn say_incomplete_host(host: &Host) {
    let state = output::paint(&host.state, output::Paint::Yellow);
    let reason = host.reason.as_deref().unwrap_or("see the table gaps");
    output::say(&format!("{}: {state}: {}", output::printable(&host.hostname), output::printable(reason)));
}

fn say_incomplete(process: &Process) {
    let Process { host, pid, program, state, reason, .. } = process;
    let state = output::paint(state, output::Paint::Yellow);
    let reason = reason.as_deref().unwrap_or("see the table gaps");
    output::say(&format!(
        "{} pid {pid} {}: {state}: {}",
        output::printable(host),
        output::printable(program),
        output::printable(reason)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> Trouble {
        Trouble::Unreachable(Failure::new(Class::Unreachable, "gone", "wait"))
    }

    #[test]
    fn who_never_answered_is_not_waited_for_and_who_did_is() {
        let mut patience = Patience::default();
        let mut tries = 0;
        let never = patience.keep_trying(|_| -> Result<(), _> {
            tries += 1;
            Err(unreachable())
        });
        assert!(never.is_err());
        assert_eq!(tries, 1);
        let back = patience.keep_trying(|reached| {
            tries += 1;
            *reached = tries == 2;
            if tries < 4 { Err(unreachable()) } else { Ok(tries) }
        });
        assert_eq!(back.unwrap(), 4);
    }

    #[test]
    fn what_is_told_twice_is_said_once() {
        let mut progress = Progress { json: true, said: BTreeSet::new() };
        progress.event(&Event::Commit);
        progress.event(&Event::Commit);
        assert_eq!(progress.said.len(), 1);
        assert!(line(&Event::Queued { before: 1 }).contains("1 order"));
    }
}
