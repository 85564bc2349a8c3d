//! For how long a program is stopped, as it sees it itself: a goroutine reads the clock all the time, beside many that are
//! parked. Told beside the same without a capture, the windows that the snapshot tells, and how many stacks were copied before.
//!
//! `STILLFRAME_PAUSE_GOROUTINES` says how many are parked, `STILLFRAME_PAUSE_SNAPSHOTS` how often each is captured. Figures are
//! those of a release build only: `STILLFRAME_BINARY` names one. `docs/performance.md` has some.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use stillframe_tests::captured::rows;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program};
use stillframe_tests::row;
use stillframe_tests::stillframe::run;
use stillframe_tests::table::table;

const GOROUTINES_DEFAULT: &str = "1000 10000";
const SNAPSHOTS_DEFAULT: &str = "5";
/// All but those that the runtime and the clock have.
const REUSED_PERCENT: f64 = 99.0;

fn word(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn number(name: &str, text: &str) -> usize {
    text.parse().unwrap_or_else(|e| panic!("{name}: {text}: {e}"))
}

/// The program, and its clock.
struct Many {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Many {
    fn start(program: &Program, goroutines: usize) -> Many {
        let mut command = Command::new(&program.path);
        command.args([&goroutines.to_string(), "stall"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        let questions = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut many = Many { child, questions, answers };
        assert!(many.line().starts_with("ready "), "{program} is not ready");
        many
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it says something");
        line
    }

    /// The longest time in which its clock was not read since the last call.
    fn stall(&mut self) -> Duration {
        self.questions.write_all(b"\n").expect("it listens");
        let line = self.line();
        let ns = line.trim().strip_prefix("stall ").and_then(|ns| ns.parse().ok());
        Duration::from_nanos(ns.unwrap_or_else(|| panic!("{line}: no stall")))
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        // It has ended by itself if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In milliseconds: the middle one and the last of a hundred.
fn middle_and_worst(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() * part).div_ceil(100).saturating_sub(1)];
    (at(50), at(99))
}

#[test]
fn a_program_is_stopped_for_a_short_time() {
    let snapshots =
        number("STILLFRAME_PAUSE_SNAPSHOTS", &word("STILLFRAME_PAUSE_SNAPSHOTS", SNAPSHOTS_DEFAULT));
    let program = Program::all("many").into_iter().rfind(|p| p.kind == Kind::Cgo).expect("it is built");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("s.db");
    let mut lowest = 100.0_f64;
    let mut table_rows = vec![row![
        "goroutines",
        "own stall ms",
        "p99",
        "stall ms",
        "p99",
        "outer ms",
        "p99",
        "inner ms",
        "p99",
        "reused %",
        "to the file s"
    ]];
    for goroutines in word("STILLFRAME_PAUSE_GOROUTINES", GOROUTINES_DEFAULT).split_whitespace() {
        let goroutines = number("STILLFRAME_PAUSE_GOROUTINES", goroutines);
        let mut many = Many::start(&program, goroutines);
        let pid = many.child.id();
        let (mut own, mut seen, mut outer, mut inner) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut reused, mut total, mut took) = (0.0, 0.0, Vec::new());
        for _ in 0..snapshots {
            many.stall();
            let began = Instant::now();
            let words = ["snapshot", "--max-pause", "2s", "--pack", "none", "--pid"];
            let ran = run(&[&words[..], &[&pid.to_string(), "-o", file.to_str().expect("a name")]].concat());
            let elapsed = began.elapsed();
            seen.push(many.stall().as_secs_f64() * 1e3);
            assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
            took.push(elapsed.as_secs_f64());
            let row = rows(&file, "select goroutines, reused, pause_ns, frozen_ns from processes").remove(0);
            let value = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} of {row}"));
            reused += value("reused");
            total += value("goroutines");
            outer.push(value("pause_ns") / 1e6);
            inner.push(value("frozen_ns") / 1e6);
            std::fs::remove_file(&file).expect("it is there");
            // Nothing happens, for as long.
            many.stall();
            std::thread::sleep(elapsed);
            own.push(many.stall().as_secs_f64() * 1e3);
        }
        assert_free(pid, &program.to_string());
        let percent = 100.0 * reused / total;
        let mut cells = row![goroutines];
        for (middle, worst) in [own, seen, outer, inner].map(middle_and_worst) {
            cells.extend([format!("{middle:.2}"), format!("{worst:.2}")]);
        }
        cells.extend([format!("{percent:.2}"), format!("{:.2}", middle_and_worst(took).0)]);
        table_rows.push(cells);
        lowest = lowest.min(percent);
    }
    println!("{program}, {snapshots} snapshots each\n{}", table(&table_rows));
    assert!(lowest >= REUSED_PERCENT, "only {lowest} % of the stacks were copied before");
}
