//! Values that no sound process has, or only for an instant; bounds; what a reader of paths finds. Sound values of every kind
//! are compared with what Go programs print of themselves.

use super::fake::{CODE, Fake, HASH};
use super::*;
use crate::place::{Part, PartSource, Place};
use crate::types::{Shape, TypeRef, Types};

fn json(value: &Value) -> String {
    to_json(value, 1 << 16)
}

#[test]
fn nothing_is_made_of_bytes_that_no_value_has() {
    let mut fake = Fake::new();
    let (int, string) = (fake.int(), fake.string());
    let boolean = fake.ty("bool", 1, Shape::Bool);
    let ints = fake.ty("[]int", 24, Shape::Slice(int));
    let pointer = fake.ty("*int", 8, Shape::Pointer(int));
    let data = fake.words(&[1, 2, 3]);
    let mut implausible = |of: TypeRef, words: &[u64]| {
        let at = fake.words(words);
        let value = fake.decode(at, of);
        assert!(matches!(value, Value::Missing(Gap::Implausible(_))), "{words:?}: {value:?}");
        assert!(fake.missed.borrow().is_empty(), "{:?}", fake.missed.borrow());
    };
    implausible(boolean, &[2]);
    implausible(string, &[data, u64::MAX]);
    implausible(string, &[1, 5]);
    implausible(string, &[0, 5]);
    implausible(ints, &[data, 3, 2]);
    implausible(ints, &[data, u64::MAX, u64::MAX]);
    implausible(ints, &[data, 1, 1 << 61]);
    implausible(ints, &[8, 0, 3]);
    implausible(pointer, &[17]);
}

#[test]
fn what_is_huge_is_read_to_its_bounds() {
    let mut fake = Fake::new();
    let (byte, string) = (fake.ty("uint8", 1, Shape::Uint), fake.string());
    let bytes = fake.ty("[]uint8", 24, Shape::Slice(byte));
    let strings = fake.ty("[]string", 24, Shape::Slice(string));
    let text = fake.bytes("ä".repeat(5000).as_bytes());
    let huge = fake.words(&[text, 10 << 30, 10 << 30]);
    let Value::Cut { value, gap } = fake.decode(huge, bytes) else { panic!() };
    assert_eq!(*value, Value::Text("ä".repeat(2048)));
    assert_eq!(gap, Gap::Bytes { shown: 4096, length: 10 << 30 });
    // Cut within a character.
    fake.limits.string_bytes = 101;
    assert!(matches!(fake.decode(huge, string), Value::Cut { gap: Gap::Bytes { shown: 100, .. }, .. }));
    // Of as many elements as are shown the headers are read at once, and one range is missed for each text.
    let headers = fake.words(&(0..64).flat_map(|i| [0x1000_0000 + 4096 * i, 8]).collect::<Vec<_>>());
    let many = fake.words(&[headers, 1 << 30, 1 << 30]);
    let Value::Cut { value, .. } = fake.decode(many, strings) else { panic!() };
    let Value::List(items) = *value else { panic!() };
    assert_eq!(items.len(), 64);
    assert!(items.iter().all(|item| matches!(item, Value::Missing(Gap::Unreadable(_)))));
    assert_eq!(fake.missed.borrow().len(), 64);
    // All of a goroutine's values have one bound.
    fake.limits.goroutine_bytes = 64;
    let reader = fake.reader(&NoRedaction);
    assert!(matches!(reader.decode(&Place::At(many), strings), Value::Missing(Gap::Size)));
    reader.next_goroutine();
    assert_eq!(reader.length(&Place::At(many), strings), Ok(1 << 30));
}

#[test]
fn an_array_too_large_to_be_read_is_read_in_part() {
    let mut fake = Fake::new();
    let int = fake.int();
    let array = fake.ty("[100000]int", 800_000, Shape::Array { element: int, length: 100_000 });
    let around = fake.structure("main.T", 800_008, &[("A", 0, array), ("N", 800_000, int)]);
    fake.limits.elements = 2;
    let at = fake.words(&[5, 6, 7]);
    fake.put(at + 800_000, &9u64.to_le_bytes());
    assert_eq!(
        json(&fake.decode(at, around)),
        r#"{"A":[5,6,{"$cut":"cut: 2 of 100000 elements","$length":100000}],"N":9}"#
    );
}

