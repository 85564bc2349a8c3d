//! Values of types that no compiler made, in memory that no program wrote; and the runtime's own descriptions of types, damaged
//! likewise.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stillframe_golang::gap::Gap;
use stillframe_golang::memory::{Image, Segment};
use stillframe_golang::place::{Part, PartSource, Place};
use stillframe_golang::types::{Field, Shape, Type, TypeRef, Types};
use stillframe_golang::value::{
    Captured, Code, Facts, Key, Limits, Maps, NoRedaction, ProcessTypes, Reader, Scalar, to_json,
};

/// Where the memory begins.
const BASE: u64 = 0x10_0000;
const JSON_BYTES_MAX: usize = 1 << 16;
/// What one string, cut at the bound, can add to that: each of its bytes as `\u0000`.
const JSON_SLACK: usize = 6 * (64 << 10) + 4096;

/// Of Go 1.21 to 1.27.
static FACTS: LazyLock<Vec<Facts>> = LazyLock::new(|| {
    (21..=27).map(|minor| Facts::of_release(minor, Maps::Swiss).expect("a known release")).collect()
});

/// Names that the decoder knows, and one that it does not.
const NAMES: [&str; 32] = [
    "main.T",
    "uint8",
    "time.Time",
    "time.Duration",
    "time.Location",
    "sync.Mutex",
    "sync.RWMutex",
    "sync.WaitGroup",
    "sync.Once",
    "sync.Cond",
    "sync.Map",
    "context.Context",
    "*context.valueCtx",
    "context.valueCtx",
    "context.cancelCtx",
    "context.timerCtx",
    "context.withoutCancelCtx",
    "net.IP",
    "net.IPMask",
    "net/netip.Addr",
    "net/netip.AddrPort",
    "net/netip.Prefix",
    "math/big.Int",
    "encoding/json.RawMessage",
    "sync/atomic.Int64",
    "sync/atomic.Bool",
    "sync/atomic.Value",
    "sync/atomic.Pointer[main.T]",
    "example.com/uuid.UUID",
    "google.golang.org/protobuf/internal/impl.MessageState",
    "[]uint8",
    "error",
];

const FIELDS: [&str; 44] = [
    "A",
    "B",
    "_",
    "wall",
    "ext",
    "loc",
    "zone",
    "tx",
    "cacheZone",
    "cacheStart",
    "cacheEnd",
    "offset",
    "when",
    "index",
    "state",
    "mu",
    "w",
    "readerCount",
    "readerWait",
    "done",
    "notify",
    "wait",
    "m",
    "read",
    "v",
    "root",
    "children",
    "amended",
    "dirty",
    "Context",
    "cancelCtx",
    "c",
    "key",
    "val",
    "err",
    "cause",
    "deadline",
    "addr",
    "hi",
    "lo",
    "z",
    "value",
    "neg",
    "abs",
];

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    minor: u8,
    maps: u8,
    types: Vec<FuzzType>,
    memory: Vec<Word>,
    /// How much of the memory is there.
    there: Option<u16>,
    root: Root,
    described: bool,
    depth: u8,
    key: FuzzKey,
    path: Vec<Step>,
}

#[derive(arbitrary::Arbitrary, Debug)]
struct FuzzType {
    name: u8,
    size: u16,
    shape: FuzzShape,
}

#[derive(arbitrary::Arbitrary, Debug)]
enum FuzzShape {
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    String,
    UnsafePointer,
    Pointer(u8),
    Slice(u8),
    Array(u8, u64),
    Struct(Vec<(u8, u8, u16)>),
    Interface(bool),
    Map(u8, u8),
    Channel(u8),
    Function,
}

#[derive(arbitrary::Arbitrary, Debug)]
enum Word {
    Any(u64),
    Small(u8),
    /// To another word.
    Pointer(u16),
}

#[derive(arbitrary::Arbitrary, Debug)]
enum Root {
    At(u16),
    Parts(Vec<(u8, u8, bool, u16)>),
}

#[derive(arbitrary::Arbitrary, Debug)]
enum FuzzKey {
    Text(u8),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

#[derive(arbitrary::Arbitrary, Debug)]
enum Step {
    Field(u8),
    Element(i64),
    Slice(Option<i64>, Option<i64>),
    Target,
    Dynamic,
    Lookup,
}

struct Made(Vec<Arc<Type>>);

impl Types for Made {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        match of {
            TypeRef::Debug(index) => self.0.get(index as usize).cloned(),
            TypeRef::Runtime(_) => None,
        }
        .ok_or_else(|| Gap::UnknownType(format!("{of:?}")))
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        Ok(self.0.iter().position(|ty| ty.name == name).map(|index| TypeRef::Debug(index as u64)))
    }

    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap> {
        Ok(TypeRef::Debug(address / 8 % self.0.len().max(1) as u64))
    }

