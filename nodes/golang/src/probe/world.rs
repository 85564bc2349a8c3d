//! Types, variables and packages that tests make up: the shop of the contract.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dwarf::PackageVariable;
use crate::gap::Gap;
use crate::probe::scope::Program;
use crate::types::{Field, Shape, Type, TypeRef, Types};
use crate::variable::{Location, Role, Variable};

/// Types by number.
#[derive(Default)]
pub(super) struct World {
    pub(super) types: Vec<Arc<Type>>,
    pub(super) globals: HashMap<&'static str, TypeRef>,
    pub(super) packages: HashMap<&'static str, Vec<&'static str>>,
    pub(super) elsewhere: Vec<(String, TypeRef)>,
    /// By the address of a descriptor.
    pub(super) descriptors: HashMap<u64, TypeRef>,
}

impl World {
    pub(super) fn add(&mut self, name: &str, size: u64, shape: Shape) -> TypeRef {
        self.types.push(Arc::new(Type { name: name.to_owned(), size, shape }));
        TypeRef::Debug(self.types.len() as u64 - 1)
    }

    pub(super) fn pointer(&mut self, to: TypeRef) -> TypeRef {
        let name = format!("*{}", self.get(to).unwrap().name);
        self.add(&name, 8, Shape::Pointer(to))
    }

    /// Fields one behind the other; a `+` in front of the name is for an embedded one.
    pub(super) fn structure(&mut self, name: &str, fields: &[(&str, TypeRef)]) -> TypeRef {
        let mut offset = 0;
        let mut made = Vec::new();
        for (name, of) in fields {
            let size = self.get(*of).unwrap().size;
            let plain = name.trim_start_matches('+');
            made.push(Field { name: plain.to_owned(), of: *of, offset, is_embedded: plain != *name });
            offset += size;
        }
        self.add(name, offset, Shape::Struct(made))
    }
}

impl Types for World {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        let TypeRef::Debug(number) = of else { return Err(Gap::UnknownType("runtime".into())) };
        self.types.get(number as usize).cloned().ok_or(Gap::UnknownType("none".into()))
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        Ok(self.types.iter().position(|ty| ty.name == name).map(|number| TypeRef::Debug(number as u64)))
    }

    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap> {
        self.descriptors.get(&address).copied().ok_or(Gap::UnknownType(format!("{address:#x}")))
    }

    fn similar(&self, name: &str) -> Vec<String> {
        crate::similar::similar(name, self.types.iter().map(|ty| ty.name.as_str()))
    }
}

impl Program for World {
    fn declared(&self, _: &str) -> Result<Arc<[(String, TypeRef)]>, Gap> {
        Ok(self.elsewhere.as_slice().into())
    }

    fn package_variable(&self, name: &str) -> Result<Option<PackageVariable>, Gap> {
        Ok(self.globals.get(name).map(|&of| PackageVariable { address: 0x5000, of }))
    }

    fn packages(&self, name: &str) -> Vec<String> {
        self.packages.get(name).into_iter().flatten().map(|path| (*path).to_owned()).collect()
    }

    fn package_names(&self) -> Vec<String> {
        self.packages.keys().map(|name| (*name).to_owned()).collect()
    }
}

/// The shop of the contract, and its variables.
pub(super) fn shop() -> (World, Vec<Variable>) {
    let mut world = World::default();
    let int = world.add("int", 8, Shape::Int);
    let byte = world.add("uint8", 1, Shape::Uint);
    let text = world.add("string", 16, Shape::String);
    let time = world.structure("time.Time", &[("wall", int), ("ext", int), ("loc", int)]);
    let time_pointer = world.pointer(time);
    let item = world.structure("shop/model.Item", &[("SKU", text), ("Count", int)]);
    let items = world.add("[]shop/model.Item", 24, Shape::Slice(item));
    let tags = world.add("map[string]string", 8, Shape::Map { key: text, element: text });
    let counts = world.add("map[uint8]int", 8, Shape::Map { key: byte, element: int });
    let by_item = world.add("map[shop/model.Item]int", 8, Shape::Map { key: item, element: int });
    let bytes = world.add("[]uint8", 24, Shape::Slice(byte));
    let id = world.add("[16]uint8", 16, Shape::Array { element: byte, length: 16 });
    let id_pointer = world.pointer(id);
    let base = world.structure("shop/model.Base", &[("ID", text), ("Version", int)]);
    let audit = world.structure("shop/model.Audit", &[("Version", int), ("By", text)]);
    let audit_pointer = world.pointer(audit);
    let user = world.structure("shop/model.User", &[("Name", text)]);
    let user_pointer = world.pointer(user);
    let request = world.structure(
        "shop/orders.Request",
        &[
            ("+Base", base),
            ("+Audit", audit_pointer),
            ("User", user_pointer),
            ("Started", time),
            ("Ended", time_pointer),
            ("Items", items),
            ("Tags", tags),
            ("Counts", counts),
            ("ByItem", by_item),
            ("Body", bytes),
            ("Key", id),
            ("KeyAt", id_pointer),
        ],
    );
    let request_pointer = world.pointer(request);
    let request_pointer_2 = world.pointer(request_pointer);
    let postgres = world.structure("shop/orders.postgresStore", &[("dsn", text)]);
    world.pointer(postgres);
    let store = world.add("shop/orders.Store", 16, Shape::Interface { has_methods: true });
    let context = world.add("context.Context", 16, Shape::Interface { has_methods: true });
    let any = world.add("interface {}", 16, Shape::Interface { has_methods: false });
    world.structure("go.opentelemetry.io/otel/trace.SpanContext", &[("traceID", id)]);
    world.structure("a/x.T", &[]);
    world.structure("b/x.T", &[]);
    world.globals = HashMap::from([("shop/orders.nodeName", text), ("net/http.DefaultClient", int)]);
    world.packages = HashMap::from([
        ("orders", vec!["shop/orders"]),
        ("http", vec!["net/http"]),
        ("trace", vec!["runtime/trace", "go.opentelemetry.io/otel/trace"]),
        ("x", vec!["a/x", "b/x"]),
    ]);
    world.elsewhere = vec![("later".to_owned(), int)];
    let variable = |name: &str, of| Variable {
        name: name.to_owned(),
        of,
        role: Role::Argument,
        declared_line: 1,
        location: Location::Frame(0),
        dictionary_index: None,
    };
    let variables = vec![
        variable("req", request_pointer),
        variable("twice", request_pointer_2),
        variable("store", store),
        variable("ctx", context),
        variable("n", int),
        variable("any", any),
    ];
    (world, variables)
}
