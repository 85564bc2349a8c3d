//! One process on its way into the file, batch by batch.
//!
//! What is kept of it in memory are the tables that later batches name by index (files, functions, go statements,
//! stacks, types, columns of probes) and gaps whose goroutine is not yet looked up: bounded by limits, and not by the number of goroutines.

use rusqlite::params;
use stillframe_wire::batch::{Batch, Counts, ProcessHead};
use stillframe_wire::facts::{Completeness, Frame, Function, Gap, GoStatement, Goroutine, ProbeTable, Stack};
use stillframe_wire::limits::TABLE_TEXT_BYTES_MAX;

use super::defect::{self, Defect};
use super::file::Database;
use super::interner::Interned;
use super::order::{HostKey, ProcessSummary, WriteError};
use super::rows::{NamedFrame, labels_json, stack_text, user_function_id};
use super::sets;
use super::sockets::SocketLoad;
use super::tables::{Tables, Watermark};
use super::values::{Goroutines, ValueLoad};
use crate::traceback::function_name_for_print;

/// What a column of a probe takes in memory beside its name.
const COLUMN_BYTES: usize = 48;
/// Gaps whose goroutines are looked up in one pass over the process's rows, for which there is no index yet.
const GAPS_PENDING_MAX: usize = 1 << 18;

/// Where a process's batches are; they come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Head,
    Files,
    Functions,
    GoStatements,
    Stacks,
    Sockets,
    Goroutines,
    Types,
    ProbeTables,
    ProbeRows,
    Gaps,
    Done,
}

/// A process that is not whole yet.
pub(super) struct ProcessLoad {
    pub(super) host: HostKey,
    /// Its row's id, once it is whole.
    process_id: i64,
    /// How errors name it.
    target: String,
    /// What stood in the file before it.
    pub(super) before: Watermark,
    stage: Stage,
    head: Option<ProcessHead>,
    files: Vec<String>,
    functions: Vec<KnownFunction>,
    go_statements: Vec<KnownGoStatement>,
    stack_ids: Vec<i64>,
    sockets: SocketLoad,
    table_text_bytes: usize,
    counts: Counts,
    values: ValueLoad,
    gaps_pending: Vec<PendingGap>,
}

struct KnownFunction {
    function_id: i64,
    /// As Go prints it.
    name: String,
    is_standard_library: bool,
}

struct KnownGoStatement {
    go_statement_id: i64,
    function_id: i64,
    line: u32,
}

/// A row of `gaps` that is to name a goroutine.
struct PendingGap {
    goid: i64,
    gap_id: i64,
    goroutine_id: Option<i64>,
}

/// What ends a load: a defect of the facts, or of the file.
pub(super) enum Refusal {
    Facts(Defect),
    File(WriteError),
}

impl From<Defect> for Refusal {
    fn from(defect: Defect) -> Self {
        Refusal::Facts(defect)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        Refusal::File(error)
    }
}

impl ProcessLoad {
    pub(super) fn new(host: HostKey, process_id: i64, target: &str, before: Watermark) -> Self {
        Self {
            host,
            process_id,
            target: target.to_owned(),
            before,
            stage: Stage::Start,
            head: None,
            files: Vec::new(),
            functions: Vec::new(),
            go_statements: Vec::new(),
            stack_ids: Vec::new(),
            sockets: SocketLoad::default(),
            table_text_bytes: 0,
            counts: Counts::default(),
            values: ValueLoad::default(),
            gaps_pending: Vec::new(),
        }
    }

    pub(super) fn batch(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        batch: &Batch,
    ) -> Result<(), WriteError> {
        let taken = self.take(database, tables, batch);
        taken.map_err(|refusal| match refusal {
            Refusal::File(error) => error,
            Refusal::Facts(defect) => self.bad(defect),
        })
    }

