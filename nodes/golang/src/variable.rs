//! A variable of a frame, and where it is at one program counter.

use crate::types::TypeRef;

/// What it is to its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Argument,
    Result,
    Local,
    /// Of a closure, from the function around it.
    Captured,
}

/// A variable of a function that stands on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// As in the source: what the compiler moved to the heap (`&x`) is `x`, see `location`.
    pub name: String,
    /// The type as in the source.
    pub of: TypeRef,
    pub role: Role,
    pub declared_line: u32,
    pub location: Location,
    /// Its type is a type parameter of its function, or made of some: `of` is the shape that instances share
    /// (`go.shape.int`), and the type itself stands at this index of the function's dictionary (the variable `.dict`).
    pub dictionary_index: Option<u64>,
}

/// Where a variable is at one program counter, by the rules that make it real there: a register only where registers are
/// real is for the reader to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At this offset from the caller's stack pointer (DW_OP_call_frame_cfa; `frame_end` of an unwound frame).
    Frame(i64),
    /// A pointer to it is there: moved to the heap, or captured by reference.
    Through(Box<Location>),
    /// At an address of the file.
    Address(u64),
    /// In a register, by DWARF number.
    Register(u16),
    /// One behind the other, as long as the value. A part that the compiler dropped is missing as
    /// [`Gap::OptimizedOutInPart`](crate::gap::Gap::OptimizedOutInPart), padding as `OptimizedOut`.
    Pieces(Vec<Piece>),
    /// Nowhere, and why.
    Missing(crate::gap::Gap),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub length: u64,
    pub location: Location,
}

/// The variables of one logical frame (a function, or a call inlined into it) at one program counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameVariables {
    /// The function's name, as debug information has it.
    pub function: String,
    /// Arguments first, each in the order of the source. A name that is declared in nested blocks stands once, for the
    /// innermost one.
    pub variables: Vec<Variable>,
}
