//! The lines that the instructions of one function stand on, through the calls that are inlined there: which of two comes first
//! in the source.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::function_table::{Function, ModuleFunctions};
use crate::inline_tree::INLINE_DEPTH_MAX;

/// Lines of all ranges of instructions of one function; code behind that has no lines.
const LINES_MAX: usize = 1 << 20;
/// Ranges that are looked at for the lines of loops; of more loops the lines are not known.
const LOOP_RANGES_MAX: usize = 1 << 22;

/// Lines of an instruction: in the function, in the call that is inlined there, in the call inlined into that.
type Lines = Box<[i32]>;

/// Addresses are of the file. Copies are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CodeLines {
    /// Up to which address lines hold, and which: an index into `lines`.
    ranges: Arc<[(u64, u32)]>,
    lines: Arc<[Lines]>,
    /// The first lines of loops.
    loops: Arc<[u32]>,
}

impl CodeLines {
    /// Lines of code without inlined calls, and up to which address.
    #[cfg(test)]
    pub(crate) fn plain(lines: &[(u64, i32)]) -> Self {
        CodeLines::of_ranges(lines.iter().map(|&(until, line)| (until, Lines::from([line]))))
    }

    /// `text`: where the Go text starts.
    pub(crate) fn of(functions: &ModuleFunctions<'_>, function: &Function, text: u64) -> Self {
        let line_ranges = functions.lines(function);
        let calls = functions.inlined_calls(function);
        let line = |pc: u64| {
            line_ranges.get(line_ranges.partition_point(|&(_, until)| until <= pc)).map(|&(line, _)| line)
        };
        let mut ends: Vec<u64> = line_ranges.iter().map(|&(_, until)| until).collect();
        ends.extend(calls.ends());
        ends.sort_unstable();
        ends.dedup();
        let mut begin = function.entry;
        let ranges = ends.into_iter().filter(|&end| end > function.entry).map(|end| {
            let mut pc = std::mem::replace(&mut begin, end);
            let mut lines = vec![line(pc).unwrap_or(0)];
            while let Some(parent) = calls.parent_of(pc).filter(|_| lines.len() < INLINE_DEPTH_MAX) {
                pc = parent;
                lines.push(line(pc).unwrap_or(0));
            }
            lines.reverse();
            (text.saturating_add(end), lines.into_boxed_slice())
        });
        CodeLines::of_ranges(ranges)
    }

    /// Lines, and up to which address; ascending.
    fn of_ranges(found: impl Iterator<Item = (u64, Lines)>) -> Self {
        let mut known: HashMap<Lines, u32> = HashMap::new();
        let mut all = Vec::new();
        let mut count = 0;
        let found = found.take_while(|(_, lines)| {
            count += lines.len();
            count <= LINES_MAX
        });
        let ranges = found.map(|(until, lines)| {
            let next = all.len() as u32;
            let index = *known.entry(lines).or_insert_with_key(|lines| {
                all.push(lines.clone());
                next
            });
            (until, index)
        });
        CodeLines { ranges: ranges.collect(), lines: all.into(), loops: Arc::new([]) }
    }

    /// `loops`: from where a jump back leads to where it stands.
    pub(crate) fn with_loops(self, loops: impl Iterator<Item = Range<u64>>) -> Self {
        let mut looked_at = 0;
        let mut first = Vec::new();
        for code in loops {
            let (start, end) = (self.range_of(code.start), self.range_of(code.end));
            looked_at += end.saturating_sub(start);
            if looked_at > LOOP_RANGES_MAX {
                return self;
            }
            let within = self.ranges.iter().take(end.saturating_add(1)).skip(start);
            first.extend(within.map(|&(_, index)| index).min_by_key(|&index| &self.lines[index as usize]));
        }
        first.sort_unstable();
        first.dedup();
        CodeLines { loops: first.into(), ..self }
    }

    fn range_of(&self, pc: u64) -> usize {
        self.ranges.partition_point(|&(until, _)| until <= pc)
    }

    fn at(&self, pc: u64) -> &[i32] {
        self.ranges.get(self.range_of(pc)).map_or(&[], |&(_, index)| &self.lines[index as usize])
    }

    /// How many ranges of instructions have lines.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the instruction at `pc` may be of a line above that at `other`, and not of the first line of a loop, which is
    /// come to after all others. Of a line that is not known it may.
    pub(crate) fn is_above(&self, pc: u64, other: u64) -> bool {
        let (here, there) = (self.at(pc), self.at(other));
        let is_known = |lines: &[i32]| !lines.is_empty() && lines.iter().all(|&line| line > 0);
        if !is_known(here) || !is_known(there) {
            return true;
        }
        let Some(differ) = here.iter().zip(there).position(|(here, there)| here != there) else {
            return false;
        };
        let begins = &here[..=differ];
        let is_loop = |index: &u32| self.lines[*index as usize].get(..=differ) == Some(begins);
        here[differ] < there[differ] && !self.loops.iter().any(is_loop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_above_another() {
        // 10 for ... {; 11 n++; 12 wait(), where 40 and 41 are inlined; 13 use(n); 10 }
        let lines: [(u64, &[i32]); 6] =
            [(2, &[10]), (4, &[11]), (6, &[12, 40]), (8, &[12, 41]), (10, &[13]), (12, &[10])];
        let code = CodeLines::of_ranges(lines.into_iter().map(|(until, lines)| (until, lines.into())));
        assert!(code.is_above(2, 9) && code.is_above(2, 5) && code.is_above(4, 7));
        assert!(!code.is_above(9, 2) && !code.is_above(3, 2));
        assert!(code.is_above(2, 100) && code.is_above(100, 2), "a line that is not known");
        assert!(code.is_above(0, 9) && code.is_above(11, 9));
        let code = code.with_loops(std::iter::once(2..11));
        assert!(!code.is_above(0, 9) && !code.is_above(11, 9), "the line of a loop");
        assert!(code.is_above(2, 9) && code.is_above(4, 7));
    }
}
