//! Writes a snapshot file: whole, or not at all.
//!
//! Rows go to a temporary file beside the output, without journal and without syncing, because a file that is not
//! finished is deleted anyway: by every error and by dropping the writer. [`SnapshotWriter::finish`] adds views and
//! indices, checks the file, syncs it and renames it. Nobody ever sees half a snapshot under the output's name.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use stillframe_wire::facts::{Completeness, Function, Goroutine, HostFacts, ProcessFacts};
use tempfile::{NamedTempFile, TempPath};

use super::about::ABOUT;
use super::cut::Cut;
use super::file::{Load, folder_of, open_for_load, publish};
use super::interner::{Interned, Interner};
use super::order::{
    ClockBound, Existing, HostKey, LostProcess, ProcessKey, ProcessSummary, SnapshotMeta, Summary, WriteError,
};
use super::rows::{
    ProcessIds, frame_keys, goid, labels_json, printed_names, stack_text, text_of, user_function,
};
use super::schema;
use crate::traceback::function_name_for_print;

/// A snapshot in the making.
pub struct SnapshotWriter {
    /// Before `temporary`, so that a drop closes the database first.
    connection: Connection,
    temporary: TempPath,
    output: PathBuf,
    existing: Existing,
    meta: SnapshotMeta,
    functions: Interner,
    stacks: Interner,
    groups: Interner,
    go_statements: Interner,
    hosts: Vec<ClockBound>,
    processes: Vec<ProcessSummary>,
    cut: Cut,
    taken_at_unix_ns: Option<i64>,
    goroutines: i64,
    gaps: u64,
    rows_pending: usize,
}

impl SnapshotWriter {
    /// Starts a temporary file in the folder of `output`.
    pub fn create(output: &Path, existing: Existing, meta: SnapshotMeta) -> Result<Self, WriteError> {
        let failed = |source| WriteError::Output { path: output.to_owned(), source };
        match output.symlink_metadata() {
            Ok(found) if found.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(_) if existing == Existing::Refuse => {
                return Err(WriteError::Exists { path: output.to_owned() });
            }
            _ => {}
        }
        let temporary = tempfile::Builder::new()
            .prefix(".stillframe-")
            .suffix(".partial")
            .tempfile_in(folder_of(output))
            .map(NamedTempFile::into_temp_path)
            .map_err(failed)?;
        let connection = open_for_load(&temporary)
            .map_err(|source| WriteError::Database { path: output.to_owned(), source })?;
        Ok(Self {
            connection,
            temporary,
            output: output.to_owned(),
            existing,
            meta,
            functions: Interner::new(),
            stacks: Interner::new(),
            groups: Interner::new(),
            go_statements: Interner::new(),
            hosts: Vec::new(),
            processes: Vec::new(),
            cut: Cut::default(),
            taken_at_unix_ns: None,
            goroutines: 0,
            gaps: 0,
            rows_pending: 0,
        })
    }

    /// The file to delete if this process is about to end without dropping the writer.
    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    pub fn host(&mut self, facts: &HostFacts, clock: ClockBound) -> Result<HostKey, WriteError> {
        self.hosts.push(clock);
        let host = self.hosts.len() as i64;
        self.connection
            .execute(
                "insert into hosts values (?, ?, ?, ?, ?, ?, ?, 'complete', null)",
                params![
                    host,
                    facts.hostname,
                    facts.kernel,
                    facts.arch,
                    facts.node_version,
                    clock.offset_ns,
                    clock.error_ns
                ],
            )
            .map_err(|source| self.failed(source))?;
        Ok(HostKey(host))
    }

