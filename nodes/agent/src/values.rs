//! What probes brought, as wire types; bounded as the wire is. A receiver refuses all of a process of which one text is
//! too long: what a process can make long is cut here, and what its damaged memory can make twice is left out.

use std::collections::{HashMap, HashSet};

use stillframe_golang::decode::Goroutines;
use stillframe_golang::probing::{Captured, Cell, Row, Table};
use stillframe_golang::value::Scalar;
use stillframe_wire::facts::{self, CellValue, Gap, ProbeRow, ProbeTable};
use stillframe_wire::limits::{
    CELL_VALUE_BYTES_MAX, COLUMN_NAME_BYTES_MAX, NAME_BYTES_MAX, PROBE_COLUMNS_MAX, PROBE_ROW_TEXT_BYTES_MAX,
    PROBE_ROWS_PER_PROCESS_MAX, PROBE_TABLES_PER_PROCESS_MAX, PROBE_TEXT_BYTES_PER_PROCESS_MAX,
    TABLE_ITEMS_MAX, TEXT_BYTES_MAX,
};

/// JSON of one value; leaves room for what is said of a cut.
const JSON_BYTES_MAX: usize = CELL_VALUE_BYTES_MAX / 2;
/// What is said of a value; its longest part is a type's name.
const GAP_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// All names of types together; a receiver keeps them beside those of functions and files.
const TYPE_BYTES_MAX: usize = 64 << 20;
const CUT: &str = "cut: too much data of one frame";

#[derive(Default)]
pub(crate) struct Values {
    pub(crate) types: Vec<String>,
    pub(crate) tables: Vec<ProbeTable>,
    pub(crate) rows: Vec<ProbeRow>,
    pub(crate) gaps: Vec<Gap>,
}

/// Names of types, each once.
#[derive(Default)]
struct Types {
    ids: HashMap<String, u32>,
    names: Vec<String>,
    bytes: usize,
}

impl Types {
    /// `None`: there is no room for more.
    fn id(&mut self, name: &str) -> Option<u32> {
        let name = cut(name, NAME_BYTES_MAX);
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if self.bytes + name.len() > TYPE_BYTES_MAX || self.names.len() as u64 == TABLE_ITEMS_MAX {
            return None;
        }
        self.bytes += name.len();
        let id = self.names.len() as u32;
        self.ids.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        Some(id)
    }
}

/// Where the goroutine of a number stands, and how many frames it has.
#[derive(Clone, Copy)]
enum Place {
    One {
        index: u32,
        frames: usize,
    },
    /// Another one has the number, too: whose value it is nobody knows.
    Several,
}

fn places(goroutines: &Goroutines) -> HashMap<u64, Place> {
    let mut places = HashMap::with_capacity(goroutines.goroutines.len());
    for (goroutine, index) in goroutines.goroutines.iter().zip(0..) {
        let frames = goroutines.stacks.get(goroutine.stack as usize).map_or(0, |stack| stack.frames.len());
        let place = Place::One { index, frames };
        places.entry(goroutine.goid).and_modify(|place| *place = Place::Several).or_insert(place);
    }
    places
}

pub(crate) fn convert(captured: Captured, goroutines: &Goroutines) -> Values {
    if captured == Captured::default() {
        return Values::default();
    }
    of_places(captured, &places(goroutines))
}

fn of_places(captured: Captured, places: &HashMap<u64, Place>) -> Values {
    let mut types = Types::default();
    let mut values = Values::default();
    let mut left_out = captured.left_out;
    let mut bytes = 0u64;
    for Row { table, goid, depth, cells } in captured.rows {
        // A goroutine whose record could not be decoded is a gap already.
        let Some(place) = places.get(&goid) else { continue };
        let goroutine = match place {
            Place::One { index, frames } if (depth as usize) < *frames => *index,
            _ => {
                left_out += 1;
                continue;
            }
        };
        if u64::from(table) >= PROBE_TABLES_PER_PROCESS_MAX
            || values.rows.len() as u64 == PROBE_ROWS_PER_PROCESS_MAX
        {
            left_out += 1;
            continue;
        }
        let mut room = PROBE_ROW_TEXT_BYTES_MAX;
        let mut converted = Vec::with_capacity(cells.len().min(PROBE_COLUMNS_MAX));
        for found in cells.into_iter().take(PROBE_COLUMNS_MAX) {
            let type_id = found.of.as_deref().and_then(|of| types.id(of));
            converted.push(cell(found, type_id, &mut room));
        }
        bytes += (PROBE_ROW_TEXT_BYTES_MAX - room) as u64;
        if bytes > PROBE_TEXT_BYTES_PER_PROCESS_MAX {
            left_out += 1;
            continue;
        }
        values.rows.push(ProbeRow { table, goroutine, depth, cells: converted });
    }
    values.types = types.names;
    values.tables =
        captured.tables.into_iter().take(PROBE_TABLES_PER_PROCESS_MAX as usize).map(table).collect();
    values.gaps.extend(captured.problems.into_iter().map(|problem| Gap {
        goid: None,
        what: format!("probe {}", problem.probe),
        reason: cut(&problem.what, GAP_BYTES_MAX).to_owned(),
    }));
    if left_out > 0 {
        let reason =
            format!("values of {left_out} frames are left out: more than the limit, or of no one goroutine");
        values.gaps.push(Gap { goid: None, what: "probes".to_owned(), reason });
    }
    values
}

