//! Probe sets under a name: pushed, listed, compared, and captured with and without being asked.

use crate::cluster::*;

const ONE: &str = "[[probe]]
name = 'orders'
program = 'sho?'
function = 'main.worker*'
capture = ['req.ID']
";

#[tokio::test(flavor = "multi_thread")]
async fn sets_have_a_history_and_are_captured() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let file = out.path().join("orders.toml");
    std::fs::write(&file, ONE).unwrap();
    let (code, _, said) =
        run(server.http, &["probe", "push", "orders", text(&file), "--note", "first"]).await;
    assert_eq!(code, 0, "{said}");
    let two = ONE.replace("'req.ID'", "'req.ID', 'req.User.Name'");
    std::fs::write(&file, &two).unwrap();
    let (code, _, said) = run(server.http, &["probe", "push", "orders", text(&file), "--default"]).await;
    assert_eq!(code, 0, "{said}");

    let (_, listed, _) = run(server.http, &["probe", "sets", "orders", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let versions: Vec<_> =
        listed["sets"].as_array().unwrap().iter().map(|set| (&set["version"], &set["note"])).collect();
    assert_eq!(
        versions,
        [
            (&serde_json::json!(2), &serde_json::json!(null)),
            (&serde_json::json!(1), &serde_json::json!("first"))
        ]
    );
    let (_, pulled, _) = run(server.http, &["probe", "pull", "orders", "1"]).await;
    assert_eq!(pulled, ONE);
    let (_, changed, _) = run(server.http, &["probe", "diff", "orders"]).await;
    assert!(changed.contains("-capture = ['req.ID']\n+capture = ['req.ID', 'req.User.Name']\n"), "{changed}");

    // The newest one by default; another one by name; none where that is asked for.
    for (arguments, probes) in
        [(&[][..], Some(&two[..])), (&["--set", "orders@1"], Some(ONE)), (&["--no-default-sets"], None)]
    {
        let database = out.path().join("s.db");
        let all = ["snapshot", "--all", "--pack", "none", "--force", "-o", text(&database)];
        let (code, _, said) = run(server.http, &[&all[..], arguments].concat()).await;
        assert_eq!(code, 0, "{said}");
        let captured = rows(&database, "select probes from snapshot").await[0]["probes"].clone();
        assert_eq!(captured.as_str(), probes, "{arguments:?}");
    }

    // What clashes names both.
    let arguments = ["snapshot", "--all", "--probes", text(&file), "-o", "/nowhere/s.db"];
    let (code, _, said) = run(server.http, &arguments).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("orders.toml:2") && said.contains("set orders version 2:2"), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_set_is_not_kept() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let file = out.path().join("orders.toml");
    std::fs::write(&file, "[[probe]]\nname = 'a'\nfunction = 'main.main'\n").unwrap();
    for (arguments, message) in [
        (&["probe", "push", "Orders/../x", text(&file)][..], "no name of a probe set"),
        (&["probe", "push", "orders", text(&file), "--default"], "for any program"),
        (&["probe", "pull", "orders"], "adds one"),
        (&["probe", "sets", "orders"], "keeps no set orders"),
        (&["probe", "diff", "orders"], "adds one"),
        (&["snapshot", "--all", "--set", "orders", "-o", "/nowhere/s.db"], "adds one"),
        (
            &["snapshot", "--all", "--set", "orders@x", "-o", "/nowhere/s.db"],
            "neither a set's name nor one with a version",
        ),
    ] {
        let (code, _, said) = run(server.http, arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    let (code, listed, _) = run(server.http, &["probe", "sets", "--json"]).await;
    assert_eq!(code, 0);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed, serde_json::json!({ "sets": [] }));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_bring_sets_that_the_coordinator_keeps() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let file = out.path().join("set.toml");
    for (name, set, is_default) in [
        ("orders", "[[probe]]\nname = 'orders'\nfunction = 'main.worker*'\n", false),
        ("programs", "[[program]]\nmatch.exe = '*/shop'\nsets = ['orders']\n", true),
    ] {
        std::fs::write(&file, set).unwrap();
        let mut arguments = vec!["probe", "push", name, text(&file)];
        arguments.extend(is_default.then_some("--default"));
        let (code, _, said) = run(server.http, &arguments).await;
        assert_eq!(code, 0, "{said}");
    }
    let database = out.path().join("s.db");
    let (code, _, said) =
        run(server.http, &["snapshot", "--all", "--pack", "none", "-o", text(&database)]).await;
    assert_eq!(code, 0, "{said}");
    let captured = rows(&database, "select probes from snapshot").await[0]["probes"].clone();
    let manifest = "[[set]]\nname = \"set orders version 1\"\nrules = [1]\nfirst_line = 4\nlast_line = 6\n";
    assert!(captured.as_str().unwrap().ends_with(manifest), "{captured}");

    // Nobody orders what lacks them, and nothing is kept that names what others do not have.
    let lacks = serde_json::json!({
        "id": uuid::Uuid::now_v7(), "within_ns": 60_000_000_000_u64,
        "probes": "[[program]]\nsets = ['orders']\n",
    });
    let (status, answer) = request(server.http, "POST", "/api/v1/orders", &lacks.to_string()).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("program 1.sets: orders is not in this text"), "{answer}");
    for (set, message) in [
        ("[[program]]\nsets = ['orders.toml']\n", "line 2: orders.toml is a file"),
        ("[[program]]\nsets = ['Orders']\n", "neither a set's name nor a file's"),
    ] {
        std::fs::write(&file, set).unwrap();
        let (code, _, said) = run(server.http, &["probe", "push", "wrong", text(&file)]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(message), "{said}");
    }
    std::fs::write(&file, "[[program]]\nsets = ['ordres']\n").unwrap();
    let (code, _, said) =
        run(server.http, &["snapshot", "--all", "--probes", text(&file), "-o", "/nowhere/s.db"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(
            "set.toml:2:10: program 1.sets: the coordinator keeps no set ordres; did you mean orders?"
        ),
        "{said}"
    );
    server.stop().await;
}
