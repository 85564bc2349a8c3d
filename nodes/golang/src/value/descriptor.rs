//! The runtime's own descriptions of types (`internal/abi.Type`): of what interfaces hold, and where debug information is
//! missing or a type was made by `reflect`.

use std::collections::HashMap;

use crate::gap::Gap;
use crate::memory::Memory;
use crate::types::{Field, Shape, Type, TypeRef};

/// Fields of one struct that are read; the language has no bound.
const FIELDS_MAX: u64 = 10_000;
const PARAMETERS_MAX: u64 = 1000;
/// The longest name of a type or field; generated types have long ones.
const NAME_BYTES_MAX: u64 = 64 << 10;
/// Types that a name of a type without a name is put together from, one within another.
const NAME_DEPTH_MAX: u32 = 20;

/// What all descriptors begin with (internal/abi/type.go).
//
// @go size internal/abi.Type = 48
// @go offset internal/abi.Type.Size_ = 0
// @go offset internal/abi.Type.Hash = 16
// @go offset internal/abi.Type.TFlag = 20
// @go offset internal/abi.Type.Kind_ = 23
// @go offset internal/abi.Type.Str = 40
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) hash: u32,
    kind: Kind,
    /// A package path and methods stand behind it.
    //
    // @go const internal/abi.TFlagUncommon = 1
    has_uncommon: bool,
    /// Its text begins with a star that is not of the type.
    //
    // @go const internal/abi.TFlagExtraStar = 2
    has_extra_star: bool,
    // @go const internal/abi.TFlagNamed = 4
    is_named: bool,
    /// An interface has the value itself in its data word.
    //
    // @go const internal/abi.KindDirectIface = 32
    // @go const internal/abi.TFlagDirectIface = none (..1.25), 32 (1.26..)
    pub(super) is_direct: bool,
    /// Its text, from the start of all types.
    text: i32,
}

const HEAD_BYTES: usize = 48;
/// The first Go version with the flag in TFlag.
const MINOR_WITH_DIRECT_FLAG: u32 = 26;

/// `reflect.Kind`.
//
// @go const internal/abi.Bool = 1
// @go const internal/abi.Int = 2
// @go const internal/abi.Int64 = 6
// @go const internal/abi.Uint = 7
// @go const internal/abi.Uintptr = 12
// @go const internal/abi.Float32 = 13
// @go const internal/abi.Complex64 = 15
// @go const internal/abi.Array = 17
// @go const internal/abi.Chan = 18
// @go const internal/abi.Func = 19
// @go const internal/abi.Interface = 20
// @go const internal/abi.Map = 21
// @go const internal/abi.Pointer = 22
// @go const internal/abi.Slice = 23
// @go const internal/abi.String = 24
// @go const internal/abi.Struct = 25
// @go const internal/abi.UnsafePointer = 26
// @go const internal/abi.KindMask = 31 (..1.25), none (1.26..)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Array,
    Channel,
    Function,
    Interface,
    Map,
    Pointer,
    Slice,
    String,
    Struct,
    UnsafePointer,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Kind::Bool,
            2..=6 => Kind::Int,
            7..=12 => Kind::Uint,
            13 | 14 => Kind::Float,
            15 | 16 => Kind::Complex,
            17 => Kind::Array,
            18 => Kind::Channel,
            19 => Kind::Function,
            20 => Kind::Interface,
            21 => Kind::Map,
            22 => Kind::Pointer,
            23 => Kind::Slice,
            24 => Kind::String,
            25 => Kind::Struct,
            26 => Kind::UnsafePointer,
            _ => return None,
        })
    }

    fn of_shape(shape: &Shape) -> Self {
        match shape {
            Shape::Bool => Kind::Bool,
            Shape::Int => Kind::Int,
            Shape::Uint => Kind::Uint,
            Shape::Float => Kind::Float,
            Shape::Complex => Kind::Complex,
            Shape::String => Kind::String,
            Shape::UnsafePointer => Kind::UnsafePointer,
            Shape::Pointer(_) => Kind::Pointer,
            Shape::Slice(_) => Kind::Slice,
            Shape::Array { .. } => Kind::Array,
            Shape::Struct(_) => Kind::Struct,
            Shape::Interface { .. } => Kind::Interface,
            Shape::Map { .. } => Kind::Map,
            Shape::Channel(_) => Kind::Channel,
            Shape::Function => Kind::Function,
        }
    }
}

