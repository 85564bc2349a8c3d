//! Ages by watching, against what the programs have noted themselves: a node watches four of them, of different Go
//! releases, for some seconds, and a snapshot says between which times each goroutine was started and parked. No bound may
//! contradict the program's own times; how many goroutines have bounds, and how far these are apart, is counted.
//!
//! `STILLFRAME_AGES_SECONDS` says for how long they are watched.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use stillframe_tests::agent::send;
use stillframe_tests::captured::rows;
use stillframe_tests::cluster::Cluster;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{PATIENCE, Program, Running, pause, poll};
use stillframe_tests::row;
use stillframe_tests::stillframe::run_command;
use stillframe_tests::table::table;

const POLICY: &str = "[watch]\nprograms = ['ages-*']\nbirths_ms = 100\nparks_ms = 200\ncpu_permille = 1000\n";
const SNAPSHOTS: u64 = 3;
const SECONDS_DEFAULT: u64 = 15;
/// Between the time that a goroutine notes and its park, on a loaded host; and what the clock was turned meanwhile.
const LATE_NS: i64 = 250_000_000;
/// All were watched for longer than this, at each snapshot.
const YOUNG_NS: i64 = 3_000_000_000;
const CLOCK_NS: i64 = 2_000_000;

/// What a program has noted of a goroutine.
struct Noted {
    kind: String,
    before: i64,
    runs: i64,
    calls: Vec<(i64, i64)>,
}

