//! The codec over arbitrary values, over the largest legal ones, and over bytes that nobody meant.

use std::process::Command;

use bincode::{Decode, Encode};
use proptest::prelude::*;
use proptest::sample::Index;
use stillframe_wire::batch::{Batch, ProcessHead, batches};
use stillframe_wire::codec::{LENGTH_BYTES, decode, encode, encode_frame, frame_length};
use stillframe_wire::facts::*;
use stillframe_wire::limits::*;
use stillframe_wire::message::{OrderId, Prepare, Selector, StreamHead, ToCoordinator, ToNode};

mod arbitrary;

fn assert_comes_back<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(value: &T) {
    let frame = encode_frame(value).unwrap();
    let (head, body) = frame.split_at(LENGTH_BYTES);
    assert_eq!(frame_length(head.try_into().unwrap(), FRAME_BYTES_MAX), Ok(body.len()));
    assert_eq!(&decode::<T>(body).unwrap(), value);
}

/// What decodes says the same again, in no more bytes. Not in the same ones: bincode also takes an integer that is written
/// longer than it need be.
fn assert_means_one_thing<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(body: &[u8]) {
    if let Ok(value) = decode::<T>(body) {
        let again = encode(&value).unwrap();
        assert!(again.len() <= body.len());
        assert_eq!(decode::<T>(&again).unwrap(), value);
    }
}

fn assert_all_mean_one_thing(body: &[u8]) {
    assert_means_one_thing::<ToNode>(body);
    assert_means_one_thing::<ToCoordinator>(body);
    assert_means_one_thing::<StreamHead>(body);
    assert_means_one_thing::<Batch>(body);
}

/// Puts a process together again.
fn reassemble(all: impl IntoIterator<Item = Batch>) -> ProcessFacts {
    let mut all = all.into_iter();
    let Some(Batch::Process(head)) = all.next() else { panic!("no head") };
    let ProcessHead { pid, ns_pid, started_unix_ns, program, container_id, exe, cmdline, .. } = head.clone();
    let ProcessHead { build_id, go_version, main_module, arch, threads, pause, completeness, .. } =
        head.clone();
    let ProcessHead { reason, environment, .. } = head;
    let mut facts = ProcessFacts {
        pid,
        ns_pid,
        started_unix_ns,
        program,
        container_id,
        exe,
        cmdline,
        build_id,
        go_version,
        main_module,
        arch,
        threads,
        pause,
        completeness,
        reason,
        environment,
        files: Vec::new(),
        functions: Vec::new(),
        stacks: Vec::new(),
        go_statements: Vec::new(),
        sockets: Vec::new(),
        goroutines: Vec::new(),
        types: Vec::new(),
        probe_tables: Vec::new(),
        probe_rows: Vec::new(),
        gaps: Vec::new(),
    };
    let mut counts = stillframe_wire::batch::Counts::default();
    for batch in all.by_ref() {
        counts.add(&batch);
        match batch {
            Batch::Files(items) => facts.files.extend(items),
            Batch::Functions(items) => facts.functions.extend(items),
            Batch::GoStatements(items) => facts.go_statements.extend(items),
            Batch::Stacks(items) => facts.stacks.extend(items),
            Batch::Sockets(items) => facts.sockets.extend(items),
            Batch::Goroutines(items) => facts.goroutines.extend(items),
            Batch::Types(items) => facts.types.extend(items),
            Batch::ProbeTables(items) => facts.probe_tables.extend(items),
            Batch::ProbeRows(items) => facts.probe_rows.extend(items),
            Batch::Gaps(items) => facts.gaps.extend(items),
            Batch::Done(said) => {
                assert_eq!(said, counts);
                break;
            }
            Batch::Process(_) => panic!("a second head"),
        }
    }
    assert_eq!(all.next(), None, "something follows the end");
    facts
}

