//! What probes brought, as wire types; bounded as the wire is.

use std::collections::HashMap;

use stillframe_golang::decode::Goroutine;
use stillframe_golang::probing::{Captured, Cell, Row, Table};
use stillframe_golang::value::Scalar;
use stillframe_wire::facts::{self, CellValue, Gap, ProbeRow, ProbeTable};
use stillframe_wire::limits::{
    CELL_VALUE_BYTES_MAX, PROBE_COLUMNS_MAX, PROBE_ROW_TEXT_BYTES_MAX, PROBE_TEXT_BYTES_PER_PROCESS_MAX,
};

/// JSON of one value; leaves room for what is said of a cut.
const JSON_BYTES_MAX: usize = CELL_VALUE_BYTES_MAX / 2;
const CUT: &str = "cut: too much data of one frame";

#[derive(Default)]
pub(crate) struct Values {
    pub(crate) types: Vec<String>,
    pub(crate) tables: Vec<ProbeTable>,
    pub(crate) rows: Vec<ProbeRow>,
    pub(crate) gaps: Vec<Gap>,
}

pub(crate) fn convert(captured: Captured, goroutines: &[Goroutine]) -> Values {
    let index: HashMap<u64, u32> = goroutines.iter().zip(0..).map(|(g, index)| (g.goid, index)).collect();
    let mut types: HashMap<String, u32> = HashMap::new();
    let mut values = Values::default();
    let mut left_out = captured.left_out;
    let mut bytes = 0u64;
    for Row { table, goid, depth, cells } in captured.rows {
        // A goroutine whose record could not be decoded is a gap already.
        let Some(&goroutine) = index.get(&goid) else { continue };
        let mut room = PROBE_ROW_TEXT_BYTES_MAX;
        let mut converted = Vec::with_capacity(cells.len().min(PROBE_COLUMNS_MAX));
        for found in cells.into_iter().take(PROBE_COLUMNS_MAX) {
            let type_id = found.of.as_deref().map(|of| {
                *types.entry(of.to_owned()).or_insert_with(|| {
                    values.types.push(of.to_owned());
                    values.types.len() as u32 - 1
                })
            });
            converted.push(cell(found, type_id, &mut room));
        }
        bytes += (PROBE_ROW_TEXT_BYTES_MAX - room) as u64;
        if bytes > PROBE_TEXT_BYTES_PER_PROCESS_MAX {
            left_out += 1;
            continue;
        }
        values.rows.push(ProbeRow { table, goroutine, depth, cells: converted });
    }
    let table = |Table { probe, columns }| ProbeTable {
        probe,
        columns: columns.into_iter().take(PROBE_COLUMNS_MAX).collect(),
    };
    values.tables = captured.tables.into_iter().map(table).collect();
    values.gaps.extend(captured.problems.into_iter().map(|problem| Gap {
        goid: None,
        what: format!("probe {}", problem.probe),
        reason: problem.what,
    }));
    if left_out > 0 {
        let reason = format!("values of {left_out} frames are left out: more than the limit");
        values.gaps.push(Gap { goid: None, what: "probes".to_owned(), reason });
    }
    values
}

fn cell(found: Cell, type_id: Option<u32>, room: &mut usize) -> facts::Cell {
    let mut gap = found.value.gap().map(ToString::to_string);
    let mut value = match Scalar::of(&found.value, JSON_BYTES_MAX) {
        // A nil pointer is a value, a missing one is none.
        Scalar::None if gap.is_none() => CellValue::Json("null".to_owned()),
        Scalar::None => CellValue::None,
        Scalar::Bool(value) => CellValue::Bool(value),
        Scalar::Int(value) => CellValue::Int(value),
        Scalar::Uint(value) => CellValue::Uint(value),
        Scalar::Real(value) => CellValue::Real(value),
        Scalar::Text(value) => CellValue::Text(value),
        Scalar::Json(value) => CellValue::Json(value),
    };
    let bytes = |value: &CellValue, gap: &Option<String>| {
        facts::Cell { value: value.clone(), gap: gap.clone(), ..facts::Cell::default() }.text_bytes()
    };
    let mut needed = bytes(&value, &gap);
    if needed > CELL_VALUE_BYTES_MAX.min(*room) {
        (value, gap) = (CellValue::None, Some(CUT.to_owned()));
        needed = bytes(&value, &gap).min(*room);
    }
    *room -= needed;
    // An address that no user memory has is a damaged one.
    let address = found.address.filter(|address| i64::try_from(*address).is_ok());
    facts::Cell { type_id, value, address, gap }
}
