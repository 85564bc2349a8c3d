//! The rows of `about` of what a set adds.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Made, quoted};

/// Begins what stands behind a column's name.
const ADDED: &str = "added by a probe set: ";

/// A line more for the table's columns.
pub(super) fn column(connection: &Connection, made: &Made, sql: &str) -> rusqlite::Result<()> {
    let line = format!("{}: {ADDED}{}", made.name, one_line(sql));
    connection.execute(
        "update main.about set columns = columns || char(10) || ? where name = ?",
        params![line, made.table],
    )?;
    Ok(())
}

pub(super) fn forget_column(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<()> {
    let columns: Option<String> = connection
        .query_row("select columns from main.about where name = ?", [table], |row| row.get(0))
        .optional()?;
    let Some(columns) = columns else { return Ok(()) };
    let prefix = format!("{name}: {ADDED}");
    let others: Vec<&str> = columns.lines().filter(|line| !line.starts_with(&prefix)).collect();
    connection
        .execute("update main.about set columns = ? where name = ?", params![others.join("\n"), table])?;
    Ok(())
}

pub(super) fn table(
    connection: &Connection,
    made: &Made,
    columns: &[String],
    sql: &str,
) -> rusqlite::Result<()> {
    let question =
        format!("What does the table {} of a probe set hold? The rows of: {}", made.table, one_line(sql));
    let columns: Vec<String> = columns.iter().map(|name| format!("{name}: as the SELECT has it")).collect();
    connection.execute(
        "insert into main.about values (?, ?, ?, ?)",
        params![
            made.table,
            question,
            columns.join("\n"),
            format!("select * from {} limit 20", quoted(&made.table))
        ],
    )?;
    Ok(())
}

/// A comment ends at its line, so that the text is for reading alone.
fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}
