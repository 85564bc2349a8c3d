//! Writes a snapshot file: whole, or not at all.
//!
//! Rows go to a temporary file beside the output, without journal and without syncing, because a file that is not
//! finished is deleted anyway: by every error and by dropping the writer. [`SnapshotWriter::finish`] adds views and
//! indices, checks the file, syncs it and renames it. Nobody ever sees half a snapshot under the output's name.
//!
//! A process comes in batches: [`SnapshotWriter::begin`], [`SnapshotWriter::batch`] for each, [`SnapshotWriter::end`]. One
//! process is loaded at a time. If its facts turn out to be bad or do not come to an end, everything of it is taken back,
//! and the snapshot goes on. An error of the file itself spoils the writer for good.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::params;
use stillframe_actors::linker::{Found, Part, Place};
use stillframe_wire::batch::Batch;
use stillframe_wire::facts::HostFacts;
use tempfile::{NamedTempFile, TempPath};

use super::about::ABOUT;
use super::cut::Cut;
use super::ends;
use super::file::{Database, folder_of, publish};
use super::hosts::Host;
use super::links;
use super::load::ProcessLoad;
use super::order::{
    ClockBound, Existing, HostKey, LostProcess, ProcessSummary, SnapshotMeta, Summary, WriteError,
};
use super::probes::Probes;
use super::schema;
use super::sets::{self, Budget, Outcome};
use super::tables::Tables;
use crate::probe_sets::{self, Outline};

/// A snapshot in the making.
pub struct SnapshotWriter {
    /// Before `temporary`, so that a drop closes the database first.
    pub(super) database: Database,
    temporary: TempPath,
    output: PathBuf,
    existing: Existing,
    meta: SnapshotMeta,
    tables: Tables,
    hosts: Vec<Host>,
    processes: Vec<ProcessSummary>,
    cut: Cut,
    /// What the probe sets add by SQL.
    set: Outline,
    taken_at_unix_ns: Option<i64>,
    /// What was derived so far, when everything is loaded.
    derived: Option<(Outcome, Budget)>,
    is_linked: bool,
    /// The process that is being loaded.
    load: Option<ProcessLoad>,
    /// Writing has failed: what is in the file is unknown.
    is_spoiled: bool,
}

impl SnapshotWriter {
    /// Starts a temporary file in the folder of `output`.
    pub fn create(output: &Path, existing: Existing, meta: SnapshotMeta) -> Result<Self, WriteError> {
        let failed = |source| WriteError::of_file(output, source);
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
        let set = match &meta.probes {
            None => Outline::default(),
            Some(text) => {
                probe_sets::outline(text).map_err(|error| WriteError::Probes { reason: error.to_string() })?
            }
        };
        let probes = probe_sets::planned(&set);
        Ok(Self {
            database: Database::open(&temporary, output)?,
            temporary,
            output: output.to_owned(),
            existing,
            meta,
            tables: Tables { probes: Probes::new(probes), ..Tables::default() },
            hosts: Vec::new(),
            processes: Vec::new(),
            cut: Cut::default(),
            set,
            taken_at_unix_ns: None,
            derived: None,
            is_linked: false,
            load: None,
            is_spoiled: false,
        })
    }

    /// The file to delete if this process is about to end without dropping the writer.
    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    /// Adds a host. Its state is known at the end, and depends on its processes.
    pub fn host(&mut self, facts: &HostFacts, clock: ClockBound) -> Result<HostKey, WriteError> {
        self.check_idle("a host")?;
        let key = HostKey(self.hosts.len() as i64 + 1);
        let HostFacts { hostname, kernel, arch, node_version, boot_id } = facts;
        let boot_id = (!boot_id.is_empty()).then_some(boot_id);
        let (offset_ns, error_ns) = (clock.offset_ns, clock.error_ns);
        let inserted = self.database.execute(
            "insert into hosts values (?, ?, ?, ?, ?, ?, ?, 'complete', null, ?)",
            params![key.0, hostname, kernel, arch, node_version, offset_ns, error_ns, boot_id],
        );
        self.guard(inserted)?;
        self.hosts.push(Host::new(hostname, clock));
        Ok(key)
    }

