//! What probes want of the frames at one program counter: looked up once, before the pause where possible.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::deferred::Deferred;
use crate::dwarf::{DebugInfo, without_type_arguments};
use crate::gap::Gap;
use crate::memory::{Image, Memory};
use crate::probe::set::{Probe, Way};
use crate::probe::{BuildProgram, Plan, Program, Scope, check, default_columns};
use crate::runtime::Runtime;
use crate::unwind::PhysicalFrame;
use crate::value::{DebugTypes, Facts, ProcessTypes};
use crate::variable::{FrameVariables, Location, Role};

use super::Order;
use super::captured::{Cell, Problem, Table};
use super::code::ProcessCode;
use super::column::Column;

/// Program counters that are remembered: more than goroutines of one process stand at.
const SITES_MAX: usize = 1 << 20;
/// Expressions that do not fit, of one process: each function that a pattern matches may have its own.
const PROBLEMS_MAX: usize = 1 << 10;

/// Of one program counter.
pub(super) struct Site {
    /// Frames that the source has there, inlined calls included.
    pub(super) calls: u32,
    pub(super) captures: Vec<Capture>,
}

/// One probe's interest in one frame.
pub(super) struct Capture {
    pub(super) table: u32,
    /// Which of the site's frames, from the innermost.
    pub(super) inner: u32,
    pub(super) variables: FrameVariables,
    pub(super) columns: Vec<Column>,
}

impl Capture {
    /// There is something to read.
    pub(super) fn has_values(&self, has_registers: bool) -> bool {
        self.columns.iter().any(|column| column.missing(has_registers).is_none())
    }

    /// What is known without reading; `None`: it has to be read.
    pub(super) fn known(&self, has_registers: bool) -> Vec<Option<Cell>> {
        self.columns.iter().map(|column| column.missing(has_registers)).collect()
    }
}

pub(super) struct Sites<'a> {
    pub(super) process: Process<'a>,
    probes: Vec<&'a Probe>,
    known: FxHashMap<(u64, u64), Rc<Site>>,
    /// By the function's name: which of `probes` are about it.
    interested: FxHashMap<String, Rc<[usize]>>,
    tables: Vec<Table>,
    table_index: FxHashMap<Table, u32>,
    problems: BTreeSet<Problem>,
}

/// What evaluating takes, besides memory.
pub(super) struct Process<'a> {
    pub(super) runtime: &'a Runtime<'a>,
    pub(super) order: &'a Order<'a>,
    pub(super) facts: Facts,
    pub(super) code: ProcessCode<'a>,
    debug: Result<Arc<DebugInfo>, Gap>,
    program: Option<BuildProgram<'a>>,
    pub(super) now_unix_ns: i64,
}

impl<'a> Sites<'a> {
    /// `None`: no probe is about the program.
    pub(super) fn new(runtime: &'a Runtime<'a>, order: &'a Order<'a>) -> Option<Self> {
        let info = &runtime.build.identity.info;
        let wanted = |probe: &&Probe| {
            probe.program.as_ref().is_none_or(|p| p.matches(order.program))
                && probe.module.as_ref().is_none_or(|path| info.has_module(path))
        };
        let mut probes: Vec<&Probe> = order.sets.iter().flat_map(|set| &set.probes).filter(wanted).collect();
        // Debug information is not looked at for what the program does not have.
        probes.retain(|probe| runtime.functions.any_name(|name| probe.function.matches(name)));
        if probes.is_empty() {
            return None;
        }
        let debug = runtime.build.debug_info();
        let program = debug
            .as_ref()
            .ok()
            .map(|debug| BuildProgram::new(Arc::clone(debug), runtime.functions.program()));
        let process = Process {
            runtime,
            order,
            facts: Facts::of(runtime),
            code: ProcessCode { runtime, debug: debug.as_ref().ok().cloned() },
            debug,
            program,
            now_unix_ns: 0,
        };
        Some(Sites {
            process,
            probes,
            known: FxHashMap::default(),
            interested: FxHashMap::default(),
            tables: Vec::new(),
            table_index: FxHashMap::default(),
            problems: BTreeSet::new(),
        })
    }

