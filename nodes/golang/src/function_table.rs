//! Go's function table (`.gopclntab`): which function a program counter is in, how large its frame is there, and which
//! source line it stands for.
//!
//! Layout, equal in Go 1.21 to 1.27 (`internal/abi/symtab.go`, `runtime/symtab.go`, `cmd/link/internal/ld/pcln.go`):
//! a header of magic number, smallest instruction length and pointer size, then 8-byte words: function count, file
//! count, text start (0 since 1.26), and the offsets of function names, compilation units, files, pc tables and
//! functions. The program's is taken from its file, never from a process; those of plugins are (`modules.rs`).
//!
//! Program counters in this module are offsets from the start of the program's Go text (`moduledata.text`).

use std::ops::Range;

use thiserror::Error;

use crate::bytes::{i32_at, offset, u8_at, u32_at, u64_at, varint};
use crate::executable::Executable;
use crate::kept_slots::KeptSlots;
use crate::modules::Functions;
use crate::version::FunctionKind;

/// The second is that of position-independent executables up to Go 1.25.
pub(crate) const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
// @go const internal/abi.CurrentPCLnTabMagic = none (..1.25), 0xfffffff1 (1.26..)
const MAGIC: u32 = 0xffff_fff1;
/// Of the table's address; the linker aligns it to more.
const ALIGNMENT: usize = 8;
// @go offset runtime.pcHeader.{magic} = 0
// @go offset runtime.pcHeader.minLC = 6
// @go offset runtime.pcHeader.ptrSize = 7
// @go offset runtime.pcHeader.nfunc = 8
// @go offset runtime.pcHeader.nfiles = 16
// @go offset runtime.pcHeader.funcnameOffset = 32
// @go offset runtime.pcHeader.cuOffset = 40
// @go offset runtime.pcHeader.filetabOffset = 48
// @go offset runtime.pcHeader.pctabOffset = 56
// @go offset runtime.pcHeader.pclnOffset = 64
// @go size runtime.pcHeader = 72
const HEADER_BYTES: usize = 72;
// @go size runtime.functab = 8
// @go size runtime._func = 44
const FUNCTION_FIXED_BYTES: usize = 44;
/// Changes of the stack pointer in one function; it has some four, and more where it is assembly.
const STACK_DELTAS_MAX: usize = 1 << 16;
/// Ranges of instructions of one line, in one function.
const LINE_RANGES_MAX: usize = 1 << 18;
const NAME_BYTES_MAX: usize = 16 << 10;

/// Indices of `_func`'s trailing tables (`internal/abi/symtab.go`).
//
// @go const internal/abi.PCDATA_ArgLiveIndex = 3
// @go const internal/abi.FUNCDATA_InlTree = 3
// @go const internal/abi.FUNCDATA_ArgInfo = 5
// @go const internal/abi.FUNCDATA_ArgLiveInfo = 6
const PCDATA_ARGUMENT_LIVE_INDEX: u32 = 3;
pub(crate) const FUNCDATA_INLINE_TREE: u8 = 3;
const FUNCDATA_ARGUMENT_INFO: u8 = 5;
const FUNCDATA_ARGUMENT_LIVE_INFO: u8 = 6;

/// `sys.PCQuantum` of arm64 (internal/runtime/sys/consts_arm64.go); it is 1 on amd64.
const INSTRUCTION_LENGTH_ARM64: u64 = 4;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FunctionTableError {
    #[error("the executable has no Go function table (.gopclntab)")]
    Missing,
    #[error("the Go function table is of an unknown form (magic number {0:#x})")]
    UnknownForm(u32),
    #[error("damaged Go function table: {0}")]
    Damaged(&'static str),
}

/// Where the parts of the table lie in it.
#[derive(Clone, Debug)]
pub struct FunctionTable {
    /// Of the file.
    pub(crate) address: u64,
    length: usize,
    instruction_length: u32,
    function_count: usize,
    names: Range<usize>,
    units: Range<usize>,
    files: Range<usize>,
    pc_tables: Range<usize>,
    functions: Range<usize>,
    pub(crate) slots: KeptSlots,
}

/// One function of the table (`runtime._func`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Which of `Functions`' modules it is of.
    pub(crate) module: u32,
    /// Offset in `FunctionTable::functions`.
    at: usize,
    /// From the start of the Go text.
    pub entry: u64,
    name: u32,
    pcsp: u32,
    pcfile: u32,
    pcline: u32,
    pub(crate) pcdata_count: u32,
    unit: u32,
    pub start_line: i32,
    kind_id: u8,
    flags: u8,
    funcdata_count: u8,
}