impl Head {
    pub(super) fn read(memory: &dyn Memory, address: u64, minor: u32) -> Result<Self, Gap> {
        let none = || Gap::UnknownType(format!("no type is at {address:#x}"));
        if address < 4096 || !address.is_multiple_of(8) {
            return Err(none());
        }
        let bytes = memory.read_bytes(address, HEAD_BYTES).map_err(|_| Gap::Unreadable(address))?;
        Self::parse(&bytes, minor).ok_or_else(none)
    }

    fn parse(bytes: &[u8], minor: u32) -> Option<Self> {
        use crate::bytes::{i32_at, u8_at, u32_at, u64_at};
        let (flags, kind) = (u8_at(bytes, 20)?, u8_at(bytes, 23)?);
        let direct = if minor >= MINOR_WITH_DIRECT_FLAG { flags } else { kind };
        let head = Head {
            size: u64_at(bytes, 0)?,
            hash: u32_at(bytes, 16)?,
            kind: Kind::of(kind & 31)?,
            has_uncommon: flags & 1 != 0,
            has_extra_star: flags & 2 != 0,
            is_named: flags & 4 != 0,
            is_direct: direct & 32 != 0,
            text: i32_at(bytes, 40)?,
        };
        // Only what is pointer-shaped is held directly.
        (!head.is_direct || head.size == 8).then_some(head)
    }

    /// Whether it describes a type of this shape.
    pub(super) fn is_of(&self, shape: &Shape) -> bool {
        self.kind == Kind::of_shape(shape)
    }
}

/// Reads descriptors.
#[derive(Clone, Copy)]
pub(super) struct Descriptors<'a> {
    pub(super) memory: &'a dyn Memory,
    pub(super) minor: u32,
    pub(super) has_classic_maps: bool,
    /// `moduledata.types` and `etypes`.
    pub(super) types: u64,
    pub(super) types_end: u64,
}

