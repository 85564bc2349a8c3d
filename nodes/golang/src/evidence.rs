//! What the function table knows of variables, beside debug information: which calls stand at a program counter and on
//! which lines, which locals have their address taken, where arguments are and which of them are read later.

use crate::arguments;
use crate::bytes::{i32_at, u32_at, u64_at};
use crate::code_lines::CodeLines;
use crate::dwarf::{Call, Evidence, StackObject};
use crate::executable::{Architecture, Executable};
use crate::function_table::{FUNCDATA_INLINE_TREE, Function, ModuleFunctions};
use crate::inline_tree::INLINE_DEPTH_MAX;
use crate::stack_slots::StackSlots;

// @go const internal/abi.PCDATA_StackMapIndex = 1
// @go const internal/abi.FUNCDATA_ArgsPointerMaps = 0
// @go const internal/abi.FUNCDATA_StackObjects = 2
const PCDATA_STACK_MAP_INDEX: u32 = 1;
const FUNCDATA_ARGUMENTS_POINTER_MAPS: u8 = 0;
const FUNCDATA_STACK_OBJECTS: u8 = 2;
// @go offset runtime.stackObjectRecord.off = 0
// @go offset runtime.stackObjectRecord.size = 4
// @go size runtime.stackObjectRecord = 16
const STACK_OBJECT_BYTES: usize = 16;
/// Words of the arguments of one function.
const POINTER_BITS_MAX: usize = 1 << 16;
/// Locals of one function.
const STACK_OBJECTS_MAX: usize = 1 << 16;

impl ModuleFunctions<'_> {
    /// What makes the variables of the frames at `pc` believable; `text`: where the Go text starts, as an address of the
    /// file `executable`.
    pub(crate) fn evidence(
        &self,
        function: &Function,
        pc: u64,
        text: u64,
        executable: &Executable,
    ) -> Evidence {
        let slots = self.slots(function, text, executable);
        let mut calls = Vec::with_capacity(1);
        let tree = self.funcdata(function, FUNCDATA_INLINE_TREE);
        let live_pointers = self.live_argument_pointers(function, pc).unwrap_or_default();
        let mut pc = pc;
        loop {
            let call = tree.and_then(|tree| self.inlined_call(function, tree, pc));
            let call = call.filter(|_| calls.len() < INLINE_DEPTH_MAX);
            calls.push(Call {
                function: call
                    .as_ref()
                    .map_or(self.name(function), |call| self.name_at(call.name))
                    .to_owned(),
                line: u32::try_from(self.position(function, pc).1).unwrap_or(0),
                scope_pc: text.wrapping_add(pc),
            });
            match call {
                Some(call) => pc = call.parent_pc,
                None => break,
            }
        }
        Evidence {
            calls,
            stack_objects: self.stack_objects(function).unwrap_or_default(),
            arguments: self
                .argument_info(function)
                .and_then(|info| arguments::slots(&info))
                .unwrap_or_default(),
            live_pointers,
            uses_link_register: self.uses_link_register(),
            slots: Some(slots),
        }
    }

    fn slots(&self, function: &Function, text: u64, executable: &Executable) -> StackSlots {
        let start = text.saturating_add(function.entry);
        self.table.slots.of(start, || self.read_slots(function, text, executable))
    }

    fn read_slots(&self, function: &Function, text: u64, executable: &Executable) -> StackSlots {
        let Architecture::Amd64 = executable.architecture else { return StackSlots::unknown() };
        let start = text.saturating_add(function.entry);
        let length = self.end(function).saturating_sub(function.entry);
        let code =
            usize::try_from(length).ok().and_then(|length| executable.from_address(start)?.get(..length));
        let Some(code) = code else { return StackSlots::unknown() };
        let deltas = self.stack_deltas(function);
        let pushed = |pc: u64| {
            let pc = pc.wrapping_sub(text);
            let (delta, _) = deltas.get(deltas.partition_point(|&(_, until)| until <= pc))?;
            u64::try_from(*delta).ok()
        };
        let returns = |target: u64| {
            let called = target.checked_sub(text).and_then(|target| self.find(target));
            called.is_none_or(|called| !never_returns(self.name(&called)))
        };
        StackSlots::amd64(code, start, pushed, returns, CodeLines::of(self, function, text))
    }

    /// Offsets of the words among the arguments that the garbage collector follows at `pc`: pointers that are read later
    /// (`runtime.stackmap`; `getStackMap`, runtime/stkframe.go).
    //
    // @go offset runtime.stackmap.n = 0
    // @go offset runtime.stackmap.nbit = 4
    // @go offset runtime.stackmap.bytedata = 8
    fn live_argument_pointers(&self, function: &Function, pc: u64) -> Option<Vec<u64>> {
        let maps = self.funcdata(function, FUNCDATA_ARGUMENTS_POINTER_MAPS)?;
        let index = usize::try_from(self.pcdata(function, PCDATA_STACK_MAP_INDEX, pc)?).ok()?;
        let (count, bits) =
            (usize::try_from(i32_at(maps, 0)?).ok()?, usize::try_from(i32_at(maps, 4)?).ok()?);
        if index >= count || bits > POINTER_BITS_MAX {
            return None;
        }
        let length = bits.div_ceil(8);
        let map = maps.get(8usize.checked_add(index.checked_mul(length)?)?..)?.get(..length)?;
        let is_set = |bit: &usize| map[bit / 8] & (1 << (bit % 8)) != 0;
        Some((0..bits).filter(is_set).map(|bit| 8 * bit as u64).collect())
    }

    /// Locals that hold pointers and whose address is taken (`emitStackObjects`, cmd/compile/internal/liveness/plive.go).
    fn stack_objects(&self, function: &Function) -> Option<Vec<StackObject>> {
        let data = self.funcdata(function, FUNCDATA_STACK_OBJECTS)?;
        let count = usize::try_from(u64_at(data, 0)?).ok().filter(|&count| count <= STACK_OBJECTS_MAX)?;
        let records = data.get(8..8 + count * STACK_OBJECT_BYTES)?.chunks_exact(STACK_OBJECT_BYTES);
        // Offsets of locals count from where the frame's variables end (`varp`): below the saved frame pointer, which
        // is below the return address where calls leave that on the stack.
        let variables_end = if self.uses_link_register() { -8 } else { -16 };
        records
            .map(|record| {
                let offset = i64::from(i32_at(record, 0)?);
                let from = if offset < 0 { variables_end } else { 0 };
                Some(StackObject { offset: offset + from, size: u64::from(u32_at(record, 4)?) })
            })
            .collect()
    }
}

/// Functions of the runtime that the compiler's own calls end in (runtime/panic.go).
fn never_returns(name: &str) -> bool {
    let begins = ["panic", "goPanic", "gopanic", "throw", "fatal"];
    name.strip_prefix("runtime.").is_some_and(|name| begins.iter().any(|begin| name.starts_with(begin)))
}
