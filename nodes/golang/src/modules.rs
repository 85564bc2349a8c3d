//! The functions of a process: those of the program, and those of the plugins that it has loaded (`-buildmode=plugin`).
//!
//! The runtime keeps a list of modules (`moduledata.next`), which begins with the program. A plugin's function table is
//! read from the process's memory: its file may have been replaced since, and need not be looked for. All modules are of
//! one Go version: a plugin of another one is not loaded (plugin/plugin_dlopen.go, `pluginftabverify` in runtime/plugin.go).
//!
//! Program counters are offsets from the start of the program's Go text, those of plugins too.
//
// @go source runtime.findmoduledatap

use crate::bytes::u64_at;
use crate::deferred::Deferred;
use crate::dwarf::Evidence;
use crate::executable::Executable;
use crate::function_table::{ArgumentInfo, Function, FunctionData, FunctionTable, ModuleFunctions};
use crate::inline_tree::LogicalFrame;
use crate::layout::ModuleData;
use crate::memory::Memory;

/// Modules of one process, the program among them.
const MODULES_MAX: usize = 256;
/// Of the tables of all plugins, and the data of their functions. That of a program of 100 MB has some 30.
const BYTES_MAX: u64 = 256 << 20;
const TOO_LONG: &str = "more than is read of all plugins' function tables";
/// From where a function's data begins to where it ends at the latest: a tree of inlined calls has 16 bytes for each.
const DATA_OF_ONE_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4096;

/// The functions of all modules.
pub struct Functions<'a> {
    program: ModuleFunctions<'a>,
    plugins: Vec<Plugin>,
}

impl<'a> Functions<'a> {
    /// Of a program without plugins.
    pub(crate) fn new(program: ModuleFunctions<'a>) -> Self {
        Functions { program, plugins: Vec::new() }
    }

    /// Those of the program alone.
    pub fn program(&self) -> ModuleFunctions<'a> {
        self.program
    }

    fn module(&self, function: &Function) -> ModuleFunctions<'_> {
        let plugin = (function.module as usize).checked_sub(1).and_then(|index| self.plugins.get(index));
        plugin.map_or(self.program, |plugin| plugin.functions(self.minor()))
    }

    /// The length of the program's Go text that its table covers.
    pub fn text_length(&self) -> u64 {
        self.program.text_length()
    }

    /// The function that `pc` is in.
    pub fn find(&self, pc: u64) -> Option<Function> {
        let of_plugin = || self.plugins.iter().find_map(|plugin| plugin.functions(self.minor()).find(pc));
        self.program.find(pc).or_else(of_plugin)
    }

    pub fn name(&self, function: &Function) -> &str {
        self.module(function).name(function)
    }

    /// Bytes that `function` has pushed when it stands at `pc`, without the return address.
    pub fn stack_delta(&self, function: &Function, pc: u64) -> Option<u64> {
        self.module(function).stack_delta(function, pc)
    }

    /// File and line of the instruction at `pc`, in the innermost inlined call.
    pub fn position(&self, function: &Function, pc: u64) -> (&str, i32) {
        self.module(function).position(function, pc)
    }

    /// The calls that the instruction at `pc` stands in, innermost first; the last one is `function` itself.
    pub fn logical_frames(&self, function: &Function, pc: u64) -> Vec<LogicalFrame<'_>> {
        self.module(function).logical_frames(function, pc)
    }

    /// What makes the variables of the frames at `pc` believable; `text`: where the Go text starts, as an address of the
    /// file `executable`.
    pub(crate) fn evidence(
        &self,
        function: &Function,
        pc: u64,
        text: u64,
        executable: &Executable,
    ) -> Evidence {
        self.module(function).evidence(function, pc, text, executable)
    }

    /// Whether any function, inlined or not, has a name that `fits`.
    pub(crate) fn any_name(&self, mut fits: impl FnMut(&str) -> bool) -> bool {
        let of_plugins = self.plugins.iter().map(|plugin| plugin.functions(self.minor()));
        std::iter::once(self.program).chain(of_plugins).any(|module| module.names().any(&mut fits))
    }

    /// Where calls that it has deferred stand in its frames.
    pub(crate) fn deferred(&self, function: &Function) -> Option<Deferred> {
        self.module(function).deferred(function)
    }

    pub fn argument_info(&self, function: &Function) -> Option<ArgumentInfo<'_>> {
        self.module(function).argument_info(function)
    }

    /// Where in `ArgumentInfo::liveness` the bits for `pc` stand; 0 or less: all live.
    pub fn argument_liveness_index(&self, function: &Function, pc: u64) -> i32 {
        self.module(function).argument_liveness_index(function, pc)
    }

    /// Which version's numbers the functions' kinds are.
    pub fn minor(&self) -> u32 {
        self.program.minor
    }
}

