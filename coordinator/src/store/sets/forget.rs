//! Takes back what sets have added under the names that a set has, so that a set that is applied again replaces it.

use std::collections::HashSet;

use rusqlite::Connection;

use super::{documentation, is_taken, quoted};
use crate::probe_sets::Outline;

/// Kind, table and name of what was taken back.
pub(super) type Forgotten = HashSet<(&'static str, String, String)>;

pub(super) fn forget(connection: &Connection, set: &Outline) -> rusqlite::Result<Forgotten> {
    let mut forgotten = Forgotten::new();
    for column in &set.columns {
        let table = format!("probe_{}", column.probe);
        if is_derived(connection, "column", &table, &column.name)? {
            let sql = format!("alter table main.{} drop column {}", quoted(&table), quoted(&column.name));
            connection.execute_batch(&sql)?;
            documentation::forget_column(connection, &table, &column.name)?;
            forgotten.insert(("column", table, column.name.clone()));
        }
    }
    for table in set.tables.iter().filter(|table| !is_taken(&table.name)) {
        let name = &table.name;
        if is_derived(connection, "table", name, name)? {
            connection.execute_batch(&format!("drop table main.{}", quoted(name)))?;
            connection.execute("delete from main.about where name = ?", [name])?;
            forgotten.insert(("table", name.clone(), name.clone()));
        }
    }
    for endpoint in &set.endpoints {
        if is_derived(connection, "endpoint", "endpoints", &endpoint.name)? {
            connection.execute(
                "delete from main.links where exists (
                     select 1 from main.endpoints e
                     where e.source = ? and e.endpoint_id in (links.client_endpoint_id, links.server_endpoint_id))",
                [&endpoint.name],
            )?;
            connection.execute("delete from main.endpoints where source = ?", [&endpoint.name])?;
            forgotten.insert(("endpoint", "endpoints".to_owned(), endpoint.name.clone()));
        }
    }
    for link in &set.links {
        if is_derived(connection, "link", "links", &link.name)? {
            connection.execute("delete from main.links where name = ?", [&link.name])?;
            forgotten.insert(("link", "links".to_owned(), link.name.clone()));
        }
    }
    if !set.programs.is_empty() {
        let mut named =
            connection.prepare("select table_name, name from main.derivations where kind = 'program'")?;
        let named = named.query_map([], |row| Ok(("program", row.get(0)?, row.get(1)?)))?;
        for named in named {
            forgotten.insert(named?);
        }
    }
    for (kind, table, name) in &forgotten {
        connection.execute(
            "delete from main.derivations where kind = ? and table_name = ? and name = ?",
            [kind, &table[..], &name[..]],
        )?;
    }
    Ok(forgotten)
}

fn is_derived(connection: &Connection, kind: &str, table: &str, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("select 1 from main.derivations where kind = ? and table_name = ? and name = ?")?
        .exists([kind, table, name])
}
