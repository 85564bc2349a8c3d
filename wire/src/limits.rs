//! Every bound on what crosses from one process to another, with its unit in its name.

/// Bytes of a process's command line that are kept.
pub const COMMAND_LINE_BYTES_MAX: usize = 4_096;

/// Bytes of any frame's body. The largest single item is a stack of 65,536 frames.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// Bytes of a control frame's body: orders, answers, pings.
pub const CONTROL_FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes of memory that decoding one frame may ask for.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// Bytes of a batch that a node aims at; one item may be larger.
pub const BATCH_BYTES_TARGET: usize = 256 << 10;

/// Bytes of a node's name: a DNS name's.
pub const NODE_NAME_BYTES_MAX: usize = 253;

/// Bytes of a reason, a label, or any other text for people.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// Bytes of a program's name: a file's (limits.h, `NAME_MAX`).
pub const PROGRAM_BYTES_MAX: usize = 255;

/// Bytes of a reason why a target cannot be captured, in the answer to an order: with [`TARGETS_PER_NODE_MAX`] of them the
/// answer still is a control frame.
pub const READY_REASON_BYTES_MAX: usize = 640;

/// Patterns in each list of a selector.
pub const SELECTOR_PATTERNS_MAX: usize = 256;

/// Bytes of one pattern of a selector.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// Bytes of an order's probes, as source text: with the longest selector it still is a control frame.
pub const PROBES_BYTES_MAX: usize = 256 << 10;

/// Targets of one node in one order.
pub const TARGETS_PER_NODE_MAX: usize = 1_024;

/// Orders that a node holds something of at a time.
pub const ORDERS_PER_NODE_MAX: usize = 8;

/// Bytes that a node keeps on its disk of results that were not yet committed.
pub const SPOOL_BYTES_MAX: u64 = 8 << 30;

/// Nodes that one coordinator serves.
pub const NODES_MAX: usize = 10_000;

/// Orders that wait for their turn at the coordinator; more are refused.
pub const ORDERS_WAITING_MAX: usize = 16;

/// Nodes' results that stream to the coordinator at the same time.
pub const SENDERS_MAX: usize = 4;

/// Frames of one stack.
pub const FRAMES_PER_STACK_MAX: usize = 65_536;

/// Goroutines of one process; its gaps are no more.
pub const GOROUTINES_PER_PROCESS_MAX: u64 = 16 << 20;

/// Different stacks of one process.
pub const STACKS_PER_PROCESS_MAX: u64 = 4 << 20;

/// Files of one process, functions, go statements, and types: so many of each.
pub const TABLE_ITEMS_MAX: u64 = 1 << 20;

/// Bytes of all of a process's file, function, type and column names together: a receiver keeps them until the process is whole.
pub const TABLE_TEXT_BYTES_MAX: usize = 256 << 20;

/// Bytes of the name of a function, of a package, of a source file or of a type.
pub const NAME_BYTES_MAX: usize = 16 << 10;

/// Bytes of any other text of a fact: a path, a version, a reason.
pub const FACT_TEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes of all of a goroutine's texts together: its header, its arguments, its labels, what it waits for.
pub const GOROUTINE_TEXT_BYTES_MAX: usize = 2 << 20;

/// Sockets of one process: as many as it may have descriptors (proc_sys_fs(5), `nr_open`).
pub const SOCKETS_PER_PROCESS_MAX: u64 = 1 << 20;

/// Bytes of each text of a socket. A unix socket's path has 108 (unix(7)).
pub const SOCKET_TEXT_BYTES_MAX: usize = 4_096;

/// Things that one goroutine waits for: cases of a select. A node leaves out those above that, and says so in a gap.
pub const WAITS_PER_GOROUTINE_MAX: usize = 1_024;

/// Bytes of a goroutine's arguments; a node leaves out the lines above that, and says so in a gap.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 20;

/// Different lists of columns that the probes of one process have.
pub const PROBE_TABLES_PER_PROCESS_MAX: u64 = 64 << 10;

/// Columns of one of them: cells of a row.
pub const PROBE_COLUMNS_MAX: usize = 256;

/// Bytes of a probe's name.
pub const PROBE_NAME_BYTES_MAX: usize = 64;

/// Bytes of the name of a probe's column, which may be a whole expression.
pub const COLUMN_NAME_BYTES_MAX: usize = 1_024;

/// Frames of one process that probes have matched.
pub const PROBE_ROWS_PER_PROCESS_MAX: u64 = 4 << 20;

/// `[[program]]` rules that a process's environment may fit.
pub const ENVIRONMENT_RULES_MAX: usize = 64;

/// Bytes of one captured value; a node cuts it, and says so in the cell's gap.
pub const CELL_VALUE_BYTES_MAX: usize = 256 << 10;

/// Bytes of all texts of a row together, its gaps included: a row fits into a frame.
pub const PROBE_ROW_TEXT_BYTES_MAX: usize = 2 << 20;

/// Bytes of all texts of one process's rows together.
pub const PROBE_TEXT_BYTES_PER_PROCESS_MAX: u64 = 1 << 30;
