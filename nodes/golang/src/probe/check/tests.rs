//! Tests of the checker over types that they make up: what fits, what is said of what does not, and which steps it gives.

use super::*;
use crate::probe::world::{World, shop};
use crate::types::Field;

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
        ("fd(store)", Some("int")),
        ("fd(req.User)", Some("int")),
        ("fd(any.(type).conn)", Some("int")),
        ("string(req.Body)", Some("string")),
        ("string(req.Body[0:4])", Some("string")),
        ("orders.nodeName", Some("string")),
        ("orders.nodeName", Some("string")),
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
        ("nodeName", 0, "did you mean shop/orders.nodeName?"),
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
        ("fd(n)", 3, "not a net.Conn"),
        ("fd(req.Items)", 3, "not a net.Conn"),
        ("req.Deadline()", 0, "not a context.Context"),
        ("any.Deadline()", 0, "not a context.Context"),
        ("ctx.Value(trace.SpanContex)", 10, "no type runtime/trace.SpanContex"),
        ("len(req.Items).X", 0, "outermost"),
        (
            "http.DefaultServer",
            5,
            "no variable DefaultServer in net/http, or the linker left it out because nothing uses it; nor is there a variable \
             http in shop/orders.(*Service).Place",
        ),
        ("net/http.Nothing", 9, "no variable Nothing in net/http"),
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