    /// Writes the process's own row: the last one, so that it counts only if everything is there.
    pub(super) fn end(
        &self,
        database: &Database,
        tables: &mut Tables,
    ) -> Result<(ProcessHead, ProcessSummary), WriteError> {
        let (Stage::Done, Some(head)) = (self.stage, &self.head) else {
            return Err(self.bad(Defect::Unfinished { after: self.stage.name() }));
        };
        let state = match head.completeness {
            Completeness::Complete => "complete",
            Completeness::Partial => "partial",
            Completeness::Failed => "failed",
        };
        self.insert_process(database, head, state)?;
        tables.probes.merge(self.values.tables());
        let summary = ProcessSummary {
            pid: head.pid,
            program: head.program.clone(),
            goroutines: self.counts.goroutines,
            pause_ns: head.pause.map(|window| window.pause_ns),
            frozen_ns: head.pause.map(|window| window.frozen_ns),
            state,
            reason: head.reason.clone(),
        };
        Ok((head.clone(), summary))
    }

    fn bad(&self, defect: Defect) -> WriteError {
        WriteError::BadFacts { target: self.target.clone(), defect }
    }

    fn take(&mut self, database: &Database, tables: &mut Tables, batch: &Batch) -> Result<(), Refusal> {
        self.advance(Stage::of(batch))?;
        self.counts.add(batch);
        defect::counts(&self.counts)?;
        match batch {
            Batch::Process(head) => {
                defect::head(head)?;
                self.target = format!("{}: pid {} ({})", self.target, head.pid, head.program);
                self.head = Some(head.clone());
                Ok(())
            }
            Batch::Files(files) => self.keep_files(files),
            Batch::Functions(functions) => self.insert_functions(database, tables, functions),
            Batch::GoStatements(statements) => self.insert_go_statements(database, tables, statements),
            Batch::Stacks(stacks) => self.insert_stacks(database, tables, stacks),
            Batch::Sockets(sockets) => self.sockets.insert(database, tables, self.process_id, sockets),
            Batch::Goroutines(goroutines) => self.insert_goroutines(database, tables, goroutines),
            Batch::Types(types) => self.keep_types(types),
            Batch::ProbeTables(probe_tables) => self.keep_probe_tables(tables, probe_tables),
            Batch::ProbeRows(rows) => {
                self.values.insert_rows(database, &tables.probes, self.goroutines(), rows)
            }
            Batch::Gaps(gaps) => self.insert_gaps(database, tables, gaps),
            Batch::Done(counts) => {
                defect::agree(counts, &self.counts)?;
                self.values.check_frames(database, self.goroutines())?;
                self.find_goroutines_of_gaps(database)
            }
        }
    }

    fn advance(&mut self, to: Stage) -> Result<(), Defect> {
        let fits = match self.stage {
            Stage::Start => to == Stage::Head,
            Stage::Done => false,
            stage => to > Stage::Head && to >= stage,
        };
        if !fits {
            return Err(Defect::Order { got: to.name(), after: self.stage.name() });
        }
        self.stage = to;
        Ok(())
    }

    /// The tables whose text is kept are bounded together.
    fn keep_text(&mut self, bytes: usize) -> Result<(), Defect> {
        self.table_text_bytes += bytes;
        defect::within(
            "the text of all files, functions, types and columns",
            self.table_text_bytes,
            TABLE_TEXT_BYTES_MAX,
        )
    }

    fn head(&self) -> Result<&ProcessHead, Defect> {
        self.head.as_ref().ok_or(Defect::Unfinished { after: self.stage.name() })
    }

    fn file(&self, index: u32) -> Result<&str, Defect> {
        self.files.get(index as usize).map(String::as_str).ok_or_else(|| absent("file", index))
    }

    fn function(&self, index: u32) -> Result<&KnownFunction, Defect> {
        self.functions.get(index as usize).ok_or_else(|| absent("function", index))
    }

    fn keep_files(&mut self, files: &[String]) -> Result<(), Refusal> {
        for file in files {
            defect::file(file)?;
            self.keep_text(file.len())?;
            self.files.push(file.clone());
        }
        Ok(())
    }

