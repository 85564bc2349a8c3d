//! `[[link]]`: goroutines whose rows in two tables have the same value become rows of `links`.

use rusqlite::params;

use super::evaluate::{Refusal, clear};
use super::guard::RESULTS;
use super::{Derivation, Made, Trouble, at, error, listed, quoted};
use crate::probe_sets::{Link, LinkEnd};

/// That two values are equal is a fact; that it means what the set says is not.
const CONFIDENCE: &str = "likely";

impl Derivation<'_> {
    pub(super) fn link(&mut self, link: &Link) -> Result<Made, Trouble> {
        let is_excused = self.check_end(link, &link.from)? | self.check_end(link, &link.to)?;
        if !is_excused {
            self.fill_links(link)?;
        }
        let rows = self.connection.query_row(
            "select count(*) from main.links where name = ?",
            [&link.name],
            |row| row.get::<_, i64>(0),
        )?;
        let made = Made {
            kind: "link",
            table: "links".to_owned(),
            name: link.name.clone(),
            rows: rows as u64,
            replaced: false,
        };
        self.note(&made, &format!("{} -> {}", text(&link.from), text(&link.to)))?;
        Ok(made)
    }

    /// `true`: only the capture will tell.
    fn check_end(&mut self, link: &Link, end: &LinkEnd) -> Result<bool, Trouble> {
        let columns = self.columns_of(&end.table)?;
        let refused = |message: String, help: String| {
            Err(Trouble::Set(error(at(end.place), link.label(), message, help)))
        };
        if columns.is_empty() {
            let help = "a link is between tables of probes and of the set, such as probe_orders";
            return refused(format!("there is no table {}", end.table), help.to_owned());
        }
        let is_missing = |name: &&str| !columns.iter().any(|column| column.eq_ignore_ascii_case(name));
        match ["goroutine_id", &end.column].into_iter().find(is_missing) {
            None => Ok(false),
            Some(_) if self.is_check && self.open.contains(&end.table) => Ok(true),
            Some(missing) => {
                let help = format!("{} has the columns {}", end.table, listed(&columns));
                refused(format!("no such column: {missing}"), help)
            }
        }
    }

    fn fill_links(&mut self, link: &Link) -> Result<(), Trouble> {
        let is_address = |end: &LinkEnd| {
            self.addresses
                .iter()
                .any(|(table, column)| *table == end.table && column.eq_ignore_ascii_case(&end.column))
        };
        // The same address in two processes is two objects.
        let within = if is_address(&link.from) || is_address(&link.to) {
            "and g.process_id = h.process_id"
        } else {
            ""
        };
        let (from, to) = (quoted(&link.from.column), quoted(&link.to.column));
        let sql = format!(
            "select g.goroutine_id, h.goroutine_id, min(f.{from})
             from main.{} f join main.{} t on t.{to} = f.{from}
             join main.goroutines g on g.goroutine_id = f.goroutine_id
             join main.goroutines h on h.goroutine_id = t.goroutine_id
             where g.goroutine_id <> h.goroutine_id {within}
             group by g.goroutine_id, h.goroutine_id",
            quoted(&link.from.table),
            quoted(&link.to.table),
        );
        let refused = |refusal: Refusal| {
            let help = refusal.help.unwrap_or("compare columns of which few rows have the same value");
            error(at(link.place), link.label(), refusal.message, help)
        };
        self.results(&sql, 3, 2, refused)?;
        if self.is_check {
            return Ok(());
        }
        self.connection.execute(
            &format!(
                "insert into main.links (name, client_goroutine_id, server_goroutine_id, confidence, evidence, role)
                 select ?1, c0, c1, ?2,
                        json_object('from', ?3, 'to', ?4, 'value', case typeof(c2) when 'blob' then hex(c2) else c2 end),
                        ?5
                 from temp.{RESULTS} order by c0, c1"
            ),
            params![link.name, CONFIDENCE, text(&link.from), text(&link.to), link.role],
        )?;
        clear(self.connection)?;
        Ok(())
    }
}

fn text(end: &LinkEnd) -> String {
    format!("{}({})", end.table, end.column)
}