    pub(super) fn finish(self) -> (Vec<Table>, Vec<Problem>) {
        (self.tables, self.problems.into_iter().collect())
    }

    pub(super) fn at(&mut self, frame: &PhysicalFrame) -> Rc<Site> {
        let key = (frame.pc, frame.call_pc);
        if let Some(site) = self.known.get(&key) {
            return Rc::clone(site);
        }
        let site = Rc::new(self.look_up(frame));
        if self.known.len() < SITES_MAX {
            self.known.insert(key, Rc::clone(&site));
        }
        site
    }

    fn look_up(&mut self, frame: &PhysicalFrame) -> Site {
        let runtime = self.process.runtime;
        let calls = runtime.functions.logical_frames(&frame.function, frame.call_pc);
        let mut captures = Vec::new();
        let mut variables = None;
        // What says which calls are due is written at the function's beginning. Where it may not yet have run, in front of the
        // first instruction that makes room or within the function itself, it is not believed.
        let has_begun = frame.call_pc != frame.pc
            && runtime.functions.stack_delta(&frame.function, frame.call_pc).is_some_and(|delta| delta > 0);
        let deferred = runtime.functions.deferred(&frame.function).filter(|_| has_begun);
        for (inner, call) in calls.iter().enumerate() {
            for &index in self.interested(call.name).iter() {
                let probe = self.probes[index];
                let all = variables.get_or_insert_with(|| self.process.variables(frame));
                // Both lists end with the function itself; debug information may lack calls that were inlined.
                let of_call = all.as_ref().map_err(Gap::clone).and_then(|all| {
                    let from_end = calls.len() - inner;
                    let found = all.len().checked_sub(from_end).and_then(|index| all.get(index));
                    found.filter(|v| same(&v.function, call.name)).cloned().ok_or(Gap::OptimizedOut)
                });
                let has = |name: &String| {
                    of_call
                        .as_ref()
                        .is_ok_and(|of| of.variables.iter().any(|variable| variable.name == *name))
                };
                if probe.variable.as_ref().is_some_and(|name| !has(name)) {
                    continue;
                }
                // What is inlined defers nothing: the compiler does not inline that.
                let deferred = if inner + 1 == calls.len() { deferred } else { None };
                captures.push(self.capture(probe, call.name, inner as u32, of_call, deferred));
            }
        }
        Site { calls: calls.len() as u32, captures }
    }

    fn interested(&mut self, function: &str) -> Rc<[usize]> {
        if let Some(known) = self.interested.get(function) {
            return Rc::clone(known);
        }
        let matching = self.probes.iter().enumerate().filter(|(_, probe)| probe.function.matches(function));
        let matching: Rc<[usize]> = matching.map(|(index, _)| index).collect();
        self.interested.insert(function.to_owned(), Rc::clone(&matching));
        matching
    }

