//! What can be wrong with the facts that a peer sends, and the checks that no index needs.

use stillframe_wire::batch::{Counts, ProcessHead};
use stillframe_wire::facts::{
    Cell, CellValue, EnvironmentFits, Function, Gap, Goroutine, ProbeRow, ProbeTable, Socket, Stack,
};
use stillframe_wire::limits::{
    CELL_VALUE_BYTES_MAX, COLUMN_NAME_BYTES_MAX, ENVIRONMENT_RULES_MAX, FACT_TEXT_BYTES_MAX,
    FRAMES_PER_STACK_MAX, GOROUTINE_TEXT_BYTES_MAX, GOROUTINES_PER_PROCESS_MAX, NAME_BYTES_MAX,
    PROBE_COLUMNS_MAX, PROBE_NAME_BYTES_MAX, PROBE_ROW_TEXT_BYTES_MAX, PROBE_ROWS_PER_PROCESS_MAX,
    PROBE_TABLES_PER_PROCESS_MAX, PROBE_TEXT_BYTES_PER_PROCESS_MAX, SOCKET_TEXT_BYTES_MAX,
    SOCKETS_PER_PROCESS_MAX, STACKS_PER_PROCESS_MAX, TABLE_ITEMS_MAX, WAITS_PER_GOROUTINE_MAX,
};

use super::cells::is_json;

