//! Facts of processes that never ran: for tests and for the benchmark.

use stillframe_wire::facts::*;

pub fn host() -> HostFacts {
    HostFacts {
        hostname: "node-1".into(),
        kernel: "6.12.0".into(),
        arch: "amd64".into(),
        node_version: "0.1.0".into(),
        boot_id: "b007".into(),
    }
}

/// Functions of the synthetic program, `true`: part of the Go distribution.
const FUNCTIONS: &[(&str, &str, bool)] = &[
    ("runtime.gopark", "runtime", true),
    ("runtime.chanrecv1", "runtime", true),
    ("runtime.goexit", "runtime", true),
    ("net/http.(*conn).serve", "net/http", true),
    ("example.com/shop/raft.(*Node).run", "example.com/shop/raft", false),
    ("main.worker[go.shape.int]", "main", false),
    ("main.main", "main", false),
];

/// A process of `goroutines` goroutines on `stacks` different stacks. All but a tenth wait; each stack has 10 frames
/// or so; the last goroutine is the runtime's own.
pub fn process(pid: u32, goroutines: u64, stacks: u32) -> ProcessFacts {
    let files = [
        "/go/src/runtime/proc.go",
        "/go/src/net/http/server.go",
        "/src/shop/raft/node.go",
        "/src/shop/main.go",
    ]
    .map(str::to_owned)
    .to_vec();
    let functions = FUNCTIONS
        .iter()
        .enumerate()
        .map(|(index, (name, package, is_standard_library))| Function {
            name: (*name).into(),
            package: (*package).into(),
            file: [0, 0, 0, 1, 2, 3, 3][index],
            start_line: 10 * (index as u32 + 1),
            is_standard_library: *is_standard_library,
        })
        .collect();
    let frame = |function: u32, line: u32, shown: bool| Frame {
        function,
        file: [0, 0, 0, 1, 2, 3, 3][function as usize],
        line,
        inlined: false,
        shown,
        pc: u64::from(function) * 0x100 + u64::from(line),
        function_offset: 0x1d,
    };
    // The last stack is that of the runtime's own goroutine.
    let stack = |index: u32| Stack {
        frames: if index == stacks {
            vec![frame(0, 402, false), frame(2, 1700, false)]
        } else {
            let mut frames = vec![frame(0, 402, false), frame(1, 442, false)];
            frames.push(Frame { inlined: true, ..frame(6, 7, true) });
            frames.extend((0..4).map(|depth| frame(5, index * 4 + depth, true)));
            frames.push(frame(if index.is_multiple_of(10) { 4 } else { 3 }, 600 + index, true));
            frames.push(frame(2, 1700, false));
            frames
        },
        stop_reason: if index % 100 == 99 { "frame pointer outside of the stack" } else { "complete" }.into(),
    };
    ProcessFacts {
        pid,
        ns_pid: 1,
        started_unix_ns: Some(1_760_000_000_000_000_000),
        program: "shop".into(),
        container_id: None,
        exe: "/usr/bin/shop".into(),
        cmdline: "shop --port 80".into(),
        build_id: "b1d".into(),
        go_version: "go1.26.6".into(),
        main_module: Some("example.com/shop v1.2.3".into()),
        arch: "amd64".into(),
        threads: 8,
        pause: Some(PauseWindow {
            pause_start_unix_ns: 1_760_000_100_000_000_000,
            pause_ns: 2_500_000,
            frozen_start_unix_ns: 1_760_000_100_000_400_000,
            frozen_ns: 2_000_000,
            reused: 1,
        }),
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Complete,
        reason: None,
        files,
        functions,
        stacks: (0..=stacks).map(stack).collect(),
        go_statements: vec![GoStatement {
            function: 6,
            file: 3,
            line: 21,
            function_offset: 0x2a,
            shown: true,
        }],
        sockets: vec![socket(7, pid), socket(9, pid)],
        goroutines: (0..goroutines).map(|index| goroutine(pid, index, goroutines, stacks)).collect(),
        types: Vec::new(),
        probe_tables: Vec::new(),
        probe_rows: Vec::new(),
        gaps: vec![
            Gap { goid: Some(2), what: "labels".into(), reason: "budget".into() },
            Gap { goid: None, what: "registers".into(), reason: "thread 7 did not stop".into() },
        ],
    }
}

/// One goroutine of [`process`]: number `index` of `goroutines`.
pub fn socket(fd: u32, pid: u32) -> Socket {
    Socket {
        fd,
        inode: u64::from(fd) << 32 | u64::from(pid),
        netns: 4_026_531_840,
        cookie: Some(u64::from(pid) << 8 | u64::from(fd)),
        family: "ipv4".into(),
        protocol: "tcp".into(),
        local: "10.0.0.1:80".into(),
        remote: format!("10.0.0.2:{}", 40_000 + fd),
        state: "established".into(),
        receive_queue_bytes: Some(5),
        send_queue_bytes: Some(0),
        peer_inode: None,
        translated_local: None,
        translated_remote: Some("192.168.0.9:1234".into()),
        peer_description: Some("10.0.0.2".into()),
    }
}

pub fn goroutine(pid: u32, index: u64, goroutines: u64, stacks: u32) -> Goroutine {
    let is_system = index + 1 == goroutines;
    let waits = index % 10 != 9 || is_system;
    Goroutine {
        goid: index + 1,
        status: if waits { "waiting" } else { "runnable" }.into(),
        wait_reason: waits
            .then(|| if index.is_multiple_of(3) { "select" } else { "chan receive" }.to_owned()),
        header: if waits { "[chan receive, 2 minutes]" } else { "[runnable]" }.into(),
        stack: if is_system { stacks } else { (index % u64::from(stacks)) as u32 },
        arguments: "0x1, 0x2\n0xc000012345\n\n{0xc000012345, 0x6}, 0x7?".into(),
        parent_goid: (index > 0).then_some(1),
        created_by: (index > 0).then_some(0),
        start_function: Some(5),
        thread_id: (!waits).then_some(pid + 1),
        on_cpu: !waits,
        is_system,
        waits: Vec::new(),
        blocked: None,
        born: None,
        labels: if index == 1 { vec![("request".into(), "a \"b\"".into())] } else { Vec::new() },
    }
}
