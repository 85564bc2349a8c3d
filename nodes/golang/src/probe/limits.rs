//! How large a probe set and its parts may be. A set comes from a file or over the network: nothing of it is trusted.

/// The text of one set.
pub const SET_BYTES_MAX: usize = 256 << 10;
/// `[[probe]]` sections of one set.
pub const PROBES_MAX: usize = 256;
/// `[[redact]]` sections of one set.
pub const REDACTIONS_MAX: usize = 256;
/// `[[column]]` sections of one set.
pub const ADDED_COLUMNS_MAX: usize = 64;
/// `[[table]]` sections of one set.
pub const DERIVED_TABLES_MAX: usize = 64;
/// `[[type]]` sections of one set.
pub const TYPES_MAX: usize = 64;
/// Fields of one `[[type]]` section.
pub const TYPE_FIELDS_MAX: usize = 64;
/// `[[program]]` sections of one set.
pub const PROGRAMS_MAX: usize = 64;
/// Sets that one `[[program]]` section names.
pub const RULE_SETS_MAX: usize = 16;
/// `[[set]]` sections of one text.
pub const PARTS_MAX: usize = 64;
/// Variables of the environment that one `[[program]]` section asks for.
pub const ENVIRONMENT_VARIABLES_MAX: usize = 16;
/// `[[endpoint]]` sections of one set.
pub const ENDPOINTS_MAX: usize = 64;
/// `[[link]]` sections of one set.
pub const LINKS_MAX: usize = 64;
/// The text of one SQL statement of a set. It bounds what the statement can keep in memory, too.
pub const SQL_BYTES_MAX: usize = 8 << 10;
/// Expressions of one probe: columns of its table.
pub const EXPRESSIONS_MAX: usize = 64;
/// Expressions of which a column takes the first that gives a value.
pub const WAYS_MAX: usize = 8;
/// The text of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;
/// Parts of one expression: selectors, dereferences, calls, parts of types.
pub const EXPRESSION_PARTS_MAX: usize = 64;
/// A part within a part: parentheses, arguments, element types.
pub const EXPRESSION_DEPTH_MAX: usize = 24;
/// Names of probes and of columns. PostgreSQL's longest identifier, so that tables can be brought there.
pub const NAME_BYTES_MAX: usize = 63;
/// The text of one pattern.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// `{...}` within `{...}`.
pub const PATTERN_DEPTH_MAX: usize = 8;
/// A compiled pattern.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 256 << 10;
/// What one pattern may keep while it runs.
pub const PATTERN_CACHE_BYTES_MAX: usize = 1 << 20;
/// Embedded fields that a selector is looked for in. Go's own limit is that of the source.
pub const EMBEDDED_FIELDS_MAX: usize = 1_024;
/// Embedded fields within embedded fields.
pub const EMBEDDED_DEPTH_MAX: usize = 16;
