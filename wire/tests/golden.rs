//! The bytes of every message, kept: versions of Stillframe talk to each other.
//!
//! `STILLFRAME_GOLDEN=write cargo test -p stillframe-wire --test golden` writes the files anew.

use std::fmt::Write;
use std::path::Path;

use bincode::{Decode, Encode};
use stillframe_wire::batch::{Batch, Counts, batches};
use stillframe_wire::codec::{LENGTH_BYTES, decode, encode_frame};
use stillframe_wire::facts::*;
use stillframe_wire::message::*;

const ORDER: OrderId = OrderId(0x0199_0203_0405_0607_0809_0a0b_0c0d_0e0f);

/// Compares `values`, one of each variant in the enum's order, with the file `name`.
fn check<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(
    name: &str,
    values: &[T],
    variant: fn(&T) -> &'static str,
) {
    let mut found = String::new();
    for (index, value) in values.iter().enumerate() {
        let frame = encode_frame(value).unwrap();
        if values.len() > 1 {
            assert_eq!(usize::from(frame[LENGTH_BYTES]), index, "{} is not at its place", variant(value));
        }
        let hex: String = frame.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(found, "{} {hex}", variant(value)).unwrap();
    }
    // Of this checkout: several of them may share what was compiled.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for tests");
    let path = Path::new(&package).join("tests/golden").join(name);
    if std::env::var_os("STILLFRAME_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &found).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        found, kept,
        "the bytes of {name} have changed: nodes and coordinators of other versions do not understand them. \
         A change means a new PROTOCOL_VERSION and ALPN; then write the files anew with STILLFRAME_GOLDEN=write"
    );
    // What an older version has sent is still understood.
    for (line, value) in kept.lines().zip(values) {
        let hex = line.split_once(' ').unwrap().1;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(&decode::<T>(&frame[LENGTH_BYTES..]).unwrap(), value);
    }
}

fn pause() -> PauseWindow {
    PauseWindow {
        pause_start_unix_ns: 1_760_000_000_000_000_000,
        pause_ns: 2_500_000,
        frozen_start_unix_ns: 1_760_000_000_000_400_000,
        frozen_ns: -1,
        reused: 300,
    }
}

#[test]
fn to_node() {
    let selector =
        Selector { hosts: vec!["n*".into()], programs: vec!["shop".into()], pids: vec![7, 70_000] };
    let prepare = Prepare {
        order: ORDER,
        selector,
        max_pause_ns: Some(50_000_000),
        hold_ns: 2_000_000,
        probes: "[[probe]]".into(),
        lifetime_ns: 60_000_000_000,
    };
    let values = [
        ToNode::Welcome { version: 1, generation: Generation(300) },
        ToNode::Refused { reason: "why".into() },
        ToNode::Ping { id: 251 },
        ToNode::Prepare(prepare),
        ToNode::Arm { order: ORDER, at_node_unix_ns: -5 },
        ToNode::Send { order: ORDER, target: TargetId(2) },
        ToNode::Committed { order: ORDER },
        ToNode::Cancel { order: ORDER, reason: "why".into() },
    ];
    check("to_node.hex", &values, |message| match message {
        ToNode::Welcome { .. } => "Welcome",
        ToNode::Refused { .. } => "Refused",
        ToNode::Ping { .. } => "Ping",
        ToNode::Prepare(_) => "Prepare",
        ToNode::Arm { .. } => "Arm",
        ToNode::Send { .. } => "Send",
        ToNode::Committed { .. } => "Committed",
        ToNode::Cancel { .. } => "Cancel",
    });
}

#[test]
fn to_coordinator() {
    use FailureClass::*;
    let host = HostFacts {
        hostname: "node-1".into(),
        kernel: "6.12.0".into(),
        arch: "amd64".into(),
        node_version: "0.1.0".into(),
        boot_id: "b007".into(),
    };
    let hello = Hello {
        version: 1,
        name: "node-1".into(),
        instance: InstanceId(u64::MAX),
        host,
        held: vec![Held { order: ORDER, target: TargetId(1) }],
    };
    let target = |class| ReadyTarget {
        pid: 4711,
        program: "shop".into(),
        refusal: Some(Refusal { class, reason: "why".into() }),
    };
    let ready = Ready {
        order: ORDER,
        targets: [NoSuchProcess, NotGo, Permission, Unsupported, Vanished, BadFile, Limit, Lost, Other]
            .map(target)
            .into_iter()
            .chain([ReadyTarget { pid: 1, program: "p".into(), refusal: None }])
            .collect(),
        lead_ns: 1_000_000,
    };
    let values = [
        ToCoordinator::Hello(hello),
        ToCoordinator::Pong { id: 9, received_unix_ns: 10, sent_unix_ns: -11 },
        ToCoordinator::Ready(ready),
        ToCoordinator::Frozen { order: ORDER, target: TargetId(0), pause: pause() },
        ToCoordinator::Captured {
            order: ORDER,
            target: TargetId(0),
            goroutines: 70_000,
            bytes: 5_000_000_000,
        },
        ToCoordinator::Failed {
            order: ORDER,
            target: TargetId(3),
            failure: Refusal { class: Vanished, reason: "it exited".into() },
        },
    ];
    check("to_coordinator.hex", &values, |message| match message {
        ToCoordinator::Hello(_) => "Hello",
        ToCoordinator::Pong { .. } => "Pong",
        ToCoordinator::Ready(_) => "Ready",
        ToCoordinator::Frozen { .. } => "Frozen",
        ToCoordinator::Captured { .. } => "Captured",
        ToCoordinator::Failed { .. } => "Failed",
    });
}

