//! Peers that are hostile: whatever they say, there is no panic, and the target runs.

use super::conversation::Conversation;
use super::message::{HostCommand, HostReply, ReadRecord, TargetCommand, TargetReply};
use super::reader::{Held, READERS, Reader};
use super::server::serve;
use super::socket::{DESCRIPTORS_MAX, Socket, SocketError};
use super::window::{DATA_BYTES, RANGES_MAX, Window};
use crate::memory::LiveMemory;
use crate::proc_files::{Stat, Status};
use crate::process;
use crate::sockets::Descriptors;
use proptest::prelude::*;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use stillframe_golang::memory::Range;
use stillframe_wire::limits::FRAME_BYTES_MAX;

/// A process that can be frozen; killed when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        let sleeper = Sleeper(Command::new("sleep").arg("1000").spawn().unwrap());
        // Its name changes before its memory is complete: only one that sleeps is past its exec.
        let stat = format!("/proc/{}/stat", sleeper.pid());
        let is_asleep = |stat: Stat| stat.comm == "sleep" && stat.state == b'S' && stat.start_stack != 0;
        while !Stat::read(&stat).is_ok_and(is_asleep) {
            std::thread::yield_now();
        }
        sleeper
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn assert_free(&self) {
        let pid = self.pid();
        assert_eq!(Status::read(&format!("/proc/{pid}/status")).unwrap().tracer_pid, 0);
        assert!(!matches!(Stat::read(&format!("/proc/{pid}/stat")).unwrap().state, b't' | b'T'));
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A conversation about a process: our socket, our window, and the thread of the other side.
fn converse(pid: u32) -> (Socket, Window, JoinHandle<()>) {
    let (window, file) = Window::create().unwrap();
    let process = process::find(pid).unwrap();
    let memory = LiveMemory::new(pid).unwrap();
    let held = Arc::new(Held::default());
    let reader = Reader::new(memory, window, Arc::clone(&held));
    let conversation = Conversation {
        process,
        reader,
        held,
        peer: std::process::id(),
        descriptors: Descriptors::default(),
        shared: Arc::default(),
    };
    let (ours, theirs) = Socket::pair().unwrap();
    let thread = std::thread::spawn(move || conversation.run(&theirs));
    (ours, Window::open(&file).unwrap(), thread)
}

fn ask(socket: &Socket, command: TargetCommand) -> Result<TargetReply, SocketError> {
    socket.send(&command, &[])?;
    socket.receive(FRAME_BYTES_MAX).map(|(reply, _)| reply)
}

fn freeze(socket: &Socket) -> Result<TargetReply, SocketError> {
    ask(socket, TargetCommand::Freeze { budget_ns: 50_000_000_000 })
}

/// The frame of `body`.
fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes(), body].concat()
}

#[test]
fn garbage_ends_a_conversation_and_its_freeze() {
    let sleeper = Sleeper::start();
    for garbage in [frame(&[0xff; 5]), frame(&[]), frame(&[0; 65]), frame(&[3, 0, 1, 9]), vec![0xff; 100]] {
        let (socket, _window, thread) = converse(sleeper.pid());
        assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
        socket.stream().write_all(&garbage).unwrap();
        assert!(matches!(socket.receive(FRAME_BYTES_MAX), Ok((TargetReply::Refused(_), _))), "{garbage:?}");
        sleeper.assert_free();
        assert!(socket.receive::<TargetReply>(FRAME_BYTES_MAX).is_err());
        thread.join().unwrap();
    }
}

#[test]
fn what_is_out_of_order_ends_a_conversation() {
    let sleeper = Sleeper::start();
    let (socket, _window, thread) = converse(sleeper.pid());
    assert!(matches!(ask(&socket, TargetCommand::Resume), Ok(TargetReply::Refused(_))));
    thread.join().unwrap();
    let (socket, _window, thread) = converse(sleeper.pid());
    assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
    assert!(matches!(freeze(&socket), Ok(TargetReply::Refused(_))));
    sleeper.assert_free();
    thread.join().unwrap();
}

#[test]
fn a_peer_that_goes_lets_its_target_go() {
    let sleeper = Sleeper::start();
    let (socket, _window, thread) = converse(sleeper.pid());
    assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
    drop(socket);
    thread.join().unwrap();
    sleeper.assert_free();
}

/// The ends of a conversation and of the other reader, by a server.
fn opened(control: &Socket, pid: u32) -> [(Socket, Window); READERS] {
    assert!(matches!(control.receive(FRAME_BYTES_MAX), Ok((HostReply::Ready { .. }, _))));
    control.send(&HostCommand::Open { pid }, &[]).unwrap();
    let (reply, files) = control.receive::<HostReply>(FRAME_BYTES_MAX).unwrap();
    assert!(matches!(reply, HostReply::Opened(Ok(_))), "{reply:?}");
    let [socket, window, other_socket, other_window] = <[OwnedFd; DESCRIPTORS_MAX]>::try_from(files).unwrap();
    [(socket, window), (other_socket, other_window)]
        .map(|(socket, window)| (Socket::from(socket), Window::open(&window).unwrap()))
}

