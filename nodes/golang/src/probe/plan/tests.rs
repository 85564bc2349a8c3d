//! Tests of plans on a frame whose memory they make up.

use std::collections::HashMap;

use super::*;
use crate::layout::Channel;
use crate::memory::{Image, Segment};
use crate::probe::check::check;
use crate::probe::expression::Expression;
use crate::probe::scope::Scope;
use crate::probe::set::ProbeSet;
use crate::probe::world::{World, shop};
use crate::probe::{Redaction, default_columns};
use crate::thread::Registers;
use crate::types::Types;
use crate::value::{Captured, Code, Facts, Limits, Maps};
use crate::variable::{FrameVariables, Location, Piece, Variable};

const FRAME_END: u64 = 0x8000;
const BIAS: u64 = 0x10_0000;
const REQUEST: u64 = 0x1000;
const NOW_S: i64 = 1_000_005;

struct NoCode;

impl Code for NoCode {
    fn function(&self, _: u64) -> Option<String> {
        None
    }

    fn captured(&self, _: u64) -> Vec<Captured> {
        Vec::new()
    }
}

/// A process at rest.
struct Rest {
    world: World,
    variables: FrameVariables,
    words: HashMap<u64, u64>,
}

impl Rest {
    fn new() -> Self {
        let (mut world, variables) = shop();
        let text = world.by_name("string").unwrap().unwrap();
        world.descriptors.insert(0x7000, text);
        let function = "shop/orders.(*Service).Place".to_owned();
        let mut rest =
            Rest { world, variables: FrameVariables { function, variables }, words: HashMap::new() };
        rest.at("req", Location::Frame(-8));
        rest.at("any", Location::Frame(-32));
        rest.at("n", Location::Register(3));
        rest.put(FRAME_END - 8, &[REQUEST]);
        // A descriptor of string (16 bytes, kind 24), and an `any` that holds one.
        rest.put(0x7000, &[16, 8, 24 << 56, 0, 0, 0]);
        rest.put(FRAME_END - 32, &[0x7000, 0x7100]);
        rest.put(0x7100, &[0x4000, 3]);
        let year_1 = 62_135_596_800;
        // Base.ID, Base.Version, Audit, User, Started, Ended, Items, Tags, Counts, ByItem, Body, Key, KeyAt.
        rest.put(
            REQUEST,
            &[0x4000, 6, 7, 0, 0x2000, 0, 1_000_000 + year_1, 0, 0x2100, 0x3000, 2, 4, 0, 0, 0, 0x4000, 6, 6],
        );
        rest.put(REQUEST + 144, &[0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908, REQUEST + 144]);
        rest.put(0x2000, &[0x4000, 3]);
        rest.put(0x2100, &[0, 0, 0]);
        rest.put(0x3000, &[0x4000, 1, 10, 0x4001, 2, 20, 0x4000, 6, 30, 0x4000, 6, 40]);
        rest.put(0x4000, &[u64::from_le_bytes(*b"abcdef\0\0")]);
        rest.put(BIAS + 0x5000, &[0x4002, 4]);
        rest
    }