/// A module that the process has loaded.
struct Plugin {
    table: FunctionTable,
    bytes: Vec<u8>,
    data: Vec<u8>,
    module: u32,
    /// Where its text begins, from the start of the program's.
    start: u64,
}

impl Plugin {
    fn functions(&self, minor: u32) -> ModuleFunctions<'_> {
        let Plugin { table, bytes, data, module, start } = self;
        let data = FunctionData::Bytes(data);
        ModuleFunctions { table, bytes, data, module: *module, start: *start, minor }
    }

    /// `record`: its `moduledata`. `text`: where the program's Go text begins. Or why it cannot be read.
    fn read(
        memory: &dyn Memory,
        record: &[u8],
        layout: &ModuleData,
        text: u64,
        module: u32,
        minor: u32,
        room: u64,
    ) -> Result<Plugin, &'static str> {
        const CUT: &str = "its module data is too short";
        let field = |at: usize| u64_at(record, at).ok_or(CUT);
        let address = field(layout.pc_header)?;
        let (functions, functions_length) = (field(layout.pclntable)?, field(layout.pclntable + 8)?);
        let end = functions.checked_add(functions_length).ok_or(CUT)?;
        let length = end.checked_sub(address).ok_or("its function table has an impossible length")?;
        let room = room.checked_sub(length).ok_or(TOO_LONG)?;
        let unreadable = "its function table is not readable";
        let bytes = memory.read_bytes(address, length as usize).map_err(|_| unreadable)?;
        let table = FunctionTable::parse(address, &bytes).map_err(|_| "its function table is damaged")?;
        if field(layout.funcnametab)? != address.wrapping_add(table.names_offset()) {
            return Err("its module data names another function table");
        }
        let its_text = field(layout.text)?;
        let start = its_text.checked_sub(text).ok_or("it lies below the program")?;
        let mut plugin = Plugin { table, bytes, data: Vec::new(), module, start };
        let functions = plugin.functions(minor);
        if field(layout.etext)?.checked_sub(its_text).is_none_or(|length| functions.text_length() > length) {
            return Err("its text is shorter than its function table");
        }
        let begins_within = functions.data_begins_within();
        plugin.data = function_data(memory, field(layout.gofunc)?, begins_within, room)?;
        Ok(plugin)
    }
}

/// What all functions' data begins in, and behind that as much as one may have, as far as there is memory.
fn function_data(
    memory: &dyn Memory,
    address: u64,
    begins_within: u64,
    room: u64,
) -> Result<Vec<u8>, &'static str> {
    const UNREADABLE: &str = "the data of its functions is not readable";
    if begins_within > room {
        return Err(TOO_LONG);
    }
    let mut data = memory.read_bytes(address, begins_within as usize).map_err(|_| UNREADABLE)?;
    let mut at = address.checked_add(begins_within).ok_or(UNREADABLE)?;
    let end = at.checked_add(DATA_OF_ONE_BYTES).ok_or(UNREADABLE)?;
    while at < end {
        let length = PAGE_BYTES - at % PAGE_BYTES;
        let Ok(page) = memory.read_bytes(at, length as usize) else { break };
        data.extend(page);
        at = at.saturating_add(length);
    }
    Ok(data)
}

/// The modules behind the program in the runtime's list.
pub(crate) struct Plugins {
    plugins: Vec<Plugin>,
    /// Where their texts begin, those of which no more could be read too.
    pub(crate) texts: Vec<u64>,
    /// What could not be read of them, and why.
    pub(crate) missing: Vec<String>,
}

impl Plugins {
    /// `next`: the `moduledata.next` of the program.
    pub(crate) fn read(memory: &dyn Memory, next: u64, layout: &ModuleData, text: u64, minor: u32) -> Self {
        let mut found = Plugins { plugins: Vec::new(), texts: Vec::new(), missing: Vec::new() };
        let (mut next, mut room) = (next, BYTES_MAX);
        for _ in 1..MODULES_MAX {
            if next == 0 {
                return found;
            }
            let Ok(record) = memory.read_bytes(next, layout.size) else {
                found
                    .missing
                    .push(format!("the plugin described at {next:#x}: its module data is not readable"));
                return found;
            };
            let module = found.plugins.len() as u32 + 1;
            match Plugin::read(memory, &record, layout, text, module, minor, room) {
                Ok(plugin) => {
                    room = room.saturating_sub((plugin.bytes.len() + plugin.data.len()) as u64);
                    found.plugins.push(plugin);
                }
                Err(why) => found.missing.push(format!("the plugin described at {next:#x}: {why}")),
            }
            found.texts.extend(u64_at(&record, layout.text));
            next = u64_at(&record, layout.next).unwrap_or(0);
        }
        found.missing.push(format!("plugins behind the first {MODULES_MAX} modules are not read"));
        found
    }

    pub(crate) fn add_to(&mut self, functions: &mut Functions<'_>) {
        functions.plugins = std::mem::take(&mut self.plugins);
    }
}
