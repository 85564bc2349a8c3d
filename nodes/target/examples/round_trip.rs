//! What a round trip to the freezer costs: `round_trip PID` reads a word, and 8 MiB of the stack's end, of a process that
//! it holds frozen, again and again, and prints medians in microseconds; beside them the same without a freezer between.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use stillframe_golang::memory::{Memory, Range};
use stillframe_target::freeze::freeze;
use stillframe_target::freezer::{Freezer, VERB, serve_inherited};
use stillframe_target::{mappings, process};

const ROUNDS: usize = 2_000;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == VERB {
        return serve_inherited();
    }
    let Ok(pid) = argument.parse::<u32>() else {
        eprintln!("usage: round_trip PID");
        return ExitCode::FAILURE;
    };
    let budget = Duration::from_secs(20);
    let mapping =
        mappings::mappings(pid).expect("it is there").into_iter().filter(|m| m.readable && m.inode != 0);
    let place = mapping.max_by_key(|m| m.end - m.start).expect("it has memory");
    let word = Range { address: place.start, length: 8 };
    let large = Range { address: place.start, length: ((place.end - place.start) as usize).min(8 << 20) };

    let freezer = Freezer::spawn(std::process::Command::new("/proc/self/exe").arg(VERB)).expect("it starts");
    let target = freezer.open(pid).expect("it can be opened");
    let frozen = target.freeze(budget).expect("it can be frozen");
    measure("by the freezer", frozen.memory(), word, large);
    assert!(frozen.is_frozen());
    drop(frozen);

    let frozen = freeze(&process::find(pid).expect("it is there"), budget).expect("it can be frozen");
    measure("in this process", frozen.memory(), word, large);
    assert!(frozen.is_frozen());
    ExitCode::SUCCESS
}

fn measure(name: &str, memory: &dyn Memory, word: Range, large: Range) {
    for (range, rounds) in [(word, ROUNDS), (large, 50)] {
        let mut buffer = vec![1; range.length];
        let mut times: Vec<Duration> = (0..rounds)
            .map(|_| {
                let begin = Instant::now();
                memory.read(range.address, &mut buffer).expect("it is readable");
                begin.elapsed()
            })
            .collect();
        times.sort();
        let us = |part: usize| times[(times.len() - 1) * part / 100].as_nanos() as f64 / 1e3;
        println!(
            "{name}: {:>8} bytes: median {:.1} us, p90 {:.1} us, p99 {:.1} us",
            range.length,
            us(50),
            us(90),
            us(99)
        );
    }
}
