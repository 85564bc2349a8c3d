//! What a coordinator and a command line have to know of a probe set before it is ordered: whether it is one, which tables
//! it makes, and what it adds to a snapshot without capturing anything.

pub use crate::convert::program as program_of;
use stillframe_golang::probe::ProbeSet;
use stillframe_golang::probe::expression::{Builtin, Kind};
pub use stillframe_golang::probe::is_name;
pub use stillframe_golang::probe::pattern::Pattern;
pub use stillframe_golang::probe::problem::{listed, nearest};
use stillframe_golang::probe::set::Column;
pub use stillframe_golang::probe::set::{
    AddedColumn, DerivedTable, Described, Endpoint, EnvironmentFits, Link, LinkEnd, Probe, ProgramRule,
    SetError, SetErrors, Sql, StoredName, TextPlace, Undecided, first_rule,
};

/// A probe, and the names of its expressions; none: it takes what each function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
    /// It captures what a program rule asks for.
    pub is_of_rule: bool,
}

/// A probe set, without what only nodes are concerned with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// In the order of the text, like all of it.
    pub probes: Vec<Table>,
    pub has_redactions: bool,
    /// Probes that are not restricted to programs.
    pub for_any_program: Vec<String>,
    pub programs: Vec<ProgramRule>,
    pub columns: Vec<AddedColumn>,
    pub endpoints: Vec<Endpoint>,
    pub tables: Vec<DerivedTable>,
    pub links: Vec<Link>,
    /// Sets that its rules name and that are no part of the text.
    pub absent_sets: Vec<SetError>,
    /// The tables and columns that hold addresses, which mean something in their own process alone.
    pub addresses: Vec<(String, String)>,
}

pub fn outline(text: &str) -> Result<Outline, SetErrors> {
    let set = ProbeSet::parse(text)?;
    let absent_sets = set.absent_sets();
    let ProbeSet { probes, types: _, programs, redactions, columns, endpoints, tables, links, parts: _ } =
        set;
    Ok(Outline {
        addresses: probes.iter().flat_map(addresses).collect(),
        probes: probes.iter().map(table).collect(),
        has_redactions: !redactions.is_empty(),
        for_any_program: probes
            .iter()
            .filter(|probe| probe.program.is_none() && !probe.is_quiet)
            .map(|probe| probe.name.clone())
            .collect(),
        programs,
        columns,
        endpoints,
        tables,
        links,
        absent_sets,
    })
}

/// The tables of a probe set, in the order of its text.
pub fn tables(text: &str) -> Result<Vec<Table>, SetErrors> {
    outline(text).map(|outline| outline.probes)
}

fn table(probe: &Probe) -> Table {
    let columns = probe.capture.iter().flatten().map(|column| column.name.clone());
    Table { name: probe.name.clone(), columns: columns.collect(), is_of_rule: probe.is_quiet }
}

fn addresses(probe: &Probe) -> impl Iterator<Item = (String, String)> {
    let is_address = |column: &&Column| {
        column
            .ways
            .iter()
            .any(|way| matches!(&way.expression.kind, Kind::Call { builtin: Builtin::Addr, .. }))
    };
    let columns = probe.capture.iter().flatten().filter(is_address);
    columns.map(|column| (probe.table(), column.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_a_table_for_each_probe() {
        let text = "[[probe]]\nname = 'orders'\nfunction = 'a.B'\ncapture = ['req.UserID', { as = 'n', expr = 'len(x)' }]\n\
                    [[redact]]\nfield = '**.Token'\n[[probe]]\nname = 'all'\nfunction = 'a.C'\n";
        let tables = tables(text).unwrap();
        let table = |name: &str, columns: &[&str]| Table {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            is_of_rule: false,
        };
        assert_eq!(tables, [table("orders", &["req_user_id", "n"]), table("all", &[])]);
        let errors = super::tables("\n[[prob]]").unwrap_err();
        assert_eq!((errors.0[0].line, errors.0[0].column), (2, 3));
    }

    #[test]
    fn addresses_are_known() {
        let text = "[[probe]]\nname = 'a'\nfunction = 'a.B'\ncapture = [{ as = 'lock', expr = 'addr(s.mu)' }, 's.n']\n\
             [[redact]]\nfield = '**.Token'\n";
        let outline = outline(text).unwrap();
        assert_eq!(outline.addresses, [("probe_a".to_owned(), "lock".to_owned())]);
        assert!(outline.has_redactions);
    }
}
