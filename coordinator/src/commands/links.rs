//! `stillframe links`: who waits for whom across processes, as a tree: below each call the calls that it has in flight itself.
//!
//! JSON: `{"links": [{"link_id", "protocol", "method", "state", "confidence", "age_s", "client", "server", "evidence"}],
//! "unmatched": [{"role", "protocol", "reason", "calls"}]}`; `client` and `server` are `{"goroutine_id", "program", "instance",
//! "host", "pid", "goid", "function"}`, and `server` is null while nobody serves the call.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::failure::of_read;
use super::{Done, output};
use crate::store::calls::{Call, CallFilter, Caller, Calls};
use crate::store::reader::Snapshot;

/// Calls within calls.
const DEPTH_MAX: usize = 64;

/// Show who waits for whom across processes: calls that are in flight, as a tree.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe links s.db
  stillframe links s.db --program gateway       only calls from it or to it
  stillframe links s.db --all                   idle connections, too
  stillframe links s.db --unmatched             calls without a link, and why
  stillframe links s.db --json | jq '.links[] | select(.confidence == \"certain\")'")]
pub struct Arguments {
    /// A snapshot file.
    file: PathBuf,
    /// Only calls from or to programs with this name; * and ? stand for any text and any character.
    #[arg(long, value_name = "GLOB")]
    program: Option<String>,
    /// Connections on which nobody waits for an answer, too.
    #[arg(long)]
    all: bool,
    /// Say why calls have no link.
    #[arg(long)]
    unmatched: bool,
    /// Calls to show that no other call waits for, with all below them; 0 shows all.
    #[arg(long, default_value_t = 100, value_name = "CALLS")]
    limit: u32,
    /// Reasons to show with --unmatched.
    #[arg(long, default_value_t = 50, value_name = "REASONS")]
    reasons: u32,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let filter = CallFilter {
        with_idle: arguments.all,
        program: arguments.program.clone(),
        reasons: arguments.reasons,
    };
    let calls = Snapshot::open(&arguments.file).and_then(|file| file.calls(&filter)).map_err(of_read)?;
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &calls)?;
        return Ok(Done::Whole);
    }
    let limit = (arguments.limit > 0).then_some(arguments.limit as usize);
    let hidden = Tree::new(&calls.links).write(&mut out, limit)?;
    if hidden > 0 {
        output::say(&format!("{}; --limit 0 shows all", output::count(hidden as u64, "more call")));
    }
    if calls.links.is_empty() {
        output::say("no two goroutines are linked; --unmatched says why, --all shows idle connections");
    }
    if arguments.unmatched {
        write_unmatched(&mut out, &calls)?;
    }
    out.flush()?;
    Ok(Done::Whole)
}

fn write_unmatched(out: &mut impl Write, calls: &Calls) -> io::Result<()> {
    if !calls.links.is_empty() && !calls.unmatched.is_empty() {
        writeln!(out)?;
    }
    for unmatched in &calls.unmatched {
        let protocol = unmatched.protocol.as_deref().unwrap_or("?");
        let ends = output::count(unmatched.calls.max(0) as u64, &unmatched.role);
        let line = format!("{ends} of {protocol}: {}", unmatched.reason);
        writeln!(out, "{}", output::one_line(&line))?;
    }
    Ok(())
}

/// Calls, by the goroutine that waits.
struct Tree<'a> {
    calls: &'a [Call],
    by_client: HashMap<i64, Vec<usize>>,
}

impl<'a> Tree<'a> {
    fn new(calls: &'a [Call]) -> Self {
        let mut by_client: HashMap<i64, Vec<usize>> = HashMap::new();
        for (index, call) in calls.iter().enumerate() {
            by_client.entry(call.client.goroutine_id).or_default().push(index);
        }
        Tree { calls, by_client }
    }

    /// The goroutines that nobody waits for, with what they wait for. How many calls were not shown.
    fn write(&self, out: &mut impl Write, limit: Option<usize>) -> io::Result<usize> {
        let served: HashSet<i64> =
            self.calls.iter().filter_map(|call| Some(call.server.as_ref()?.goroutine_id)).collect();
        // Whose calls are shown; how many that are.
        let mut clients = HashSet::new();
        let (mut shown, mut roots) = (0, 0);
        // Calls in a circle have no root: each is shown below the first of them.
        let is_root = |call: &&Call| !served.contains(&call.client.goroutine_id);
        let (mut first, rest): (Vec<&Call>, Vec<&Call>) = self.calls.iter().partition(is_root);
        // The longest first, and of those whose age is not known those that wait for most.
        let mut below: HashMap<i64, usize> = HashMap::new();
        first.sort_by_cached_key(|call| {
            let client = call.client.goroutine_id;
            let count = *below.entry(client).or_insert_with(|| self.count_below(client));
            (call.age_s.is_none(), std::cmp::Reverse(count))
        });
        for call in first.into_iter().chain(rest) {
            let client = call.client.goroutine_id;
            if clients.contains(&client) {
                continue;
            }
            if limit.is_some_and(|limit| roots >= limit) {
                break;
            }
            roots += 1;
            writeln!(out, "{}", who(&call.client))?;
            shown += self.below(out, client, &mut clients)?;
        }
        Ok(self.calls.len() - shown)
    }

    /// How many calls hang on a goroutine, as far as that matters for their order.
    fn count_below(&self, client: i64) -> usize {
        const COUNT_MAX: usize = 100;
        let mut seen = HashSet::new();
        let mut open = vec![client];
        while let Some(client) = open.pop() {
            for index in self.by_client.get(&client).into_iter().flatten() {
                if seen.len() == COUNT_MAX {
                    return COUNT_MAX;
                }
                if seen.insert(*index) {
                    open.extend(
                        self.calls.get(*index).and_then(|call| call.server.as_ref()).map(|s| s.goroutine_id),
                    );
                }
            }
        }
        seen.len()
    }

