//! Arbitrary values of everything that crosses a network: small lists, and numbers from all over their ranges.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use stillframe_wire::batch::{Batch, Counts, batches};
use stillframe_wire::facts::*;
use stillframe_wire::message::*;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn completeness() -> impl Strategy<Value = Completeness> {
    prop_oneof![Just(Completeness::Complete), Just(Completeness::Partial), Just(Completeness::Failed)]
}

prop_compose! {
    fn pause()(
        (pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns, reused)
            in any::<(i64, i64, i64, i64, u32)>(),
    ) -> PauseWindow {
        PauseWindow { pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns, reused }
    }
}

prop_compose! {
    fn function()(
        (name, package) in (text(), text()),
        (file, start_line, is_standard_library) in any::<(u32, u32, bool)>(),
    ) -> Function {
        Function { name, package, file, start_line, is_standard_library }
    }
}

prop_compose! {
    fn frame()(
        (function, file, line, inlined, shown, pc, function_offset) in
            any::<(u32, u32, u32, bool, bool, u64, u32)>(),
    ) -> Frame {
        Frame { function, file, line, inlined, shown, pc, function_offset }
    }
}

prop_compose! {
    fn stack()(frames in vec(frame(), 0..6), stop_reason in text()) -> Stack {
        Stack { frames, stop_reason }
    }
}

prop_compose! {
    fn go_statement()(
        (function, file, line, function_offset, shown) in any::<(u32, u32, u32, u32, bool)>(),
    ) -> GoStatement {
        GoStatement { function, file, line, function_offset, shown }
    }
}

prop_compose! {
    fn socket()(
        (fd, inode, netns, cookie, peer_inode) in any::<(u32, u64, u64, Option<u64>, Option<u64>)>(),
        (receive_queue_bytes, send_queue_bytes) in any::<(Option<u32>, Option<u32>)>(),
        (family, protocol, local, remote, state) in (text(), text(), text(), text(), text()),
        (translated_local, translated_remote, peer_description) in
            (option::of(text()), option::of(text()), option::of(text())),
    ) -> Socket {
        Socket {
            fd, inode, netns, cookie, family, protocol, local, remote, state, receive_queue_bytes, send_queue_bytes,
            peer_inode, translated_local, translated_remote, peer_description,
        }
    }
}

prop_compose! {
    fn wait()(
        (kind, detail) in (text(), text()),
        (any, address) in any::<(bool, Option<u64>)>(),
    ) -> Wait {
        Wait { kind, any, address, detail }
    }
}

fn since() -> impl Strategy<Value = Since> {
    use SinceSource::{Copied, Ids, Watched, WatchedAndCopied};
    let source = prop_oneof![Just(Ids), Just(Watched), Just(Copied), Just(WatchedAndCopied)];
    (any::<(Option<i64>, Option<i64>)>(), source)
        .prop_map(|((after_unix_ns, before_unix_ns), source)| Since { after_unix_ns, before_unix_ns, source })
}

prop_compose! {
    fn goroutine()(
        (status, wait_reason, header, arguments) in (text(), option::of(text()), text(), text()),
        (goid, stack, on_cpu, is_system) in any::<(u64, u32, bool, bool)>(),
        (parent_goid, created_by, start_function, thread_id) in
            any::<(Option<u64>, Option<u32>, Option<u32>, Option<u32>)>(),
        labels in vec((text(), text()), 0..3),
        waits in vec(wait(), 0..3),
        (blocked, born) in (option::of(since()), option::of(since())),
    ) -> Goroutine {
        Goroutine {
            goid, status, wait_reason, header, stack, arguments, parent_goid, created_by, start_function,
            thread_id, on_cpu, is_system, labels, waits, blocked, born,
        }
    }
}

prop_compose! {
    fn gap()(goid in any::<Option<u64>>(), what in text(), reason in text()) -> Gap {
        Gap { goid, what, reason }
    }
}

prop_compose! {
    fn probe_table()(probe in text(), columns in vec(text(), 0..4)) -> ProbeTable {
        ProbeTable { probe, columns }
    }
}

/// Numbers by their bits: infinite ones, and what is no number.
fn cell_value() -> impl Strategy<Value = CellValue> {
    prop_oneof![
        Just(CellValue::None),
        any::<bool>().prop_map(CellValue::Bool),
        any::<i64>().prop_map(CellValue::Int),
        any::<u64>().prop_map(CellValue::Uint),
        any::<u64>().prop_map(|bits| CellValue::Real(f64::from_bits(bits))),
        text().prop_map(CellValue::Text),
        text().prop_map(CellValue::Json),
    ]
}

prop_compose! {
    fn cell()(
        (type_id, address) in any::<(Option<u32>, Option<u64>)>(),
        value in cell_value(),
        gap in option::of(text()),
    ) -> Cell {
        Cell { type_id, value, address, gap }
    }
}

prop_compose! {
    fn probe_row()(
        (table, goroutine, depth) in any::<(u32, u32, u32)>(),
        cells in vec(cell(), 0..5),
    ) -> ProbeRow {
        ProbeRow { table, goroutine, depth, cells }
    }
}

fn environment() -> impl Strategy<Value = EnvironmentFits> {
    prop_oneof![
        Just(EnvironmentFits::NotAsked),
        vec(any::<u32>(), 0..4).prop_map(EnvironmentFits::Rules),
        text().prop_map(EnvironmentFits::Unknown),
    ]
}