    /// Adds a process that was captured, whole.
    pub fn process(&mut self, host: HostKey, facts: &ProcessFacts) -> Result<ProcessKey, WriteError> {
        let key = ProcessKey(self.processes.len() as i64 + 1);
        let state = match facts.completeness {
            Completeness::Complete => "complete",
            Completeness::Partial => "partial",
            Completeness::Failed => "failed",
        };
        self.insert_process(host, key, facts, state).map_err(|source| self.failed(source))?;
        let ids = ProcessIds {
            functions: self.insert_functions(facts)?,
            stacks: Vec::new(),
            go_statements: Vec::new(),
        };
        let ids = ProcessIds { go_statements: self.insert_go_statements(facts, &ids)?, ..ids };
        let ids = ProcessIds { stacks: self.insert_stacks(facts, &ids)?, ..ids };
        let goroutine_ids_of_gaps = self.insert_goroutines(key, facts, &ids)?;
        self.insert_gaps(host, key, facts, &goroutine_ids_of_gaps).map_err(|source| self.failed(source))?;

        self.cut.add(self.hosts[host.0 as usize - 1], facts.pause.as_ref());
        if let Some(window) = &facts.pause {
            let frozen =
                window.frozen_start_unix_ns.saturating_add(self.hosts[host.0 as usize - 1].offset_ns);
            self.taken_at_unix_ns = Some(self.taken_at_unix_ns.map_or(frozen, |known| known.max(frozen)));
        }
        self.processes.push(ProcessSummary {
            pid: facts.pid,
            program: facts.program.clone(),
            goroutines: facts.goroutines.len() as u64,
            pause_ns: facts.pause.map(|window| window.pause_ns),
            frozen_ns: facts.pause.map(|window| window.frozen_ns),
            state,
            reason: facts.reason.clone(),
        });
        Ok(key)
    }

    /// Adds a process that was ordered and could not be captured: a row and a gap, never a silent hole.
    pub fn lost_process(&mut self, host: HostKey, lost: &LostProcess) -> Result<ProcessKey, WriteError> {
        let key = ProcessKey(self.processes.len() as i64 + 1);
        self.connection
            .execute(
                "insert into processes (process_id, host_id, pid, program, goroutines, reused, state, reason)
                 values (?, ?, ?, ?, 0, 0, 'failed', ?)",
                params![key.0, host.0, lost.pid, lost.program, lost.reason],
            )
            .map_err(|source| self.failed(source))?;
        self.insert_gap(host, key, None, "process", &lost.reason).map_err(|source| self.failed(source))?;
        self.processes.push(ProcessSummary {
            pid: lost.pid,
            program: lost.program.clone(),
            goroutines: 0,
            pause_ns: None,
            frozen_ns: None,
            state: "failed",
            reason: Some(lost.reason.clone()),
        });
        Ok(key)
    }

    /// Completes the file and gives it its name. `duration_ns` is from the order until the last fact.
    pub fn finish(mut self, duration_ns: i64) -> Result<Summary, WriteError> {
        let complete = self.processes.iter().all(|process| process.state == "complete");
        self.insert_closing_rows(complete, duration_ns).map_err(|source| self.failed(source))?;
        let findings = self.index_and_check().map_err(|source| self.failed(source))?;
        if findings != "ok" {
            return Err(WriteError::Check { path: self.output, finding: findings });
        }
        let Self { connection, temporary, output, existing, .. } = self;
        connection.close().map_err(|(_, source)| WriteError::Database { path: output.clone(), source })?;
        let bytes = publish(temporary, &output, existing)?;
        Ok(Summary {
            path: output,
            id: self.meta.id,
            bytes,
            goroutines: self.goroutines as u64,
            stacks: self.stacks.len() as u64,
            functions: self.functions.len() as u64,
            gaps: self.gaps,
            processes: self.processes,
            complete,
        })
    }