    /// How many calls it has shown.
    fn below(&self, out: &mut impl Write, client: i64, clients: &mut HashSet<i64>) -> io::Result<usize> {
        // What is still to be shown, the next one last; how far in.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut push = |open: &mut Vec<(usize, usize)>, client: i64, depth: usize| {
            let of_client = self.by_client.get(&client).filter(|_| clients.insert(client));
            open.extend(of_client.into_iter().flatten().rev().map(|index| (*index, depth)));
        };
        push(&mut open, client, 1);
        let mut shown = 0;
        while let Some((index, depth)) = open.pop() {
            let Some(call) = self.calls.get(index) else { continue };
            shown += 1;
            writeln!(out, "{:indent$}{}", "", line(call), indent = 4 * depth)?;
            if let Some(server) = call.server.as_ref().filter(|_| depth < DEPTH_MAX) {
                push(&mut open, server.goroutine_id, depth + 1);
            }
        }
        Ok(shown)
    }
}

fn who(caller: &Caller) -> String {
    let name = caller.instance.as_deref().unwrap_or(&caller.program);
    let function = caller.function.as_deref().unwrap_or("?");
    let text = format!(
        "{name} on {}, goroutine {} (g-{}) {function}",
        caller.host, caller.goid, caller.goroutine_id
    );
    output::one_line(&text).into_owned()
}

fn line(call: &Call) -> String {
    let method = call.method.as_deref().unwrap_or("?");
    let age = call.age_s.map_or(String::new(), |age| format!(", {}", output::duration((age * 1e9) as i64)));
    let facts = format!("{method} [{}, {}, {}{age}]", call.protocol, call.state, call.confidence);
    let facts = output::one_line(&facts);
    match &call.server {
        Some(server) => format!("{facts} -> {}", who(server)),
        None => format!("{facts} -> nobody yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::calls::Unmatched;

    fn caller(goroutine_id: i64) -> Caller {
        Caller {
            goroutine_id,
            program: format!("p{goroutine_id}"),
            instance: None,
            host: "h".into(),
            pid: 1,
            goid: goroutine_id,
            function: Some("main.f".into()),
        }
    }

    fn call(client: i64, server: Option<i64>) -> Call {
        Call {
            link_id: client,
            protocol: "http1".into(),
            method: Some(format!("GET /{client}")),
            state: "in flight".into(),
            confidence: "certain".into(),
            age_s: None,
            client: caller(client),
            server: server.map(caller),
            evidence: None,
        }
    }

    fn text(calls: &[Call], limit: Option<usize>) -> (String, usize) {
        let mut out = Vec::new();
        let hidden = Tree::new(calls).write(&mut out, limit).unwrap();
        (String::from_utf8(out).unwrap(), hidden)
    }

    #[test]
    fn calls_hang_below_the_call_that_waits_for_them() {
        let calls = [call(2, Some(3)), call(1, Some(2)), call(2, None), call(9, Some(8))];
        let (whole, hidden) = text(&calls, None);
        assert_eq!(
            whole,
            "p1 on h, goroutine 1 (g-1) main.f
    GET /1 [http1, in flight, certain] -> p2 on h, goroutine 2 (g-2) main.f
        GET /2 [http1, in flight, certain] -> p3 on h, goroutine 3 (g-3) main.f
        GET /2 [http1, in flight, certain] -> nobody yet
p9 on h, goroutine 9 (g-9) main.f
    GET /9 [http1, in flight, certain] -> p8 on h, goroutine 8 (g-8) main.f
"
        );
        assert_eq!(hidden, 0);
        assert_eq!(text(&calls, Some(1)).1, 1);
    }

    /// Programs, hosts and methods are called what somebody else likes, and files may come from anywhere.
    #[test]
    fn what_is_printed_stays_on_its_line() {
        let mut forged = call(1, Some(2));
        forged.client.program = "a\nb".into();
        forged.method = Some("GET /\r\tx\n    GET /forged [http1]".into());
        forged.client.function = Some("f\u{85}".into());
        let (whole, _) = text(&[forged], None);
        assert_eq!(whole.chars().filter(|c| c.is_control()).collect::<String>(), "\n\n", "{whole:?}");
        let unmatched = Unmatched {
            role: "server\x1b[2J\n".into(),
            protocol: Some("http1\n".into()),
            reason: "no\tsocket\n".into(),
            calls: 1,
        };
        let mut out = Vec::new();
        write_unmatched(&mut out, &Calls { links: Vec::new(), unmatched: vec![unmatched] }).unwrap();
        let whole = String::from_utf8(out).unwrap();
        assert_eq!(whole.chars().filter(|c| c.is_control()).collect::<String>(), "\n", "{whole:?}");
    }

    /// One client with many calls, and many that all wait for it.
    #[test]
    fn many_calls_of_one_client_are_no_trouble() {
        const MANY: i64 = 100_000;
        let of_one = (0..MANY).map(|_| call(1, Some(2)));
        let all: Vec<Call> = of_one.chain((0..MANY).map(|n| call(10 + n, Some(1)))).collect();
        let mut out = Vec::new();
        assert_eq!(Tree::new(&all).write(&mut out, None).unwrap(), 0);
    }

    #[test]
    fn calls_in_a_circle_are_shown_once() {
        let (whole, hidden) = text(&[call(1, Some(2)), call(2, Some(1)), call(3, Some(3))], None);
        assert_eq!((whole.matches("GET").count(), hidden), (3, 0), "{whole}");
    }
}