#[test]
fn a_part_that_cannot_be_read_leaves_its_siblings() {
    let mut fake = Fake::new();
    let (int, string) = (fake.int(), fake.string());
    let pointer = fake.ty("*int", 8, Shape::Pointer(int));
    let pair = fake.structure(
        "main.T",
        40,
        &[("A", 0, pointer), ("B", 8, string), ("C", 24, pointer), ("D", 32, int)],
    );
    let seven = fake.words(&[7]);
    let at = fake.words(&[0x1000_0000, 0x2000_0000, 3, seven, 4]);
    assert_eq!(
        json(&fake.decode(at, pair)),
        r#"{"A":{"$gap":"memory at 0x10000000 is not readable"},"B":{"$gap":"memory at 0x20000000 is not readable"},"C":7,"D":4}"#
    );
    assert_eq!(*fake.missed.borrow(), [(0x1000_0000, 8), (0x2000_0000, 3)]);
}

#[test]
fn cycles_end() {
    let mut fake = Fake::new();
    // type P *P
    let pointer = fake.ty("main.P", 8, Shape::Pointer(fake.declared(0)));
    let at = fake.here();
    fake.words(&[at]);
    assert_eq!(fake.decode(at, pointer), Value::Missing(Gap::Cycle));
    // type S []S
    let slice = fake.ty("main.S", 24, Shape::Slice(fake.declared(0)));
    let at = fake.here();
    fake.words(&[at, 1, 1]);
    assert_eq!(json(&fake.decode(at, slice)), r#"[[[[[{"$gap":"cut: depth"}]]]]]"#);
    // A struct that contains itself: no compiler makes it.
    let own = fake.structure("main.T", 8, &[("T", 0, fake.declared(0)), ("U", 0, fake.declared(0))]);
    let text = json(&fake.decode(at, own));
    assert!(text.len() < 2000, "{text}");
    // Twice the same is no cycle.
    let int = fake.int();
    let to_int = fake.ty("*int", 8, Shape::Pointer(int));
    let pair = fake.ty("[2]*int", 16, Shape::Array { element: to_int, length: 2 });
    let seven = fake.words(&[7]);
    let at = fake.words(&[seven, seven]);
    assert_eq!(json(&fake.decode(at, pair)), "[7,7]");
}

#[test]
fn values_without_bytes_have_a_bound_too() {
    let mut fake = Fake::new();
    let mut of = fake.structure("struct {}", 0, &[]);
    for _ in 0..6 {
        of = fake.ty("main.Wide", 0, Shape::Array { element: of, length: 1 << 40 });
    }
    fake.limits.depth = 60;
    let at = fake.words(&[0]);
    let Value::Cut { .. } = fake.decode(at, of) else { panic!() };
}

#[test]
fn missing_pieces_are_missing_only_themselves() {
    let mut fake = Fake::new();
    let (int, string) = (fake.int(), fake.string());
    let of = fake.structure("main.T", 32, &[("A", 0, int), ("S", 8, string), ("B", 24, int)]);
    let text = fake.bytes(b"abc");
    let part = |offset, source| Part { offset, length: 8, source };
    let place = Place::Parts(vec![
        part(0, PartSource::Missing(Gap::InRegister)),
        part(8, PartSource::Bytes(text.to_le_bytes().to_vec())),
        part(16, PartSource::Bytes(3u64.to_le_bytes().to_vec())),
        part(24, PartSource::At(0x99_0000)),
    ]);
    let reader = fake.reader(&NoRedaction);
    assert_eq!(
        json(&reader.decode(&place, of)),
        r#"{"A":{"$gap":"in a register that is not saved"},"S":"abc","B":{"$gap":"memory at 0x990000 is not readable"}}"#
    );
    let ty = fake.get(of).unwrap();
    let Shape::Struct(fields) = &ty.shape else { panic!() };
    let s = reader.field(&place, &fields[1], &ty);
    assert_eq!(reader.length(&s, string), Ok(3));
    assert_eq!(reader.field(&place, &fields[2], &ty), Place::At(0x99_0000));
    assert_eq!(reader.integer(&reader.field(&place, &fields[0], &ty), int), Err(Gap::InRegister));
}

#[test]
fn paths_are_walked_as_go_walks_them() {
    let mut fake = Fake::new();
    let (int, string) = (fake.int(), fake.string());
    let byte = fake.ty("uint8", 1, Shape::Uint);
    let ints = fake.ty("[]int", 24, Shape::Slice(int));
    let array = fake.ty("[3]int", 24, Shape::Array { element: int, length: 3 });
    let data = fake.words(&[10, 11, 12, 13]);
    let slice = Place::At(fake.words(&[data, 3, 4]));
    let text_data = fake.bytes(b"hello");
    let text = Place::At(fake.words(&[text_data, 5]));
    let reader = fake.reader(&NoRedaction);
    assert_eq!(reader.element(&slice, ints, 2), Ok((Place::At(data + 16), int)));
    assert_eq!(reader.element(&slice, ints, 3), Err(Gap::OutOfRange { index: 3, length: 3 }));
    assert_eq!(reader.element(&slice, ints, -1), Err(Gap::OutOfRange { index: -1, length: 3 }));
    assert_eq!(reader.element(&text, string, 1), Ok((Place::At(text_data + 1), byte)));
    assert_eq!(reader.element(&Place::At(data), array, 1), Ok((Place::At(data + 8), int)));
    assert_eq!((reader.length(&slice, ints), reader.capacity(&slice, ints)), (Ok(3), Ok(4)));
    // Up to the capacity, as Go allows.
    let (place, of) = reader.slice(&slice, ints, Some(1), Some(4)).unwrap();
    assert_eq!(json(&reader.decode(&place, of)), "[11,12,13]");
    assert_eq!(reader.capacity(&place, of), Ok(3));
    assert_eq!(reader.slice(&slice, ints, None, Some(5)), Err(Gap::OutOfRange { index: 5, length: 4 }));
    assert_eq!(reader.slice(&slice, ints, Some(3), Some(2)), Err(Gap::OutOfRange { index: 3, length: 4 }));
    let (place, of) = reader.slice(&text, string, Some(1), Some(3)).unwrap();
    assert_eq!(json(&reader.decode(&place, of)), r#""el""#);
    let (place, of) = reader.slice(&Place::At(data), array, Some(2), None).unwrap();
    assert_eq!((json(&reader.decode(&place, of)), of), ("[12]".into(), ints));
    let nil = Place::Parts(vec![Part { offset: 0, length: 8, source: PartSource::Bytes(vec![0; 8]) }]);
    assert_eq!(reader.target(&nil), Err(Gap::NilPointer));
    assert_eq!(reader.pointer(&nil), Ok(0));
}

#[test]
fn an_interface_holds_what_its_words_agree_on() {
    let mut fake = Fake::new();
    let int = fake.int();
    let pointer = fake.ty("*int", 8, Shape::Pointer(int));
    let any = fake.ty("interface {}", 16, Shape::Interface { has_methods: false });
    let writer = fake.ty("io.Writer", 16, Shape::Interface { has_methods: true });
    let seven = fake.words(&[7]);
    let int_type = fake.descriptor(int, 2, false);
    let pointer_type = fake.descriptor(pointer, 22, true);
    let wrong_kind = fake.descriptor(int, 25, false);
    let table = fake.words(&[0, pointer_type, u64::from(HASH)]);
    let other_table = fake.words(&[0, pointer_type, 1]);
    let made_at_run_time = fake.words(&[0, pointer_type, 0]);
    let mut held = |of: TypeRef, words: &[u64]| {
        let at = fake.words(words);
        json(&fake.decode(at, of))
    };
    assert_eq!(held(any, &[int_type, seven]), "7");
    assert_eq!(held(any, &[0, 0]), "null");
    assert_eq!(held(any, &[pointer_type, seven]), r#"{"$type":"*int","$value":7}"#);
    assert_eq!(held(any, &[pointer_type, 0]), r#"{"$type":"*int","$value":null}"#);
    for table in [table, made_at_run_time] {
        assert_eq!(held(writer, &[table, seven]), r#"{"$type":"*int","$value":7}"#);
    }
    for (of, words) in
        [(any, [int_type, 0]), (any, [0, 5]), (any, [wrong_kind, seven]), (writer, [other_table, seven])]
    {
        let text = held(of, &words);
        assert!(text.starts_with(r#"{"$gap":"implausible"#), "{text}");
    }
    let text = held(any, &[seven, seven]);
    assert!(text.starts_with(r#"{"$gap":"#), "{text}");
    let at = fake.words(&[table, seven]);
    let reader = fake.reader(&NoRedaction);
    let (of, place) = reader.dynamic(&Place::At(at), writer).unwrap();
    assert_eq!((of, reader.pointer(&place)), (pointer, Ok(seven)));
    let nil = fake.here();
    fake.words(&[0, 0]);
    assert_eq!(fake.reader(&NoRedaction).dynamic(&Place::At(nil), any), Err(Gap::NilInterface));
}

/// map[int]string of one group, with these control bytes.
fn swiss(fake: &mut Fake, used: u64, writing: u64, control: [u8; 8]) -> (u64, TypeRef) {
    let (int, string) = (fake.int(), fake.string());
    let map = fake.ty("map[int]string", 8, Shape::Map { key: int, element: string });
    let text = fake.bytes(b"abcdefgh");
    let mut group = vec![u64::from_le_bytes(control)];
    for i in 0..8 {
        group.extend([i, text + i, 1]);
    }
    let group = fake.words(&group);
    let header = fake.words(&[used, 0, group, 0, writing << 16, 0]);
    (fake.words(&[header]), map)
}

#[test]
fn maps_are_read_whole_or_say_why_not() {
    let full = [1, 0x80, 0xfe, 0x7f, 0x80, 0x80, 0x80, 0x80];
    let mut fake = Fake::new();
    let (at, of) = swiss(&mut fake, 2, 0, full);
    assert_eq!(json(&fake.decode(at, of)), r#"{"0":"a","3":"d"}"#);
    let reader = fake.reader(&NoRedaction);
    let (place, string) = reader.lookup(&Place::At(at), of, &Key::Integer(3)).unwrap();
    assert_eq!(reader.decode(&place, string), Value::Text("d".into()));
    assert_eq!(reader.lookup(&Place::At(at), of, &Key::Integer(1)), Err(Gap::NoSuchKey));
    assert!(matches!(reader.lookup(&Place::At(at), of, &Key::Text("x".into())), Err(Gap::Expression(_))));
    assert_eq!(reader.length(&Place::At(at), of), Ok(2));

    let mut fake = Fake::new();
    let (at, of) = swiss(&mut fake, 3, 0, full);
    assert!(json(&fake.decode(at, of)).contains(r#""$cut":"implausible: a map of 3 entries that holds 2""#));
    let mut fake = Fake::new();
    let (at, of) = swiss(&mut fake, 2, 1, full);
    assert_eq!(fake.decode(at, of), Value::Missing(Gap::BeingWritten));
    assert_eq!(
        fake.reader(&NoRedaction).lookup(&Place::At(at), of, &Key::Integer(3)),
        Err(Gap::BeingWritten)
    );
    let mut fake = Fake::new();
    let (at, of) = swiss(&mut fake, 2, 0, [1, 0x81, 0, 0, 0, 0, 0, 0]);
    assert!(json(&fake.decode(at, of)).contains("control byte"));
}

#[test]
fn a_map_that_grows_is_read_from_both_of_its_arrays() {
    let mut fake = Fake::of(23, Maps::Classic);
    let byte = fake.ty("uint8", 1, Shape::Uint);
    let of = fake.ty("map[uint8]uint8", 8, Shape::Map { key: byte, element: byte });
    // Top hashes, keys, elements, overflow: 32 bytes.
    let bucket = |top: [u8; 8], first: u8, next: u64| {
        let mut bytes = top.to_vec();
        bytes.extend((0..8).map(|i| first + i));
        bytes.extend((0..8).map(|i| 100 + first + i));
        bytes.extend(next.to_le_bytes());
        bytes
    };
    let overflow = fake.bytes(&bucket([9, 0, 0, 0, 0, 0, 0, 0], 50, 0));
    // Two old buckets: one that was emptied into the new ones, one that was not, with another behind it.
    let old = [bucket([2, 3, 4, 4, 4, 4, 4, 4], 0, 0), bucket([5, 1, 200, 0, 0, 0, 0, 0], 10, overflow)];
    let new = [
        bucket([77, 0, 0, 0, 0, 0, 0, 0], 0, 0),
        bucket([0; 8], 0, 0),
        bucket([78, 0, 0, 0, 0, 0, 0, 0], 1, 0),
        bucket([0; 8], 0, 0),
    ];
    let (old, new) = (fake.bytes(&old.concat()), fake.bytes(&new.concat()));
    let map = |flags: u64| [5, flags | 2 << 8, new, old];
    let header = fake.words(&map(0));
    let at = fake.words(&[header]);
    assert_eq!(json(&fake.decode(at, of)), r#"{"0":100,"1":101,"10":110,"12":112,"50":150}"#);
    let header = fake.words(&map(4));
    let at = fake.words(&[header]);
    assert_eq!(fake.decode(at, of), Value::Missing(Gap::BeingWritten));
}

#[test]
fn closures_show_what_they_hold() {
    let mut fake = Fake::new();
    let int = fake.int();
    let of = fake.ty("func()", 8, Shape::Function);
    let nine = fake.words(&[9]);
    let closure = fake.words(&[CODE, 7, nine]);
    let at = fake.words(&[closure]);
    assert_eq!(json(&fake.decode(at, of)), r#"{"$func":"main.run.func1"}"#);
    let captured =
        |name: &str, offset, by_reference| Captured { name: name.into(), of: int, offset, by_reference };
    fake.captured = vec![captured("a", 8, false), captured("b", 16, true)];
    assert_eq!(json(&fake.decode(at, of)), r#"{"$func":"main.run.func1","a":7,"b":9}"#);
    let odd = fake.words(&[CODE + 1]);
    let at = fake.words(&[odd]);
    assert!(matches!(fake.decode(at, of), Value::Missing(Gap::Implausible(_))));
}

struct Secrets;

impl Redact for Secrets {
    fn hides_type(&self, name: &str) -> bool {
        name.ends_with(".Password")
    }

    fn hides_field(&self, _: &str, field: &str) -> bool {
        matches!(field, "Token" | "Authorization")
    }
}

#[test]
fn secrets_are_not_read() {
    let mut fake = Fake::new();
    let (int, string) = (fake.int(), fake.string());
    let password = fake.ty("main.Password", 16, Shape::String);
    let of = fake.structure("main.T", 40, &[("N", 0, int), ("Token", 8, string), ("P", 24, password)]);
    // Nothing is where the secrets point to, and nobody looks.
    let at = fake.words(&[1, 0x1000_0000, 8, 0x2000_0000, 8]);
    let reader = fake.reader(&Secrets);
    assert_eq!(
        json(&reader.decode(&Place::At(at), of)),
        r#"{"N":1,"Token":{"$gap":"redacted"},"P":{"$gap":"redacted"}}"#
    );
    let ty = fake.get(of).unwrap();
    let Shape::Struct(fields) = &ty.shape else { panic!() };
    let token = reader.field(&Place::At(at), &fields[1], &ty);
    assert_eq!(reader.decode(&token, string), Value::Missing(Gap::Redacted));
    assert_eq!(reader.length(&token, string), Err(Gap::Redacted));
    assert_eq!(reader.element(&token, string, 0), Err(Gap::Redacted));
    let hidden = reader.field(&Place::At(at), &fields[2], &ty);
    assert_eq!(reader.slice(&hidden, password, None, Some(1)), Err(Gap::Redacted));
    assert!(fake.missed.borrow().is_empty());

    let mut fake = Fake::new();
    let (string, int) = (fake.string(), fake.int());
    let map = fake.ty("net/http.Header", 8, Shape::Map { key: string, element: int });
    let key = fake.bytes(b"Authorization");
    let mut group = vec![0; 25];
    group[..4].copy_from_slice(&[0x8080_8080_8080_8001, key, 13, 5]);
    let group = fake.words(&group);
    let header = fake.words(&[1, 0, group, 0, 0, 0]);
    let at = fake.words(&[header]);
    let reader = fake.reader(&Secrets);
    assert_eq!(json(&reader.decode(&Place::At(at), map)), r#"{"Authorization":{"$gap":"redacted"}}"#);
    let (place, of) = reader.lookup(&Place::At(at), map, &Key::Text("Authorization".into())).unwrap();
    assert_eq!(reader.decode(&place, of), Value::Missing(Gap::Redacted));
}
