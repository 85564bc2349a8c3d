//! Programs for arm64: the memory of parked ones, recorded, gives what Go itself prints of them.
//!
//! `images` holds some small ones, so that this is checked everywhere; where qemu-user is installed, the programs run. With
//! `STILLFRAME_IMAGES=write` the images are made anew (`tools/record-images.sh`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use stillframe_tests::comparison::{Comparison, compare_text};
use stillframe_tests::emulated::{self, Emulated};
use stillframe_tests::programs::{Kind, MINORS, PATIENCE, Program, pause, poll};
use stillframe_tests::row;
use stillframe_tests::stillframe::{dump, run};
use stillframe_tests::table::table;
use stillframe_tests::traceback::Traceback;

/// Each image: the executable, the recording, and what Go printed a moment later.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images");
const IMAGES_VARIABLE: &str = "STILLFRAME_IMAGES";
/// Where `tools/record-images.sh` has put the programs.
const PARKED_VARIABLE: &str = "STILLFRAME_PARKED";

/// Goroutines that the programs park, at the least.
const PARKED_MIN: usize = 18;
const STILL_MIN: usize = 220;
/// The main goroutine, which writes the text, and the one that hands it the signal.
const NOT_COMPARED_MAX: usize = 2;
/// More when Go tells of its own goroutines: the collector's, and what handles SIGQUIT.
const NOT_COMPARED_SYSTEM_MAX: usize = 4;

/// Two texts that differ in age alone are of two minutes: as often as this they are taken anew.
const ATTEMPTS: usize = 3;

/// What Go printed, beside what Stillframe makes of a recording before it, and one after it.
fn compare(go: &Traceback, before: &Traceback, after: &Traceback) -> Comparison {
    let mut comparison = Comparison::default();
    let (before, after) = (before.by_goid(), after.by_goid());
    for (goid, go) in go.by_goid() {
        match (before.get(&goid), after.get(&goid)) {
            (Some(before), Some(after)) => compare_text(before, after, go, &mut comparison),
            (before, after) => comparison.differ(goid, "dumped", before.is_some(), after.is_some()),
        }
    }
    let of_go = go.by_goid();
    for goid in before.keys().filter(|goid| !of_go.contains_key(goid)) {
        comparison.differ(*goid, "is there", true, "it is not");
    }
    comparison
}

/// The dump of a snapshot that is made of a recording: whole, without a gap.
fn dumped(core: &Path, exe: &Path, file: &Path, system: bool) -> Traceback {
    let ran = run(&[
        "snapshot".as_ref(),
        "--core".as_ref(),
        core.as_os_str(),
        "--exe".as_ref(),
        exe.as_os_str(),
        "-o".as_ref(),
        file.as_os_str(),
    ]);
    assert_eq!(ran.code, Some(0), "{}: {ran:?}", exe.display());
    let query = "SELECT (SELECT json_group_array(what || ': ' || reason || ': ' || coalesce(stack, '')) \
                  FROM gaps LEFT JOIN goroutine_list USING (goroutine_id)) AS gaps, \
                 (SELECT count(*) FROM stacks WHERE stop_reason <> 'complete') AS cut, arch FROM processes";
    let ran = run(&["sql".as_ref(), "--json".as_ref(), file.as_os_str(), query.as_ref()]);
    let rows: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    for expected in [r#""gaps":"[]""#, "\"cut\":0", "\"arch\":\"arm64\""] {
        assert!(rows.to_string().contains(expected), "{}: {expected} is not in {rows}", exe.display());
    }
    Traceback::parse(&dump(file, system)).unwrap()
}