    fn insert_functions(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        functions: &[Function],
    ) -> Result<(), Refusal> {
        let mut insert = database.prepare("insert into functions values (?, ?, ?, ?, ?, ?, ?)")?;
        for function in functions {
            defect::function(function)?;
            let Function { name: symbol, package, start_line, is_standard_library, .. } = function;
            let name = function_name_for_print(symbol, &self.head()?.go_version);
            self.keep_text(name.len())?;
            let file = self.file(function.file)?;
            let function_id = match tables.functions.intern(&(&name, symbol, file, start_line), None) {
                Interned::Known(id) => id,
                Interned::New(id) => {
                    let row = params![id, name, symbol, package, file, start_line, is_standard_library];
                    database.insert(&mut insert, row)?;
                    id
                }
            };
            let is_standard_library = *is_standard_library;
            self.functions.push(KnownFunction { function_id, name, is_standard_library });
        }
        Ok(())
    }

    fn insert_go_statements(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        statements: &[GoStatement],
    ) -> Result<(), Refusal> {
        let mut insert = database.prepare("insert into go_statements values (?, ?, ?, ?, ?, ?)")?;
        for go in statements {
            let function_id = self.function(go.function)?.function_id;
            let file = self.file(go.file)?;
            let key = (function_id, file, go.line, go.function_offset, go.shown);
            let go_statement_id = match tables.go_statements.intern(&key, None) {
                Interned::Known(id) => id,
                Interned::New(id) => {
                    let row = params![id, function_id, file, go.line, go.function_offset, go.shown];
                    database.insert(&mut insert, row)?;
                    id
                }
            };
            self.go_statements.push(KnownGoStatement { go_statement_id, function_id, line: go.line });
        }
        Ok(())
    }

    fn insert_stacks(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        stacks: &[Stack],
    ) -> Result<(), Refusal> {
        let mut insert = database.prepare("insert into stacks values (?, ?, ?, ?, ?, ?, ?)")?;
        let mut insert_frame =
            database.prepare("insert into stack_frames values (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for stack in stacks {
            defect::stack(stack)?;
            let frames: Vec<NamedFrame> =
                stack.frames.iter().map(|frame| self.named(frame)).collect::<Result<_, Defect>>()?;
            let build_id = &self.head()?.build_id;
            let keys: Vec<_> = frames.iter().map(NamedFrame::key).collect();
            let id = match tables.stacks.intern(&(build_id, &keys, &stack.stop_reason), None) {
                Interned::Known(id) => {
                    self.stack_ids.push(id);
                    continue;
                }
                Interned::New(id) => id,
            };
            let lines: Vec<(&str, u32)> =
                frames.iter().map(|named| (named.function_name, named.frame.line)).collect();
            let (Interned::Known(group) | Interned::New(group)) = tables.groups.intern(&lines, Some(id));
            let depth = frames.len() as i64;
            let user_function = user_function_id(&frames);
            let text = stack_text(&frames);
            let row = params![id, build_id, depth, stack.stop_reason, user_function, group, text];
            database.insert(&mut insert, row)?;
            for (depth, key) in keys.iter().enumerate() {
                let row = params![
                    id,
                    depth as i64,
                    key.function_id,
                    key.file,
                    key.line,
                    key.inlined,
                    key.shown,
                    key.pc as i64,
                    key.function_offset
                ];
                database.insert(&mut insert_frame, row)?;
            }
            self.stack_ids.push(id);
        }
        Ok(())
    }

    fn named<'a>(&'a self, frame: &'a Frame) -> Result<NamedFrame<'a>, Defect> {
        let function = self.function(frame.function)?;
        Ok(NamedFrame {
            frame,
            function_id: function.function_id,
            function_name: &function.name,
            is_standard_library: function.is_standard_library,
            file: self.file(frame.file)?,
        })
    }

