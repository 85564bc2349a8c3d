//! The inline tree: which calls are inlined into a function, and where.

use crate::bytes::{i32_at, u8_at, u32_at};
use crate::function_table::{FUNCDATA_INLINE_TREE, Function, ModuleFunctions};
use crate::version::FunctionKind;

// @go size runtime.inlinedCall = 16
// @go offset runtime.inlinedCall.funcID = 0
// @go offset runtime.inlinedCall.nameOff = 4
// @go offset runtime.inlinedCall.parentPc = 8
// @go offset runtime.inlinedCall.startLine = 12
const INLINE_ENTRY_BYTES: usize = 16;
/// Calls inlined into each other at one program counter. The compiler's own limit on the depth is far lower; this bounds
/// a walk through a damaged tree.
pub(crate) const INLINE_DEPTH_MAX: usize = 1_000;
/// Inlined calls of one function, and the ranges of their instructions.
const INLINED_MAX: usize = 1 << 16;
const INLINE_RANGES_MAX: usize = 1 << 20;
// @go const internal/abi.PCDATA_InlTreeIndex = 2
const PCDATA_INLINE_TREE_INDEX: u32 = 2;

/// One call at a program counter, as the source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalFrame<'a> {
    pub name: &'a str,
    pub file: &'a str,
    pub line: i32,
    pub start_line: i32,
    pub inlined: bool,
    pub kind: FunctionKind,
}

pub(crate) struct InlinedCall {
    kind_id: u8,
    pub(crate) name: u32,
    pub(crate) parent_pc: u64,
    start_line: i32,
}

/// Where the calls that are inlined into a function stand.
pub(crate) struct InlinedCalls {
    /// Which call, or -1, and up to which address.
    ranges: Vec<(i32, u64)>,
    /// Where each is called from.
    parents: Vec<u64>,
}

impl InlinedCalls {
    pub(crate) fn ends(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().map(|&(_, until)| until)
    }

    /// Where the call that `pc` stands in is called from.
    pub(crate) fn parent_of(&self, pc: u64) -> Option<u64> {
        let (index, _) = self.ranges.get(self.ranges.partition_point(|&(_, until)| until <= pc))?;
        self.parents.get(usize::try_from(*index).ok()?).copied()
    }
}

impl<'a> ModuleFunctions<'a> {
    /// The calls inlined into the function.
    pub(crate) fn inlined_calls(&self, function: &Function) -> InlinedCalls {
        let ranges: Vec<(i32, u64)> = self.inline_ranges(function).collect();
        let tree = self.funcdata(function, FUNCDATA_INLINE_TREE).unwrap_or_default();
        let indices = ranges.iter().filter_map(|&(index, _)| usize::try_from(index).ok());
        let last = indices.filter(|&index| index <= INLINED_MAX).max();
        let entries = tree.chunks_exact(INLINE_ENTRY_BYTES).take(last.map_or(0, |last| last + 1));
        let parents = entries
            .map(|entry| function.entry.wrapping_add(u64::from(u32_at(entry, 8).unwrap_or(0))))
            .collect();
        InlinedCalls { ranges, parents }
    }

    /// The calls that the instruction at `pc` stands in, innermost first; the last one is `function` itself.
    pub fn logical_frames(&self, function: &Function, pc: u64) -> Vec<LogicalFrame<'a>> {
        let mut frames = Vec::with_capacity(1);
        let tree = self.funcdata(function, FUNCDATA_INLINE_TREE);
        let mut pc = pc;
        while let Some(tree) = tree
            && frames.len() < INLINE_DEPTH_MAX
            && let Some(call) = self.inlined_call(function, tree, pc)
        {
            let (file, line) = self.position(function, pc);
            frames.push(LogicalFrame {
                name: self.name_at(call.name),
                file,
                line,
                start_line: call.start_line,
                inlined: true,
                kind: FunctionKind::of(call.kind_id, self.minor),
            });
            pc = call.parent_pc;
        }
        let (file, line) = self.position(function, pc);
        frames.push(LogicalFrame {
            name: self.name(function),
            file,
            line,
            start_line: function.start_line,
            inlined: false,
            kind: function.kind(self.minor),
        });
        frames
    }

    /// The functions whose calls are inlined somewhere in `function`, in any order, perhaps several times.
    pub fn inlined(&self, function: &Function) -> impl Iterator<Item = &'a str> {
        let tree = self.funcdata(function, FUNCDATA_INLINE_TREE).unwrap_or_default();
        // The tree does not say how large it is: as large as the calls that it is asked for.
        let last = self.inline_indices(function).map(|(_, index)| index).max();
        let entries = tree.chunks_exact(INLINE_ENTRY_BYTES).take(last.map_or(0, |last| last + 1));
        entries.filter_map(|entry| Some(self.name_at(u32_at(entry, 4)?)))
    }

    /// Program counters in `function` at which other inlined calls begin.
    pub fn inlined_pcs(&self, function: &Function) -> impl Iterator<Item = u64> {
        self.inline_indices(function).map(|(pc, _)| pc)
    }

    /// Where instructions of inlined calls begin, and of which: the index in the inline tree.
    fn inline_indices(&self, function: &Function) -> impl Iterator<Item = (u64, usize)> {
        let mut from = function.entry;
        self.inline_ranges(function).filter_map(move |(value, until)| {
            let begins = std::mem::replace(&mut from, until);
            Some((begins, usize::try_from(value).ok().filter(|&index| index <= INLINED_MAX)?))
        })
    }

    /// Which call of the inline tree, or -1, and up to which address.
    fn inline_ranges(&self, function: &Function) -> impl Iterator<Item = (i32, u64)> + use<'a> {
        let has_table = PCDATA_INLINE_TREE_INDEX < function.pcdata_count;
        let table = has_table.then(|| self.pcdata_table(function, PCDATA_INLINE_TREE_INDEX)).flatten();
        let values = table.filter(|&table| table != 0).and_then(|table| self.pc_values(function, table));
        values.into_iter().flatten().take(INLINE_RANGES_MAX)
    }

    /// `runtime.inlinedCall`: kind u8, padding, name i32, parent pc i32, start line i32.
    pub(crate) fn inlined_call(&self, function: &Function, tree: &[u8], pc: u64) -> Option<InlinedCall> {
        let index = usize::try_from(self.pcdata(function, PCDATA_INLINE_TREE_INDEX, pc)?).ok()?;
        let entry = tree.get(index.checked_mul(INLINE_ENTRY_BYTES)?..)?;
        Some(InlinedCall {
            kind_id: u8_at(entry, 0)?,
            name: u32_at(entry, 4)?,
            parent_pc: function.entry.checked_add(u64::from(u32_at(entry, 8)?))?,
            start_line: i32_at(entry, 12)?,
        })
    }
}
