//! Stillframe against Go itself: programs that hold still in every ordinary way, for each version and kind of build.
//!
//! * With `GOTRACEBACK=system`, what SIGQUIT makes Go print: all frames with function, file and line, of system
//!   goroutines, too; `dump --system` prints the same.
//! * By default, what `runtime.Stack(all)` gives: `dump` prints it byte by byte.
//!
//! A goroutine is compared if it is parked at both moments. One that is not must say so itself: in the header that Go
//! printed (it runs, or is about to), by two captures that differ, or by being the one that prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use stillframe::traceback::function_name_for_print;
use stillframe_node::capture::{Captures, Options, Source};
use stillframe_tests::comparison::{Comparison, check_capture, compare_text, moved};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, PATIENCE, Program, Running, pause, poll};
use stillframe_tests::stillframe::{dump, freezer, snapshot};
use stillframe_tests::table::table;
use stillframe_tests::traceback::Traceback;
use stillframe_tests::{planted, row, traceback as go};
use stillframe_wire::facts::{Gap, Goroutine, ProcessFacts};

/// Goroutines that `still` parks, at the least, with every Go version: fewer would be another program.
const GOROUTINES_MIN: usize = 240;

/// The program's own main goroutine writes the text; the thread that handles the signal may have another; the
/// collector's workers and the like may move. More than these may not go without comparison.
const NOT_COMPARED_MAX: usize = 4;

/// Between two captures, for what moves to be seen to move.
const BETWEEN_CAPTURES: Duration = Duration::from_millis(50);

/// Goroutines that have waited for longer than a minute say how long. Programs of this kind are asked only then.
const AGED_KIND: Kind = Kind::Cgo;
const AGE_MIN: Duration = Duration::from_secs(64);

/// So few that they have started long before the first one's minute is over.
const STARTED_TOGETHER: usize = 8;

#[test]
fn snapshots_agree_with_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![row![
        "version",
        "kind",
        "text",
        "goroutines",
        "compared",
        "frames",
        "elided",
        "aged",
        "differences"
    ]];
    let mut not_compared = Vec::new();
    let mut problems = Vec::new();
    let (old, young): (Vec<_>, Vec<_>) =
        Program::all("still").into_iter().partition(|program| program.kind == AGED_KIND);
    let groups = young.chunks(STARTED_TOGETHER).chain(old.chunks(STARTED_TOGETHER)).map(<[Program]>::to_vec);
    for (program, still, since, start_took) in groups.flat_map(|group| start_together(group, folder.path())) {
        if program.kind == AGED_KIND {
            pause(AGE_MIN.saturating_sub(since.elapsed()));
        }
        pause(until_minutes_stand(since.elapsed(), start_took));
        let Still { by_default, of_system } = still;
        for (text, (captured, comparison)) in [
            ("runtime.Stack(all)", compare_stack(&program, by_default)),
            ("SIGQUIT, system", compare_sigquit(&program, of_system)),
        ] {
            rows.push(row![
                program.version,
                program.kind,
                text,
                captured,
                comparison.goroutines,
                comparison.frames,
                comparison.elided,
                comparison.aged,
                comparison.differences.len()
            ]);
            let name = format!("{program}, {text}");
            not_compared.extend(comparison.not_compared.iter().map(|(g, why)| row![name, g, why]));
            problems.extend(comparison.differences.iter().map(|d| format!("{name}: {d}")));
            let mut demand = |met: bool, what: &str| {
                if !met {
                    problems.push(format!("{name}: {what}"));
                }
            };
            demand(captured >= GOROUTINES_MIN, "fewer goroutines than the program parks");
            demand(
                comparison.goroutines + comparison.not_compared.len() == captured,
                "goroutines were neither compared nor accounted for",
            );
            demand(
                comparison.not_compared.len() <= NOT_COMPARED_MAX,
                "too many goroutines were not compared",
            );
            demand(comparison.elided > 0, "no goroutine with elided frames was compared");
            demand(
                comparison.aged > 0 || program.kind != AGED_KIND,
                "no goroutine that has waited for minutes was compared",
            );
        }
    }
    println!("{}", table(&rows));
    println!("Not compared:\n{}", table(&not_compared));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// They stand still, and get old together: since when, and how long it took until all did.