/// Why the facts of a process are not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("its facts name {what} {index}, which they do not have")]
    Index { what: &'static str, index: u64 },
    #[error("{got} came after {after}")]
    Order { got: &'static str, after: &'static str },
    #[error("its facts end before they are whole, after {after}")]
    Unfinished { after: &'static str },
    #[error("{said} {what} were announced and {came} came")]
    Count { what: &'static str, said: u64, came: u64 },
    #[error("it has {found} {what}, and {limit} is the most that is taken")]
    TooMany { what: &'static str, found: u64, limit: u64 },
    #[error("{what} of {bytes} bytes is longer than the {limit} that are taken")]
    TooLong { what: &'static str, bytes: usize, limit: usize },
    #[error("{what} cannot be {value}")]
    Number { what: &'static str, value: i128 },
    #[error("{what} of the name {name:?} was not ordered")]
    Unknown { what: &'static str, name: String },
    #[error("{what} comes twice")]
    Twice { what: &'static str },
    #[error("a captured value is no JSON")]
    NoJson,
    #[error("a value is missing without a reason")]
    NoReason,
}

pub(super) fn head(head: &ProcessHead) -> Result<(), Defect> {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    for (what, bytes) in [
        ("a program's name", head.program.len()),
        ("a container's id", optional(&head.container_id)),
        ("an executable's path", head.exe.len()),
        ("a command line", head.cmdline.len()),
        ("a build id", head.build_id.len()),
        ("a Go version", head.go_version.len()),
        ("a main module", optional(&head.main_module)),
        ("an architecture's name", head.arch.len()),
        ("a reason", optional(&head.reason)),
    ] {
        within(what, bytes, FACT_TEXT_BYTES_MAX)?;
    }
    match &head.environment {
        EnvironmentFits::NotAsked => {}
        EnvironmentFits::Rules(numbers) => {
            at_most(
                "program rules that its environment fits",
                numbers.len() as u64,
                ENVIRONMENT_RULES_MAX as u64,
            )?;
        }
        EnvironmentFits::Unknown(why) => within("a reason", why.len(), FACT_TEXT_BYTES_MAX)?,
    }
    let pause = head.pause.unwrap_or_default();
    for (what, value) in [("a pause's length", pause.pause_ns), ("a freeze's length", pause.frozen_ns)] {
        if value < 0 {
            return Err(Defect::Number { what, value: value.into() });
        }
    }
    Ok(())
}

pub(super) fn file(file: &str) -> Result<(), Defect> {
    within("a file's name", file.len(), NAME_BYTES_MAX)
}

pub(super) fn function(function: &Function) -> Result<(), Defect> {
    within("a function's name", function.name.len(), NAME_BYTES_MAX)?;
    within("a package's name", function.package.len(), NAME_BYTES_MAX)
}

pub(super) fn stack(stack: &Stack) -> Result<(), Defect> {
    within("a stop reason", stack.stop_reason.len(), FACT_TEXT_BYTES_MAX)?;
    at_most("frames on a stack", stack.frames.len() as u64, FRAMES_PER_STACK_MAX as u64)
}

/// A process has each descriptor once, and they come in their order.
pub(super) fn socket(socket: &Socket, last_fd: Option<u32>) -> Result<(), Defect> {
    if last_fd.is_some_and(|last| socket.fd <= last) {
        return Err(Defect::Twice { what: "a socket's descriptor" });
    }
    let texts = [&socket.family, &socket.protocol, &socket.local, &socket.remote, &socket.state];
    let optional = [&socket.translated_local, &socket.translated_remote, &socket.peer_description];
    texts
        .into_iter()
        .chain(optional.into_iter().flatten())
        .try_for_each(|text| within("a socket's text", text.len(), SOCKET_TEXT_BYTES_MAX))
}

/// SQLite's integers are signed; the kernel's inode numbers do not get there.
pub(super) fn socket_number(number: u64) -> Result<i64, Defect> {
    i64::try_from(number).map_err(|_| Defect::Number { what: "a socket's inode", value: number.into() })
}

pub(super) fn goroutine(goroutine: &Goroutine) -> Result<(), Defect> {
    within("a status", goroutine.status.len(), FACT_TEXT_BYTES_MAX)?;
    within("a wait reason", goroutine.wait_reason.as_ref().map_or(0, String::len), FACT_TEXT_BYTES_MAX)?;
    for since in [goroutine.blocked, goroutine.born].into_iter().flatten() {
        if let (Some(after), Some(before)) = (since.after_unix_ns, since.before_unix_ns)
            && after > before
        {
            let what = "the time after which something began, above that before which it did,";
            return Err(Defect::Number { what, value: after.into() });
        }
    }
    let labels: usize = goroutine.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    at_most(
        "things that a goroutine waits for",
        goroutine.waits.len() as u64,
        WAITS_PER_GOROUTINE_MAX as u64,
    )?;
    let waits: usize = goroutine.waits.iter().map(|wait| wait.kind.len() + wait.detail.len()).sum();
    let texts = goroutine.header.len() + goroutine.arguments.len() + labels + waits;
    within("a goroutine's text", texts, GOROUTINE_TEXT_BYTES_MAX)
}

pub(super) fn gap(gap: &Gap) -> Result<(), Defect> {
    within("a gap's name", gap.what.len(), FACT_TEXT_BYTES_MAX)?;
    within("a gap's reason", gap.reason.len(), FACT_TEXT_BYTES_MAX)
}

pub(super) fn type_name(name: &str) -> Result<(), Defect> {
    within("a type's name", name.len(), NAME_BYTES_MAX)
}

pub(super) fn probe_table(table: &ProbeTable) -> Result<(), Defect> {
    within("a probe's name", table.probe.len(), PROBE_NAME_BYTES_MAX)?;
    at_most("columns of a probe", table.columns.len() as u64, PROBE_COLUMNS_MAX as u64)?;
    table.columns.iter().try_for_each(|column| within("a column's name", column.len(), COLUMN_NAME_BYTES_MAX))
}

pub(super) fn probe_row(row: &ProbeRow, columns: usize) -> Result<(), Defect> {
    if row.cells.len() != columns {
        let (said, came) = (columns as u64, row.cells.len() as u64);
        return Err(Defect::Count { what: "values of a frame", said, came });
    }
    let text = row.cells.iter().map(Cell::text_bytes).sum();
    within("the text of a frame's values", text, PROBE_ROW_TEXT_BYTES_MAX)
}

/// All that came of one process so far.
pub(super) fn value_text(bytes: u64) -> Result<(), Defect> {
    at_most("bytes of captured values", bytes, PROBE_TEXT_BYTES_PER_PROCESS_MAX)
}

pub(super) fn cell(cell: &Cell) -> Result<(), Defect> {
    if let CellValue::Text(text) | CellValue::Json(text) = &cell.value {
        within("a captured value", text.len(), CELL_VALUE_BYTES_MAX)?;
    }
    within("a gap's reason", cell.gap.as_ref().map_or(0, String::len), FACT_TEXT_BYTES_MAX)?;
    if cell.value == CellValue::None && cell.gap.is_none() {
        return Err(Defect::NoReason);
    }
    if is_json(cell) { Ok(()) } else { Err(Defect::NoJson) }
}

/// SQLite's integers are signed; no program has memory there.
pub(super) fn address(address: u64) -> Result<i64, Defect> {
    i64::try_from(address).map_err(|_| Defect::Number { what: "a value's address", value: address.into() })
}

/// SQLite's integers are signed; Go counts goroutines from 1 and does not get there.
pub(super) fn goid(goid: u64) -> Result<i64, Defect> {
    i64::try_from(goid).map_err(|_| Defect::Number { what: "a goroutine's number", value: goid.into() })
}

/// Whether there may be so many.
pub(super) fn counts(counts: &Counts) -> Result<(), Defect> {
    at_most("files", counts.files, TABLE_ITEMS_MAX)?;
    at_most("functions", counts.functions, TABLE_ITEMS_MAX)?;
    at_most("go statements", counts.go_statements, TABLE_ITEMS_MAX)?;
    at_most("stacks", counts.stacks, STACKS_PER_PROCESS_MAX)?;
    at_most("sockets", counts.sockets, SOCKETS_PER_PROCESS_MAX)?;
    at_most("goroutines", counts.goroutines, GOROUTINES_PER_PROCESS_MAX)?;
    at_most("types", counts.types, TABLE_ITEMS_MAX)?;
    at_most("lists of columns", counts.probe_tables, PROBE_TABLES_PER_PROCESS_MAX)?;
    at_most("frames with values", counts.probe_rows, PROBE_ROWS_PER_PROCESS_MAX)?;
    at_most("gaps", counts.gaps, GOROUTINES_PER_PROCESS_MAX)
}

/// Whether what came is what was announced.
pub(super) fn agree(said: &Counts, came: &Counts) -> Result<(), Defect> {
    for (what, said, came) in [
        ("files", said.files, came.files),
        ("functions", said.functions, came.functions),
        ("go statements", said.go_statements, came.go_statements),
        ("stacks", said.stacks, came.stacks),
        ("sockets", said.sockets, came.sockets),
        ("goroutines", said.goroutines, came.goroutines),
        ("types", said.types, came.types),
        ("lists of columns", said.probe_tables, came.probe_tables),
        ("frames with values", said.probe_rows, came.probe_rows),
        ("gaps", said.gaps, came.gaps),
    ] {
        if said != came {
            return Err(Defect::Count { what, said, came });
        }
    }
    Ok(())
}

pub(super) fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), Defect> {
    if bytes > limit { Err(Defect::TooLong { what, bytes, limit }) } else { Ok(()) }
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), Defect> {
    if found > limit { Err(Defect::TooMany { what, found, limit }) } else { Ok(()) }
}