impl Function {
    /// It stands at the outer end of its stack.
    //
    // @go const internal/abi.FuncFlagTopFrame = 1
    pub fn is_top_frame(&self) -> bool {
        self.flags & 1 != 0
    }

    /// It writes the stack pointer in ways that the table does not tell.
    //
    // @go const internal/abi.FuncFlagSPWrite = 2
    pub fn writes_stack_pointer(&self) -> bool {
        self.flags & 2 != 0
    }

    pub fn kind(&self, minor: u32) -> FunctionKind {
        FunctionKind::of(self.kind_id, minor)
    }

    /// The table knows how its frame looks. Functions that are not Go's, such as the race detector's, have none.
    pub fn has_frame_information(&self) -> bool {
        self.pcsp != 0
    }
}

/// How Go prints a function's arguments in a traceback (`internal/abi/stack.go`).
#[derive(Clone, Copy, Debug)]
pub struct ArgumentInfo<'a> {
    pub(crate) program: &'a [u8],
    /// Which arguments hold a value where; `None`: all of them, everywhere.
    pub(crate) liveness: Option<&'a [u8]>,
}

/// The table of one module together with what it points into: enough for every question.
#[derive(Clone, Copy)]
pub struct ModuleFunctions<'a> {
    pub(crate) table: &'a FunctionTable,
    pub(crate) bytes: &'a [u8],
    pub(crate) data: FunctionData<'a>,
    pub(crate) module: u32,
    /// Where the module's text begins, from the start of the program's.
    pub(crate) start: u64,
    pub(crate) minor: u32,
}