#[test]
fn recorded_images_agree_with_go() {
    if std::env::var(IMAGES_VARIABLE).is_ok_and(|what| what == "write") {
        write_images();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![row!["image", "goroutines", "compared", "frames", "elided", "differences"]];
    let mut problems = Vec::new();
    let mut images: Vec<PathBuf> = std::fs::read_dir(IMAGES)
        .unwrap_or_else(|e| panic!("{IMAGES}: {e}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "stacks"))
        .collect();
    images.sort();
    assert!(images.len() >= 3, "{IMAGES}: images are missing: {images:?}");
    for text in images {
        let name = text.file_stem().unwrap().to_str().unwrap().to_owned();
        let (exe, core) = (folder.path().join("exe"), folder.path().join("core"));
        unpack(&text.with_extension("stacks").with_file_name(format!("{name}.exe.xz")), &exe);
        unpack(&text.with_file_name(format!("{name}.core.xz")), &core);
        let captured = dumped(&core, &exe, &folder.path().join(format!("{name}.db")), false);
        let go = Traceback::parse(&std::fs::read_to_string(&text).unwrap()).unwrap();
        let comparison = compare(&go, &captured, &captured);
        rows.push(row![
            name,
            go.goroutines.len(),
            comparison.goroutines,
            comparison.frames,
            comparison.elided,
            comparison.differences.len()
        ]);
        problems.extend(problems_of(&name, &comparison, PARKED_MIN, NOT_COMPARED_MAX));
    }
    println!("{}", table(&rows));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn problems_of(name: &str, comparison: &Comparison, at_least: usize, not_compared_max: usize) -> Vec<String> {
    let mut problems: Vec<String> = comparison.differences.iter().map(|d| format!("{name}: {d}")).collect();
    if comparison.goroutines < at_least {
        problems.push(format!("{name}: only {} goroutines were compared", comparison.goroutines));
    }
    if comparison.elided == 0 {
        problems.push(format!("{name}: no goroutine with elided frames was compared"));
    }
    if comparison.not_compared.len() > not_compared_max {
        problems.push(format!("{name}: not compared: {:?}", comparison.not_compared));
    }
    problems
}

/// xz(1), which comes with Debian's build-essential.
fn unpack(packed: &Path, to: &Path) {
    let file = std::fs::File::create(to).unwrap();
    let status = Command::new("xz").args(["--decompress", "--stdout"]).arg(packed).stdout(file).status();
    assert!(status.as_ref().is_ok_and(|s| s.success()), "xz {}: {status:?}", packed.display());
}

fn pack(file: &Path) {
    let status = Command::new("xz").args(["-9", "--extreme", "--force"]).arg(file).status();
    assert!(status.as_ref().is_ok_and(|s| s.success()), "xz {}: {status:?}", file.display());
}

/// Of the programs that `tools/record-images.sh` built.
fn write_images() {
    let built = std::env::var(PARKED_VARIABLE).expect("run tools/record-images.sh, which sets it");
    std::fs::create_dir_all(IMAGES).unwrap();
    for entry in std::fs::read_dir(&built).unwrap() {
        let exe = entry.unwrap().path();
        let image = Path::new(IMAGES).join(exe.file_name().unwrap());
        let with = |ending: &str| PathBuf::from(format!("{}.{ending}", image.display()));
        let scene = Scene::start(&exe, None);
        scene.emulated.record(&with("core"));
        std::fs::write(with("stacks"), scene.stacks()).unwrap();
        std::fs::copy(&exe, with("exe")).unwrap();
        pack(&with("core"));
        pack(&with("exe"));
    }
}

/// A program, and the files around it.
struct Scene {
    emulated: Emulated,
    exe: PathBuf,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start(exe: &Path, level: Option<&str>) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let errors = folder.path().join("errors");
        let emulated = Emulated::start(exe, Some(&errors), |command| {
            command.env_remove("GOTRACEBACK").env("STILL_STACK", folder.path().join("stack"));
            command.envs(level.map(|level| ("GOTRACEBACK", level)));
        });
        Scene { emulated, exe: exe.to_owned(), folder }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("errors")).unwrap()
    }

    /// What `runtime.Stack` says of all goroutines now.
    fn stacks(&self) -> String {
        let file = self.folder.path().join("stack");
        let _ = std::fs::remove_file(&file);
        self.emulated.process.signal(Signal::SIGUSR1);
        let text = poll(PATIENCE, || std::fs::read_to_string(&file).ok());
        text.unwrap_or_else(|| panic!("{} wrote no stacks: {}", self.exe.display(), self.errors()))
    }

    /// What a recording of this moment gives.
    fn dump(&self, system: bool) -> Traceback {
        let (core, file) = (self.folder.path().join("core"), self.folder.path().join("snapshot.db"));
        let _ = std::fs::remove_file(&file);
        self.emulated.record(&core);
        dumped(&core, &self.exe, &file, system)
    }

    fn compare_stacks(&self) -> Comparison {
        let mut comparison = Comparison::default();
        for _ in 0..ATTEMPTS {
            let before = self.dump(false);
            let go = Traceback::parse(&self.stacks()).unwrap();
            comparison = compare(&go, &before, &self.dump(false));
            if comparison.not_compared.len() <= NOT_COMPARED_MAX {
                break;
            }
        }
        comparison
    }

    /// Of all goroutines, the runtime's own too. The program ends.
    fn compare_sigquit(mut self) -> Comparison {
        let before = self.dump(true);
        pause(Duration::from_millis(50));
        let after = self.dump(true);
        self.emulated.process.signal(Signal::SIGQUIT);
        self.emulated.process.wait();
        let go = Traceback::parse(&self.errors()).unwrap();
        assert!(
            go.others.last().is_some_and(|t| t.starts_with("r0 ")),
            "the text was cut short: {}",
            self.errors()
        );
        compare(&go, &before, &after)
    }
}

#[test]
fn emulated_programs_agree_with_go() {
    let programs: Vec<Program> = Program::all("still-arm64");
    if !emulated::is_there() {
        println!(
            "skipped: there is no qemu-aarch64 to run programs for arm64 (apt-get install qemu-user libc6-arm64-cross)"
        );
        return;
    }
    assert!(programs.iter().any(|p| p.kind == Kind::Normal), "of {MINORS:?}: none has debug information");
    let mut rows =
        vec![row!["version", "kind", "text", "compared", "frames", "elided", "not compared", "differences"]];
    let mut problems = Vec::new();
    for program in programs {
        let comparisons = [
            ("runtime.Stack(all)", Scene::start(&program.path, None).compare_stacks(), NOT_COMPARED_MAX),
            (
                "SIGQUIT, system",
                Scene::start(&program.path, Some("system")).compare_sigquit(),
                NOT_COMPARED_SYSTEM_MAX,
            ),
        ];
        for (text, mut comparison, not_compared_max) in comparisons {
            // It sleeps for milliseconds: an emulated program is so slow that it wakes up while the text is printed.
            comparison.differences.retain(|difference| !difference.contains("runtime.bgscavenge"));
            rows.push(row![
                program.version,
                program.kind,
                text,
                comparison.goroutines,
                comparison.frames,
                comparison.elided,
                comparison.not_compared.len(),
                comparison.differences.len()
            ]);
            problems.extend(problems_of(
                &format!("{program}, {text}"),
                &comparison,
                STILL_MIN,
                not_compared_max,
            ));
        }
    }
    println!("{}", table(&rows));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
