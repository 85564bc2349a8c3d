//! Domain types to wire types: the node's edge.

use std::collections::HashMap;

use stillframe_golang::build::Build;
use stillframe_golang::decode::{self, Goroutines};
use stillframe_golang::package::{Distribution, of_function};
use stillframe_golang::probe::set::EnvironmentFits;
use stillframe_golang::probing::Captured;
use stillframe_target::freeze::Pause;
use stillframe_wire::facts::{
    self, Completeness, Frame, Function, Gap, GoStatement, Goroutine, PauseWindow, ProcessFacts, Stack,
};
use stillframe_wire::limits::{ARGUMENTS_BYTES_MAX, WAITS_PER_GOROUTINE_MAX};

use crate::ages::Ages;
use crate::sockets::Converted;
use crate::values;
use crate::waits::{self, Clocks};

/// What is known of a process beside its goroutines.
pub(crate) struct About {
    pub(crate) pid: u32,
    pub(crate) ns_pid: u32,
    pub(crate) started_unix_ns: Option<i64>,
    pub(crate) container_id: Option<String>,
    pub(crate) exe: String,
    pub(crate) cmdline: String,
    pub(crate) threads: u32,
    pub(crate) pause: Option<PauseWindow>,
    /// When it stood still, by CLOCK_MONOTONIC.
    pub(crate) frozen_monotonic_ns: Option<i64>,
    pub(crate) environment: EnvironmentFits,
    pub(crate) descriptors: Converted,
}

pub(crate) fn process(
    about: About,
    build: &Build,
    goroutines: Goroutines,
    captured: Captured,
    ages: &Ages<'_>,
) -> ProcessFacts {
    let values = values::convert(captured, &goroutines);
    let info = &build.identity.info;
    let files = goroutines.files;
    let file = |f: &decode::SourceFunction| files.get(f.file as usize).map_or("", String::as_str);
    // Every whole stack ends in `runtime.goexit`, which tells where the Go distribution was.
    let of_runtime = goroutines.functions.iter().find(|f| f.name == "runtime.goexit");
    let distribution = Distribution::new(of_runtime.map_or("", file), info);
    let functions = goroutines
        .functions
        .into_iter()
        .map(|f| {
            let package = of_function(&f.name);
            Function {
                is_standard_library: distribution.has(&package, file(&f)),
                name: f.name,
                package,
                file: f.file,
                start_line: line(f.start_line),
            }
        })
        .collect();
    let mut gaps: Vec<Gap> = goroutines
        .missing
        .into_iter()
        .map(|m| Gap { goid: m.goid, what: m.what.to_owned(), reason: m.reason })
        .collect();
    if goroutines.frame_pointer_mismatches > 0 {
        gaps.push(Gap {
            goid: None,
            what: "cross-check".to_owned(),
            reason: format!(
                "frame pointers of {} parked goroutines pass other callers than the function table",
                goroutines.frame_pointer_mismatches
            ),
        });
    }
    let clocks = Clocks::of(about.pause.as_ref(), about.frozen_monotonic_ns);
    let Converted { sockets, files: open_files, gap: sockets_gap } = about.descriptors;
    let of_goroutine = |of| goroutine(of, clocks, &open_files, ages, &mut gaps);
    let mut converted: Vec<Goroutine> = goroutines.goroutines.into_iter().map(of_goroutine).collect();
    gaps.extend(converted.iter_mut().filter_map(bound_arguments));
    // A gap in one goroutine is a row of its own; the process is partial when it is not known what is missing.
    let of_process = gaps.iter().find(|g| g.goid.is_none() || g.reason == "budget");
    let reason = of_process.map(|g| format!("{}: {}", g.what, g.reason));
    // What a probe asked for in vain is not missing from the process.
    gaps.extend(values.gaps);
    gaps.extend(ages.gap());
    // Connections come and go in every process that serves anything.
    gaps.extend(sockets_gap);
    ProcessFacts {
        pid: about.pid,
        ns_pid: about.ns_pid,
        started_unix_ns: about.started_unix_ns,
        program: program(&about.exe),
        container_id: about.container_id,
        exe: about.exe,
        cmdline: about.cmdline,
        build_id: build.identity.id.clone(),
        go_version: info.version.to_string(),
        main_module: info.main_module.as_ref().map(|m| format!("{} {}", m.path, m.version).trim().to_owned()),
        arch: build.identity.executable.architecture.name().to_owned(),
        threads: about.threads,
        pause: about.pause,
        completeness: if reason.is_some() { Completeness::Partial } else { Completeness::Complete },
        reason,
        environment: environment(about.environment),
        files,
        functions,
        stacks: goroutines.stacks.into_iter().map(stack).collect(),
        go_statements: goroutines.go_statements.into_iter().map(go_statement).collect(),
        sockets,
        goroutines: converted,
        types: values.types,
        probe_tables: values.tables,
        probe_rows: values.rows,
        gaps,
    }
}

