//! A client of debuginfod servers (elfutils, debuginfod(8)): `GET URL/buildid/ID/debuginfo`.
//!
//! Off unless `DEBUGINFOD_URLS` is set, as with every client. What the standard client has fetched is used where it lies
//! (debuginfod_find_debuginfo(3), "CACHE"); what is fetched here goes to Stillframe's own store, which is bounded.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::build_id::BuildId;
use super::debug_file::DebugFile;
use super::fetch::{Fetched, Remote};
use super::places;
use super::store::{Store, StoreError, is_recent};

/// A server that is there accepts a connection within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// `DEBUGINFOD_TIMEOUT`, as the standard client has it: a server may unpack an archive before it answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// Between two pieces of an answer.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// `DEBUGINFOD_MAXTIME`: one file, from the first name that is looked up to its last byte.
const FETCH_WITHIN: Duration = Duration::from_secs(900);
/// `DEBUGINFOD_MAXSIZE`: bytes of one file.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// What no server had is not asked for again for so long (elfutils, `cache_miss_default_s`).
pub const ABSENT_FOR: Duration = Duration::from_secs(600);
const REDIRECTS_MAX: u32 = 5;
const URLS_MAX: usize = 16;

/// What the environment says (debuginfod-client-config(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub urls: Vec<String>,
    /// Where the standard client keeps what it fetched.
    pub client_cache: Vec<PathBuf>,
    pub answer_within: Duration,
    pub silent_max: Duration,
    pub fetch_within: Duration,
    pub file_bytes_max: u64,
}

impl Config {
    /// `variable`: the environment.
    pub fn of_environment(variable: &dyn Fn(&str) -> Option<String>) -> Config {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let number =
            |name: &str| set(name).and_then(|value| value.trim().parse::<u64>().ok()).filter(|n| *n > 0);
        let seconds = |name: &str| number(name).map(Duration::from_secs);
        // Others are policies for signatures of packages (`ima:enforcing`), and schemes that are not spoken here.
        let is_url = |word: &&str| word.starts_with("http://") || word.starts_with("https://");
        let urls = set("DEBUGINFOD_URLS").unwrap_or_default();
        let urls = urls.split_whitespace().filter(is_url).take(URLS_MAX);
        let client_cache = match set("DEBUGINFOD_CACHE_PATH") {
            Some(path) => vec![PathBuf::from(path)],
            None => {
                let home = set("HOME").map(PathBuf::from);
                let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
                let cache = cache.or_else(|| home.as_ref().map(|home| home.join(".cache")));
                // The second one is of elfutils before 0.186.
                let old = home.map(|home| home.join(".debuginfod_client_cache"));
                cache.map(|cache| cache.join("debuginfod_client")).into_iter().chain(old).collect()
            }
        };
        Config {
            urls: urls.map(|url| url.trim_end_matches('/').to_owned()).collect(),
            client_cache,
            answer_within: seconds("DEBUGINFOD_TIMEOUT").unwrap_or(ANSWER_WITHIN),
            silent_max: SILENT_MAX,
            fetch_within: seconds("DEBUGINFOD_MAXTIME").unwrap_or(FETCH_WITHIN),
            file_bytes_max: number("DEBUGINFOD_MAXSIZE").unwrap_or(FILE_BYTES_MAX).min(FILE_BYTES_MAX),
        }
    }
}