prop_compose! {
    /// Indices point anywhere: what they name is not the codec's business.
    pub fn facts()(
        (pid, ns_pid, threads, started_unix_ns) in any::<(u32, u32, u32, Option<i64>)>(),
        (program, container_id, exe, cmdline) in (text(), option::of(text()), text(), text()),
        (build_id, go_version, main_module, arch) in (text(), text(), option::of(text()), text()),
        (pause, completeness, reason) in (option::of(pause()), completeness(), option::of(text())),
        environment in environment(),
        files in vec(text(), 0..5),
        functions in vec(function(), 0..5),
        stacks in vec(stack(), 0..5),
        go_statements in vec(go_statement(), 0..5),
        (sockets, goroutines) in (vec(socket(), 0..5), vec(goroutine(), 0..8)),
        (types, probe_tables) in (vec(text(), 0..4), vec(probe_table(), 0..4)),
        (probe_rows, gaps) in (vec(probe_row(), 0..5), vec(gap(), 0..4)),
    ) -> ProcessFacts {
        ProcessFacts {
            pid, ns_pid, started_unix_ns, program, container_id, exe, cmdline, build_id, go_version, main_module,
            arch, threads, pause, completeness, reason, environment, files, functions, stacks, go_statements, sockets,
            goroutines, types, probe_tables, probe_rows, gaps,
        }
    }
}

/// One batch of a process: the head, a table, the counts.
pub fn batch() -> impl Strategy<Value = Batch> {
    (facts(), any::<proptest::sample::Index>(), any::<[u64; 10]>()).prop_map(|(facts, index, counts)| {
        let mut all: Vec<Batch> = batches(facts).collect();
        let [
            files,
            functions,
            go_statements,
            stacks,
            sockets,
            goroutines,
            types,
            probe_tables,
            probe_rows,
            gaps,
        ] = counts;
        let counts = Counts {
            files,
            functions,
            go_statements,
            stacks,
            sockets,
            goroutines,
            types,
            probe_tables,
            probe_rows,
            gaps,
        };
        *all.last_mut().expect("the counts") = Batch::Done(counts);
        all.swap_remove(index.index(all.len()))
    })
}

fn order() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(OrderId)
}

fn target() -> impl Strategy<Value = TargetId> {
    any::<u32>().prop_map(TargetId)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    use FailureClass::*;
    let class = proptest::sample::select(vec![
        NoSuchProcess,
        NotGo,
        Permission,
        Unsupported,
        Vanished,
        BadFile,
        Limit,
        Lost,
        Other,
    ]);
    (class, text()).prop_map(|(class, reason)| Refusal { class, reason })
}

pub fn to_node() -> impl Strategy<Value = ToNode> {
    let selector = (vec(text(), 0..3), vec(text(), 0..3), vec(any::<u32>(), 0..3))
        .prop_map(|(hosts, programs, pids)| Selector { hosts, programs, pids });
    let prepare = (order(), selector, any::<(Option<u64>, u64)>(), text(), any::<u64>()).prop_map(
        |(order, selector, (max_pause_ns, hold_ns), probes, lifetime_ns)| Prepare {
            order,
            selector,
            max_pause_ns,
            hold_ns,
            probes: probes.into(),
            lifetime_ns,
        },
    );
    prop_oneof![
        any::<(u32, u64)>().prop_map(|(version, generation)| {
            ToNode::Welcome { version, generation: Generation(generation) }
        }),
        text().prop_map(|reason| ToNode::Refused { reason }),
        any::<u64>().prop_map(|id| ToNode::Ping { id }),
        prepare.prop_map(ToNode::Prepare),
        (order(), any::<i64>()).prop_map(|(order, at_node_unix_ns)| ToNode::Arm { order, at_node_unix_ns }),
        (order(), target()).prop_map(|(order, target)| ToNode::Send { order, target }),
        order().prop_map(|order| ToNode::Committed { order }),
        (order(), text()).prop_map(|(order, reason)| ToNode::Cancel { order, reason }),
    ]
}

pub fn to_coordinator() -> impl Strategy<Value = ToCoordinator> {
    let host = (text(), text(), text(), text(), text()).prop_map(
        |(hostname, kernel, arch, node_version, boot_id)| HostFacts {
            hostname,
            kernel,
            arch,
            node_version,
            boot_id,
        },
    );
    let held = (order(), target()).prop_map(|(order, target)| Held { order, target });
    let hello = (any::<(u32, u64)>(), text(), host, vec(held, 0..3)).prop_map(
        |((version, instance), name, host, held)| Hello {
            version,
            name,
            instance: InstanceId(instance),
            host,
            held,
        },
    );
    let ready_target = (any::<u32>(), text(), option::of(refusal()))
        .prop_map(|(pid, program, refusal)| ReadyTarget { pid, program, refusal });
    let ready = (order(), vec(ready_target, 0..4), any::<u64>())
        .prop_map(|(order, targets, lead_ns)| Ready { order, targets, lead_ns });
    prop_oneof![
        hello.prop_map(ToCoordinator::Hello),
        any::<(u64, i64, i64)>().prop_map(|(id, received_unix_ns, sent_unix_ns)| {
            ToCoordinator::Pong { id, received_unix_ns, sent_unix_ns }
        }),
        ready.prop_map(ToCoordinator::Ready),
        (order(), target(), pause()).prop_map(|(order, target, pause)| ToCoordinator::Frozen {
            order,
            target,
            pause
        }),
        (order(), target(), any::<(u64, u64)>()).prop_map(|(order, target, (goroutines, bytes))| {
            ToCoordinator::Captured { order, target, goroutines, bytes }
        }),
        (order(), target(), refusal()).prop_map(|(order, target, failure)| ToCoordinator::Failed {
            order,
            target,
            failure
        }),
    ]
}

pub fn stream_head() -> impl Strategy<Value = StreamHead> {
    (any::<u32>(), order(), target()).prop_map(|(version, order, target)| StreamHead {
        version,
        order,
        target,
    })
}