fn environment(environment: EnvironmentFits) -> facts::EnvironmentFits {
    match environment {
        EnvironmentFits::NotAsked => facts::EnvironmentFits::NotAsked,
        EnvironmentFits::Rules(numbers) => facts::EnvironmentFits::Rules(numbers),
        EnvironmentFits::Unknown(why) => facts::EnvironmentFits::Unknown(why),
    }
}

/// An executable's file name.
pub fn program(exe: &str) -> String {
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    exe.rsplit('/').next().unwrap_or(exe).to_owned()
}

/// Lines of a damaged table may be negative.
fn line(line: i32) -> u32 {
    u32::try_from(line).unwrap_or(0)
}

/// `reused`: stacks that were copied before.
pub(crate) fn pause(pause: Pause, reused: usize) -> PauseWindow {
    PauseWindow {
        pause_start_unix_ns: pause.pause_start_ns,
        pause_ns: pause.pause.as_nanos() as i64,
        frozen_start_unix_ns: pause.frozen_start_ns,
        frozen_ns: pause.frozen.as_nanos() as i64,
        reused: u32::try_from(reused).unwrap_or(u32::MAX),
    }
}

fn stack(stack: decode::GoStack) -> Stack {
    let frame = |f: decode::Frame| Frame {
        function: f.function,
        file: f.file,
        line: line(f.line),
        inlined: f.inlined,
        shown: f.shown,
        pc: f.pc,
        function_offset: f.function_offset as u32,
    };
    Stack { frames: stack.frames.into_iter().map(frame).collect(), stop_reason: stack.stop.to_string() }
}

fn go_statement(statement: decode::GoStatement) -> GoStatement {
    GoStatement {
        function: statement.function,
        file: statement.file,
        line: line(statement.line),
        function_offset: statement.function_offset as u32,
        shown: statement.shown,
    }
}

/// Leaves out the lines of a very deep stack's arguments that a peer would not take.
fn bound_arguments(goroutine: &mut Goroutine) -> Option<Gap> {
    if goroutine.arguments.len() <= ARGUMENTS_BYTES_MAX {
        return None;
    }
    let end = goroutine.arguments.floor_char_boundary(ARGUMENTS_BYTES_MAX);
    let whole_lines = goroutine.arguments[..end].rfind('\n').unwrap_or(0);
    goroutine.arguments.truncate(whole_lines);
    Some(Gap {
        goid: Some(goroutine.goid),
        what: "arguments".to_owned(),
        reason: format!("those of the outer frames are left out above {ARGUMENTS_BYTES_MAX} bytes"),
    })
}

fn goroutine(
    goroutine: decode::Goroutine,
    clocks: Clocks,
    open_files: &HashMap<u32, String>,
    ages: &Ages<'_>,
    gaps: &mut Vec<Gap>,
) -> Goroutine {
    let (blocked, born) = ages.of(&goroutine, clocks);
    if goroutine.waits.len() > WAITS_PER_GOROUTINE_MAX {
        let reason = format!("cases of its select above {WAITS_PER_GOROUTINE_MAX} are left out");
        gaps.push(Gap { goid: Some(goroutine.goid), what: "wait".to_owned(), reason });
    }
    let waits = goroutine.waits.into_iter().take(WAITS_PER_GOROUTINE_MAX);
    Goroutine {
        goid: goroutine.goid,
        status: goroutine.status.name().to_owned(),
        wait_reason: goroutine.wait_reason,
        header: goroutine.header,
        stack: goroutine.stack,
        arguments: goroutine.arguments,
        parent_goid: goroutine.parent_goid,
        created_by: goroutine.created_by,
        start_function: goroutine.start_function,
        thread_id: goroutine.thread,
        on_cpu: goroutine.on_cpu,
        is_system: goroutine.is_system,
        labels: goroutine.labels,
        waits: waits.map(|wait| waits::wait(wait, clocks, open_files)).collect(),
        blocked,
        born,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_cut_at_a_line_and_a_gap_says_so() {
        let line = "0x1, 0x2, 0x3\n";
        let mut goroutine = Goroutine {
            goid: 7,
            status: "waiting".into(),
            wait_reason: None,
            header: "[select]".into(),
            stack: 0,
            arguments: line.repeat(ARGUMENTS_BYTES_MAX / line.len()),
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
        assert_eq!(bound_arguments(&mut goroutine), None);
        goroutine.arguments.push_str(&line.repeat(3));
        let gap = bound_arguments(&mut goroutine).unwrap();
        assert_eq!((gap.goid, gap.what.as_str()), (Some(7), "arguments"));
        assert!(goroutine.arguments.ends_with("0x3"));
        assert_eq!(goroutine.arguments.lines().count(), ARGUMENTS_BYTES_MAX / line.len());
    }
}