    fn insert_goroutines(
        &mut self,
        database: &Database,
        tables: &mut Tables,
        goroutines: &[Goroutine],
    ) -> Result<(), Refusal> {
        let mut insert = database.prepare(
            "insert into goroutines (goroutine_id, process_id, goid, status, wait_reason,
                 blocked_since_after_unix_ns, blocked_since_before_unix_ns, blocked_source,
                 born_after_unix_ns, born_before_unix_ns, born_source, stack_id, parent_goid,
                 created_by_function_id, created_by_line, go_statement_id, start_function_id, thread_id, on_cpu,
                 is_system, labels, header, arguments)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let mut insert_wait = database.prepare("insert into waits values (?, ?, ?, ?, ?, ?)")?;
        for goroutine in goroutines {
            defect::goroutine(goroutine)?;
            let stack = goroutine.stack;
            let stack_id = self.stack_ids.get(stack as usize).ok_or_else(|| absent("stack", stack))?;
            let created_by = match goroutine.created_by {
                None => None,
                Some(go) => {
                    Some(self.go_statements.get(go as usize).ok_or_else(|| absent("go statement", go))?)
                }
            };
            let start_function =
                goroutine.start_function.map(|function| self.function(function)).transpose()?;
            let Goroutine { status, wait_reason, header, arguments, thread_id, on_cpu, is_system, .. } =
                goroutine;
            let goid = defect::goid(goroutine.goid)?;
            let parent_goid = goroutine.parent_goid.map(defect::goid).transpose()?;
            let (blocked, born) = (goroutine.blocked, goroutine.born);
            tables.goroutines += 1;
            let row = params![
                tables.goroutines,
                self.process_id,
                goid,
                status,
                wait_reason,
                blocked.and_then(|since| since.after_unix_ns),
                blocked.and_then(|since| since.before_unix_ns),
                blocked.map(|since| since.source.text()),
                born.and_then(|since| since.after_unix_ns),
                born.and_then(|since| since.before_unix_ns),
                born.map(|since| since.source.text()),
                stack_id,
                parent_goid,
                created_by.map(|go| go.function_id),
                created_by.map(|go| go.line),
                created_by.map(|go| go.go_statement_id),
                start_function.map(|function| function.function_id),
                thread_id,
                on_cpu,
                is_system,
                labels_json(&goroutine.labels),
                header,
                (!arguments.is_empty()).then_some(arguments),
            ];
            database.insert(&mut insert, row)?;
            for (wait, ordinal) in goroutine.waits.iter().zip(0i64..) {
                let address = wait.address.map(u64::cast_signed);
                let detail = (!wait.detail.is_empty()).then_some(&wait.detail);
                let row = params![tables.goroutines, ordinal, wait.kind, wait.any, address, detail];
                database.insert(&mut insert_wait, row)?;
            }
        }
        Ok(())
    }

    fn keep_types(&mut self, types: &[String]) -> Result<(), Refusal> {
        for name in types {
            self.keep_text(name.len())?;
            self.values.keep_type(name)?;
        }
        Ok(())
    }

    fn keep_probe_tables(&mut self, tables: &Tables, probe_tables: &[ProbeTable]) -> Result<(), Refusal> {
        for table in probe_tables {
            self.keep_text(table.columns.iter().map(|column| column.len() + COLUMN_BYTES).sum())?;
            self.values.keep_table(&tables.probes, table)?;
        }
        Ok(())
    }

    fn goroutines(&self) -> Goroutines {
        Goroutines { before: self.before.goroutines, count: self.counts.goroutines }
    }

    fn insert_gaps(&mut self, database: &Database, tables: &mut Tables, gaps: &[Gap]) -> Result<(), Refusal> {
        let mut insert = database.prepare("insert into gaps values (?, ?, ?, null, ?, ?)")?;
        for gap in gaps {
            defect::gap(gap)?;
            tables.gaps += 1;
            let gap_id = tables.gaps;
            if let Some(goid) = gap.goid {
                let goid = defect::goid(goid)?;
                self.gaps_pending.push(PendingGap { goid, gap_id, goroutine_id: None });
            }
            let row = params![gap_id, self.host.0, self.process_id, gap.what, gap.reason];
            database.insert(&mut insert, row)?;
            if self.gaps_pending.len() == GAPS_PENDING_MAX {
                self.find_goroutines_of_gaps(database)?;
            }
        }
        Ok(())
    }