fn start_together(programs: Vec<Program>, folder: &Path) -> Vec<(Program, Still, Instant, Duration)> {
    let begun = Instant::now();
    let started: Vec<(Program, Still)> =
        programs.into_iter().map(|p| (p.clone(), Still::start(&p, folder))).collect();
    let since = Instant::now();
    started.into_iter().map(|(program, still)| (program, still, since, since - begun)).collect()
}

/// Ages are printed in whole minutes, which must not change between a capture and Go's text. All waits began within
/// `start_took` before the first program was asked.
fn until_minutes_stand(elapsed: Duration, start_took: Duration) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    const MARGIN: Duration = Duration::from_secs(3);
    let second = Duration::from_secs(elapsed.as_secs() % 60);
    if second < MARGIN {
        MARGIN - second
    } else if second + start_took + MARGIN > MINUTE {
        MINUTE - second + MARGIN
    } else {
        Duration::ZERO
    }
}

/// The program twice: `GOTRACEBACK=system` changes what `runtime.Stack` prints, too.
struct Still {
    by_default: Scene,
    of_system: Scene,
}

struct Scene {
    process: Running,
    folder: tempfile::TempDir,
}

impl Still {
    fn start(program: &Program, folder: &Path) -> Still {
        let scene = |level: Option<&str>| {
            let folder = tempfile::tempdir_in(folder).unwrap();
            let mut command = program.command();
            command.env_remove("GOTRACEBACK").env("STILL_STACK", folder.path().join("stack"));
            command.envs(level.map(|level| ("GOTRACEBACK", level)));
            let process = Running::start(&mut command, Some(&folder.path().join("errors")));
            Scene { process, folder }
        };
        Still { by_default: scene(None), of_system: scene(Some("system")) }
    }
}

impl Scene {
    /// The dump of a new snapshot, by the command line.
    fn dump(&self, name: &str, system: bool) -> Traceback {
        let file = self.folder.path().join(name);
        let ran = snapshot(self.process.pid(), &file);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Traceback::parse(&dump(&file, system)).unwrap()
    }

    fn facts(&self) -> ProcessFacts {
        let source = Source::Pid(self.process.pid());
        // A loaded host may use up the usual one.
        let options = Options { max_pause: Some(Duration::from_secs(5)), ..Options::default() };
        Captures::new(freezer()).capture(&source, &options, &mut |_| ()).unwrap()
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("errors")).unwrap()
    }
}

/// `dump` before and after `runtime.Stack(all)`, and that text between.
fn compare_stack(program: &Program, scene: Scene) -> (usize, Comparison) {
    let pid = scene.process.pid();
    let facts = scene.facts();
    let before = scene.dump("before.db", false);
    scene.process.signal(Signal::SIGUSR1);
    let text = poll(PATIENCE, || std::fs::read_to_string(scene.folder.path().join("stack")).ok());
    let text = text.unwrap_or_else(|| panic!("{program} wrote no stacks: {}", scene.errors()));
    let after = scene.dump("after.db", false);
    assert_free(pid, &program.to_string());

    let text = Traceback::parse(&text).unwrap();
    let (text, before, after) = (text.by_goid(), before.by_goid(), after.by_goid());
    let mut comparison = Comparison::default();
    check_capture(&facts, &mut comparison);
    // By default Go prints no system goroutine.
    let users: BTreeSet<u64> = facts.goroutines.iter().filter(|g| !g.is_system).map(|g| g.goid).collect();
    same_goroutines(&users, &text, &mut comparison);

    for goid in users.iter().copied() {
        let Some(go) = text.get(&goid) else { continue };
        match (before.get(&goid), after.get(&goid)) {
            (Some(captured), Some(later)) => compare_text(captured, later, go, &mut comparison),
            (captured, later) => comparison.differ(goid, "dumped", captured.is_some(), later.is_some()),
        }
    }
    (users.len(), comparison)
}

