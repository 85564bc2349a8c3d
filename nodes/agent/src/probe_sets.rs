//! What a coordinator and a command line have to know of a probe set before it is ordered: whether it is one, and which
//! tables it makes.

use stillframe_golang::probe::ProbeSet;
pub use stillframe_golang::probe::set::{SetError, SetErrors};

/// A probe, and the names of its expressions; none: it takes what each function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
}

/// The tables of a probe set, in the order of its text.
pub fn tables(text: &str) -> Result<Vec<Table>, SetErrors> {
    let set = ProbeSet::parse(text)?;
    let table = |probe: stillframe_golang::probe::set::Probe| Table {
        columns: probe.capture.into_iter().flatten().map(|column| column.name).collect(),
        name: probe.name,
    };
    Ok(set.probes.into_iter().map(table).collect())
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
        };
        assert_eq!(tables, [table("orders", &["req_user_id", "n"]), table("all", &[])]);
        let errors = super::tables("\n[[prob]]").unwrap_err();
        assert_eq!((errors.0[0].line, errors.0[0].column), (2, 3));
    }
}
