//! A small captured process, made up, for tests of the tests: each plants an error in it and sees that it is found.

use stillframe_wire::facts::{
    Completeness, EnvironmentFits, Frame, Function, GoStatement, Goroutine, ProcessFacts, Stack,
};

/// What Go says of the one goroutine of [`process`] with `GOTRACEBACK=system`.
pub const TEXT: &str = "goroutine 7 gp=0xc000002380 m=nil [chan receive]:\n\
    runtime.gopark(0x1?)\n\t/go/src/runtime/proc.go:435 +0xce fp=0xc0 sp=0xb0 pc=0x46c1ee\n\
    main.work[...](0x2)\n\t/src/main.go:7 +0x1d fp=0xd0 sp=0xc0 pc=0x49e1dd\n\
    runtime.goexit({})\n\t/go/src/runtime/asm_amd64.s:1700 +0x1 fp=0xd8 sp=0xd0 pc=0x474be1\n\
    created by main.main in goroutine 1\n\t/src/main.go:3 +0x2a\n";

/// Goroutine 7 of a Go 1.26 program.
pub fn process() -> ProcessFacts {
    let function = |name: &str, file| Function {
        name: name.into(),
        package: name.split('.').next().unwrap_or_default().into(),
        file,
        start_line: 1,
        is_standard_library: name.starts_with("runtime."),
    };
    let frame = |function, file, line, function_offset| Frame {
        function,
        file,
        line,
        inlined: false,
        shown: function == 1,
        pc: u64::from(function_offset),
        function_offset,
    };
    ProcessFacts {
        pid: 4711,
        ns_pid: 4711,
        started_unix_ns: None,
        program: "planted".into(),
        container_id: None,
        exe: "/src/planted".into(),
        cmdline: "planted".into(),
        build_id: "00".into(),
        go_version: "go1.26.6".into(),
        main_module: None,
        arch: "amd64".into(),
        threads: 1,
        pause: None,
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Complete,
        reason: None,
        files: ["/go/src/runtime/proc.go", "/src/main.go", "/go/src/runtime/asm_amd64.s"]
            .map(String::from)
            .to_vec(),
        functions: vec![
            function("runtime.gopark", 0),
            function("main.work[go.shape.int]", 1),
            function("runtime.goexit", 2),
            function("main.main", 1),
        ],
        stacks: vec![Stack {
            frames: vec![frame(0, 0, 435, 0xce), frame(1, 1, 7, 0x1d), frame(2, 2, 1700, 1)],
            stop_reason: "complete".into(),
        }],
        go_statements: vec![GoStatement {
            function: 3,
            file: 1,
            line: 3,
            function_offset: 0x2a,
            shown: true,
        }],
        sockets: Vec::new(),
        goroutines: vec![Goroutine {
            goid: 7,
            status: "waiting".into(),
            wait_reason: Some("chan receive".into()),
            header: "[chan receive]".into(),
            stack: 0,
            arguments: "0x1?\n0x2\n{}".into(),
            parent_goid: Some(1),
            created_by: Some(0),
            start_function: Some(1),
            thread_id: None,
            on_cpu: false,
            is_system: false,
            labels: Vec::new(),
            waits: Vec::new(),
            blocked: None,
            born: None,
        }],
        types: Vec::new(),
        probe_tables: Vec::new(),
        probe_rows: Vec::new(),
        gaps: Vec::new(),
    }
}