    /// Adds a host that was to take part and of which there is nothing: a row and a gap, never a silent hole.
    pub fn lost_host(&mut self, hostname: &str, reason: &str) -> Result<(), WriteError> {
        self.check_idle("a lost host")?;
        let key = HostKey(self.hosts.len() as i64 + 1);
        let inserted = self.database.execute(
            "insert into hosts (host_id, hostname, state, reason) values (?, ?, 'lost', ?)",
            params![key.0, hostname, reason],
        );
        self.guard(inserted)?;
        self.hosts.push(Host::lost(hostname, reason));
        self.insert_gap(key, None, "host", reason)
    }

    /// Says that something of a host is missing beside what its processes say of themselves: the row's reason, and a gap.
    pub fn host_partial(&mut self, host: HostKey, reason: &str) -> Result<(), WriteError> {
        self.check_idle("a partial host")?;
        self.host_mut(host)?.set_partial(reason);
        self.insert_gap(host, None, "host", reason)
    }

    /// Begins a process; `target` names it in errors until it has said its own name.
    pub fn begin(&mut self, host: HostKey, target: &str) -> Result<(), WriteError> {
        self.check_idle("a process")?;
        self.host_mut(host)?;
        let process_id = self.processes.len() as i64 + 1;
        self.load = Some(ProcessLoad::new(host, process_id, target, self.tables.watermark()));
        Ok(())
    }

    /// Adds the next batch of the process that was begun. After [`WriteError::BadFacts`] nothing of the process is in the
    /// file, as after [`SnapshotWriter::abort`].
    pub fn batch(&mut self, batch: &Batch) -> Result<(), WriteError> {
        self.check_sound()?;
        let load = self.load.as_mut().ok_or(NOT_BEGUN)?;
        let taken = load.batch(&self.database, &mut self.tables, batch);
        self.guard_load(taken)
    }

    /// Ends the process, which must be whole; otherwise as [`SnapshotWriter::batch`].
    pub fn end(&mut self) -> Result<ProcessSummary, WriteError> {
        self.check_sound()?;
        let load = self.load.as_ref().ok_or(NOT_BEGUN)?;
        let host = load.host;
        let ended = load.end(&self.database, &mut self.tables);
        let (head, summary) = self.guard_load(ended)?;
        self.load = None;
        if let Some(undecided) = sets::program::undecided(&self.set.programs, &head) {
            self.insert_gap(host, Some(self.processes.len() as i64 + 1), "program", &undecided.to_string())?;
        }
        let of_host = self.host_mut(host)?;
        of_host.count(summary.state == "complete");
        let clock = of_host.clock;
        self.cut.add(clock, head.pause.as_ref());
        if let Some(window) = &head.pause {
            let frozen = window.frozen_start_unix_ns.saturating_add(clock.offset_ns);
            self.taken_at_unix_ns = Some(self.taken_at_unix_ns.map_or(frozen, |known| known.max(frozen)));
        }
        self.processes.push(summary.clone());
        Ok(summary)
    }

    /// Takes back everything since [`SnapshotWriter::begin`]; nothing if no process was begun.
    pub fn abort(&mut self) -> Result<(), WriteError> {
        self.check_sound()?;
        let Some(load) = self.load.take() else { return Ok(()) };
        let cut = self.tables.cut(&self.database, &load.before);
        self.guard(cut)
    }

