//! Hostile executables and memory: real programs with damage in every table that is read of them, served as the file of a real
//! process, and that process's memory with damage. Whatever comes, comes soon and without a panic: goroutines, gaps, or an
//! error with a name.
//!
//! `STILLFRAME_MUTATIONS` says how many for each program; `STILLFRAME_MUTATION=still-go1.27.3-normal:17` repeats one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use stillframe_golang::Stop;
use stillframe_golang::build::Build;
use stillframe_golang::decode::decode;
use stillframe_golang::executable::Executable;
use stillframe_golang::gather::{Expected, gather};
use stillframe_golang::memory::{Memory, Unreadable};
use stillframe_golang::runtime::Runtime;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::row;
use stillframe_tests::table::table;

const MUTATIONS_DEFAULT: u64 = 250;

/// Of one case. An undamaged program takes a tenth of a second; the host may be busy.
const TIME_MAX: Duration = Duration::from_secs(20);
/// By which one case may raise the peak of the memory of this process. The programs have 10 MB.
const MEMORY_GROWTH_MAX: u64 = 256 << 20;

/// Tables in sections. The code is one, too: it tells where variables are.
const SECTIONS: [&str; 16] = [
    ".gopclntab",
    ".data.rel.ro.gopclntab",
    ".go.buildinfo",
    ".go.module",
    ".symtab",
    ".strtab",
    ".shstrtab",
    ".noptrdata",
    ".data",
    ".data.rel.ro",
    ".rela",
    ".rela.dyn",
    ".rodata",
    ".text",
    ".debug_abbrev",
    ".debug_info",
];

/// The head of a table holds its offsets and counts.
const HEAD_BYTES: u64 = 128;

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number that breaks what trusts it.
    fn extreme(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::from(u32::MAX),
            3 => i64::MAX as u64,
            4 => 1 << self.below(64),
            5 => (1u64 << self.below(64)).wrapping_neg(),
            6 => self.below(1 << 16),
            _ => self.next(),
        }
    }
}

/// Where in the file the tables are.
fn tables(file: &[u8]) -> Vec<(String, u64, u64)> {
    let executable = Executable::parse(Arc::new(file.to_vec())).unwrap();
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let half = |at: usize| u64::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    // e_phoff, e_phentsize, e_phnum and so on: elf(5).
    let mut found = vec![
        ("file header".to_owned(), 0, 64),
        ("program headers".to_owned(), word(32), half(54) * half(56)),
        ("section headers".to_owned(), word(40), half(58) * half(60)),
    ];
    for name in SECTIONS {
        if let Some(section) = executable.section(name) {
            found.push((name.to_owned(), section.file_offset, section.file_length));
            found.push((format!("{name} (head)"), section.file_offset, section.file_length.min(HEAD_BYTES)));
        }
    }
    found.retain(|&(_, _, length)| length > 0);
    found
}

/// Changes bits, words, or a stretch of a table.
fn damage(bytes: &mut [u8], random: &mut Random) {
    let length = bytes.len() as u64;
    for _ in 0..=random.below(4) {
        let at = random.below(length) as usize;
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => {
                let size = [1, 2, 4, 8][random.below(4) as usize].min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&random.extreme().to_le_bytes()[..size]);
            }
            2 => {
                let at = at & !7;
                let size = 8.min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&random.extreme().to_le_bytes()[..size]);
            }
            _ => {
                let stretch = 1 << random.below(14);
                let end = (at as u64 + random.below(stretch)).min(length) as usize;
                bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
        }
    }
}

/// Of a process that stands still by itself.
struct ProcessMemory(File);

impl Memory for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let length = buffer.len();
        self.0.read_exact_at(buffer, address).map_err(|_| Unreadable { address, length })
    }
}

/// That memory with damage in some of what is read of it.
struct Damaged<'a> {
    memory: &'a ProcessMemory,
    seed: u64,
    reads: Cell<u64>,
}

impl Memory for Damaged<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        const EACH: u64 = 100;
        self.memory.read(address, buffer)?;
        self.reads.set(self.reads.get() + 1);
        let mut random = Random(self.seed ^ self.reads.get().wrapping_mul(0x1234_5678_9abc_def1));
        if random.below(EACH) == 0 && !buffer.is_empty() {
            damage(buffer, &mut random);
        }
        Ok(())
    }
}

