//! Connections over QUIC (RFC 9000) with mutual TLS 1.3: the node dials, the coordinator listens.
//!
//! Tuned for few connections that carry much: quinn's defaults are for short fat pipes. No 0-RTT, because a replayed
//! order would be carried out twice.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

pub use quinn::Endpoint;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use stillframe_wire::message::ALPN;

use crate::connection::{Connection, Dial, Later, Reading, Streams, Writing};

/// The name in the coordinator's certificate: nodes know it by its CA and this, wherever it runs.
pub const COORDINATOR_NAME: &str = "coordinator.stillframe";

/// Bytes in flight of one data stream, and of one connection.
const STREAM_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// A peer that is not heard from for so long is gone; it is asked for a sign of life often enough.
const IDLE_MAX: Duration = Duration::from_secs(6);
const KEEP_ALIVE: Duration = Duration::from_millis(1_500);
/// Data streams that a node may have open: each sends one result.
const STREAMS_MAX: u32 = 64;
const CLOSE_REASON_BYTES_MAX: usize = 1_000;

/// The certificate of this end, its key, and the CA that both ends trust. PEM texts.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    #[error("{what}: {reason}")]
    Pem { what: &'static str, reason: String },
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{address}/udp: {source}")]
    Bind { address: SocketAddr, source: io::Error },
}

impl Credentials {
    /// The three in one text, as a node gets them: its certificate, its key, and the CA's certificate.
    pub fn to_pem(&self) -> String {
        [&self.certificate, &self.key, &self.ca].map(|part| format!("{}\n", part.trim_end())).concat()
    }

    /// The reverse of [`Credentials::to_pem`].
    pub fn from_pem(text: &str) -> Result<Credentials, QuicError> {
        let damaged = |reason: &str| QuicError::Pem { what: "the credentials", reason: reason.to_owned() };
        let mut parts = Vec::new();
        for part in text.split_inclusive("-----END").collect::<Vec<_>>().windows(2) {
            let begin = part[0].rfind("-----BEGIN").ok_or_else(|| damaged("a part has no beginning"))?;
            let label = part[1].lines().next().unwrap_or_default();
            parts.push(format!("{}{label}\n", &part[0][begin..]));
        }
        let [certificate, key, ca] = <[String; 3]>::try_from(parts).map_err(|_| {
            damaged("they are a certificate, its key, and the CA's certificate, in this order")
        })?;
        let credentials = Credentials { ca, certificate, key };
        certificates(&credentials.certificate, "the certificate")?;
        certificates(&credentials.ca, "the CA's certificate")?;
        credentials.key()?;
        Ok(credentials)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, QuicError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca, "the CA's certificate")? {
            roots.add(certificate).map_err(|error| QuicError::Tls(error.to_string()))?;
        }
        Ok(Arc::new(roots))
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, QuicError> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|error| QuicError::Pem { what: "the private key", reason: error.to_string() })
    }

    /// For the end that dials.
    pub fn client(&self) -> Result<rustls::ClientConfig, QuicError> {
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(certificates(&self.certificate, "the certificate")?, self.key()?)
            .map_err(tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    /// For the end that listens. Who has no certificate of the CA is turned away.
    pub fn server(&self) -> Result<rustls::ServerConfig, QuicError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider())
            .build()
            .map_err(|error| QuicError::Tls(error.to_string()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.certificate, "the certificate")?, self.key()?)
            .map_err(tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, QuicError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(QuicError::Pem { what, reason: "there is no certificate in it".to_owned() })
        }
        Ok(found) => Ok(found),
        Err(error) => Err(QuicError::Pem { what, reason: error.to_string() }),
    }
}

fn tls(error: rustls::Error) -> QuicError {
    QuicError::Tls(error.to_string())
}

/// What both ends agree on. `segmentation`: let the network card cut datagrams (GSO); some virtual ones do it wrong.
pub fn transport(segmentation: bool) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_MAX.as_millis() as u32).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(segmentation);
    Arc::new(transport)
}

pub fn server_config(
    tls: rustls::ServerConfig,
    transport: Arc<TransportConfig>,
) -> Result<quinn::ServerConfig, QuicError> {
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| QuicError::Tls(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport);
    Ok(config)
}

pub fn client_config(
    tls: rustls::ClientConfig,
    transport: Arc<TransportConfig>,
) -> Result<quinn::ClientConfig, QuicError> {
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| QuicError::Tls(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport);
    Ok(config)
}