    /// Loads a process whose batches are all at hand.
    pub fn process(
        &mut self,
        host: HostKey,
        target: &str,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<ProcessSummary, WriteError> {
        self.begin(host, target)?;
        for batch in batches {
            self.batch(&batch)?;
        }
        self.end()
    }

    /// Adds a process that was ordered and could not be captured: a row and a gap, never a silent hole.
    pub fn lost_process(&mut self, host: HostKey, lost: &LostProcess) -> Result<(), WriteError> {
        self.check_idle("a lost process")?;
        self.host_mut(host)?.count(false);
        let process_id = self.processes.len() as i64 + 1;
        let inserted = self.database.execute(
            "insert into processes (process_id, host_id, pid, program, goroutines, reused, state, reason)
             values (?, ?, ?, ?, 0, 0, 'failed', ?)",
            params![process_id, host.0, lost.pid, lost.program, lost.reason],
        );
        self.guard(inserted)?;
        self.processes.push(ProcessSummary {
            pid: lost.pid,
            program: lost.program.clone(),
            goroutines: 0,
            pause_ns: None,
            frozen_ns: None,
            state: "failed",
            reason: Some(lost.reason.clone()),
        });
        self.insert_gap(host, Some(process_id), "process", &lost.reason)
    }

    /// For the linker: what the file knows of the ends of connections, from there on. Everything is loaded by then.
    pub fn ends(&mut self, from: Place) -> Result<Part, WriteError> {
        self.check_idle("its ends")?;
        let derived = self.derive_ends();
        self.guard(derived)?;
        // Who has asked will link them.
        self.is_linked = true;
        let part = ends::read(&self.database.connection, from).map_err(|source| self.database.failed(source));
        self.guard(part)
    }

    /// Writes what joins them.
    pub fn links(&mut self, found: &Found) -> Result<(), WriteError> {
        self.check_idle("links")?;
        let kept =
            links::keep(&self.database.connection, found).map_err(|source| self.database.failed(source));
        self.guard(kept)
    }

    /// Completes the file and gives it its name. `duration_ns` is from the order until the last fact.
    pub fn finish(mut self, duration_ns: i64) -> Result<Summary, WriteError> {
        self.check_idle("the finished file")?;
        self.derive_ends()?;
        if !self.is_linked {
            links::link(&self.database.connection).map_err(|source| self.database.failed(source))?;
        }
        self.database.execute("update snapshot set duration_ns = ?", [duration_ns])?;
        let complete = self.is_complete() & self.derive_rest()?;
        let finding = self.check()?;
        if finding != "ok" {
            return Err(WriteError::Check { path: self.output, finding });
        }
        let Self { database, temporary, output, existing, .. } = self;
        database.close()?;
        let bytes = publish(temporary, &output, existing)?;
        Ok(Summary {
            path: output,
            id: self.meta.id,
            bytes,
            goroutines: self.tables.goroutines as u64,
            stacks: self.tables.stacks.len() as u64,
            functions: self.tables.functions.len() as u64,
            gaps: self.tables.gaps as u64,
            hosts: self.hosts.iter().map(Host::summary).collect(),
            processes: self.processes,
            complete,
        })
    }

    fn is_complete(&self) -> bool {
        self.processes.iter().all(|process| process.state == "complete")
            && self.hosts.iter().all(Host::is_complete)
    }

    /// When everything is loaded: the rest of the tables, indices, and what links are made of. Once.
    fn derive_ends(&mut self) -> Result<(), WriteError> {
        if self.derived.is_some() {
            return Ok(());
        }
        self.write_probe_tables()?;
        self.insert_closing_rows(self.is_complete(), 0)?;
        self.index()?;
        self.database.run("begin")?;
        let mut budget = Budget::new(SQL_TIME_MAX);
        let derived = sets::derive_ends(&mut self.database.connection, &self.set, &self.set, &mut budget);
        self.derived = Some((derived.map_err(|source| self.database.failed(source))?, budget));
        Ok(())
    }

    fn write_probe_tables(&mut self) -> Result<(), WriteError> {
        let full = self.tables.probes.write(&self.database)?;
        // It would stand before a set's table of the same name.
        self.database.run("drop table temp.matches")?;
        for reason in full {
            self.tables.gaps += 1;
            self.database.execute(
                "insert into gaps values (?, null, null, null, 'probe', ?)",
                params![self.tables.gaps, reason],
            )?;
        }
        Ok(())
    }

    fn insert_gap(
        &mut self,
        host: HostKey,
        process_id: Option<i64>,
        what: &str,
        reason: &str,
    ) -> Result<(), WriteError> {
        self.tables.gaps += 1;
        let inserted = self.database.execute(
            "insert into gaps values (?, ?, ?, null, ?, ?)",
            params![self.tables.gaps, host.0, process_id, what, reason],
        );
        self.guard(inserted)
    }

    fn insert_closing_rows(&self, complete: bool, duration_ns: i64) -> Result<(), WriteError> {
        let SnapshotMeta { id, label, taken_at_unix_ns, requested_by, tool_version, selector, probes } =
            &self.meta;
        self.database.execute(
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
        for (index, host) in self.hosts.iter().enumerate() {
            let summary = host.summary();
            self.database.execute(
                "update hosts set state = ?, reason = ? where host_id = ?",
                params![summary.state, summary.reason, index as i64 + 1],
            )?;
        }
        for about in ABOUT {
            self.database.execute(
                "insert into about values (?, ?, ?, ?)",
                params![about.name, about.question, about.columns_text(), about.example],
            )?;
        }
        for about in self.tables.probes.about() {
            self.database.execute(
                "insert into about values (?, ?, ?, ?)",
                params![about.name, about.question, about.columns, about.example],
            )?;
        }
        Ok(())
    }

    fn index(&self) -> Result<(), WriteError> {
        self.database.run("commit")?;
        self.database.run(schema::INDICES)?;
        self.database.run(schema::VIEWS)
    }

    /// Adds what else the probe sets make by SQL, which may read everything else. `false`: not all of it.
    fn derive_rest(&mut self) -> Result<bool, WriteError> {
        let Some((mut outcome, mut budget)) = self.derived.take() else { return Ok(true) };
        let connection = &mut self.database.connection;
        let derived = sets::derive_rest(connection, &self.set, &self.set, &mut budget, &mut outcome);
        derived.map_err(|source| self.database.failed(source))?;
        let failed = outcome.failed;
        for error in &failed {
            self.tables.gaps += 1;
            self.database.execute(
                "insert into gaps values (?, null, null, null, 'probe set', ?)",
                params![self.tables.gaps, error.to_string()],
            )?;
        }
        if !failed.is_empty() {
            self.database.run("update snapshot set complete = 0")?;
        }
        self.database.run("commit")?;
        Ok(failed.is_empty())
    }

    /// The result of SQLite's own check.
    fn check(&self) -> Result<String, WriteError> {
        // Statistics let the planner start from the few stacks instead of the many goroutines.
        self.database.run("pragma analysis_limit = 10000; analyze;")?;
        self.database.check()
    }

    fn host_mut(&mut self, key: HostKey) -> Result<&mut Host, WriteError> {
        let of_another = WriteError::Misuse { asked: "a host", but: "it is another snapshot's" };
        self.hosts.get_mut(key.0 as usize - 1).ok_or(of_another)
    }

    fn check_sound(&self) -> Result<(), WriteError> {
        if self.is_spoiled { Err(WriteError::Spoiled { path: self.output.clone() }) } else { Ok(()) }
    }

    /// While a process is loaded nothing else may be added: it could not be taken back alone.
    fn check_idle(&self, asked: &'static str) -> Result<(), WriteError> {
        self.check_sound()?;
        match self.load {
            Some(_) => Err(WriteError::Misuse { asked, but: "a process is being loaded" }),
            None => Ok(()),
        }
    }

    /// Takes note of an error: without a journal, nobody knows what a failed write has left.
    fn guard<T>(&mut self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        self.is_spoiled |= result.is_err();
        result
    }

    /// As [`SnapshotWriter::guard`]; bad facts are taken back instead.
    fn guard_load<T>(&mut self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        match result {
            Err(bad @ WriteError::BadFacts { .. }) => {
                self.abort()?;
                Err(bad)
            }
            result => self.guard(result),
        }
    }
}

/// For all SQL of an order's probe sets: the file is waited for.
const SQL_TIME_MAX: Duration = Duration::from_secs(10);

const NOT_BEGUN: WriteError = WriteError::Misuse { asked: "a batch", but: "no process was begun" };