/// What the standard client has of a build.
pub fn in_client_cache(
    config: &Config,
    build: &BuildId,
    rejected: &mut Vec<String>,
) -> Option<(PathBuf, DebugFile)> {
    let id = build.gnu()?;
    let names = ["debuginfo", "executable"];
    let places = config.client_cache.iter().flat_map(|cache| names.map(|name| cache.join(id).join(name)));
    for path in places {
        let found = match places::open(&path) {
            Ok(None) => continue,
            Ok(Some(file)) if file.metadata().is_ok_and(|m| m.len() == 0) => continue,
            Ok(Some(file)) => DebugFile::read(file).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match found.and_then(|file| places::is_of(&file, Some(build)).map(|()| file)) {
            Ok(file) => return Some((path, file)),
            Err(reason) => rejected.push(format!("{}: {reason}", path.display())),
        }
    }
    None
}

/// Why a server gave nothing.
enum Trouble {
    /// It has nothing.
    Absent,
    /// It has a file that is of no use.
    NotOfUse(String),
    /// It may have one, later.
    Failed(String),
}

/// The servers.
pub struct Debuginfod {
    config: Config,
    agent: Result<Agent, String>,
    store: Store,
}

impl Debuginfod {
    /// `None`: no server is named.
    pub fn new(config: Config, store: Store) -> Option<Debuginfod> {
        if config.urls.is_empty() {
            return None;
        }
        let is_encrypted = config.urls.iter().any(|url| url.starts_with("https://"));
        let agent = agent(&config, is_encrypted);
        Some(Debuginfod { config, agent, store })
    }

    /// The standard client makes an empty file when no server has one.
    fn is_absent(&self, build: &BuildId) -> bool {
        let noted = |id: &str| {
            let markers = self.config.client_cache.iter().map(|cache| cache.join(id).join("debuginfo"));
            markers.into_iter().any(|path| is_empty(&path) && is_recent(&path, ABSENT_FOR))
        };
        self.store.is_absent(build, ABSENT_FOR) || build.gnu().is_some_and(noted)
    }

    fn get(
        &self,
        agent: &Agent,
        server: &str,
        id: &str,
        what: &str,
        build: &BuildId,
    ) -> Result<File, Trouble> {
        let url = format!("{server}/buildid/{id}/{what}");
        let failed = |error: &dyn std::fmt::Display| Trouble::Failed(format!("{url}: {error}"));
        let limit = self.config.file_bytes_max;
        let request = agent.get(&url).header("X-DEBUGINFOD-MAXSIZE", limit.to_string());
        let response = request.call().map_err(|error| failed(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(Trouble::Absent),
            status => return Err(failed(&format!("the server says {status}"))),
        }
        let announced = response.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
        let announced = announced.and_then(|length| length.parse::<u64>().ok());
        let too_long = || Trouble::NotOfUse(format!("{url}: more than {limit} bytes (DEBUGINFOD_MAXSIZE)"));
        if announced.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let mut receiving = self.store.receive().map_err(|error| failed(&error))?;
        let mut body = io::Read::take(response.into_body().into_reader(), limit + 1);
        match receiving.write_all_of(&mut body) {
            Ok(()) if receiving.bytes() > limit => return Err(too_long()),
            Ok(()) => {}
            Err(StoreError::TooLong(_)) => return Err(too_long()),
            Err(error) => return Err(failed(&error)),
        }
        match self.store.keep(receiving, Some(build)) {
            Ok(_) => {}
            Err(StoreError::NotOfUse(reason)) => return Err(Trouble::NotOfUse(format!("{url}: {reason}"))),
            Err(error) => return Err(failed(&error)),
        }
        tracing::info!(url, "debug information was fetched");
        self.store.file(build).map_err(|e| failed(&e))?.ok_or_else(|| failed(&"it was deleted again"))
    }
}

impl Remote for Debuginfod {
    fn fetch(&self, build: &BuildId) -> Fetched {
        let Some(id) = build.gnu() else { return Fetched::Absent };
        if self.is_absent(build) {
            return Fetched::Absent;
        }
        let agent = match &self.agent {
            Ok(agent) => agent,
            Err(reason) => return Fetched::Failed(reason.clone()),
        };
        let mut troubles = Vec::new();
        let mut is_absent = true;
        // An executable that was not stripped has debug information, too.
        for what in ["debuginfo", "executable"] {
            for server in &self.config.urls {
                match self.get(agent, server, id, what, build) {
                    Ok(file) => return Fetched::File(file),
                    Err(Trouble::Absent) => {}
                    Err(Trouble::NotOfUse(reason)) => troubles.push(reason),
                    Err(Trouble::Failed(reason)) => {
                        is_absent = false;
                        troubles.push(reason);
                    }
                }
            }
        }
        if is_absent && let Err(error) = self.store.set_absent(build) {
            tracing::warn!(%error, "that no server has a build cannot be noted");
        }
        if troubles.is_empty() { Fetched::Absent } else { Fetched::Failed(troubles.join("; ")) }
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

fn agent(config: &Config, is_encrypted: bool) -> Result<Agent, String> {
    let builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .user_agent(concat!("stillframe/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(CONNECT_WITHIN))
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_recv_response(Some(config.answer_within))
        .timeout_per_read(Some(config.silent_max))
        .timeout_global(Some(config.fetch_within));
    if !is_encrypted {
        return Ok(builder.build().into());
    }
    // The host's own CAs: a company's server has a certificate of the company's.
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "this host has no certificates of CAs, which https:// needs (install ca-certificates, or set SSL_CERT_FILE) {}",
            why.join("; ")
        ));
    }
    let roots: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(builder.tls_config(tls).build().into())
}
