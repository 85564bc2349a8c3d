//! Debug information, read by demand: variables of functions, and types. DWARF 4 and 5, as Go's toolchain writes it.