/// The read-only data that the compiler attached to functions.
#[derive(Clone, Copy)]
pub(crate) enum FunctionData<'a> {
    /// In an executable, from this address of the file on: `moduledata.gofunc`.
    File(&'a Executable, u64),
    /// All of it.
    Bytes(&'a [u8]),
}

impl FunctionTable {
    pub fn read(executable: &Executable) -> Result<Self, FunctionTableError> {
        use FunctionTableError::Damaged;
        let section = SECTIONS.iter().find_map(|name| executable.section(name));
        let Some(section) = section else { return Self::search(executable) };
        let bytes = executable
            .at_offset(section.file_offset, section.file_length)
            .ok_or(Damaged("it is not whole in the file"))?;
        Self::parse(section.address, bytes)
    }

    /// Without sections: by how it begins.
    fn search(executable: &Executable) -> Result<Self, FunctionTableError> {
        let magic = MAGIC.to_le_bytes();
        let found = executable.search(ALIGNMENT, &magic).map(|(address, bytes)| Self::parse(address, bytes));
        found.flatten().next().ok_or(FunctionTableError::Missing)
    }

    /// `bytes`: from its start to its end, or beyond.
    pub(crate) fn parse(address: u64, bytes: &[u8]) -> Result<Self, FunctionTableError> {
        use FunctionTableError::Damaged;
        let magic = u32_at(bytes, 0).ok_or(Damaged("too short"))?;
        if magic != MAGIC {
            return Err(FunctionTableError::UnknownForm(magic));
        }
        let instruction_length = u32::from(u8_at(bytes, 6).unwrap_or(0));
        if !matches!(instruction_length, 1 | 4) || u8_at(bytes, 7) != Some(8) {
            return Err(Damaged("impossible instruction or pointer length"));
        }
        let word = |at: usize| u64_at(bytes, at).and_then(offset).ok_or(Damaged("too short"));
        let (names, units, files, pc_tables, functions) =
            (word(32)?, word(40)?, word(48)?, word(56)?, word(64)?);
        let ascending = HEADER_BYTES <= names
            && names <= units
            && units <= files
            && files <= pc_tables
            && pc_tables <= functions
            && functions <= bytes.len();
        if !ascending {
            return Err(Damaged("its parts are not in order"));
        }
        let function_count = word(8)?;
        // Pairs of entry and offset, and a last one that holds the end of the text.
        let pairs = function_count.checked_add(1).and_then(|n| n.checked_mul(8));
        if function_count == 0 || pairs.is_none_or(|p| p > bytes.len() - functions) {
            return Err(Damaged("more functions than it has room for"));
        }
        Ok(FunctionTable {
            address,
            length: bytes.len(),
            instruction_length,
            function_count,
            names: names..units,
            units: units..files,
            files: files..pc_tables,
            pc_tables: pc_tables..functions,
            functions: functions..bytes.len(),
            slots: KeptSlots::default(),
        })
    }

    pub fn function_count(&self) -> usize {
        self.function_count
    }

    /// Offset of the function names from the table's start: how a moduledata is recognised.
    pub(crate) fn names_offset(&self) -> u64 {
        self.names.start as u64
    }

    pub(crate) fn instruction_length(&self) -> u64 {
        u64::from(self.instruction_length)
    }

    fn bytes<'a>(&self, executable: &'a Executable) -> Option<&'a [u8]> {
        executable.initial_bytes(self.address)?.get(..self.length)
    }

    /// Where the code of the function of this name is, from the start of the Go text.
    pub(crate) fn code(&self, executable: &Executable, name: &str) -> Option<Range<u64>> {
        self.codes(executable, name).into_iter().next()
    }

    /// All of them: instances of a generic function have one name, and so have wrappers and what they wrap.
    pub(crate) fn codes(&self, executable: &Executable, name: &str) -> Vec<Range<u64>> {
        let Some(bytes) = self.bytes(executable) else { return Vec::new() };
        let (names, functions) = (&bytes[self.names.clone()], &bytes[self.functions.clone()]);
        let entry = |index: usize| u32_at(functions, 8 * index).map(u64::from);
        let code = |index: usize| {
            let at = offset(u64::from(u32_at(functions, 8 * index + 4)?))?;
            let its_name = offset(u64::from(u32_at(functions, at.checked_add(4)?)?))?;
            let behind = names.get(its_name..)?.strip_prefix(name.as_bytes())?;
            (behind.first() == Some(&0)).then_some(entry(index)?..entry(index + 1)?)
        };
        (0..self.function_count).filter_map(code).collect()
    }

    pub fn functions<'a>(
        &'a self,
        executable: &'a Executable,
        function_data: u64,
        minor: u32,
    ) -> Option<Functions<'a>> {
        let bytes = self.bytes(executable)?;
        let data = FunctionData::File(executable, function_data);
        Some(Functions::new(ModuleFunctions { table: self, bytes, data, module: 0, start: 0, minor }))
    }
}

