//! Values that probes might have captured of processes that never ran.

use stillframe_wire::facts::*;

/// Adds what probes capture: each of these tables has a row for every third goroutine, at depth 1, and in turn a column
/// of numbers, of texts, of truth values, and of what is missing.
pub fn capture(facts: &mut ProcessFacts, tables: &[(String, Vec<String>)]) {
    facts.types = ["int", "string", "bool"].map(str::to_owned).to_vec();
    let cell = |column: usize, goid: u64| {
        let kind = column % 4;
        Cell {
            type_id: (kind < 3).then_some(kind as u32),
            value: match kind {
                0 => CellValue::Int(goid as i64),
                1 => CellValue::Text(format!("goroutine {goid}")),
                2 => CellValue::Bool(goid.is_multiple_of(2)),
                _ => CellValue::None,
            },
            address: (kind == 1).then_some(0xc000_0000 + goid),
            gap: (kind == 3).then(|| "optimized out".into()),
        }
    };
    for (probe, columns) in tables {
        let table = facts.probe_tables.len() as u32;
        facts.probe_tables.push(ProbeTable { probe: probe.clone(), columns: columns.clone() });
        facts.probe_rows.extend((0..facts.goroutines.len()).step_by(3).map(|index| ProbeRow {
            table,
            goroutine: index as u32,
            depth: 1,
            cells: (0..columns.len()).map(|column| cell(column, facts.goroutines[index].goid)).collect(),
        }));
    }
}