    fn insert_process(
        &self,
        host: HostKey,
        key: ProcessKey,
        facts: &ProcessFacts,
        state: &str,
    ) -> rusqlite::Result<()> {
        let pause = facts.pause.as_ref();
        self.connection.execute(
            "insert into processes (process_id, host_id, pid, ns_pid, started_unix_ns, program, container_id, exe,
                 cmdline, main_module, build_id, go_version, arch, threads, goroutines, reused,
                 pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns, state, reason)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
            params![
                key.0,
                host.0,
                facts.pid,
                facts.ns_pid,
                facts.started_unix_ns,
                facts.program,
                facts.container_id,
                facts.exe,
                facts.cmdline,
                facts.main_module,
                facts.build_id,
                facts.go_version,
                facts.arch,
                facts.threads,
                facts.goroutines.len() as i64,
                pause.map(|window| window.pause_start_unix_ns),
                pause.map(|window| window.pause_ns),
                pause.map(|window| window.frozen_start_unix_ns),
                pause.map(|window| window.frozen_ns),
                state,
                facts.reason,
            ],
        )?;
        Ok(())
    }

    /// The file's id of each of the process's functions.
    fn insert_functions(&mut self, facts: &ProcessFacts) -> Result<Vec<i64>, WriteError> {
        let mut load = Load::new(&self.connection, &mut self.rows_pending, &self.output);
        let mut insert = load.prepare("insert into functions values (?, ?, ?, ?, ?, ?, ?)")?;
        let mut ids = Vec::with_capacity(facts.functions.len());
        for function in &facts.functions {
            let file = text_of(facts, function.file)?;
            let name = function_name_for_print(&function.name, &facts.go_version);
            ids.push(
                match self.functions.intern(&(&name, &function.name, file, function.start_line), None) {
                    Interned::Known(id) => id,
                    Interned::New(id) => {
                        let Function { name: symbol, package, start_line, is_standard_library, .. } =
                            function;
                        load.insert(
                            &mut insert,
                            params![id, name, symbol, package, file, start_line, is_standard_library],
                        )?;
                        id
                    }
                },
            );
        }
        Ok(ids)
    }

    fn insert_go_statements(
        &mut self,
        facts: &ProcessFacts,
        ids: &ProcessIds,
    ) -> Result<Vec<i64>, WriteError> {
        let mut load = Load::new(&self.connection, &mut self.rows_pending, &self.output);
        let mut insert = load.prepare("insert into go_statements values (?, ?, ?, ?, ?, ?)")?;
        let mut statement_ids = Vec::with_capacity(facts.go_statements.len());
        for go in &facts.go_statements {
            let function = ids.function(facts, go.function)?;
            let file = text_of(facts, go.file)?;
            let key = (function, file, go.line, go.function_offset, go.shown);
            statement_ids.push(match self.go_statements.intern(&key, None) {
                Interned::Known(id) => id,
                Interned::New(id) => {
                    load.insert(
                        &mut insert,
                        params![id, function, file, go.line, go.function_offset, go.shown],
                    )?;
                    id
                }
            });
        }
        Ok(statement_ids)
    }

    fn insert_stacks(&mut self, facts: &ProcessFacts, ids: &ProcessIds) -> Result<Vec<i64>, WriteError> {
        let mut load = Load::new(&self.connection, &mut self.rows_pending, &self.output);
        let mut insert = load.prepare("insert into stacks values (?, ?, ?, ?, ?, ?, ?)")?;
        let mut insert_frame = load.prepare("insert into stack_frames values (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        let names = printed_names(facts);
        let mut stack_ids = Vec::with_capacity(facts.stacks.len());
        for stack in &facts.stacks {
            let frames = frame_keys(facts, ids, stack)?;
            let key = (&facts.build_id, &frames, &stack.stop_reason);
            let id = match self.stacks.intern(&key, None) {
                Interned::Known(id) => {
                    stack_ids.push(id);
                    continue;
                }
                Interned::New(id) => id,
            };
            stack_ids.push(id);
            let lines: Vec<(&str, u32)> = stack
                .frames
                .iter()
                .map(|frame| (names[frame.function as usize].as_str(), frame.line))
                .collect();
            let group = match self.groups.intern(&lines, Some(id)) {
                Interned::Known(group) | Interned::New(group) => group,
            };
            load.insert(
                &mut insert,
                params![
                    id,
                    facts.build_id,
                    stack.frames.len() as i64,
                    stack.stop_reason,
                    user_function(facts, stack).map(|frame| ids.functions[frame.function as usize]),
                    group,
                    stack_text(facts, &names, stack),
                ],
            )?;
            for (depth, (frame, key)) in stack.frames.iter().zip(&frames).enumerate() {
                load.insert(
                    &mut insert_frame,
                    params![
                        id,
                        depth as i64,
                        key.function_id,
                        key.file,
                        frame.line,
                        frame.inlined,
                        frame.shown,
                        frame.pc as i64,
                        frame.function_offset
                    ],
                )?;
            }
        }
        Ok(stack_ids)
    }

    /// The file's ids of the goroutines that gaps name.
    fn insert_goroutines(
        &mut self,
        process: ProcessKey,
        facts: &ProcessFacts,
        ids: &ProcessIds,
    ) -> Result<HashMap<u64, i64>, WriteError> {
        let mut of_gaps: HashMap<u64, i64> =
            facts.gaps.iter().filter_map(|gap| gap.goid).map(|goid| (goid, 0)).collect();
        let mut load = Load::new(&self.connection, &mut self.rows_pending, &self.output);
        let mut insert = load.prepare(
            "insert into goroutines (goroutine_id, process_id, goid, status, wait_reason, stack_id, parent_goid,
                 created_by_function_id, created_by_line, go_statement_id, start_function_id, thread_id, on_cpu,
                 is_system, labels, header, arguments)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for goroutine in &facts.goroutines {
            self.goroutines += 1;
            let id = self.goroutines;
            if let Some(of_gap) = of_gaps.get_mut(&goroutine.goid) {
                *of_gap = id;
            }
            let stack_id = ids.stack(facts, goroutine.stack)?;
            let go_statement_id = goroutine.created_by.map(|go| ids.go_statement(facts, go)).transpose()?;
            let created_by = goroutine.created_by.map(|go| &facts.go_statements[go as usize]);
            let start_function =
                goroutine.start_function.map(|function| ids.function(facts, function)).transpose()?;
            let Goroutine { status, wait_reason, header, arguments, thread_id, on_cpu, is_system, .. } =
                goroutine;
            load.insert(
                &mut insert,
                params![
                    id,
                    process.0,
                    goid(facts, goroutine.goid)?,
                    status,
                    wait_reason,
                    stack_id,
                    goroutine.parent_goid.map(|parent| goid(facts, parent)).transpose()?,
                    created_by.map(|go| ids.functions[go.function as usize]),
                    created_by.map(|go| go.line),
                    go_statement_id,
                    start_function,
                    thread_id,
                    on_cpu,
                    is_system,
                    labels_json(&goroutine.labels),
                    header,
                    (!arguments.is_empty()).then_some(arguments),
                ],
            )?;
        }
        Ok(of_gaps)
    }

    fn insert_gaps(
        &mut self,
        host: HostKey,
        process: ProcessKey,
        facts: &ProcessFacts,
        goroutine_ids: &HashMap<u64, i64>,
    ) -> rusqlite::Result<()> {
        for gap in &facts.gaps {
            let goroutine = gap.goid.and_then(|goid| goroutine_ids.get(&goid)).copied().filter(|id| *id != 0);
            self.insert_gap(host, process, goroutine, &gap.what, &gap.reason)?;
        }
        Ok(())
    }

    fn insert_gap(
        &mut self,
        host: HostKey,
        process: ProcessKey,
        goroutine: Option<i64>,
        what: &str,
        reason: &str,
    ) -> rusqlite::Result<()> {
        self.gaps += 1;
        self.connection.prepare_cached("insert into gaps values (?, ?, ?, ?, ?, ?)")?.execute(params![
            self.gaps as i64,
            host.0,
            process.0,
            goroutine,
            what,
            reason
        ])?;
        Ok(())
    }

    fn insert_closing_rows(&mut self, complete: bool, duration_ns: i64) -> rusqlite::Result<()> {
        let SnapshotMeta { id, label, taken_at_unix_ns, requested_by, tool_version, selector, probes } =
            &self.meta;
        self.connection.execute(
            "insert into snapshot values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                id,
                label,
                self.taken_at_unix_ns.unwrap_or(*taken_at_unix_ns),
                requested_by,
                tool_version,
                selector,
                probes,
                complete,
                self.cut.is_consistent(),
                self.cut.overlap_ns(),
                duration_ns,
            ],
        )?;
        self.connection.execute(
            "update hosts set state = 'partial', reason = 'not all of its processes are complete'
             where host_id in (select host_id from processes where state <> 'complete')",
            [],
        )?;
        for about in ABOUT {
            self.connection.execute(
                "insert into about values (?, ?, ?, ?)",
                params![about.name, about.question, about.columns_text(), about.example],
            )?;
        }
        Ok(())
    }

    /// The result of SQLite's own check.
    fn index_and_check(&mut self) -> rusqlite::Result<String> {
        self.connection.execute_batch("commit")?;
        self.connection.execute_batch(schema::INDICES)?;
        self.connection.execute_batch(schema::VIEWS)?;
        // Statistics let the planner start from the few stacks instead of the many goroutines.
        self.connection.execute_batch("pragma analysis_limit = 10000; analyze;")?;
        self.connection.query_row("pragma quick_check(1)", [], |row| row.get(0))
    }

    fn failed(&self, source: rusqlite::Error) -> WriteError {
        WriteError::Database { path: self.output.clone(), source }
    }
}