#[test]
fn the_other_reader_reads_while_the_target_stands_and_nothing_else() {
    let sleeper = Sleeper::start();
    let says: [&dyn Fn(&Socket); 4] = [
        &|other| assert!(matches!(ask(other, TargetCommand::Resume), Ok(TargetReply::Refused(_)))),
        &|other| {
            let read = TargetCommand::Read { slot: 0, ranges: u32::MAX };
            assert!(matches!(ask(other, read), Ok(TargetReply::Refused(_))));
        },
        &|other| {
            other.stream().write_all(&frame(&[0xff; 5])).unwrap();
            assert!(matches!(other.receive(FRAME_BYTES_MAX), Ok((TargetReply::Refused(_), _))));
        },
        &|other| other.close(),
    ];
    for says in says {
        let (control, theirs) = Socket::pair().unwrap();
        let server = std::thread::spawn(move || serve(&theirs).is_ok());
        let [(socket, _window), (other, window)] = opened(&control, sleeper.pid());
        let is_frozen = || {
            window.slot(0).unwrap().put_ranges(&[Range { address: 16, length: 8 }]);
            match ask(&other, TargetCommand::Read { slot: 0, ranges: 1 }) {
                Ok(TargetReply::Read(ReadRecord { frozen, .. })) => frozen,
                reply => panic!("{reply:?}"),
            }
        };
        assert!(!is_frozen());
        assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
        assert!(is_frozen());
        assert!(matches!(ask(&socket, TargetCommand::Resume), Ok(TargetReply::Resumed(_))));
        assert!(!is_frozen());
        assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
        says(&other);
        // The conversation ends with it.
        assert!(socket.receive::<TargetReply>(FRAME_BYTES_MAX).is_err());
        sleeper.assert_free();
        drop(control);
        assert!(server.join().unwrap());
    }
}

#[test]
fn the_other_reader_ends_with_the_conversation() {
    let sleeper = Sleeper::start();
    let (control, theirs) = Socket::pair().unwrap();
    let server = std::thread::spawn(move || serve(&theirs).is_ok());
    let [(socket, _window), (other, _other_window)] = opened(&control, sleeper.pid());
    assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Ok(_)))));
    drop(socket);
    assert!(other.receive::<TargetReply>(FRAME_BYTES_MAX).is_err());
    sleeper.assert_free();
    drop(control);
    assert!(server.join().unwrap());
}

#[test]
fn a_peer_is_not_frozen_for_itself() {
    let (socket, _window, thread) = converse(std::process::id());
    assert!(matches!(freeze(&socket), Ok(TargetReply::Frozen(Err(_)))));
    drop(socket);
    thread.join().unwrap();
}

#[test]
fn wrong_counts_and_lengths_are_refused() {
    let sleeper = Sleeper::start();
    let long = Range { address: 0, length: DATA_BYTES };
    for (ranges, count) in [
        (vec![long, Range { address: 0, length: 1 }], 2),
        (vec![Range { address: 0, length: usize::MAX }; 2], 2),
        (vec![], RANGES_MAX as u32 + 1),
        (vec![], u32::MAX),
    ] {
        let (socket, window, thread) = converse(sleeper.pid());
        window.slot(0).unwrap().put_ranges(&ranges);
        let reply = ask(&socket, TargetCommand::Read { slot: 0, ranges: count });
        assert!(matches!(reply, Ok(TargetReply::Refused(_))), "{reply:?}");
        thread.join().unwrap();
    }
}

