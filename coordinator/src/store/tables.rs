//! What stands in the file so far: the numbers that are given out, and how they and their rows are taken back.

use super::file::Database;
use super::interner::Interner;
use super::order::WriteError;
use super::probes::Probes;
use super::values;

/// Ids of the tables that processes share, and the last ids of those that grow by rows.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) functions: Interner,
    pub(super) go_statements: Interner,
    pub(super) stacks: Interner,
    /// The id of a group is that of its first stack.
    pub(super) groups: Interner,
    pub(super) sockets: i64,
    pub(super) goroutines: i64,
    pub(super) gaps: i64,
    pub(super) probes: Probes,
}

/// The last id of each table at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watermark {
    functions: i64,
    go_statements: i64,
    stacks: i64,
    sockets: i64,
    pub(super) goroutines: i64,
    gaps: i64,
}

impl Tables {
    pub(super) fn watermark(&self) -> Watermark {
        Watermark {
            functions: self.functions.len() as i64,
            go_statements: self.go_statements.len() as i64,
            stacks: self.stacks.len() as i64,
            sockets: self.sockets,
            goroutines: self.goroutines,
            gaps: self.gaps,
        }
    }

    /// Deletes every row that came after `mark`. There is no journal to roll back, so that the rows go by their ids.
    pub(super) fn cut(&mut self, database: &Database, mark: &Watermark) -> Result<(), WriteError> {
        values::cut(database, &self.probes, mark.goroutines)?;
        for (delete, last) in [
            ("delete from gaps where gap_id > ?", mark.gaps),
            ("delete from waits where goroutine_id > ?", mark.goroutines),
            ("delete from goroutines where goroutine_id > ?", mark.goroutines),
            ("delete from sockets where socket_id > ?", mark.sockets),
            ("delete from stack_frames where stack_id > ?", mark.stacks),
            ("delete from stacks where stack_id > ?", mark.stacks),
            ("delete from go_statements where go_statement_id > ?", mark.go_statements),
            ("delete from functions where function_id > ?", mark.functions),
        ] {
            database.execute(delete, [last])?;
        }
        self.functions.cut(mark.functions);
        self.go_statements.cut(mark.go_statements);
        self.stacks.cut(mark.stacks);
        self.groups.cut(mark.stacks);
        (self.sockets, self.goroutines, self.gaps) = (mark.sockets, mark.goroutines, mark.gaps);
        Ok(())
    }
}