/// Names of variables may be as long as debug information says; cut, two may be the same.
fn table(Table { probe, columns }: Table) -> ProbeTable {
    let mut names = HashSet::new();
    let columns = columns.iter().take(PROBE_COLUMNS_MAX).enumerate().map(|(place, column)| {
        let mut name = cut(column, COLUMN_NAME_BYTES_MAX).to_owned();
        if !names.insert(name.clone()) {
            // With its place among all of them it is another one.
            let number = format!("_{}", place + 1);
            name = cut(column, COLUMN_NAME_BYTES_MAX - number.len()).to_owned() + &number;
            names.insert(name.clone());
        }
        name
    });
    let columns = columns.collect();
    ProbeTable { probe, columns }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max.min(text.len()))]
}

fn cell(found: Cell, type_id: Option<u32>, room: &mut usize) -> facts::Cell {
    let mut gap = found.value.gap().map(|gap| cut(&gap.to_string(), GAP_BYTES_MAX).to_owned());
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use stillframe_golang::gap::Gap as Reason;
    use stillframe_golang::probing::Problem;
    use stillframe_golang::value::Value;

    use super::*;

    fn captured(of: &str, value: Value) -> Captured {
        let cell = Cell { of: Some(Rc::from(of)), value, address: Some(0xc000) };
        let row = |goid, depth| Row { table: 0, goid, depth, cells: vec![cell.clone()] };
        let rows = vec![row(1, 0), row(1, 1), row(1, 2), row(2, 0), row(3, 0)];
        let columns = vec!["v".to_owned()];
        Captured { tables: vec![Table { probe: "p".into(), columns }], rows, ..Captured::default() }
    }

    /// Goroutine 1 has two frames, two others have the number 2.
    fn converted(captured: Captured) -> Values {
        let places = [(1, Place::One { index: 5, frames: 2 }), (2, Place::Several)].into();
        of_places(captured, &places)
    }

    #[test]
    fn values_of_no_one_frame_are_left_out() {
        let values = converted(captured("int", Value::Int(7)));
        let found: Vec<_> = values.rows.iter().map(|row| (row.goroutine, row.depth)).collect();
        assert_eq!(found, [(5, 0), (5, 1)]);
        assert_eq!(
            (values.types.as_slice(), values.rows[0].cells[0].type_id),
            (&["int".to_owned()][..], Some(0))
        );
        // That goroutine 3 is not there is a gap already.
        assert!(values.gaps[0].reason.starts_with("values of 2 frames are left out"), "{:?}", values.gaps);
    }

    #[test]
    fn what_a_process_can_make_long_is_as_long_as_a_receiver_takes() {
        let long = |bytes: usize| "\u{e9}".repeat(bytes);
        let gap = Value::Missing(Reason::OtherType(long(200_000)));
        let mut all = captured(&long(NAME_BYTES_MAX), gap);
        let same = long(COLUMN_NAME_BYTES_MAX);
        all.tables[0].columns = vec![same.clone(), same.clone() + "a", same + "b", "v".into()];
        all.tables.resize(PROBE_TABLES_PER_PROCESS_MAX as usize + 1, all.tables[0].clone());
        let problem = |what| Problem { probe: "p".into(), function: "f".into(), column: "v".into(), what };
        all.problems = vec![problem(long(200_000))];
        let values = converted(all);
        assert_eq!(values.types[0].len(), NAME_BYTES_MAX);
        assert_eq!(values.tables.len() as u64, PROBE_TABLES_PER_PROCESS_MAX);
        let columns = &values.tables[0].columns;
        let distinct: HashSet<&String> = columns.iter().collect();
        assert_eq!(distinct.len(), 4);
        assert!(columns.iter().all(|column| column.len() <= COLUMN_NAME_BYTES_MAX));
        assert!(columns[1].ends_with("_2") && columns[2].ends_with("_3") && columns[3] == "v", "{columns:?}");
        let cell = &values.rows[0].cells[0];
        assert_eq!((&cell.value, cell.gap.as_ref().unwrap().len()), (&CellValue::None, GAP_BYTES_MAX));
        assert!(values.gaps.iter().all(|gap| gap.reason.len() <= GAP_BYTES_MAX));
    }

    #[test]
    fn names_of_types_have_a_bound_together() {
        let mut types = Types::default();
        let name = |number: usize| format!("{number:06}{}", "t".repeat(NAME_BYTES_MAX));
        let room = TYPE_BYTES_MAX / NAME_BYTES_MAX;
        assert!((0..room).all(|number| types.id(&name(number)) == Some(number as u32)));
        assert_eq!(types.id("more"), None);
        assert_eq!(types.id(&name(3)), Some(3));
    }
}