impl Descriptors<'_> {
    /// The type that is described at an address.
    pub(super) fn get(&self, address: u64) -> Result<Type, Gap> {
        // All that is asked for below: where it is missing, one who notes what was missed brings it in one round.
        const WHOLE_BYTES: usize = 160;
        let _ = self.memory.read_bytes(address, WHOLE_BYTES);
        let head = Head::read(self.memory, address, self.minor)?;
        let shape = self.shape(address, &head)?;
        let name = self.name(address, &head, &mut HashMap::new(), NAME_DEPTH_MAX)?;
        Ok(Type { name, size: head.size, shape })
    }

    // @go offset internal/abi.ArrayType.Elem = 48
    // @go offset internal/abi.ArrayType.Len = 64
    // @go offset internal/abi.ChanType.Elem = 48
    // @go offset internal/abi.PtrType.Elem = 48
    // @go offset internal/abi.SliceType.Elem = 48
    // @go offset internal/abi.InterfaceType.Methods = 56
    // @go offset internal/abi.StructType.Fields = 56
    // @go offset internal/abi.MapType.Key = 48 (..1.23), none (1.24..1.25), 48 (1.26..)
    // @go offset internal/abi.MapType.Elem = 56 (..1.23), none (1.24..1.25), 56 (1.26..)
    // @go offset internal/abi.SwissMapType.Key = none (..1.23), 48 (1.24..1.25), none (1.26..)
    // @go offset internal/abi.SwissMapType.Elem = none (..1.23), 56 (1.24..1.25), none (1.26..)
    fn shape(&self, address: u64, head: &Head) -> Result<Shape, Gap> {
        let word = |offset: u64| self.word(address.wrapping_add(offset));
        let mentioned = |offset: u64| Ok::<_, Gap>(TypeRef::Runtime(word(offset)?));
        Ok(match head.kind {
            Kind::Bool => Shape::Bool,
            Kind::Int => Shape::Int,
            Kind::Uint => Shape::Uint,
            Kind::Float => Shape::Float,
            Kind::Complex => Shape::Complex,
            Kind::String => Shape::String,
            Kind::UnsafePointer => Shape::UnsafePointer,
            Kind::Function => Shape::Function,
            Kind::Pointer => Shape::Pointer(mentioned(48)?),
            Kind::Slice => Shape::Slice(mentioned(48)?),
            Kind::Channel => Shape::Channel(mentioned(48)?),
            Kind::Array => Shape::Array { element: mentioned(48)?, length: word(64)? },
            Kind::Map => Shape::Map { key: mentioned(48)?, element: mentioned(56)? },
            Kind::Interface => Shape::Interface { has_methods: word(64)? > 0 },
            Kind::Struct => Shape::Struct(self.fields(word(56)?, word(64)?)?),
        })
    }

    // @go size internal/abi.StructField = 24
    // @go offset internal/abi.StructField.Name = 0
    // @go offset internal/abi.StructField.Typ = 8
    // @go offset internal/abi.StructField.Offset = 16
    fn fields(&self, array: u64, count: u64) -> Result<Vec<Field>, Gap> {
        if count > FIELDS_MAX {
            return Err(Gap::Implausible(format!("a struct of {count} fields")));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.memory.read_bytes(array, 24 * count as usize).map_err(|_| Gap::Unreadable(array))?;
        let each = bytes.chunks_exact(24).map(|field| {
            let word = |at: usize| crate::bytes::u64_at(field, at).unwrap_or_default();
            let (name, is_embedded) = self.text(word(0))?;
            Ok(Field { name, of: TypeRef::Runtime(word(8)), offset: word(16), is_embedded })
        });
        each.collect()
    }

    fn word(&self, address: u64) -> Result<u64, Gap> {
        self.memory.read_u64(address).map_err(|_| Gap::Unreadable(address))
    }

    fn half_word(&self, address: u64) -> Result<u16, Gap> {
        let mut bytes = [0; 2];
        self.memory.read(address, &mut bytes).map_err(|_| Gap::Unreadable(address))?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// A text of type information (internal/abi/type.go, `Name`): flags, length, bytes. And whether the field that it
    /// names is embedded.
    //
    // @go source internal/abi.Name.{IsEmbedded,ReadVarint,Name}
    fn text(&self, address: u64) -> Result<(String, bool), Gap> {
        if address == 0 {
            return Ok((String::new(), false));
        }
        let unreadable = |_| Gap::Unreadable(address);
        // As in `get`.
        const USUAL_BYTES: usize = 64;
        let _ = self.memory.read_bytes(address, USUAL_BYTES);
        let mut flags = [0];
        self.memory.read(address, &mut flags).map_err(unreadable)?;
        let (mut length, mut at) = (0, address.wrapping_add(1));
        for shift in [0, 7, 14] {
            let mut byte = [0];
            self.memory.read(at, &mut byte).map_err(unreadable)?;
            at = at.wrapping_add(1);
            length |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                break;
            }
        }
        if length > NAME_BYTES_MAX {
            return Err(Gap::Implausible(format!("a name of {length} bytes")));
        }
        let bytes = self.memory.read_bytes(at, length as usize).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| Gap::Implausible("a name that is no text".into()))?;
        Ok((text, flags[0] & 8 != 0))
    }

    /// A text by its offset from the start of all types.
    //
    // @go source runtime.resolveNameOff
    fn text_at(&self, offset: i32) -> Result<String, Gap> {
        let address = u64::try_from(offset).ok().and_then(|offset| self.types.checked_add(offset));
        let address = address.filter(|&address| address < self.types_end);
        // Those that `reflect` has made are in a table of the runtime (`reflectOffs`).
        let address = address.ok_or_else(|| Gap::UnknownType("one that was made by reflect".into()))?;
        Ok(self.text(address)?.0)
    }

    /// The name as debug information has it: with whole package paths. The text of a descriptor has but their last parts,
    /// so that a type without a name of its own is named by those that it is made of.
    fn name(
        &self,
        address: u64,
        head: &Head,
        known: &mut HashMap<u64, String>,
        depth: u32,
    ) -> Result<String, Gap> {
        if let Some(name) = known.get(&address) {
            return Ok(name.clone());
        }
        if head.is_named || depth == 0 {
            return self.own_name(address, head);
        }
        let mut part = |offset: u64| {
            let address = self.word(address.wrapping_add(offset))?;
            self.name_at(address, known, depth - 1)
        };
        let name = match head.kind {
            Kind::Pointer => format!("*{}", part(48)?),
            Kind::Slice => format!("[]{}", part(48)?),
            Kind::Array => {
                let element = part(48)?;
                format!("[{}]{element}", self.word(address.wrapping_add(64))?)
            }
            Kind::Map => format!("map[{}]{}", part(48)?, part(56)?),
            Kind::Channel => {
                let element = part(48)?;
                channel_name(self.word(address.wrapping_add(56))?, &element)
            }
            Kind::Function => self.function_name(address, head, known, depth)?,
            Kind::Struct => self.struct_name(address, known, depth)?,
            Kind::Interface if self.word(address.wrapping_add(64))? == 0 => "interface {}".to_owned(),
            _ => self.own_name(address, head)?,
        };
        known.insert(address, name.clone());
        Ok(name)
    }

    fn name_at(&self, address: u64, known: &mut HashMap<u64, String>, depth: u32) -> Result<String, Gap> {
        let head = Head::read(self.memory, address, self.minor)?;
        self.name(address, &head, known, depth)
    }

    /// One of several names that a name is made of; `length` is that of all of them so far.
    fn part_name(
        &self,
        address: u64,
        known: &mut HashMap<u64, String>,
        depth: u32,
        length: &mut u64,
    ) -> Result<String, Gap> {
        let name = self.name_at(address, known, depth - 1)?;
        *length += name.len() as u64;
        if *length > NAME_BYTES_MAX {
            return Err(Gap::Implausible("a type with a name without end".into()));
        }
        Ok(name)
    }

    /// The text of a descriptor, with the path of its package where it has one.
    //
    // @go offset internal/abi.UncommonType.PkgPath = 0
    // @go size internal/abi.UncommonType = 16
    fn own_name(&self, address: u64, head: &Head) -> Result<String, Gap> {
        let text = self.text_at(head.text)?;
        let text = if head.has_extra_star { text.strip_prefix('*').unwrap_or(&text) } else { &text };
        if !head.is_named || !head.has_uncommon {
            return Ok(text.to_owned());
        }
        let mut offset = [0; 4];
        let at = address.wrapping_add(self.own_bytes(head.kind));
        self.memory.read(at, &mut offset).map_err(|_| Gap::Unreadable(at))?;
        let path = match i32::from_le_bytes(offset) {
            0 => return Ok(text.to_owned()),
            offset => self.text_at(offset)?,
        };
        // `model.Order`, `main.Box[shop/model.Order]`.
        let end = text.find('[').unwrap_or(text.len());
        Ok(match text[..end].rfind('.') {
            Some(dot) if !path.is_empty() => format!("{path}{}", &text[dot..]),
            _ => text.to_owned(),
        })
    }

    /// The size of a descriptor without what is common to all named types.
    //
    // @go size internal/abi.ArrayType = 72
    // @go size internal/abi.ChanType = 64
    // @go size internal/abi.FuncType = 56
    // @go size internal/abi.InterfaceType = 80
    // @go size internal/abi.MapType = 88 (..1.23), none (1.24..1.25), 112 (1.26), 136 (1.27..)
    // @go size internal/abi.SwissMapType = none (..1.23), 112 (1.24..1.25), none (1.26..)
    // @go size internal/abi.OldMapType = none (..1.23), 88 (1.24..1.25), none (1.26..)
    // @go size internal/abi.PtrType = 56
    // @go size internal/abi.SliceType = 56
    // @go size internal/abi.StructType = 80
    fn own_bytes(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Array => 72,
            Kind::Channel => 64,
            Kind::Function | Kind::Pointer | Kind::Slice => 56,
            Kind::Interface | Kind::Struct => 80,
            Kind::Map => match (self.minor, self.has_classic_maps) {
                (_, true) => 88,
                (..=26, _) => 112,
                _ => 136,
            },
            Kind::Bool
            | Kind::Int
            | Kind::Uint
            | Kind::Float
            | Kind::Complex
            | Kind::String
            | Kind::UnsafePointer => HEAD_BYTES as u64,
        }
    }

    // @go offset internal/abi.FuncType.InCount = 48
    // @go offset internal/abi.FuncType.OutCount = 50
    // @go source internal/abi.(*FuncType).{InSlice,OutSlice,NumOut,IsVariadic}
    fn function_name(
        &self,
        address: u64,
        head: &Head,
        known: &mut HashMap<u64, String>,
        depth: u32,
    ) -> Result<String, Gap> {
        let inputs = u64::from(self.half_word(address.wrapping_add(48))?);
        let outputs = self.half_word(address.wrapping_add(50))?;
        let is_variadic = outputs & (1 << 15) != 0;
        let outputs = u64::from(outputs & !(1 << 15));
        if inputs + outputs > PARAMETERS_MAX {
            return Err(Gap::Implausible(format!("a function type of {inputs} and {outputs} parameters")));
        }
        let start = address.wrapping_add(if head.has_uncommon { 56 + 16 } else { 56 });
        let (mut names, mut length) = (Vec::new(), 0);
        for i in 0..inputs + outputs {
            let parameter = self.word(start.wrapping_add(8 * i))?;
            names.push(self.part_name(parameter, known, depth, &mut length)?);
        }
        let results = names.split_off(inputs as usize);
        if let Some(last) = names.last_mut().filter(|_| is_variadic) {
            *last = format!("...{}", last.strip_prefix("[]").unwrap_or(last));
        }
        let results = match &results[..] {
            [] => String::new(),
            [one] => format!(" {one}"),
            several => format!(" ({})", several.join(", ")),
        };
        Ok(format!("func({}){results}", names.join(", ")))
    }

    fn struct_name(&self, address: u64, known: &mut HashMap<u64, String>, depth: u32) -> Result<String, Gap> {
        let fields =
            self.fields(self.word(address.wrapping_add(56))?, self.word(address.wrapping_add(64))?)?;
        if fields.is_empty() {
            return Ok("struct {}".to_owned());
        }
        let (mut texts, mut length) = (Vec::with_capacity(fields.len()), 0);
        for Field { name, of, is_embedded, .. } in &fields {
            let TypeRef::Runtime(of) = *of else { continue };
            let of = self.part_name(of, known, depth, &mut length)?;
            texts.push(if *is_embedded { of } else { format!("{name} {of}") });
        }
        Ok(format!("struct {{ {} }}", texts.join("; ")))
    }
}

/// internal/abi/type.go, `ChanDir`.
//
// @go const internal/abi.RecvDir = 1
// @go const internal/abi.SendDir = 2
fn channel_name(direction: u64, element: &str) -> String {
    match direction {
        1 => format!("<-chan {element}"),
        2 => format!("chan<- {element}"),
        _ => format!("chan {element}"),
    }
}