/// An endpoint on a socket of this host. `reset_key`: kept over restarts, it lets peers notice at once that this end was
/// restarted (RFC 9000, section 10.3).
pub fn bind(
    address: SocketAddr,
    server: Option<quinn::ServerConfig>,
    reset_key: &[u8; 64],
) -> Result<Endpoint, QuicError> {
    let failed = |source| QuicError::Bind { address, source };
    let socket = UdpSocket::bind(address).map_err(failed)?;
    Endpoint::new(endpoint_config(reset_key), server, socket, Arc::new(TokioRuntime)).map_err(failed)
}

/// What an endpoint is, whatever socket it is on. `reset_key`: as for [`bind`].
pub fn endpoint_config(reset_key: &[u8; 64]) -> EndpointConfig {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset_key);
    // An endpoint resets only connections whose ids it could have given out itself: that has to outlive a restart, too.
    let ids = ring::hmac::sign(&key, b"connection ids");
    let ids_key = ids.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let mut config = EndpointConfig::new(Arc::new(key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids_key)));
    config
}

/// Waits for the next peer that proves who it is. `None`: the endpoint was closed.
pub async fn accept(endpoint: &Endpoint) -> Option<Accepting> {
    endpoint.accept().await.map(Accepting)
}

/// A peer that has not yet proved anything.
pub struct Accepting(quinn::Incoming);

impl Accepting {
    pub fn peer(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// The handshake, and the control stream that the node opens first.
    pub async fn finish(self) -> Result<Connection, String> {
        let connection = self.0.await.map_err(|error| reason(&error))?;
        let (writing, reading) = connection.accept_bi().await.map_err(|error| reason(&error))?;
        Ok(control(connection, writing, reading))
    }
}

/// The codes of TLS's alerts as errors of QUIC (RFC 9001, section 4.8), and some of the alerts (RFC 8446, appendix B.2).
const ALERTS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;
const CERTIFICATE_EXPIRED: u64 = 0x100 + 45;
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

/// Why a connection did not come about or ended, and what to do, as far as its error says it.
fn reason(error: &ConnectionError) -> String {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        ConnectionError::VersionMismatch => NO_APPLICATION_PROTOCOL,
        _ => return error.to_string(),
    };
    let remedy = match code {
        NO_APPLICATION_PROTOCOL => {
            "it speaks another protocol; run the same version of Stillframe at both ends"
        }
        CERTIFICATE_EXPIRED => {
            "a certificate has expired, or a clock is wrong; make new credentials on the coordinator's host: stillframe \
             node-credentials"
        }
        code if ALERTS.contains(&code) => {
            "node and coordinator have no certificates of one CA; give the node credentials of this very coordinator: \
             stillframe node-credentials"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {remedy}")
}

fn control(
    connection: quinn::Connection,
    writing: quinn::SendStream,
    reading: quinn::RecvStream,
) -> Connection {
    Connection {
        control: (Box::new(reading), Box::new(writing)),
        peer: connection.remote_address().to_string(),
        streams: Arc::new(QuicStreams(connection)),
    }
}

/// Dials one coordinator.
pub struct Quic {
    pub endpoint: Endpoint,
    pub client: quinn::ClientConfig,
    pub coordinator: SocketAddr,
}

impl Dial for Quic {
    fn dial(&self) -> Later<Result<Connection, String>> {
        let coordinator = self.coordinator;
        let connecting = self.endpoint.connect_with(self.client.clone(), coordinator, COORDINATOR_NAME);
        Box::pin(async move {
            let failed = |error: &ConnectionError| match error {
                ConnectionError::TimedOut => format!(
                    "{coordinator}/udp did not answer within {IDLE_MAX:?}; see that a coordinator (stillframe serve) listens \
                     there, and that no firewall is in between"
                ),
                error => format!("{coordinator}/udp: {}", reason(error)),
            };
            let connecting = connecting.map_err(|error| format!("{coordinator}/udp: {error}"))?;
            let connection = connecting.await.map_err(|error| failed(&error))?;
            let (writing, reading) = connection.open_bi().await.map_err(|error| failed(&error))?;
            Ok(control(connection, writing, reading))
        })
    }
}

struct QuicStreams(quinn::Connection);

impl Streams for QuicStreams {
    fn open(&self) -> Later<io::Result<Writing>> {
        let connection = self.0.clone();
        Box::pin(async move { Ok(Box::new(connection.open_uni().await?) as Writing) })
    }

    fn accept(&self) -> Later<io::Result<Reading>> {
        let connection = self.0.clone();
        Box::pin(async move { Ok(Box::new(connection.accept_uni().await?) as Reading) })
    }

    fn close(&self, reason: &str) {
        let end = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX.min(reason.len()));
        self.0.close(VarInt::from_u32(0), &reason.as_bytes()[..end]);
    }

    fn closed(&self) -> Later<String> {
        let connection = self.0.clone();
        Box::pin(async move { reason(&connection.closed().await) })
    }
}