/// What has become of a case.
fn capture(file: Vec<u8>, memory: &dyn Memory, entry: u64) -> &'static str {
    let Ok(build) = Build::read(Arc::new(file)) else { return "refused" };
    let bias = build.identity.executable.load_bias(entry);
    let Ok(runtime) = Runtime::locate(&build, memory, bias) else { return "other program" };
    let gathered = gather(&runtime, memory, &[], &Expected::default(), None, &|| true);
    let found = decode(&runtime, gathered, &[], None);
    let whole = found.stacks.iter().all(|s| s.stop == Stop::Complete) && found.missing.is_empty();
    if whole { "captured" } else { "captured, with gaps" }
}

#[test]
fn damage_is_an_error_or_a_gap() {
    let count = match std::env::var("STILLFRAME_MUTATIONS") {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("STILLFRAME_MUTATIONS={number}: {e}")),
        Err(_) => MUTATIONS_DEFAULT,
    };
    let only = std::env::var("STILLFRAME_MUTATION").ok();
    let wanted = |p: &Program| {
        use Kind::{Bare, Cgo, Normal, Pie, PieStripped, Stripped};
        matches!(
            (p.minor(), p.kind),
            (21, PieStripped) | (23, Pie | Stripped) | (24, Cgo | Bare) | (26 | 27, Normal) | (27, Stripped)
        )
    };
    let mut rows = vec![row!["program", "table", "refused", "other program", "with gaps", "captured"]];
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for program in Program::all("still").into_iter().filter(wanted) {
        let process = Running::start(&mut program.command(), Some("/dev/null".as_ref()));
        let memory = ProcessMemory(File::open(format!("/proc/{}/mem", process.pid())).unwrap());
        let auxiliary = std::fs::read(format!("/proc/{}/auxv", process.pid())).unwrap();
        let entry = entry_of(&auxiliary);
        let file = std::fs::read(&program.path).unwrap();
        let intact = capture(file.clone(), &memory, entry);
        assert!(intact.starts_with("captured"), "{program}: undamaged: {intact}");

        let mut tables = tables(&file);
        tables.push(("memory".to_owned(), 0, 0));
        let mut outcomes: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for seed in 0..count {
            let case = format!("{program}:{seed}");
            if only.as_ref().is_some_and(|only| *only != case) {
                continue;
            }
            let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95));
            let (name, at, length) = tables[random.below(tables.len() as u64) as usize].clone();
            let mut file = file.clone();
            let damaged = Damaged { memory: &memory, seed, reads: Cell::new(0) };
            let memory: &dyn Memory = if name == "memory" {
                &damaged
            } else {
                damage(&mut file[at as usize..(at + length) as usize], &mut random);
                &memory
            };
            let (peak, before) = (peak_bytes(), processor_time());
            let outcome = catch_unwind(AssertUnwindSafe(|| capture(file, memory, entry)))
                .unwrap_or_else(|_| panic!("STILLFRAME_MUTATION={case}: {name}: a panic, see above"));
            let (took, growth) = (processor_time() - before, peak_bytes().saturating_sub(peak));
            assert!(took < TIME_MAX, "STILLFRAME_MUTATION={case}: {name}: {took:?}");
            assert!(growth < MEMORY_GROWTH_MAX, "STILLFRAME_MUTATION={case}: {name}: {growth} more bytes");
            *outcomes.entry((name, outcome)).or_default() += 1;
            *all.entry(outcome).or_default() += 1;
        }
        for (name, ..) in &tables {
            let of = |outcome| outcomes.get(&(name.clone(), outcome)).copied().unwrap_or(0);
            let [a, b, c, d] = ["refused", "other program", "captured, with gaps", "captured"].map(of);
            rows.push(row![program, name, a, b, c, d]);
        }
    }
    println!("{}", table(&rows));
    println!("{all:?}");
    if only.is_none() {
        assert!(all.len() == 4, "damage that never has one of the outcomes tests little: {all:?}");
    }
}

/// AT_ENTRY of an auxiliary vector (getauxval(3)).
fn entry_of(auxiliary: &[u8]) -> u64 {
    const AT_ENTRY: u64 = 9;
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let pairs = auxiliary.chunks_exact(16).map(|pair| (word(&pair[..8]), word(&pair[8..])));
    pairs.into_iter().find(|&(key, _)| key == AT_ENTRY).expect("the kernel tells the entry point").1
}

/// What this process has had of it: a loaded host takes its time.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let part = |time: TimeVal| Duration::from_micros(time.num_microseconds() as u64);
    part(usage.user_time()) + part(usage.system_time())
}

fn peak_bytes() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss() as u64 * 1024
}