fn noted(path: &Path) -> HashMap<u64, Noted> {
    let text = std::fs::read_to_string(path).unwrap();
    let of_line = |line: &str| {
        let mut words = line.split(' ');
        let goid = words.next()?.parse().ok()?;
        let kind = words.next()?.to_owned();
        let (before, runs) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let call = |word: &str| {
            let (before, after) = word.split_once(':')?;
            Some((before.parse().ok()?, after.parse().ok()?))
        };
        let calls = words.map(|word| call(word).unwrap_or_else(|| panic!("{line}"))).collect();
        Some((goid, Noted { kind, before, runs, calls }))
    };
    text.lines().map(|line| of_line(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Of one program and one kind of goroutine.
#[derive(Default)]
struct Count {
    all: usize,
    born_both: usize,
    /// Of those that ran first within the last seconds.
    young: usize,
    born_young: usize,
    born_widths: Vec<i64>,
    parked: usize,
    parked_after: usize,
    watched: usize,
    copied: usize,
    late: Vec<i64>,
}

fn median(values: &mut [i64]) -> String {
    values.sort_unstable();
    values.get(values.len() / 2).map_or("-".into(), |ns| format!("{:.0} ms", *ns as f64 / 1e6))
}

struct Ages {
    program: Program,
    process: Running,
    pid: u32,
    record: std::path::PathBuf,
}

impl Ages {
    fn on(cluster: &Cluster, program: Program) -> Ages {
        let record = cluster.folder.path().join(format!("{program}.record"));
        let (process, pid) = cluster.program_with("web", &program, &[record.as_os_str()]);
        Ages { program, process, pid, record }
    }

    /// What it has noted up to now.
    fn noted(&self) -> HashMap<u64, Noted> {
        send(self.pid, Signal::SIGUSR1);
        let written = poll(PATIENCE, || self.process.lines().find(|line| line == "written"));
        assert!(written.is_some(), "{}: it writes nothing", self.program);
        noted(&self.record)
    }

    /// Each bound of a snapshot against what the program has noted. What contradicts it.
    fn compare(&self, file: &Path, counts: &mut HashMap<String, Count>) -> Vec<String> {
        let noted = self.noted();
        let name = self.program.path.file_name().unwrap().to_str().unwrap();
        let sql = format!(
            "select g.*, p.frozen_start_unix_ns as stopped from goroutines g join processes p using (process_id)
             where p.program = '{name}'"
        );
        let mut wrong = Vec::new();
        let mut seen = 0;
        for row in rows(file, &sql) {
            let Some(of) = noted.get(&row["goid"].as_u64().unwrap()) else { continue };
            seen += 1;
            let time = |name: &str| row[name].as_i64();
            let stopped = time("stopped").unwrap();
            let count = counts.entry(of.kind.clone()).or_default();
            count.all += 1;
            let (after, before) = (time("born_after_unix_ns"), time("born_before_unix_ns"));
            let mut expect = |holds: bool, what: &str| {
                if !holds {
                    let Noted { before, runs, calls, .. } = of;
                    let calls = &calls[calls.len().saturating_sub(4)..];
                    wrong.push(format!("{name}: {what}: {before} {runs} {calls:?}: {row}"));
                }
            };
            expect(after.is_none_or(|after| after <= of.runs + CLOCK_NS), "it ran before");
            expect(before.is_none_or(|before| before >= of.before - CLOCK_NS), "it was started later");
            let is_young = of.runs > stopped - YOUNG_NS;
            count.young += usize::from(is_young);
            if let (Some(after), Some(before)) = (after, before) {
                count.born_young += usize::from(is_young);
                count.born_both += 1;
                count.born_widths.push(before - after);
            }

            let is_parked = row["status"] == "waiting";
            let within =
                |&&(before, after): &&(i64, i64)| before <= stopped && (after == 0 || stopped <= after);
            let Some(&(enters, leaves)) = of.calls.iter().find(within).filter(|_| is_parked) else {
                continue;
            };
            count.parked += 1;
            let (after, before) = (time("blocked_since_after_unix_ns"), time("blocked_since_before_unix_ns"));
            expect(before.is_none_or(|before| before >= enters - CLOCK_NS), "it has parked later");
            // A waiter for a mutex may park again within the call.
            let parks_once = of.kind != "mutex";
            let latest = if parks_once { enters + LATE_NS } else { stopped };
            let latest = latest.min(if leaves == 0 { stopped } else { leaves });
            expect(after.is_none_or(|after| after <= latest + CLOCK_NS), "it has parked before");
            count.parked_after += usize::from(after.is_some());
            let source = row["blocked_source"].as_str().unwrap_or_default();
            match before {
                Some(_) if source.contains("copy") => count.copied += 1,
                Some(before) => {
                    count.watched += 1;
                    count.late.push(before - enters);
                }
                None => {}
            }
        }
        assert!(seen > 300, "{name}: only {seen} goroutines have noted anything");
        wrong
    }
}

#[test]
fn no_bound_contradicts_what_the_programs_have_noted() {
    let seconds = std::env::var("STILLFRAME_AGES_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS_DEFAULT, |n| n.parse().unwrap_or_else(|e| panic!("{n}: {e}")));
    let mut cluster = Cluster::start("10.78.9", &["web"]);
    let policy = cluster.folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    cluster.nodes[0].kill();
    cluster.nodes[0] = cluster.node_with("web", &["--policy".as_ref(), policy.as_os_str()]);
    cluster.await_nodes();

    let programs: Vec<Ages> =
        Program::some("ages").into_iter().map(|program| Ages::on(&cluster, program)).collect();
    let mut all: Vec<HashMap<String, Count>> = programs.iter().map(|_| HashMap::new()).collect();
    let watched = || (cluster.nodes[0].log().matches("watching ").count() >= programs.len()).then_some(());
    assert!(poll(PATIENCE, watched).is_some(), "not all are watched: {}", cluster.nodes[0].log());
    let mut wrong = Vec::new();
    for _ in 0..SNAPSHOTS {
        pause(Duration::from_secs(seconds / SNAPSHOTS + 3));
        let mut command =
            cluster.command(&["snapshot", "--force", "--max-pause", "5s", "--program", "ages-*"]);
        let ran = run_command(command.arg("-o").arg(cluster.file()));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        for (program, counts) in programs.iter().zip(&mut all) {
            wrong.extend(program.compare(&cluster.file(), counts));
        }
    }
    let mut lines = vec![row![
        "Go",
        "kind",
        "goroutines",
        "births",
        "apart",
        "parked",
        "after",
        "watched",
        "noticed after",
        "copied"
    ]];
    for (program, counts) in programs.iter().zip(&mut all) {
        assert_free(program.pid, "after the snapshots");
        let mut kinds: Vec<_> = counts.iter_mut().collect();
        kinds.sort_unstable_by_key(|(kind, _)| kind.to_owned());
        for (kind, count) in kinds {
            lines.push(row![
                program.program.version,
                kind,
                count.all,
                count.young,
                count.born_young,
                count.born_both,
                median(&mut count.born_widths),
                count.parked,
                count.parked_after,
                count.watched,
                median(&mut count.late),
                count.copied
            ]);
        }
    }
    println!("{}", table(&lines));
    println!("{}", cluster.nodes[0].log());
    assert!(wrong.is_empty(), "{} bounds are wrong:\n{}", wrong.len(), wrong.join("\n"));
    for counts in &all {
        // Whoever has been there for long is known to be, and to be parked.
        let forever = &counts["forever"];
        assert!(forever.parked > 0, "none of those that stay is parked");
        assert!(forever.watched * 10 >= forever.parked * 9, "{}: of {}", forever.watched, forever.parked);
        let bursts = &counts["burst"];
        assert!(bursts.young > 0, "no burst was captured");
        assert!(bursts.born_young * 10 >= bursts.young * 9, "{}: of {}", bursts.born_young, bursts.young);
    }
}
