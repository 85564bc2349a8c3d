//! A process that a test makes up: types, memory, functions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::gap::Gap;
use crate::memory::{Image, Memory, Segment, Unreadable};
use crate::place::Place;
use crate::types::{Field, Shape, Type, TypeRef, Types};
use crate::value::{Captured, Code, Facts, Limits, Maps, NoRedaction, Reader, Redact, Value};

pub(super) struct Fake {
    types: Vec<Arc<Type>>,
    descriptors: HashMap<u64, TypeRef>,
    memory: Image,
    pub(super) captured: Vec<Captured>,
    pub(super) facts: Facts,
    pub(super) limits: Limits,
    next: u64,
    /// What was read in vain.
    pub(super) missed: std::cell::RefCell<Vec<(u64, usize)>>,
}

/// The address of the code of the one function.
pub(super) const CODE: u64 = 0x40_1000;

impl Fake {
    pub(super) fn new() -> Self {
        Self::of(26, Maps::Swiss)
    }

    pub(super) fn of(minor: u32, maps: Maps) -> Self {
        Fake {
            types: Vec::new(),
            descriptors: HashMap::new(),
            memory: Image::default(),
            captured: Vec::new(),
            facts: Facts::of_release(minor, maps).unwrap(),
            limits: Limits::default(),
            next: 0xc0_0000_0000,
            missed: Default::default(),
        }
    }

    pub(super) fn ty(&mut self, name: &str, size: u64, shape: Shape) -> TypeRef {
        self.types.push(Arc::new(Type { name: name.into(), size, shape }));
        TypeRef::Debug(self.types.len() as u64 - 1)
    }

    /// One that is declared further below.
    pub(super) fn declared(&self, further: u64) -> TypeRef {
        TypeRef::Debug(self.types.len() as u64 + further)
    }

    pub(super) fn int(&mut self) -> TypeRef {
        self.ty("int", 8, Shape::Int)
    }

    pub(super) fn string(&mut self) -> TypeRef {
        self.ty("string", 16, Shape::String)
    }

    /// Fields one behind the other, as their offsets say.
    pub(super) fn structure(&mut self, name: &str, size: u64, fields: &[(&str, u64, TypeRef)]) -> TypeRef {
        let field = |&(name, offset, of): &(&str, u64, TypeRef)| Field {
            name: name.into(),
            of,
            offset,
            is_embedded: false,
        };
        self.ty(name, size, Shape::Struct(fields.iter().map(field).collect()))
    }

    /// Puts words somewhere, and says where.
    pub(super) fn words(&mut self, words: &[u64]) -> u64 {
        self.bytes(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let address = self.next;
        // Apart from each other, so that nothing is read by chance.
        self.next += (bytes.len() as u64).next_multiple_of(8) + 64;
        self.put(address, bytes);
        address
    }

    pub(super) fn put(&mut self, address: u64, bytes: &[u8]) {
        self.memory.add([Segment { address, bytes: bytes.to_vec() }]);
    }

    /// Where the next words will be put.
    pub(super) fn here(&self) -> u64 {
        self.next
    }

    /// A descriptor of a type: what an interface names.
    pub(super) fn descriptor(&mut self, of: TypeRef, kind: u8, is_direct: bool) -> u64 {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&self.get(of).unwrap().size.to_le_bytes());
        bytes[16..20].copy_from_slice(&HASH.to_le_bytes());
        bytes[20] = if is_direct { 32 } else { 0 };
        bytes[23] = kind;
        let address = self.bytes(&bytes);
        self.descriptors.insert(address, of);
        address
    }

    pub(super) fn reader<'a>(&'a self, redact: &'a dyn Redact) -> Reader<'a> {
        Reader::new(self, self, &self.facts, self, redact, self.limits)
    }

    pub(super) fn decode(&self, address: u64, of: TypeRef) -> Value {
        self.reader(&NoRedaction).decode(&Place::At(address), of)
    }
}

pub(super) const HASH: u32 = 0x1234_5678;

impl Memory for Fake {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer).inspect_err(|_| {
            self.missed.borrow_mut().push((address, buffer.len()));
        })
    }
}

impl Types for Fake {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        let unknown = || Gap::UnknownType(format!("{of:?}"));
        match of {
            TypeRef::Debug(index) => self.types.get(index as usize).cloned().ok_or_else(unknown),
            TypeRef::Runtime(_) => Err(unknown()),
        }
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        let found = self.types.iter().position(|ty| ty.name == name);
        Ok(found.map(|index| TypeRef::Debug(index as u64)))
    }

    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap> {
        self.descriptors.get(&address).copied().ok_or(Gap::UnknownType(format!("{address:#x}")))
    }

    fn similar(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

impl Code for Fake {
    fn function(&self, pc: u64) -> Option<String> {
        (pc == CODE).then(|| "main.run.func1".to_owned())
    }

    fn captured(&self, _: u64) -> Vec<Captured> {
        self.captured.clone()
    }
}