/// All frames, and `dump --system`, before SIGQUIT's text.
fn compare_sigquit(program: &Program, mut scene: Scene) -> (usize, Comparison) {
    let pid = scene.process.pid();
    let earlier = scene.facts();
    pause(BETWEEN_CAPTURES);
    let dumped = scene.dump("system.db", true);
    let facts = scene.facts();
    assert_free(pid, &program.to_string());
    scene.process.signal(Signal::SIGQUIT);
    let status = scene.process.wait();
    assert_eq!(status.code(), Some(2), "{program}: {status}: {}", scene.errors());
    let text = Traceback::parse(&scene.errors()).unwrap();
    assert!(text.others.last().is_some_and(|t| t.starts_with("rax")), "{program}: the text was cut short");
    // The goroutine on whose stack the signal came is printed from where it was interrupted.
    let handling = text.first;
    let (text, dumped) = (text.by_goid(), dumped.by_goid());
    let mut comparison = Comparison::default();
    check_capture(&facts, &mut comparison);
    let all: BTreeSet<u64> = facts.goroutines.iter().map(|g| g.goid).collect();
    same_goroutines(&all, &text, &mut comparison);

    let earlier: BTreeMap<u64, &Goroutine> = earlier.goroutines.iter().map(|g| (g.goid, g)).collect();
    for captured in &facts.goroutines {
        let goid = captured.goid;
        let Some(go) = text.get(&goid) else { continue };
        if handling == Some(goid) {
            comparison.not_compared.push((goid, "its thread handled the signal".into()));
            continue;
        }
        let Some(first) = earlier.get(&goid) else {
            comparison.not_compared.push((goid, "it started between two captures".into()));
            continue;
        };
        if let Some(why) = moved(&first.header, &captured.header, go, false) {
            comparison.not_compared.push((goid, why));
            continue;
        }
        comparison.counted(go);
        compare_goroutine(&facts, captured, go, &mut comparison);
        match dumped.get(&goid) {
            Some(dumped) if dumped.text != go.text => {
                comparison.differ(goid, "dump --system", &dumped.text, &go.text);
            }
            Some(_) => {}
            None => comparison.differ(goid, "dump --system", (), &go.text),
        }
    }
    (facts.goroutines.len(), comparison)
}

fn same_goroutines(
    captured: &BTreeSet<u64>,
    text: &BTreeMap<u64, &go::Goroutine>,
    comparison: &mut Comparison,
) {
    let of_go: BTreeSet<u64> = text.keys().copied().collect();
    for &goid in captured.symmetric_difference(&of_go) {
        comparison.differ(goid, "is there", captured.contains(&goid), text.get(&goid).map(|g| &g.text));
    }
}