    /// Gives the pending gaps their goroutines, by one pass over the process's rows. A gap whose goroutine could not be
    /// captured at all has none; of goroutines with the same number it is the last one.
    fn find_goroutines_of_gaps(&mut self, database: &Database) -> Result<(), Refusal> {
        if self.gaps_pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.gaps_pending);
        pending.sort_unstable_by_key(|gap| gap.goid);
        let failed = |source| Refusal::File(database.failed(source));
        let mut select =
            database.prepare("select goid, goroutine_id from goroutines where goroutine_id > ?")?;
        let mut rows = select.query([self.before.goroutines]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (goid, goroutine_id): (i64, i64) = row.try_into().map_err(failed)?;
            // The first gap of the goroutine stands for all of them: a peer may send very many.
            let first = pending.partition_point(|gap| gap.goid < goid);
            if let Some(gap) = pending.get_mut(first).filter(|gap| gap.goid == goid) {
                gap.goroutine_id = Some(goroutine_id);
            }
        }
        let mut update = database.prepare("update gaps set goroutine_id = ? where gap_id = ?")?;
        for gaps in pending.chunk_by(|one, next| one.goid == next.goid) {
            let Some(goroutine_id) = gaps[0].goroutine_id else { continue };
            for gap in gaps {
                database.insert(&mut update, params![goroutine_id, gap.gap_id])?;
            }
        }
        Ok(())
    }

    fn insert_process(&self, database: &Database, head: &ProcessHead, state: &str) -> Result<(), WriteError> {
        let pause = head.pause.as_ref();
        database.execute(
            "insert into processes (process_id, host_id, pid, ns_pid, started_unix_ns, program, container_id, exe,
                 cmdline, main_module, build_id, go_version, arch, threads, goroutines, reused,
                 pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns, state, reason,
                 environment_rules)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                self.process_id,
                self.host.0,
                head.pid,
                head.ns_pid,
                head.started_unix_ns,
                head.program,
                head.container_id,
                head.exe,
                head.cmdline,
                head.main_module,
                head.build_id,
                head.go_version,
                head.arch,
                head.threads,
                self.counts.goroutines as i64,
                pause.map_or(0, |window| window.reused),
                pause.map(|window| window.pause_start_unix_ns),
                pause.map(|window| window.pause_ns),
                pause.map(|window| window.frozen_start_unix_ns),
                pause.map(|window| window.frozen_ns),
                state,
                head.reason,
                sets::program::environment_rules(&head.environment),
            ],
        )
    }
}

impl Stage {
    fn of(batch: &Batch) -> Self {
        match batch {
            Batch::Process(_) => Stage::Head,
            Batch::Files(_) => Stage::Files,
            Batch::Functions(_) => Stage::Functions,
            Batch::GoStatements(_) => Stage::GoStatements,
            Batch::Stacks(_) => Stage::Stacks,
            Batch::Sockets(_) => Stage::Sockets,
            Batch::Goroutines(_) => Stage::Goroutines,
            Batch::Types(_) => Stage::Types,
            Batch::ProbeTables(_) => Stage::ProbeTables,
            Batch::ProbeRows(_) => Stage::ProbeRows,
            Batch::Gaps(_) => Stage::Gaps,
            Batch::Done(_) => Stage::Done,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Stage::Start => "nothing",
            Stage::Head => "the process itself",
            Stage::Files => "files",
            Stage::Functions => "functions",
            Stage::GoStatements => "go statements",
            Stage::Stacks => "stacks",
            Stage::Sockets => "sockets",
            Stage::Goroutines => "goroutines",
            Stage::Types => "types",
            Stage::ProbeTables => "columns of probes",
            Stage::ProbeRows => "values",
            Stage::Gaps => "gaps",
            Stage::Done => "the end",
        }
    }
}

pub(super) fn absent(what: &'static str, index: u32) -> Defect {
    Defect::Index { what, index: index.into() }
}