    fn put(&mut self, address: u64, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            self.words.insert(address + 8 * index as u64, *word);
        }
    }

    fn at(&mut self, name: &str, location: Location) {
        self.variable(name).location = location;
    }

    fn variable(&mut self, name: &str) -> &mut Variable {
        self.variables.variables.iter_mut().find(|variable| variable.name == name).unwrap()
    }

    fn check(&self, text: &str) -> Plan {
        let expression = Expression::parse(text).unwrap();
        let scope = Scope {
            function: &self.variables.function,
            variables: &self.variables.variables,
            program: &self.world,
        };
        check(&expression, &scope, &self.world).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    fn carry_out(&self, plan: &Plan, registers: Option<&Registers>, redactions: &str) -> Evaluated {
        let segments =
            self.words.iter().map(|(&address, word)| Segment { address, bytes: word.to_le_bytes().to_vec() });
        let memory = Image::from_segments(segments);
        let channel = Channel {
            size: 96,
            qcount: 0,
            dataqsiz: 8,
            buf: 16,
            elemsize: 24,
            closed: 28,
            recvx: 40,
            recvq: 56,
            sendq: 72,
            timer: None,
        };
        let facts =
            Facts { minor: 26, maps: Maps::Swiss, types: 0x7000, types_end: 0x7100, channel, netip_z4: None };
        let redaction = Redaction::of(&[ProbeSet::parse(redactions).unwrap()]);
        let reader = Reader::new(&self.world, &memory, &facts, &NoCode, &redaction, Limits::default());
        let frame = FrameView {
            variables: &self.variables,
            frame_end: FRAME_END,
            bias: BIAS,
            registers,
            deferred: None,
            now_unix_ns: NOW_S * 1_000_000_000,
        };
        plan.evaluate(&frame, &reader)
    }

    fn evaluate(&self, text: &str) -> Evaluated {
        self.carry_out(&self.check(text), None, "")
    }

    fn value(&self, text: &str) -> Value {
        self.evaluate(text).value
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn values_are_those_of_the_memory() {
    let rest = Rest::new();
    for (expression, of, value, address) in [
        ("req.ID", "string", text("abcdef"), Some(REQUEST)),
        ("req.User.Name", "string", text("abc"), Some(0x2000)),
        ("req.Base.Version", "int", Value::Int(7), Some(REQUEST + 16)),
        ("since(req.Started)", "time.Duration", Value::Int(5_000_000_000), Some(REQUEST + 40)),
        ("len(req.Items)", "int", Value::Int(2), Some(REQUEST + 72)),
        ("cap(req.Items)", "int", Value::Int(4), Some(REQUEST + 72)),
        ("len(req.Key)", "int", Value::Int(16), Some(REQUEST + 144)),
        ("len(req.Tags)", "int", Value::Int(0), None),
        ("req.Items[1].SKU", "string", text("bc"), Some(0x3000 + 24)),
        ("req.Items[2:4][1].Count", "int", Value::Int(40), Some(0x3000 + 3 * 24 + 16)),
        ("req.KeyAt[3]", "uint8", Value::Uint(3), Some(REQUEST + 147)),
        ("req.ID[1]", "uint8", Value::Uint(u64::from(b'b')), Some(0x4001)),
        ("req.ID[1:3]", "string", text("bc"), None),
        ("string(req.Body)", "string", text("abcdef"), Some(REQUEST + 120)),
        ("addr(req)", "uintptr", Value::Address(REQUEST), Some(REQUEST)),
        ("addr(*req)", "uintptr", Value::Address(REQUEST), Some(REQUEST)),
        ("addr(req.Key)", "uintptr", Value::Address(REQUEST + 144), Some(REQUEST + 144)),
        ("any.(string)", "string", text("abc"), Some(0x7100)),
        ("orders.nodeName", "string", text("cdef"), Some(BIAS + 0x5000)),
    ] {
        let evaluated = rest.evaluate(expression);
        let expected = Evaluated { type_name: Some(of.to_owned()), value, address };
        assert_eq!(evaluated, expected, "{expression}");
    }
}

#[test]
fn what_cannot_be_had_says_why() {
    let rest = Rest::new();
    for (expression, gap) in [
        ("req.By", Gap::NilPointer),
        ("req.Items[2]", Gap::OutOfRange { index: 2, length: 2 }),
        ("req.Items[0:5]", Gap::OutOfRange { index: 5, length: 4 }),
        (r#"req.Tags["a"]"#, Gap::NoSuchKey),
        ("since(req.Ended)", Gap::Implausible("the zero time".into())),
        ("any.([]byte)", Gap::OtherType("string".into())),
        ("n", Gap::InRegister),
        ("later", Gap::NotDeclared),
        ("addr(req.Tags)", Gap::NilPointer),
    ] {
        assert_eq!(rest.value(expression), Value::Missing(gap), "{expression}");
    }
}

#[test]
fn places_are_as_debug_information_says() {
    let mut rest = Rest::new();
    let general = vec![0, 0, 0, 42, REQUEST, 0x4000];
    let registers = Registers { pc: 0, general, thread_pointer: 0, syscall_number: -1 };
    let with = |rest: &Rest, text: &str, registers| rest.carry_out(&rest.check(text), registers, "").value;
    assert_eq!(with(&rest, "n", Some(&registers)), Value::Int(42));
    rest.at("req", Location::Register(4));
    assert_eq!(with(&rest, "req.ID", Some(&registers)), text("abcdef"));
    assert_eq!(with(&rest, "req.ID", None), Value::Missing(Gap::InRegister));
    rest.at("req", Location::Register(60));
    assert_eq!(with(&rest, "req.ID", Some(&registers)), Value::Missing(Gap::InRegister));
    // Moved to the heap: the slot holds its address.
    rest.put(FRAME_END - 40, &[FRAME_END - 8]);
    rest.at("req", Location::Through(Box::new(Location::Frame(-40))));
    assert_eq!(rest.value("req.ID"), text("abcdef"));
    rest.at("req", Location::Missing(Gap::SlotNotLive));
    assert_eq!(rest.value("req.ID"), Value::Missing(Gap::SlotNotLive));
    // A string whose pointer is in a register and whose length is in memory.
    let of = rest.world.by_name("string").unwrap().unwrap();
    rest.variable("n").of = of;
    let piece = |location| Piece { length: 8, location };
    rest.put(FRAME_END - 48, &[2]);
    rest.at("n", Location::Pieces(vec![piece(Location::Register(5)), piece(Location::Frame(-48))]));
    assert_eq!(with(&rest, "n", Some(&registers)), text("ab"));
    assert_eq!(with(&rest, "len(n)", Some(&registers)), Value::Int(2));
    assert_eq!(with(&rest, "n", None), Value::Missing(Gap::InRegister));
    rest.at("n", Location::Pieces(vec![piece(Location::Register(5))]));
    assert_eq!(with(&rest, "n", Some(&registers)), Value::Missing(Gap::OptimizedOutInPart));
    rest.at("n", Location::Pieces(vec![piece(Location::Register(5)); 3]));
    assert!(matches!(with(&rest, "n", Some(&registers)), Value::Missing(Gap::DamagedDebugInfo(_))));
}

#[test]
fn another_variable_of_the_name_is_not_taken_for_it() {
    let mut rest = Rest::new();
    let plan = rest.check("n");
    let of = rest.world.by_name("string").unwrap().unwrap();
    rest.variable("n").of = of;
    let value = rest.carry_out(&plan, None, "").value;
    assert_eq!(value, Value::Missing(Gap::Expression("n is of type string here".into())));
}

#[test]
fn what_is_hidden_stays_hidden_on_every_way() {
    let rest = Rest::new();
    let redacted = |text: &str, redactions: &str| {
        let value = rest.carry_out(&rest.check(text), None, redactions).value;
        assert_eq!(value, Value::Missing(Gap::Redacted), "{text}");
    };
    for expression in [
        "req.User.Name",
        "req.User.Name[0]",
        "req.User.Name[0:1]",
        "len(req.User.Name)",
        "addr(req.User.Name)",
    ] {
        redacted(expression, "[[redact]]\nfield = '**.User.Name'");
        redacted(expression, "[[redact]]\ntype = 'shop/model.User'");
    }
    for expression in ["req.Items", "req.Items[0].SKU", "len(req.Items)", "string(req.Body)", "req.Key[0]"] {
        redacted(expression, "[[redact]]\nfield = '**.Request.{Items,Body,Key}'");
    }
    redacted(r#"req.Tags["token"]"#, "[[redact]]\nfield = 'map[string]string.token'");
    redacted("any.(string)", "[[redact]]\ntype = 'string'");
    redacted("since(req.Started)", "[[redact]]\ntype = 'time.Time'");
}

#[test]
fn of_types_rules_choose_parts() {
    let mut rest = Rest::new();
    // What it embeds by pointer is nil, what else it has is there.
    let rule = r#"[[type]]
match = '**.Request'
capture = ["ID", "User.Name", "Items[1].SKU", "Items[2]", 'Tags["a"]', "By", "Base.Version", "Version", "None", "KeyAt[3]", "*User"]
"#;
    let parts = |rest: &Rest, rule: &str| match rest.carry_out(&rest.check("*req"), None, rule).value {
        Value::Record(parts) => parts,
        other => panic!("{other:?}"),
    };
    let several = "shop/orders.Request has several fields Version: in Base and Audit";
    let user = Value::Record(vec![("Name".to_owned(), text("abc"))]);
    let expected = [
        ("ID", text("abcdef")),
        ("User.Name", text("abc")),
        ("Items[1].SKU", text("bc")),
        ("Items[2]", Value::Missing(Gap::OutOfRange { index: 2, length: 2 })),
        (r#"Tags["a"]"#, Value::Missing(Gap::NoSuchKey)),
        ("By", Value::Missing(Gap::NilPointer)),
        ("Base.Version", Value::Int(7)),
        ("Version", Value::Missing(Gap::Expression(several.to_owned()))),
        ("None", Value::Missing(Gap::Expression("shop/orders.Request has no field None".to_owned()))),
        ("KeyAt[3]", Value::Uint(3)),
        ("*User", user),
    ];
    let found = parts(&rest, rule);
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    // What must not leave the host does not by a rule either.
    let hidden = format!("{rule}[[redact]]\nfield = '**.{{User.Name,Request.Items}}'\n");
    let found = parts(&rest, &hidden);
    for at in [1, 2, 3] {
        assert_eq!(found[at].1, Value::Missing(Gap::Redacted), "{}", found[at].0);
    }
    // A struct that is too large to be read as a whole is no exception.
    let (int, huge) = (rest.world.by_name("int").unwrap().unwrap(), 1 << 20);
    let filler = rest.world.add("[131072]int", huge, Shape::Array { element: int, length: huge / 8 });
    let large = rest.world.structure("shop/model.Large", &[("Number", int), ("Rest", filler)]);
    rest.variable("n").of = large;
    rest.at("n", Location::Frame(-8));
    let chosen =
        rest.carry_out(&rest.check("n"), None, "[[type]]\nmatch = '**.Large'\ncapture = ['Number']").value;
    assert_eq!(chosen, Value::Record(vec![("Number".to_owned(), Value::Int(REQUEST as i64))]));
}

#[test]
fn without_expressions_variables_are_taken() {
    let rest = Rest::new();
    let columns = default_columns(&rest.variables.variables, &rest.world);
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["req", "twice", "store", "ctx", "n", "any"]);
    let Value::Record(fields) = rest.carry_out(&columns[0].1, None, "").value else { panic!("a struct") };
    // To a depth of 2: its own fields, and what is in them.
    let items = fields.iter().find(|(name, _)| name == "Items").map(|(_, value)| value);
    let Some(Value::List(items)) = items else { panic!("{items:?}") };
    assert_eq!(items[0], Value::Missing(Gap::Depth));
}

#[test]
fn what_atomic_variables_and_interfaces_hold() {
    let mut rest = Rest::new();
    let pointer = rest.world.by_name("*shop/model.User").unwrap().unwrap();
    let none = rest.world.add("[0]*shop/model.User", 0, Shape::Array { element: pointer, length: 0 });
    let raw = rest.world.add("unsafe.Pointer", 8, Shape::UnsafePointer);
    let of = rest.world.structure("sync/atomic.Pointer[shop/model.User]", &[("_", none), ("v", raw)]);
    let role = crate::variable::Role::Local;
    let location = Location::Frame(-40);
    let current =
        Variable { name: "current".to_owned(), of, role, declared_line: 1, location, dictionary_index: None };
    rest.variables.variables.push(current);
    rest.put(FRAME_END - 40, &[0x2000]);
    assert_eq!(rest.value("current.Load().Name"), text("abc"));
    rest.put(FRAME_END - 40, &[0]);
    assert_eq!(rest.value("current.Load().Name"), Value::Missing(Gap::NilPointer));
    assert_eq!(rest.value("any.(type)"), text("abc"));
    assert_eq!(rest.value("statement(any.(type))"), text("abc"));
    for (wrong, why) in [("req.User.Load()", "not of sync/atomic"), ("req.User.(type)", "not an interface")] {
        let expression = Expression::parse(wrong).unwrap();
        let scope = Scope {
            function: &rest.variables.function,
            variables: &rest.variables.variables,
            program: &rest.world,
        };
        let problem = check(&expression, &scope, &rest.world).unwrap_err();
        assert!(problem.to_string().contains(why), "{problem}");
    }
}