/// Header, all frames and creator.
fn compare_goroutine(
    facts: &ProcessFacts,
    captured: &Goroutine,
    go: &go::Goroutine,
    comparison: &mut Comparison,
) {
    let goid = captured.goid;
    if captured.header != go.header {
        comparison.differ(goid, "header", &captured.header, &go.header);
    }
    let call = |function: u32, file: u32, line: u32| {
        let name = &facts.functions[function as usize].name;
        let name = match name.as_str() {
            "runtime.gopanic" => "panic".to_owned(),
            name => function_name_for_print(name, &facts.go_version),
        };
        (name, facts.files[file as usize].as_str(), line)
    };
    let frames = &facts.stacks[captured.stack as usize].frames;
    let mut ours: Vec<_> = frames.iter().map(|f| call(f.function, f.file, f.line)).collect();
    if let Some((inner, elided)) = go.elided {
        let outer = go.frames.len() - inner;
        if ours.len() != inner + elided + outer {
            comparison.differ(goid, "number of frames", ours.len(), (inner, elided, outer));
            return;
        }
        if (inner, outer) != (50, 50) {
            comparison.differ(goid, "frames around the elided ones", (50, 50), (inner, outer));
        }
        ours.drain(inner..inner + elided);
    }
    let theirs: Vec<_> =
        go.frames.iter().map(|f| (f.function.clone(), f.position.file.as_str(), f.position.line)).collect();
    if ours != theirs {
        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
        let lengths = (ours.len(), theirs.len());
        comparison.differ(goid, &format!("frame {at} of {lengths:?}"), ours.get(at), theirs.get(at));
    }
    // Go does not print who started the main goroutine: nobody did.
    let statement = captured.created_by.filter(|_| goid != 1).map(|s| &facts.go_statements[s as usize]);
    let ours = statement.map(|s| (call(s.function, s.file, s.line), captured.parent_goid));
    let theirs = go
        .created_by
        .as_ref()
        .map(|c| ((c.function.clone(), c.position.file.as_str(), c.position.line), c.parent));
    if ours != theirs {
        comparison.differ(goid, "created by", ours, theirs);
    }
}

/// Plants one error after the other, in the facts and in the text, and sees that each is found.
#[test]
fn every_difference_is_found() {
    type Change = (&'static str, fn(&mut ProcessFacts));
    let changes: &[Change] = &[
        ("function", |f| f.functions[1].name = "main.walk".into()),
        ("type arguments", |f| f.functions[1].name = "main.work".into()),
        ("file", |f| f.files[1] = "/src/other.go".into()),
        ("line", |f| f.stacks[0].frames[1].line = 8),
        ("frame too few", |f| f.stacks[0].frames.truncate(2)),
        ("frame too many", |f| f.stacks[0].frames.extend_from_within(..1)),
        ("header", |f| f.goroutines[0].header = "[chan receive, 2 minutes]".into()),
        ("creator", |f| f.go_statements[0].function = 0),
        ("creator's line", |f| f.go_statements[0].line = 4),
        ("no creator", |f| f.goroutines[0].created_by = None),
        ("parent", |f| f.goroutines[0].parent_goid = Some(2)),
        ("stack cut", |f| f.stacks[0].stop_reason = "budget".into()),
        ("gap", |f| f.gaps.push(Gap { goid: None, what: "frame pointers".into(), reason: "x".into() })),
        ("goroutine", |f| f.goroutines[0].goid = 8),
    ];
    let differences = |facts: &ProcessFacts| {
        let text = Traceback::parse(planted::TEXT).unwrap();
        let mut comparison = Comparison::default();
        check_capture(facts, &mut comparison);
        let goids = facts.goroutines.iter().map(|g| g.goid).collect();
        same_goroutines(&goids, &text.by_goid(), &mut comparison);
        compare_goroutine(facts, &facts.goroutines[0], &text.goroutines[0], &mut comparison);
        comparison.differences
    };
    assert_eq!(differences(&planted::process()), [""; 0]);
    for (name, change) in changes {
        let mut facts = planted::process();
        change(&mut facts);
        assert!(!differences(&facts).is_empty(), "not found: {name}");
    }
}

#[test]
fn elided_frames_are_counted() {
    let with = |inner: usize, elided: usize, outer: usize| {
        let mut facts = planted::process();
        let frame = facts.stacks[0].frames[1];
        facts.stacks[0].frames = vec![frame; 250];
        let mut text = Traceback::parse(planted::TEXT).unwrap().goroutines.remove(0);
        text.frames = vec![text.frames[1].clone(); inner + outer];
        text.elided = Some((inner, elided));
        let mut comparison = Comparison::default();
        compare_goroutine(&facts, &facts.goroutines[0], &text, &mut comparison);
        comparison.differences.len()
    };
    assert_eq!(with(50, 150, 50), 0);
    assert_eq!((with(50, 149, 50), with(50, 151, 50), with(49, 150, 51)), (1, 1, 1));
}
