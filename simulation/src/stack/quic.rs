//! QUIC endpoints over the simulated network.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, TimeSource, TokioRuntime, UdpPoller};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use stillframe_actors::quic::{
    Credentials, Endpoint, Quic, client_config, endpoint_config, server_config, transport,
};

use super::world::{COORDINATOR, EPOCH, Planted, World};
use crate::random::Random;

const COORDINATOR_PORT: u16 = 7433;
const NODE_PORT: u16 = 5000;

/// The true time: certificates are valid for years.
#[derive(Debug)]
struct TrueTime(World);

impl TrueTime {
    fn since_unix_epoch(&self) -> Duration {
        EPOCH + Duration::from_nanos(self.0.now_ns())
    }
}

impl TimeProvider for TrueTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_unix_epoch()))
    }
}

impl TimeSource for TrueTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.since_unix_epoch()
    }
}

/// The coordinator's end, for this boot of its host.
pub async fn listen(world: &World, credentials: &Credentials) -> turmoil::Result<Endpoint> {
    let mut tls = credentials.server()?;
    tls.time_provider = Arc::new(TrueTime(world.clone()));
    let mut server = server_config(tls, transport(false))?;
    server.time_source(Arc::new(TrueTime(world.clone())));
    bind(world, COORDINATOR, COORDINATOR_PORT, Some(server)).await
}

/// A node's end, for this boot of its host.
pub async fn dialer(world: &World, host: &str, credentials: &Credentials) -> turmoil::Result<Quic> {
    let mut tls = credentials.client()?;
    tls.time_provider = Arc::new(TrueTime(world.clone()));
    let client = client_config(tls, transport(false))?;
    let endpoint = bind(world, host, NODE_PORT, None).await?;
    let coordinator = SocketAddr::new(turmoil::lookup(COORDINATOR), COORDINATOR_PORT);
    Ok(Quic { endpoint, client, coordinator })
}

async fn bind(
    world: &World,
    host: &str,
    port: u16,
    server: Option<quinn::ServerConfig>,
) -> turmoil::Result<Endpoint> {
    let mut random = world.stream_of_randomness();
    let mut config = endpoint_config(&reset_key(host));
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.draw().to_le_bytes()));
    config.rng_seed(Some(seed));
    let socket = turmoil::net::UdpSocket::bind(("0.0.0.0", port)).await?;
    let socket = SimulatedSocket {
        socket: Arc::new(socket),
        host: host.to_owned(),
        world: world.clone(),
        random: Mutex::new(random),
        readable: Mutex::new(None),
    };
    Ok(Endpoint::new_with_abstract_socket(config, server, Arc::new(socket), Arc::new(TokioRuntime))?)
}

/// Each host keeps its own over restarts.
fn reset_key(host: &str) -> [u8; 64] {
    let mut key = [0; 64];
    key.iter_mut().zip(host.bytes()).for_each(|(to, from)| *to = from);
    key
}

/// What differs between two runs of one process: for a planted defect.
static SENT_EVER: AtomicU64 = AtomicU64::new(0);

/// FNV-1a, folded: it only has to tell two datagrams apart.
fn digest(bytes: &[u8]) -> u32 {
    let digest = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest: u64, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (digest ^ digest >> 32) as u32
}

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// quinn's socket over turmoil's, which loses datagrams, or sends them twice, as the plan says.
struct SimulatedSocket {
    socket: Arc<turmoil::net::UdpSocket>,
    host: String,
    world: World,
    random: Mutex<Random>,
    /// Waits for the next datagram: turmoil has only a future for it.
    readable: Mutex<Option<Readable>>,
}

impl fmt::Debug for SimulatedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedSocket").field(&self.host).finish()
    }
}

impl SimulatedSocket {
    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let (lost_percent, twice_percent) = self.world.loss();
        let (is_lost, is_twice) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            if self.world.planted() == Planted::Unordered {
                let anything = SENT_EVER.fetch_add(1, Ordering::Relaxed);
                *random = Random::new(anything, 0);
            }
            (random.percent(lost_percent), random.percent(twice_percent))
        };
        let (host, bytes) = (&self.host, datagram.len());
        let note = if is_lost { ", lost" } else { "" };
        let digest = digest(datagram);
        self.world.line(format_args!("{host} sends {bytes} bytes ({digest:08x}) to {to}{note}"));
        if is_lost {
            return Ok(());
        }
        for _ in 0..1 + u8::from(is_twice) {
            self.socket.try_send_to(datagram, to)?;
        }
        Ok(())
    }
}

/// It always is.
#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for SimulatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        transmit.contents.chunks(segment).try_for_each(|datagram| self.send(transmit.destination, datagram))
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut readable = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(waiting) = readable.as_mut() {
                ready!(waiting.as_mut().poll(context))?;
                *readable = None;
            }
            match self.socket.try_recv_from(&mut buffers[0]) {
                Ok((len, addr)) => {
                    meta[0] = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
                    return Poll::Ready(Ok(1));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = Arc::clone(&self.socket);
                    *readable = Some(Box::pin(async move { socket.readable().await }));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// So that the size of datagrams is not searched for: the network takes any.
    fn may_fragment(&self) -> bool {
        true
    }
}
