//! Opens a snapshot file for reading only. The file may come from anywhere: what it says is never trusted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, named_params, params};
use serde::Serialize;

use super::query::{self, QueryError, QueryLimits, QueryOutcome, RowSink};
use super::schema;
use crate::traceback::{Frame, GoStatement};

/// Stacks whose frames are kept in memory while goroutines are read.
const STACKS_CACHED_MAX: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{}: not a snapshot of Stillframe: {why}", path.display())]
    NotASnapshot { path: PathBuf, why: String },
    #[error("{}: its schema has version {found}, and this program reads up to {}", path.display(), schema::VERSION)]
    Newer { path: PathBuf, found: i32 },
    #[error("{}: the file is damaged: {source}", path.display())]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("{}: reading failed: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Visit(#[from] std::io::Error),
}

impl ReadError {
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Open { .. } => "check the path and your permission to read it",
            Self::NotASnapshot { .. } => "give a file that `stillframe snapshot` has written",
            Self::Newer { .. } => "install the version of Stillframe that wrote it, or a later one",
            Self::Damaged { .. } => "copy the file again from where it was written, or take a new snapshot",
            Self::Database { .. } => {
                "if another program is writing to the file, wait for it; otherwise copy the file again"
            }
            Self::Visit(_) => "see that the output can be written",
        }
    }
}

/// Which processes are meant; all conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct ProcessFilter {
    pub pid: Option<u32>,
    /// A glob over `processes.program`.
    pub program: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct GroupFilter {
    pub process: ProcessFilter,
    /// Text that stands in the stack, in any case.
    pub text: Option<String>,
    pub with_system: bool,
    pub limit: Option<u32>,
}

/// Goroutines with the same functions and lines.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Group {
    pub group_id: i64,
    pub goroutines: i64,
    pub processes: i64,
    pub blocked_s_max: Option<f64>,
    pub wait_reasons: Vec<WaitReason>,
    pub user_function: Option<String>,
    pub stack: String,
    pub example_goroutine_id: i64,
}

#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct WaitReason {
    pub wait_reason: String,
    pub goroutines: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Groups {
    /// Those that the filter selects, before the limit.
    pub groups_total: i64,
    pub goroutines_total: i64,
    pub groups: Vec<Group>,
}

/// A host of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    pub hostname: String,
    /// `complete`, `partial`, `lost`
    pub state: String,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Process {
    pub process_id: i64,
    pub host: String,
    pub pid: i64,
    pub program: String,
    pub go_version: Option<String>,
    pub goroutines: i64,
    pub state: String,
    pub reason: Option<String>,
}

/// Which goroutine is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoroutineSelector {
    /// Go's number, in every selected process.
    Goid(i64),
    /// The file's number: `g-17`.
    Id(i64),
}

/// A goroutine with what its traceback needs.
pub struct StackedGoroutine {
    pub goroutine_id: i64,
    pub goid: i64,
    pub status: String,
    pub wait_reason: Option<String>,
    pub is_system: bool,
    pub header: String,
    pub arguments: String,
    pub parent_goid: Option<i64>,
    pub created_by: Option<GoStatement>,
    pub labels: Option<String>,
    pub stack: Rc<StackRow>,
}

pub struct StackRow {
    pub stop_reason: String,
    pub frames: Vec<Frame>,
}

/// A snapshot file, open for reading.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    path: PathBuf,
}

