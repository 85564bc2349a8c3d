//! Tests of the checker over types that they make up: what fits, what is said of what does not, and which steps it gives.

use std::collections::HashMap;

use super::*;
use crate::dwarf::PackageVariable;
use crate::probe::scope::Program;
use crate::types::Field;
use crate::variable::{Location, Role, Variable};

/// Types by number.
#[derive(Default)]
struct World {
    types: Vec<Arc<Type>>,
    globals: HashMap<&'static str, TypeRef>,
    packages: HashMap<&'static str, Vec<&'static str>>,
    elsewhere: Vec<(String, TypeRef)>,
}

impl World {
    fn add(&mut self, name: &str, size: u64, shape: Shape) -> TypeRef {
        self.types.push(Arc::new(Type { name: name.to_owned(), size, shape }));
        TypeRef::Debug(self.types.len() as u64 - 1)
    }

    fn pointer(&mut self, to: TypeRef) -> TypeRef {
        let name = format!("*{}", self.get(to).unwrap().name);
        self.add(&name, 8, Shape::Pointer(to))
    }

    /// Fields one behind the other; a `+` in front of the name is for an embedded one.
    fn structure(&mut self, name: &str, fields: &[(&str, TypeRef)]) -> TypeRef {
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

    fn by_descriptor(&self, _: u64) -> Result<TypeRef, Gap> {
        Err(Gap::UnknownType("runtime".into()))
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
fn shop() -> (World, Vec<Variable>) {
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

fn check_in_shop(text: &str) -> Result<Plan, Problem> {
    let (world, variables) = shop();
    let scope = Scope { function: "shop/orders.(*Service).Place", variables: &variables, program: &world };
    check(&Expression::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}")), &scope, &world)
}

#[test]
fn what_fits_has_a_type() {
    for (text, of) in [
        ("req.ID", Some("string")),
        ("req.Base.ID", Some("string")),
        ("req.By", Some("string")),
        ("req.User.Name", Some("string")),
        ("(*req).User", Some("*shop/model.User")),
        ("(*twice).ID", Some("string")),
        ("since(req.Started)", Some("time.Duration")),
        ("since(req.Ended)", Some("time.Duration")),
        ("since(ctx.Deadline())", Some("time.Duration")),
        ("len(req.Items)", Some("int")),
        ("len(req.Tags)", Some("int")),
        ("len(req.KeyAt)", Some("int")),
        ("cap(req.Items)", Some("int")),
        ("req.Items[0].SKU", Some("string")),
        ("req.Items[1:3]", Some("[]shop/model.Item")),
        ("req.KeyAt[15]", Some("uint8")),
        ("req.Key[2:16]", Some("[]uint8")),
        ("req.ID[0]", Some("uint8")),
        (r#"req.Tags["tenant"]"#, Some("string")),
        ("req.Counts[255]", Some("int")),
        ("store.(*postgresStore).dsn", Some("string")),
        ("store.(*orders.postgresStore)", Some("*shop/orders.postgresStore")),
        ("store.(*shop/orders.postgresStore)", Some("*shop/orders.postgresStore")),
        ("any.(string)", Some("string")),
        ("any.([]byte)", Some("[]uint8")),
        ("ctx.Deadline()", Some("time.Time")),
        ("ctx.Value(trace.SpanContext).traceID", None),
        ("ctx.Value(trace.SpanContext).traceID[0:4]", None),
        ("string(ctx.Value(trace.SpanContext).traceID)", Some("string")),
        ("addr(req.Items)", Some("uintptr")),
        ("string(req.Body)", Some("string")),
        ("string(req.Body[0:4])", Some("string")),
        ("orders.nodeName", Some("string")),
        ("nodeName", Some("string")),
        ("net/http.DefaultClient", Some("int")),
        ("http.DefaultClient", Some("int")),
        ("later", Some("int")),
    ] {
        let plan = check_in_shop(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        assert_eq!(plan.type_name(), of, "{text}");
    }
}

#[test]
fn what_does_not_fit_is_explained() {
    for (text, start, message) in [
        ("req.Startd", 4, "did you mean Started?"),
        ("req.id", 4, "did you mean ID?"),
        ("req.Custoner", 4, "req is a *shop/orders.Request, and has no field Custoner"),
        ("req.Version", 4, "several fields Version: in Base and Audit"),
        ("rq.ID", 0, "did you mean req?"),
        ("rq.ID", 0, "its variables: any, ctx, later, n, req, store and twice"),
        ("req.ID.X", 7, "req.ID is a string, and has no field X"),
        ("n.X", 2, "n is an int, and has no field X"),
        ("twice.ID", 6, "write (*twice).ID"),
        ("req.Items.SKU", 10, "its elements are req.Items[0]"),
        ("req.Tags.tenant", 9, r#"req.Tags["tenant"]"#),
        ("store.dsn", 6, "store.(*T).dsn"),
        ("req.(*postgresStore)", 5, "not an interface"),
        ("store.(*postgrsStore)", 7, "did you mean *shop/orders.postgresStore?"),
        ("store.(Store)", 7, "is an interface, too"),
        ("store.(*x.T)", 8, "one of a/x.T and b/x.T"),
        ("store.(*ordrs.T)", 8, "did you mean orders?"),
        ("*n", 1, "n is an int, not a pointer"),
        ("n[0]", 0, "cannot be indexed"),
        ("req.Items[-1]", 0, "out of range"),
        ("req.Key[16]", 0, "out of range"),
        ("req.Key[0:17]", 0, "17 is out of range"),
        ("req.Items[\"a\"]", 0, "its index is a number"),
        ("req.Tags[1]", 0, "1 is no key of type string"),
        ("req.Counts[256]", 0, "256 is no key of type uint8"),
        ("req.ByItem[1]", 0, "only keys that are texts, numbers or bools"),
        ("len(n)", 4, "n is an int, which has no len"),
        ("cap(req.Tags)", 4, "has no cap"),
        ("since(n)", 6, "not a time.Time"),
        ("string(n)", 7, "not bytes"),
        ("req.Deadline()", 0, "not a context.Context"),
        ("any.Deadline()", 0, "not a context.Context"),
        ("ctx.Value(trace.SpanContex)", 10, "no type runtime/trace.SpanContex"),
        ("len(req.Items).X", 0, "outermost"),
        ("http.DefaultServer", 5, "has no variable DefaultServer"),
        ("net/http.Nothing", 9, "has no variable Nothing"),
    ] {
        let problem = check_in_shop(text).map(|plan| plan.type_name().map(str::to_owned)).expect_err(text);
        assert_eq!(problem.span.start, start, "{text}: {problem}");
        assert!(problem.to_string().contains(message), "{text}: {problem}");
    }
}

#[test]
fn embedded_structs_that_embed_each_other_end() {
    let mut world = World::default();
    // Two structs that embed pointers to each other.
    let (a, b, to_a, to_b) = (TypeRef::Debug(0), TypeRef::Debug(1), TypeRef::Debug(2), TypeRef::Debug(3));
    let embeds = |name: &str, of| vec![Field { name: name.to_owned(), of, offset: 0, is_embedded: true }];
    world.add("m.A", 8, Shape::Struct(embeds("B", to_b)));
    world.add("m.B", 8, Shape::Struct(embeds("A", to_a)));
    world.add("*m.A", 8, Shape::Pointer(a));
    world.add("*m.B", 8, Shape::Pointer(b));
    match select(&world, a, "x").unwrap() {
        Selected::Missing(names) => assert_eq!(names, ["B", "A"]),
        _ => panic!("there is no x"),
    }
}