#[test]
fn stream_head() {
    let head = StreamHead { version: 1, order: ORDER, target: TargetId(70_000) };
    check("stream_head.hex", &[head], |_| "StreamHead");
}

#[test]
fn batch() {
    let frame = Frame {
        function: 0,
        file: 0,
        line: 402,
        inlined: true,
        shown: false,
        pc: 0x12_3456_789a,
        function_offset: 29,
    };
    let goroutine = Goroutine {
        goid: 18,
        status: "waiting".into(),
        wait_reason: Some("chan receive".into()),
        header: "[chan receive]".into(),
        stack: 0,
        arguments: "0x1\n0x2".into(),
        parent_goid: Some(1),
        created_by: Some(0),
        start_function: None,
        thread_id: Some(70_000),
        on_cpu: false,
        is_system: true,
        labels: vec![("key".into(), "wert ä".into())],
        waits: vec![Wait {
            kind: "chan receive".into(),
            any: false,
            address: Some(0xc0_0001_2060),
            detail: r#"{"length":0,"capacity":3}"#.into(),
        }],
        blocked: Some(Since {
            after_unix_ns: None,
            before_unix_ns: Some(1_760_000_000_000_000_000),
            source: SinceSource::Copied,
        }),
        born: Some(Since {
            after_unix_ns: Some(-1),
            before_unix_ns: Some(1_760_000_000_000_000_001),
            source: SinceSource::Ids,
        }),
    };
    let socket = Socket {
        fd: 9,
        inode: 1 << 33,
        netns: 4_026_531_840,
        cookie: Some(70_000),
        family: "ipv4".into(),
        protocol: "tcp".into(),
        local: "127.0.0.1:80".into(),
        remote: "127.0.0.1:40000".into(),
        state: "established".into(),
        receive_queue_bytes: Some(300),
        send_queue_bytes: None,
        peer_inode: None,
        translated_local: Some("10.0.0.1:80".into()),
        translated_remote: None,
        peer_description: Some("psql".into()),
    };
    let cell = |value| Cell { type_id: Some(0), value, address: Some(0xc0_0001_2345), gap: None };
    let probe_row = ProbeRow {
        table: 0,
        goroutine: 0,
        depth: 3,
        cells: vec![
            Cell { gap: Some("optimized out".into()), ..Cell::default() },
            cell(CellValue::Bool(true)),
            cell(CellValue::Int(-70_000)),
            cell(CellValue::Uint(u64::MAX)),
            cell(CellValue::Real(1.5)),
            cell(CellValue::Text("wert ä".into())),
            Cell { gap: Some("cut".into()), ..cell(CellValue::Json("[1]".into())) },
        ],
    };
    let facts = ProcessFacts {
        pid: 4711,
        ns_pid: 1,
        started_unix_ns: None,
        program: "shop".into(),
        container_id: Some("c0".into()),
        exe: "/usr/bin/shop".into(),
        cmdline: "shop --port 80".into(),
        build_id: "b1d".into(),
        go_version: "go1.26.6".into(),
        main_module: Some("example.com/shop v1.2.3".into()),
        arch: "arm64".into(),
        threads: 8,
        pause: Some(pause()),
        completeness: Completeness::Failed,
        reason: Some("why".into()),
        environment: EnvironmentFits::Rules(vec![1, 300]),
        files: vec!["/src/main.go".into()],
        functions: vec![Function {
            name: "main.main".into(),
            package: "main".into(),
            file: 0,
            start_line: 10,
            is_standard_library: false,
        }],
        stacks: vec![Stack { frames: vec![frame], stop_reason: "complete".into() }],
        go_statements: vec![GoStatement { function: 0, file: 0, line: 21, function_offset: 42, shown: true }],
        sockets: vec![socket],
        goroutines: vec![goroutine],
        types: vec!["*main.Request".into()],
        probe_tables: vec![ProbeTable {
            probe: "orders".into(),
            columns: vec!["req.ID".into(), "age".into()],
        }],
        probe_rows: vec![probe_row],
        gaps: vec![Gap { goid: Some(18), what: "labels".into(), reason: "budget".into() }],
    };
    let mut values: Vec<Batch> = batches(facts).collect();
    assert_eq!(
        values.last(),
        Some(&Batch::Done(Counts {
            files: 1,
            functions: 1,
            go_statements: 1,
            stacks: 1,
            sockets: 1,
            goroutines: 1,
            types: 1,
            probe_tables: 1,
            probe_rows: 1,
            gaps: 1,
        }))
    );
    let counts = Counts {
        files: 1,
        functions: 2,
        go_statements: 300,
        stacks: 70_000,
        sockets: 3,
        goroutines: 1 << 33,
        types: 7,
        probe_tables: 8,
        probe_rows: 90_000,
        gaps: 6,
    };
    *values.last_mut().unwrap() = Batch::Done(counts);
    check("batch.hex", &values, |batch| match batch {
        Batch::Process(_) => "Process",
        Batch::Files(_) => "Files",
        Batch::Functions(_) => "Functions",
        Batch::GoStatements(_) => "GoStatements",
        Batch::Stacks(_) => "Stacks",
        Batch::Sockets(_) => "Sockets",
        Batch::Goroutines(_) => "Goroutines",
        Batch::Types(_) => "Types",
        Batch::ProbeTables(_) => "ProbeTables",
        Batch::ProbeRows(_) => "ProbeRows",
        Batch::Gaps(_) => "Gaps",
        Batch::Done(_) => "Done",
    });
}