impl<'a> ModuleFunctions<'a> {
    fn part(&self, part: &Range<usize>) -> &'a [u8] {
        &self.bytes[part.clone()]
    }

    /// Calls leave the return address in a register, as [`crate::executable::Architecture`] has it: the table tells the
    /// architecture by the length of an instruction.
    pub(crate) fn uses_link_register(&self) -> bool {
        self.table.instruction_length() == INSTRUCTION_LENGTH_ARM64
    }

    /// Entry and offset of function number `index`.
    fn pair(&self, index: usize) -> Option<(u32, u32)> {
        let functions = self.part(&self.table.functions);
        Some((u32_at(functions, 8 * index)?, u32_at(functions, 8 * index + 4)?))
    }

    /// All functions, by their entries.
    pub fn all(&self) -> impl Iterator<Item = Function> {
        (0..self.table.function_count).filter_map(|index| self.find(u64::from(self.pair(index)?.0)))
    }

    /// The length of the Go text that the table covers.
    pub(crate) fn text_length(&self) -> u64 {
        self.pair(self.table.function_count).map_or(0, |(end, _)| u64::from(end))
    }

    /// Where the code of a function ends.
    pub fn end(&self, function: &Function) -> u64 {
        let (mut low, mut high) = (0, self.table.function_count);
        // The first entry above it; the last pair is the end of the text.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.pair(middle) {
                Some((entry, _)) if u64::from(entry) <= function.entry => low = middle + 1,
                _ => high = middle,
            }
        }
        self.pair(low).map_or(function.entry, |(entry, _)| u64::from(entry))
    }

    /// The function that `pc` is in.
    pub fn find(&self, pc: u64) -> Option<Function> {
        let pc = u32::try_from(pc.checked_sub(self.start)?).ok()?;
        let (mut low, mut high) = (0, self.table.function_count);
        if pc < self.pair(0)?.0 || pc >= self.pair(high)?.0 {
            return None;
        }
        // The entries ascend; invariant: entry(low) <= pc < entry(high).
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.pair(middle)?.0 <= pc { low = middle } else { high = middle }
        }
        self.function(low)
    }

    /// Function number `index`.
    fn function(&self, index: usize) -> Option<Function> {
        let (entry, at) = self.pair(index)?;
        let at = usize::try_from(at).ok()?;
        let f = self.part(&self.table.functions).get(at..)?;
        let function = Function {
            module: self.module,
            at,
            entry: self.start.checked_add(u64::from(entry))?,
            name: u32_at(f, 4)?,
            pcsp: u32_at(f, 16)?,
            pcfile: u32_at(f, 20)?,
            pcline: u32_at(f, 24)?,
            pcdata_count: u32_at(f, 28)?,
            unit: u32_at(f, 32)?,
            start_line: i32_at(f, 36)?,
            kind_id: u8_at(f, 40)?,
            flags: u8_at(f, 41)?,
            funcdata_count: u8_at(f, 43)?,
        };
        // `_func` repeats its entry: a table that disagrees with itself is not believed.
        (u32_at(f, 0) == Some(entry)).then_some(function)
    }

    pub fn name(&self, function: &Function) -> &'a str {
        self.name_at(function.name)
    }

    pub(crate) fn name_at(&self, at: u32) -> &'a str {
        text(self.part(&self.table.names), at).unwrap_or("?")
    }

    /// The value of a pc table at `pc`; -1 where it says nothing (`pcvalue`, runtime/symtab.go).
    fn pc_value(&self, function: &Function, table: u32, pc: u64) -> Option<i32> {
        if table == 0 {
            return Some(-1);
        }
        self.pc_values(function, table)?.find(|&(_, until)| pc < until).map(|(value, _)| value)
    }

    pub(crate) fn pc_values(&self, function: &Function, table: u32) -> Option<PcValues<'a>> {
        Some(PcValues {
            tables: self.part(&self.table.pc_tables),
            at: usize::try_from(table).ok()?,
            value: -1,
            until: function.entry,
            is_first: true,
            instruction_length: u64::from(self.table.instruction_length),
        })
    }

    /// Bytes that `function` has pushed when it stands at `pc`, without the return address.
    pub(crate) fn stack_delta(&self, function: &Function, pc: u64) -> Option<u64> {
        u64::try_from(self.pc_value(function, function.pcsp, pc)?).ok()
    }

    /// The same of the whole function: how many, and up to which address.
    pub(crate) fn stack_deltas(&self, function: &Function) -> Vec<(i32, u64)> {
        let known = (function.pcsp != 0).then(|| self.pc_values(function, function.pcsp)).flatten();
        known.into_iter().flatten().take(STACK_DELTAS_MAX).collect()
    }

    /// Lines, in the innermost inlined call, and up to which address.
    pub(crate) fn lines(&self, function: &Function) -> Vec<(i32, u64)> {
        self.pc_values(function, function.pcline).into_iter().flatten().take(LINE_RANGES_MAX).collect()
    }

    pub(crate) fn pcdata(&self, function: &Function, table: u32, pc: u64) -> Option<i32> {
        if table >= function.pcdata_count {
            return Some(-1);
        }
        self.pc_value(function, self.pcdata_table(function, table)?, pc)
    }

    pub(crate) fn pcdata_table(&self, function: &Function, table: u32) -> Option<u32> {
        let at = function.at + FUNCTION_FIXED_BYTES + 4 * table as usize;
        u32_at(self.part(&self.table.functions), at)
    }

    /// How many bytes of data the functions' entries reach into: where the last one begins.
    pub(crate) fn data_begins_within(&self) -> u64 {
        let tables = [FUNCDATA_INLINE_TREE, FUNCDATA_ARGUMENT_INFO, FUNCDATA_ARGUMENT_LIVE_INFO];
        let functions = (0..self.table.function_count).filter_map(|index| self.function(index));
        let offsets = functions.flat_map(|f| tables.map(|table| self.funcdata_offset(&f, table)));
        offsets.flatten().max().map_or(0, |last| u64::from(last) + 1)
    }

    fn funcdata_offset(&self, function: &Function, table: u8) -> Option<u32> {
        if table >= function.funcdata_count {
            return None;
        }
        let skip = (function.pcdata_count as usize).checked_add(usize::from(table))?.checked_mul(4)?;
        let at = function.at.checked_add(FUNCTION_FIXED_BYTES)?.checked_add(skip)?;
        let data = u32_at(self.part(&self.table.functions), at)?;
        (data != u32::MAX).then_some(data)
    }

    /// All names of functions, of those too that are inlined wherever they are called.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.part(&self.table.names)
            .split(|&byte| byte == 0)
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The read-only data that the compiler attached to a function, up to the end of its segment.
    pub(crate) fn funcdata(&self, function: &Function, table: u8) -> Option<&'a [u8]> {
        let offset = self.funcdata_offset(function, table)?;
        match self.data {
            FunctionData::File(executable, start) => {
                executable.from_address(start.checked_add(u64::from(offset))?)
            }
            FunctionData::Bytes(bytes) => bytes.get(usize::try_from(offset).ok()?..),
        }
    }

    /// File and line of the instruction at `pc`, in the innermost inlined call.
    pub fn position(&self, function: &Function, pc: u64) -> (&'a str, i32) {
        let line = self.pc_value(function, function.pcline, pc).unwrap_or(0);
        (self.file(function, pc).unwrap_or("?"), line)
    }

    fn file(&self, function: &Function, pc: u64) -> Option<&'a str> {
        let number = u32::try_from(self.pc_value(function, function.pcfile, pc)?).ok()?;
        let at = function.unit.checked_add(number)?;
        let file = u32_at(self.part(&self.table.units), 4 * at as usize)?;
        (file != u32::MAX).then(|| text(self.part(&self.table.files), file)).flatten()
    }

    pub(crate) fn argument_info(&self, function: &Function) -> Option<ArgumentInfo<'a>> {
        let program = self.funcdata(function, FUNCDATA_ARGUMENT_INFO)?;
        Some(ArgumentInfo { program, liveness: self.funcdata(function, FUNCDATA_ARGUMENT_LIVE_INFO) })
    }

    /// Where in `ArgumentInfo::liveness` the bits for `pc` stand; 0 or less: all live.
    pub(crate) fn argument_liveness_index(&self, function: &Function, pc: u64) -> i32 {
        self.pcdata(function, PCDATA_ARGUMENT_LIVE_INDEX, pc).unwrap_or(-1)
    }
}

/// The values of one pc table, and where each ends to hold.
pub(crate) struct PcValues<'a> {
    tables: &'a [u8],
    at: usize,
    value: i32,
    until: u64,
    is_first: bool,
    instruction_length: u64,
}

impl Iterator for PcValues<'_> {
    type Item = (i32, u64);

    fn next(&mut self) -> Option<(i32, u64)> {
        let (delta, behind) = varint(self.tables, self.at)?;
        if delta == 0 && !self.is_first {
            return None;
        }
        self.is_first = false;
        self.value = self.value.wrapping_add(((delta >> 1) as i32) ^ -((delta & 1) as i32));
        let (step, behind) = varint(self.tables, behind)?;
        // A step of 0 never ends the walk: the bytes do.
        self.until = self.until.checked_add(u64::from(step) * self.instruction_length)?;
        self.at = behind;
        Some((self.value, self.until))
    }
}

/// A zero-terminated string.
fn text(bytes: &[u8], at: u32) -> Option<&str> {
    let tail = bytes.get(usize::try_from(at).ok()?..)?;
    let tail = &tail[..tail.len().min(NAME_BYTES_MAX)];
    let end = tail.iter().position(|&b| b == 0)?;
    std::str::from_utf8(&tail[..end]).ok()
}