    fn similar(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

struct Names;

impl Code for Names {
    fn function(&self, pc: u64) -> Option<String> {
        (pc % 2 == 0).then(|| "main.f".to_owned())
    }

    fn captured(&self, pc: u64) -> Vec<Captured> {
        let captured =
            |i| Captured { name: "x".into(), of: TypeRef::Debug(i), offset: 8 * i, by_reference: i % 2 == 0 };
        (0..pc % 5).map(captured).collect()
    }
}

fn made(types: &[FuzzType]) -> Made {
    let of = |index: &u8| TypeRef::Debug(u64::from(*index));
    let shape = |shape: &FuzzShape| match shape {
        FuzzShape::Bool => Shape::Bool,
        FuzzShape::Int => Shape::Int,
        FuzzShape::Uint => Shape::Uint,
        FuzzShape::Float => Shape::Float,
        FuzzShape::Complex => Shape::Complex,
        FuzzShape::String => Shape::String,
        FuzzShape::UnsafePointer => Shape::UnsafePointer,
        FuzzShape::Pointer(target) => Shape::Pointer(of(target)),
        FuzzShape::Slice(element) => Shape::Slice(of(element)),
        FuzzShape::Array(element, length) => Shape::Array { element: of(element), length: *length },
        FuzzShape::Struct(fields) => {
            let field = |(name, ty, offset): &(u8, u8, u16)| Field {
                name: FIELDS[usize::from(*name) % FIELDS.len()].into(),
                of: of(ty),
                offset: u64::from(*offset),
                is_embedded: false,
            };
            Shape::Struct(fields.iter().map(field).collect())
        }
        FuzzShape::Interface(has_methods) => Shape::Interface { has_methods: *has_methods },
        FuzzShape::Map(key, element) => Shape::Map { key: of(key), element: of(element) },
        FuzzShape::Channel(element) => Shape::Channel(of(element)),
        FuzzShape::Function => Shape::Function,
    };
    let ty = |ty: &FuzzType| {
        let name = NAMES[usize::from(ty.name) % NAMES.len()].to_owned();
        // Some sizes beyond what is read at once.
        let size = if ty.size > 0xf000 { u64::from(ty.size) << 12 } else { u64::from(ty.size % 512) };
        Arc::new(Type { name, size, shape: shape(&ty.shape) })
    };
    Made(types.iter().map(ty).collect())
}

fuzz_target!(|input: Input| {
    let address = |word: &u16| BASE + 8 * (u64::from(*word) % input.memory.len().max(1) as u64);
    let word = |word: &Word| match word {
        Word::Any(value) => *value,
        Word::Small(value) => u64::from(*value),
        Word::Pointer(to) => address(to),
    };
    let mut bytes: Vec<u8> = input.memory.iter().flat_map(|w| word(w).to_le_bytes()).collect();
    if let Some(there) = input.there {
        bytes.truncate(usize::from(there));
    }
    let memory = Image::from_segments([Segment { address: BASE, bytes }]);
    let maps = [Maps::Classic, Maps::Swiss, Maps::SwissSplit][usize::from(input.maps) % 3];
    let mut facts = FACTS[usize::from(input.minor) % FACTS.len()].clone();
    facts.maps = maps;
    (facts.types, facts.types_end) = (BASE, BASE + 8 * input.memory.len() as u64);
    let made = made(&input.types);
    let described = ProcessTypes::new(None, &memory, &facts);
    let (types, of): (&dyn Types, _) = match input.described {
        true => (&described, TypeRef::Runtime(BASE)),
        false => (&made, TypeRef::Debug(0)),
    };
    let limits = Limits { depth: u32::from(input.depth), ..Limits::default() };
    let reader = Reader::new(types, &memory, &facts, &Names, &NoRedaction, limits);
    let place = match &input.root {
        Root::At(at) => Place::At(address(at)),
        Root::Parts(parts) => Place::Parts(
            parts
                .iter()
                .map(|(offset, length, there, at)| Part {
                    offset: u64::from(*offset),
                    length: u64::from(*length),
                    source: match (there, at % 2) {
                        (true, 0) => PartSource::At(address(at)),
                        (true, _) => PartSource::Bytes(at.to_le_bytes().repeat(usize::from(*length) / 2)),
                        (false, _) => PartSource::Missing(Gap::OptimizedOut),
                    },
                })
                .collect(),
        ),
    };
    let value = reader.decode(&place, of);
    let json = to_json(&value, JSON_BYTES_MAX);
    assert!(json.len() < JSON_BYTES_MAX + JSON_SLACK, "{} bytes", json.len());
    Scalar::of(&value, JSON_BYTES_MAX);
    let key = match &input.key {
        FuzzKey::Text(length) => Key::Text("\0".repeat(usize::from(*length))),
        FuzzKey::Bool(value) => Key::Bool(*value),
        FuzzKey::Integer(value) => Key::Integer(i128::from(*value)),
        FuzzKey::Float(value) => Key::Float(*value),
    };
    walk(&reader, place, of, &input.path, &key);
});

/// Goes where a path leads, and asks everything there.
fn walk(reader: &Reader<'_>, mut place: Place, mut of: TypeRef, path: &[Step], key: &Key) {
    for step in path.iter().take(20) {
        reader.next_goroutine();
        let _ = reader.length(&place, of);
        let _ = reader.capacity(&place, of);
        let _ = reader.integer(&place, of);
        let _ = reader.time_unix_ns(&place, of);
        let _ = reader.deadline(&place, of);
        let _ = reader.context_value(&place, of, "main.T");
        let Ok(ty) = reader.types.get(of) else { return };
        let next = match (step, &ty.shape) {
            (Step::Field(index), Shape::Struct(fields)) if !fields.is_empty() => {
                let field = &fields[usize::from(*index) % fields.len()];
                Ok((reader.field(&place, field, &ty), field.of))
            }
            (Step::Target, Shape::Pointer(target)) => reader.target(&place).map(|place| (place, *target)),
            (Step::Element(index), _) => reader.element(&place, of, *index),
            (Step::Slice(from, to), _) => reader.slice(&place, of, *from, *to),
            (Step::Dynamic, _) => reader.dynamic(&place, of).map(|(of, place)| (place, of)),
            (Step::Lookup, _) => reader.lookup(&place, of, key),
            _ => continue,
        };
        match next {
            Ok(next) => (place, of) = next,
            Err(_) => continue,
        }
        to_json(&reader.decode(&place, of), JSON_BYTES_MAX);
    }
}