impl Snapshot {
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let cannot = |source| ReadError::Open { path: path.to_owned(), source };
        let not = |why: String| ReadError::NotASnapshot { path: path.to_owned(), why };
        // SQLite only says "unable to open"; the file system says why.
        let metadata = std::fs::File::open(path).and_then(|file| file.metadata()).map_err(cannot)?;
        if !metadata.is_file() {
            return Err(not("it is not a regular file".to_owned()));
        }
        if metadata.len() == 0 {
            return Err(not("the file is empty".to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| translate(path, source);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(failed)?;
        connection
            .execute_batch("pragma trusted_schema = off; pragma cell_size_check = on;")
            .map_err(failed)?;
        let pragma = |name: &str| -> rusqlite::Result<i32> {
            connection.query_row(&format!("pragma {name}"), [], |row| row.get(0))
        };
        if pragma("application_id").map_err(failed)? != schema::APPLICATION_ID {
            return Err(not("it is an SQLite database of something else".to_owned()));
        }
        match pragma("user_version").map_err(failed)? {
            found if found > schema::VERSION => {
                return Err(ReadError::Newer { path: path.to_owned(), found });
            }
            found if found < 1 => return Err(not(format!("its schema has version {found}"))),
            _ => {}
        }
        connection.query_row("select count(*) from snapshot", [], |_| Ok(())).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// By name.
    pub fn hosts(&self) -> Result<Vec<Host>, ReadError> {
        self.read(|connection| {
            let mut statement = connection.prepare("select hostname, state, reason from hosts order by 1")?;
            let rows = statement.query_map([], |row| {
                Ok(Host { hostname: row.get(0)?, state: row.get(1)?, reason: row.get(2)? })
            })?;
            rows.collect()
        })
    }

    pub fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>, ReadError> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "select process_id, hostname, pid, program, go_version, goroutines, p.state, p.reason
                 from processes p join hosts using (host_id)
                 where (?1 is null or pid = ?1) and (?2 is null or program glob ?2)
                 order by process_id",
            )?;
            let rows = statement.query_map(params![filter.pid, filter.program], |row| {
                Ok(Process {
                    process_id: row.get(0)?,
                    host: row.get(1)?,
                    pid: row.get(2)?,
                    program: row.get(3)?,
                    go_version: row.get(4)?,
                    goroutines: row.get(5)?,
                    state: row.get(6)?,
                    reason: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Merged stacks, the most frequent first.
    pub fn groups(&self, filter: &GroupFilter) -> Result<Groups, ReadError> {
        let pattern = filter.text.as_deref().map(|text| {
            let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            format!("%{escaped}%")
        });
        self.read(|connection| {
            let mut statement = connection.prepare(include_str!("groups.sql"))?;
            let mut rows = statement.query(named_params! {
                ":pid": filter.process.pid,
                ":program": filter.process.program,
                ":pattern": pattern,
                ":system": filter.with_system,
                ":limit": filter.limit.map_or(-1, i64::from),
            })?;
            let mut groups = Groups { groups_total: 0, goroutines_total: 0, groups: Vec::new() };
            while let Some(row) = rows.next()? {
                groups.groups_total = row.get("groups_total")?;
                groups.goroutines_total = row.get("goroutines_total")?;
                let reason =
                    WaitReason { wait_reason: row.get("wait_reason")?, goroutines: row.get("of_reason")? };
                let group_id: i64 = row.get("group_id")?;
                match groups.groups.last_mut().filter(|group| group.group_id == group_id) {
                    Some(group) => group.wait_reasons.push(reason),
                    None => groups.groups.push(Group {
                        group_id,
                        goroutines: row.get("goroutines")?,
                        processes: row.get("processes")?,
                        blocked_s_max: row.get("blocked_s_max")?,
                        wait_reasons: vec![reason],
                        user_function: row.get("user_function")?,
                        stack: row.get("stack")?,
                        example_goroutine_id: row.get("example_goroutine_id")?,
                    }),
                }
            }
            Ok(groups)
        })
    }

    /// Calls `visit` with each selected goroutine of one process, in the runtime's order. Their number.
    pub fn goroutines(
        &self,
        process_id: i64,
        selector: Option<GoroutineSelector>,
        with_system: bool,
        visit: &mut dyn FnMut(&StackedGoroutine) -> std::io::Result<()>,
    ) -> Result<u64, ReadError> {
        let failed = |source| translate(&self.path, source);
        let (goid, id) = match selector {
            Some(GoroutineSelector::Goid(goid)) => (Some(goid), None),
            Some(GoroutineSelector::Id(id)) => (None, Some(id)),
            None => (None, None),
        };
        let mut statement = self
            .connection
            .prepare(
                "select g.goroutine_id, g.goid, g.status, g.wait_reason, g.is_system, g.header,
                        coalesce(g.arguments, '') as arguments, g.parent_goid, g.labels, g.stack_id,
                        f.name as go_name, c.file as go_file, c.line as go_line, c.function_offset as go_offset,
                        c.shown as go_shown
                 from goroutines g
                 left join go_statements c on c.go_statement_id = g.go_statement_id
                 left join functions f on f.function_id = c.function_id
                 where g.process_id = ?1 and (?2 or g.is_system = 0)
                   and (?3 is null or g.goid = ?3) and (?4 is null or g.goroutine_id = ?4)
                 order by g.goroutine_id",
            )
            .map_err(failed)?;
        let mut rows = statement.query(params![process_id, with_system, goid, id]).map_err(failed)?;
        let mut stacks: HashMap<i64, Rc<StackRow>> = HashMap::new();
        let mut visited = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let stack_id: i64 = row.get("stack_id").map_err(failed)?;
            if stacks.len() == STACKS_CACHED_MAX && !stacks.contains_key(&stack_id) {
                stacks.clear();
            }
            let stack = match stacks.get(&stack_id) {
                Some(stack) => Rc::clone(stack),
                None => {
                    let stack = Rc::new(self.stack(stack_id).map_err(failed)?);
                    stacks.insert(stack_id, Rc::clone(&stack));
                    stack
                }
            };
            visit(&stacked_goroutine(row, stack).map_err(failed)?)?;
            visited += 1;
        }
        Ok(visited)
    }

    /// Runs a statement that somebody wrote: see [`QueryLimits`].
    pub fn query(
        &mut self,
        sql: &str,
        limits: &QueryLimits,
        sink: &mut dyn RowSink,
    ) -> Result<QueryOutcome, QueryError> {
        query::run(&mut self.connection, sql, limits, sink)
    }

    fn stack(&self, stack_id: i64) -> rusqlite::Result<StackRow> {
        let stop_reason = self
            .connection
            .prepare_cached("select stop_reason from stacks where stack_id = ?")?
            .query_row([stack_id], |row| row.get(0))?;
        let mut statement = self.connection.prepare_cached(
            "select f.name, s.file, s.line, s.inlined, s.shown, s.function_offset
             from stack_frames s join functions f on f.function_id = s.function_id
             where s.stack_id = ? order by s.depth",
        )?;
        let frames = statement.query_map([stack_id], |row| {
            Ok(Frame {
                name: row.get(0)?,
                file: row.get(1)?,
                line: row.get(2)?,
                inlined: row.get(3)?,
                shown: row.get(4)?,
                function_offset: row.get(5)?,
            })
        })?;
        Ok(StackRow { stop_reason, frames: frames.collect::<Result<_, _>>()? })
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        read(&self.connection).map_err(|source| translate(&self.path, source))
    }
}

fn stacked_goroutine(row: &Row<'_>, stack: Rc<StackRow>) -> rusqlite::Result<StackedGoroutine> {
    let created_by = match row.get::<_, Option<String>>("go_name")? {
        None => None,
        Some(name) => Some(GoStatement {
            name,
            file: row.get("go_file")?,
            line: row.get("go_line")?,
            function_offset: row.get("go_offset")?,
            shown: row.get("go_shown")?,
        }),
    };
    Ok(StackedGoroutine {
        goroutine_id: row.get("goroutine_id")?,
        goid: row.get("goid")?,
        status: row.get("status")?,
        wait_reason: row.get("wait_reason")?,
        is_system: row.get("is_system")?,
        header: row.get("header")?,
        arguments: row.get("arguments")?,
        parent_goid: row.get("parent_goid")?,
        created_by,
        labels: row.get("labels")?,
        stack,
    })
}

fn translate(path: &Path, source: rusqlite::Error) -> ReadError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            ReadError::NotASnapshot { path, why: "it is not an SQLite database".to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt) => ReadError::Damaged { path, source },
        // The schema is not what the version promises.
        Some(ErrorCode::Unknown) => ReadError::Damaged { path, source },
        _ => ReadError::Database { path, source },
    }
}
