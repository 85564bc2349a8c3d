//! Go types, as debug information or the runtime's own descriptors tell of them.
//!
//! [`Type`] says the same whichever of the two it came from. Where a type mentions another it holds a [`TypeRef`], which
//! [`Types`] resolves when somebody needs it: nothing is walked that no value touches.

use std::sync::Arc;

use crate::gap::Gap;

/// Where a type is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypeRef {
    /// Offset of its entry in `.debug_info`.
    Debug(u64),
    /// Address of its `internal/abi.Type` in the process.
    Runtime(u64),
}

/// A Go type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// With the whole path of its package, as Go's debug information has it: `*shop/model.Order`, `map[string]int`.
    pub name: String,
    pub size: u64,
    pub shape: Shape,
}

/// What values of a type are made of: Go's kinds (`reflect.Kind`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Bool,
    /// Signed, of the type's size.
    Int,
    /// Unsigned, of the type's size; `uintptr` too.
    Uint,
    Float,
    Complex,
    String,
    UnsafePointer,
    Pointer(TypeRef),
    Slice(TypeRef),
    Array {
        element: TypeRef,
        length: u64,
    },
    Struct(Vec<Field>),
    /// `has_methods`: an `iface`, not an `eface`.
    Interface {
        has_methods: bool,
    },
    Map {
        key: TypeRef,
        element: TypeRef,
    },
    Channel(TypeRef),
    Function,
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub of: TypeRef,
    pub offset: u64,
    pub is_embedded: bool,
}

/// Resolves types.
pub trait Types {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap>;

    /// By the name that [`Type`] would have: `*shop/store.postgres`. `None`: the program has no such type, or the linker
    /// dropped it.
    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap>;

    /// By the address of its `internal/abi.Type` in the process: what an interface value names. Described by debug
    /// information where that has it.
    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap>;

    /// Names that are near `name`, nearest first, for a person who misspelled it.
    fn similar(&self, name: &str) -> Vec<String>;
}
