//! A peer that has a node's credentials, and says what a test wants said.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use stillframe_actors::connection::{Connection, Writing, read_frame, write_frame};
use stillframe_wire::limits::CONTROL_FRAME_BYTES_MAX;
use stillframe_wire::message::{
    Hello, InstanceId, OrderId, PROTOCOL_VERSION, Ready, ReadyTarget, StreamHead, TargetId, ToCoordinator,
    ToNode,
};
use tokio::io::AsyncWriteExt;

use super::{PATIENCE, credentials, dial, host_facts};

pub struct Peer {
    connection: Connection,
}

pub fn hello(name: &str) -> ToCoordinator {
    ToCoordinator::Hello(Hello {
        version: PROTOCOL_VERSION,
        name: name.to_owned(),
        instance: InstanceId(77),
        host: host_facts(name),
        held: Vec::new(),
    })
}

impl Peer {
    /// One that has proved who it is, and has said nothing.
    pub async fn dial(data: &Path, coordinator: SocketAddr) -> Peer {
        Peer { connection: dial(&credentials(data), coordinator).dial().await.unwrap() }
    }

    /// One that is registered.
    pub async fn up(data: &Path, coordinator: SocketAddr, name: &str) -> Peer {
        let mut peer = Peer::dial(data, coordinator).await;
        peer.say(&hello(name)).await;
        let welcome = peer.hear().await;
        assert!(matches!(welcome, ToNode::Welcome { .. }), "{welcome:?}");
        peer
    }

    pub async fn say(&mut self, message: &ToCoordinator) {
        write_frame(&mut self.connection.control.1, message).await.unwrap();
    }

    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        self.connection.control.1.write_all(bytes).await.unwrap();
    }

    pub async fn hear(&mut self) -> ToNode {
        let frame = read_frame(&mut self.connection.control.0, CONTROL_FRAME_BYTES_MAX);
        tokio::time::timeout(PATIENCE, frame).await.expect("nothing is said").unwrap().0
    }

    /// Why it was sent away, which is the last thing that it hears.
    pub async fn refused(&mut self) -> String {
        loop {
            if let ToNode::Refused { reason } = self.hear().await {
                return reason;
            }
        }
    }

    /// A data stream that begins with this.
    pub async fn stream(&mut self, bytes: &[u8]) -> Writing {
        let mut stream = self.connection.streams.open().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    pub async fn stream_of(&mut self, order: OrderId, target: TargetId, bytes: &[u8]) -> Writing {
        let mut stream = self.connection.streams.open().await.unwrap();
        write_frame(&mut stream, &StreamHead { version: PROTOCOL_VERSION, order, target }).await.unwrap();
        // The coordinator may have stopped reading: that is its answer.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// Answers pings, has one process of this pid, and each time that it is asked for its result sends what comes next.
    pub async fn serve(mut self, pid: u32, results: Vec<Vec<u8>>) {
        let mut results = results.into_iter().cycle();
        let mut open = Vec::new();
        loop {
            let frame = read_frame::<ToNode>(&mut self.connection.control.0, CONTROL_FRAME_BYTES_MAX);
            let Ok((message, _)) = frame.await else { return };
            match message {
                ToNode::Ping { id } => {
                    self.say(&ToCoordinator::Pong { id, received_unix_ns: 1, sent_unix_ns: 1 }).await;
                }
                ToNode::Prepare(prepare) => {
                    let targets = vec![ReadyTarget { pid, program: "shop".into(), refusal: None }];
                    let lead_ns = Duration::from_millis(1).as_nanos() as u64;
                    self.say(&ToCoordinator::Ready(Ready { order: prepare.order, targets, lead_ns })).await;
                }
                ToNode::Arm { order, .. } => {
                    let target = TargetId(0);
                    self.say(&ToCoordinator::Captured { order, target, goroutines: 1, bytes: 1 }).await;
                }
                ToNode::Send { order, target } => {
                    let result = results.next().unwrap_or_default();
                    // A stream that is dropped ends in a reset; what was sent is to be read.
                    open.push(self.stream_of(order, target, &result).await);
                }
                _ => {}
            }
        }
    }
}