proptest! {
    #[test]
    fn messages_come_back(
        to_node in arbitrary::to_node(),
        to_coordinator in arbitrary::to_coordinator(),
        head in arbitrary::stream_head(),
        batch in arbitrary::batch(),
    ) {
        assert_comes_back(&to_node);
        assert_comes_back(&to_coordinator);
        assert_comes_back(&head);
        assert_comes_back(&batch);
    }

    #[test]
    fn a_process_is_put_together_again(facts in arbitrary::facts(), times in 1..4_000usize) {
        let mut facts = facts;
        // So many that a table has several batches.
        facts.goroutines = facts.goroutines.iter().cycle().take(facts.goroutines.len() * times).cloned().collect();
        facts.sockets = facts.sockets.iter().cycle().take(facts.sockets.len() * times).cloned().collect();
        facts.probe_rows = facts.probe_rows.iter().cycle().take(facts.probe_rows.len() * times).cloned().collect();
        let mut received = Vec::new();
        for batch in batches(facts.clone()) {
            let body = encode(&batch).unwrap();
            prop_assert!(body.len() <= 2 * BATCH_BYTES_TARGET);
            received.push(decode::<Batch>(&body).unwrap());
        }
        prop_assert_eq!(reassemble(received), facts);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        limit in 0..FRAME_BYTES_MAX,
    ) {
        if let Some(Ok(length)) = bytes.first_chunk().map(|head| frame_length(*head, limit)) {
            prop_assert!(length > 0 && length <= limit);
        }
        assert_all_mean_one_thing(&bytes);
    }

    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        facts in arbitrary::facts(),
        to_node in arbitrary::to_node(),
        to_coordinator in arbitrary::to_coordinator(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>(), 0..4u8), 1..5),
    ) {
        let mut bodies: Vec<Vec<u8>> = batches(facts).map(|batch| encode(&batch).unwrap()).collect();
        bodies.push(encode(&to_node).unwrap());
        bodies.push(encode(&to_coordinator).unwrap());
        for body in &mut bodies {
            for (at, byte, kind) in &damage {
                let at = at.index(body.len());
                match kind {
                    0 => body[at] = *byte,
                    1 => body.insert(at, *byte),
                    2 => body.truncate(at.max(1)),
                    // The longest that a length can say.
                    _ => drop(body.splice(at..at + 1, [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
                }
            }
            assert_all_mean_one_thing(body);
        }
    }
}

#[test]
fn an_integer_may_be_written_longer_than_it_need_be() {
    assert_eq!(decode::<u64>(&[251, 5, 0]), Ok(5));
    assert_eq!(encode(&5u64).unwrap(), [5]);
}

/// One of each, with every text and every number as long as may be.
fn largest() -> ProcessFacts {
    let text = |length| "t".repeat(length);
    let fact = || text(FACT_TEXT_BYTES_MAX);
    let far = PauseWindow {
        pause_start_unix_ns: i64::MIN,
        pause_ns: i64::MAX,
        frozen_start_unix_ns: i64::MIN,
        frozen_ns: i64::MAX,
        reused: u32::MAX,
    };
    let frame = Frame {
        function: u32::MAX,
        file: u32::MAX,
        line: u32::MAX,
        inlined: true,
        shown: true,
        pc: u64::MAX,
        function_offset: u32::MAX,
    };
    let longest = Since {
        after_unix_ns: Some(i64::MIN),
        before_unix_ns: Some(i64::MAX),
        source: SinceSource::WatchedAndCopied,
    };
    let goroutine = Goroutine {
        goid: u64::MAX,
        status: fact(),
        wait_reason: Some(fact()),
        header: text(GOROUTINE_TEXT_BYTES_MAX - ARGUMENTS_BYTES_MAX),
        stack: u32::MAX,
        arguments: text(ARGUMENTS_BYTES_MAX),
        parent_goid: Some(u64::MAX),
        created_by: Some(u32::MAX),
        start_function: Some(u32::MAX),
        thread_id: Some(u32::MAX),
        on_cpu: true,
        is_system: true,
        labels: Vec::new(),
        waits: Vec::new(),
        blocked: Some(longest),
        born: Some(longest),
    };
    let address = || text(SOCKET_TEXT_BYTES_MAX);
    let socket = Socket {
        fd: u32::MAX,
        inode: u64::MAX,
        netns: u64::MAX,
        cookie: Some(u64::MAX),
        family: address(),
        protocol: address(),
        local: address(),
        remote: address(),
        state: address(),
        receive_queue_bytes: Some(u32::MAX),
        send_queue_bytes: Some(u32::MAX),
        peer_inode: Some(u64::MAX),
        translated_local: Some(address()),
        translated_remote: Some(address()),
        peer_description: Some(address()),
    };
    let name = || text(NAME_BYTES_MAX);
    let probe_table = ProbeTable {
        probe: text(PROBE_NAME_BYTES_MAX),
        columns: vec![text(COLUMN_NAME_BYTES_MAX); PROBE_COLUMNS_MAX],
    };
    let cell = |value, gap| Cell { type_id: Some(u32::MAX), value, address: Some(u64::MAX), gap };
    let mut cells = vec![cell(CellValue::Uint(u64::MAX), None); PROBE_COLUMNS_MAX];
    let (full, rest) = cells.split_at_mut(PROBE_ROW_TEXT_BYTES_MAX / CELL_VALUE_BYTES_MAX - 1);
    full.fill(cell(CellValue::Json(text(CELL_VALUE_BYTES_MAX)), None));
    rest[..CELL_VALUE_BYTES_MAX / FACT_TEXT_BYTES_MAX].fill(cell(CellValue::None, Some(fact())));
    let probe_row = ProbeRow { table: u32::MAX, goroutine: u32::MAX, depth: u32::MAX, cells };
    ProcessFacts {
        pid: u32::MAX,
        ns_pid: u32::MAX,
        started_unix_ns: Some(i64::MIN),
        program: fact(),
        container_id: Some(fact()),
        exe: fact(),
        cmdline: fact(),
        build_id: fact(),
        go_version: fact(),
        main_module: Some(fact()),
        arch: fact(),
        threads: u32::MAX,
        pause: Some(far),
        completeness: Completeness::Partial,
        reason: Some(fact()),
        environment: EnvironmentFits::Unknown(fact()),
        files: vec![name()],
        functions: vec![Function {
            name: name(),
            package: name(),
            file: u32::MAX,
            start_line: u32::MAX,
            is_standard_library: true,
        }],
        stacks: vec![Stack { frames: vec![frame; FRAMES_PER_STACK_MAX], stop_reason: fact() }; 3],
        go_statements: Vec::new(),
        sockets: vec![socket; 3],
        goroutines: vec![goroutine; 3],
        types: vec![name()],
        probe_tables: vec![probe_table; 3],
        probe_rows: vec![probe_row; 3],
        gaps: vec![Gap { goid: Some(u64::MAX), what: fact(), reason: fact() }; 3],
    }
}

#[test]
fn the_largest_legal_items_fit_into_a_frame() {
    let facts = largest();
    let mut received = Vec::new();
    for batch in batches(facts.clone()) {
        let frame = encode_frame(&batch).unwrap();
        assert!(frame.len() <= LENGTH_BYTES + FRAME_BYTES_MAX);
        received.push(decode::<Batch>(&frame[LENGTH_BYTES..]).unwrap());
    }
    assert_eq!(reassemble(received), facts);
    let many = Batch::Files(vec![String::new(); FRAME_BYTES_MAX]);
    assert!(encode(&many).is_err(), "one byte too many");
}

#[test]
fn the_longest_order_fits_into_a_control_frame() {
    let patterns = vec!["*".repeat(PATTERN_BYTES_MAX); SELECTOR_PATTERNS_MAX];
    let selector =
        Selector { hosts: patterns.clone(), programs: patterns, pids: vec![u32::MAX; TARGETS_PER_NODE_MAX] };
    let prepare = |probes: usize| {
        ToNode::Prepare(Prepare {
            order: OrderId(u128::MAX),
            selector: selector.clone(),
            max_pause_ns: Some(u64::MAX),
            hold_ns: u64::MAX,
            probes: "#".repeat(probes).into(),
            lifetime_ns: u64::MAX,
        })
    };
    let longest = prepare(PROBES_BYTES_MAX);
    assert_eq!(longest.check(), Ok(()));
    assert!(encode(&longest).unwrap().len() <= CONTROL_FRAME_BYTES_MAX);
    assert!(prepare(PROBES_BYTES_MAX + 1).check().is_err());
}

/// Set in the child process of the test below.
const CHILD: &str = "STILLFRAME_WIRE_HOSTILE_CHILD";

/// Bodies that claim long lists wherever a list can stand, whole frames long: filled with what makes most items of few bytes.
fn hostile_bodies() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for variant in 0..12u8 {
        for claimed in [1u64 << 20, 1 << 32, u64::MAX >> 1, u64::MAX] {
            for fill in [0u8, 1] {
                let mut body = vec![variant, 253];
                body.extend(claimed.to_le_bytes());
                body.resize(FRAME_BYTES_MAX, fill);
                bodies.push(body);
            }
        }
    }
    bodies
}

/// An address space of 512 MiB, threads' stacks included: who asks for more dies of it.
#[test]
fn decoding_never_asks_for_more_memory_than_its_limit() {
    if std::env::var_os(CHILD).is_some() {
        for body in hostile_bodies() {
            assert_all_mean_one_thing(&body);
        }
        return;
    }
    let name = "decoding_never_asks_for_more_memory_than_its_limit";
    let script = "ulimit -v 524288 && exec \"$0\" --exact \"$1\" --test-threads 1";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}