    fn capture(
        &mut self,
        probe: &Probe,
        function: &str,
        inner: u32,
        variables: Result<FrameVariables, Gap>,
        deferred: Option<Deferred>,
    ) -> Capture {
        let empty = FrameVariables { function: function.to_owned(), variables: Vec::new() };
        let (variables, missing) = match variables {
            Ok(variables) => (variables, None),
            Err(gap) => (empty, Some(gap)),
        };
        // A captured variable is known by its name, which must be the only one of its function.
        let declared = match (&deferred, &self.process.program) {
            (Some(_), Some(program)) => program.declared(&variables.function).ok(),
            _ => None,
        };
        let captured_by = |name: &str| {
            let of_name = declared.iter().flat_map(|all| all.iter()).filter(|(declared, _)| declared == name);
            deferred.filter(|_| of_name.count() == 1)
        };
        let nothing = Image::default();
        let types = self.process.types(&nothing);
        let (names, columns): (Vec<String>, Vec<Column>) = match (&probe.capture, &missing) {
            (Some(wanted), missing) => {
                let mut columns = Vec::with_capacity(wanted.len());
                for column in wanted {
                    let plan = |way: &Way| match (missing, &self.process.program) {
                        (Some(gap), _) => Err(gap.clone()),
                        (None, None) => Err(Gap::NoDebugInfo),
                        (None, Some(program)) => {
                            let scope = Scope {
                                function: &variables.function,
                                variables: &variables.variables,
                                program,
                            };
                            check(&way.expression, &scope, &types)
                                .map_err(|problem| Gap::Expression(format!("{}: {problem}", way.text)))
                        }
                    };
                    let plans: Vec<_> = column.ways.iter().map(plan).collect();
                    // Of several expressions most are for other releases.
                    let fits = |plan: &Result<Plan, Gap>| !matches!(plan, Err(Gap::Expression(_)));
                    if let Some(Err(Gap::Expression(what))) = plans.first()
                        && !probe.is_quiet
                        && !plans.iter().any(fits)
                        && self.problems.len() < PROBLEMS_MAX
                    {
                        self.problems.insert(Problem {
                            probe: probe.name.clone(),
                            function: function.to_owned(),
                            column: column.name.clone(),
                            what: what.clone(),
                        });
                    }
                    columns.push(Column::new(plans, &variables, &captured_by));
                }
                (wanted.iter().map(|column| column.name.clone()).collect(), columns)
            }
            (None, Some(_)) => (Vec::new(), Vec::new()),
            (None, None) => default_columns(&variables.variables, &types)
                .into_iter()
                .map(|(name, plan)| (name, Column::new(vec![Ok(plan)], &variables, &captured_by)))
                .unzip(),
        };
        let table = self.table(Table { probe: probe.name.clone(), columns: names });
        Capture { table, inner, variables, columns }
    }

    fn table(&mut self, table: Table) -> u32 {
        if let Some(&index) = self.table_index.get(&table) {
            return index;
        }
        let index = self.tables.len() as u32;
        self.tables.push(table.clone());
        self.table_index.insert(table, index);
        index
    }
}

impl<'a> Process<'a> {
    pub(super) fn types<'m>(&'m self, memory: &'m dyn Memory) -> ProcessTypes<'m> {
        let debug = self.debug.as_ref().ok().map(|debug| &**debug as &dyn DebugTypes);
        ProcessTypes::new(debug, memory, &self.facts)
    }

    /// Of all calls at a frame's program counter, innermost first.
    fn variables(&self, frame: &PhysicalFrame) -> Result<Vec<FrameVariables>, Gap> {
        let debug = self.debug.as_ref().map_err(Gap::clone)?;
        // Addresses of the file.
        let text = self.runtime.text.wrapping_sub(self.runtime.bias);
        let executable = &self.runtime.build.identity.executable;
        let evidence = self.runtime.functions.evidence(&frame.function, frame.call_pc, text, executable);
        let mut frames = debug.variables(text.wrapping_add(frame.call_pc), &evidence)?;
        // Debug information does not say which instruction stores an argument to its slot. At a call it has been done.
        let runs = frame.call_pc == frame.pc;
        if let Some(function) = frames.last_mut().filter(|_| runs) {
            let arguments = function.variables.iter_mut().filter(|v| v.role == Role::Argument);
            for argument in arguments.filter(|v| matches!(v.location, Location::Frame(_))) {
                argument.location = Location::Missing(Gap::SlotNotLive);
            }
        }
        Ok(frames)
    }
}

/// Whether debug information's name is that of the function table, where type arguments are `[...]`.
fn same(of_debug: &str, of_table: &str) -> bool {
    without_type_arguments(of_debug) == without_type_arguments(of_table)
}