/// What is read never leaves the window, and the server never believes a length that it has not checked.
#[test]
fn a_list_that_changes_while_it_is_read_does_no_harm() {
    let pattern = vec![0x5au8; DATA_BYTES];
    let address = pattern.as_ptr() as u64;
    let (mut refused, mut read) = (0, 0);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    while refused < 20 || read < 200 {
        let (socket, window, thread) = converse(std::process::id());
        let slot = window.slot(1).unwrap();
        for _ in 0..100 {
            let good = [Range { address, length: DATA_BYTES / RANGES_MAX }; RANGES_MAX];
            slot.put_ranges(&good);
            let command = TargetCommand::Read { slot: 1, ranges: RANGES_MAX as u32 };
            socket.send(&command, &[]).unwrap();
            // While it copies the list.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (0..random >> 52).for_each(|_| std::hint::spin_loop());
            slot.put_ranges(&[Range { address, length: usize::MAX / 2 }; RANGES_MAX]);
            match socket.receive(FRAME_BYTES_MAX).map(|(reply, _)| reply) {
                Ok(TargetReply::Read(ReadRecord { frozen: false, .. })) => read += 1,
                Ok(TargetReply::Refused(_)) => {
                    refused += 1;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        drop(socket);
        thread.join().unwrap();
    }
}

#[test]
fn garbage_on_the_control_socket_ends_the_server() {
    for garbage in [frame(&[0xff; 5]), frame(&[]), frame(&[0; 65]), vec![0xff; 100]] {
        let (ours, theirs) = Socket::pair().unwrap();
        let server = std::thread::spawn(move || serve(&theirs).is_err());
        assert!(matches!(ours.receive(FRAME_BYTES_MAX), Ok((HostReply::Ready { .. }, _))));
        ours.stream().write_all(&garbage).unwrap();
        assert!(matches!(ours.receive(FRAME_BYTES_MAX), Ok((HostReply::Refused(_), _))));
        assert!(server.join().unwrap());
        assert!(ours.receive::<HostReply>(FRAME_BYTES_MAX).is_err());
    }
}

fn command() -> impl Strategy<Value = TargetCommand> {
    prop_oneof![
        Just(TargetCommand::Executable),
        Just(TargetCommand::Environment),
        Just(TargetCommand::Auxiliary),
        Just(TargetCommand::Fate),
        (0u8..2, 0u32..20).prop_map(|(slot, ranges)| TargetCommand::Read { slot, ranges }),
        (any::<u8>(), any::<u32>()).prop_map(|(slot, ranges)| TargetCommand::Read { slot, ranges }),
        (500_000u64..20_000_000).prop_map(|budget_ns| TargetCommand::Freeze { budget_ns }),
        any::<u64>().prop_map(|budget_ns| TargetCommand::Freeze { budget_ns }),
        Just(TargetCommand::Resume),
        Just(TargetCommand::Descriptors),
        Just(TargetCommand::Sockets),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_commands_are_answered_or_refused(
        commands in proptest::collection::vec((command(), any::<u64>(), 0u64..1 << 21), 1..20),
    ) {
        let sleeper = Sleeper::start();
        let (socket, window, thread) = converse(sleeper.pid());
        for (command, address, length) in commands {
            window.slot(0).unwrap().put_ranges(&[Range { address, length: length as usize }; 5]);
            match (command, ask(&socket, command)) {
                (_, Err(error)) => prop_assert!(false, "{command:?}: {error}"),
                (_, Ok(TargetReply::Refused(_))) => break,
                (TargetCommand::Executable, Ok(TargetReply::Executable(_)))
                | (TargetCommand::Environment, Ok(TargetReply::Environment(_)))
                | (TargetCommand::Auxiliary, Ok(TargetReply::Auxiliary(_)))
                | (TargetCommand::Fate, Ok(TargetReply::Fate(_)))
                | (TargetCommand::Read { .. }, Ok(TargetReply::Read(_)))
                | (TargetCommand::Freeze { .. }, Ok(TargetReply::Frozen(_)))
                | (TargetCommand::Resume, Ok(TargetReply::Resumed(_)))
                | (TargetCommand::Descriptors, Ok(TargetReply::Descriptors(Ok(())))) => {}
                (TargetCommand::Sockets, Ok(TargetReply::Sockets(Ok(record)))) => {
                    if record.files > 0 {
                        let part = socket.receive(FRAME_BYTES_MAX);
                        prop_assert!(matches!(part, Ok((TargetReply::SocketsPart(_), _))));
                    }
                }
                (_, Ok(other)) => prop_assert!(false, "{command:?}: {other:?}"),
            }
        }
        drop(socket);
        prop_assert!(thread.join().is_ok());
        sleeper.assert_free();
    }

    #[test]
    fn any_bytes_end_a_conversation_or_are_commands(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..6),
    ) {
        let sleeper = Sleeper::start();
        let (socket, _window, thread) = converse(sleeper.pid());
        socket.stream().set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        for body in frames {
            // It may have hung up by now.
            if socket.stream().write_all(&frame(&body)).is_err()
                || socket.receive::<TargetReply>(FRAME_BYTES_MAX).is_err()
            {
                break;
            }
        }
        drop(socket);
        prop_assert!(thread.join().is_ok());
        sleeper.assert_free();
    }

    #[test]
    fn any_command_of_the_control_socket_is_answered(
        pids in proptest::collection::vec((0u8..2, prop_oneof![Just(1u32), Just(2u32), any::<u32>()]), 1..6),
    ) {
        let (ours, theirs) = Socket::pair().unwrap();
        let server = std::thread::spawn(move || serve(&theirs).is_ok());
        let (ready, _) = ours.receive::<HostReply>(FRAME_BYTES_MAX).unwrap();
        let is_ready = matches!(ready, HostReply::Ready { .. });
        prop_assert!(is_ready);
        for (what, pid) in pids {
            let command = if what == 0 { HostCommand::Open { pid } } else { HostCommand::Executable { pid } };
            ours.send(&command, &[]).unwrap();
            let (reply, files) = ours.receive::<HostReply>(FRAME_BYTES_MAX).unwrap();
            let expected = match reply {
                HostReply::Opened(Ok(_)) => DESCRIPTORS_MAX,
                HostReply::Executable(Ok(())) => 1,
                HostReply::Opened(Err(_)) | HostReply::Executable(Err(_)) => 0,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(files.len(), expected);
        }
        drop(ours);
        prop_assert!(server.join().unwrap());
    }
}
