//! A coordinator's HTTP API, seen from the command line.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};
use uuid::Uuid;

use super::{Class, Failure};
use crate::api::{ErrorBody, Event, NodeList, OrderRequest, OrderState, SNAPSHOT_TYPE, SnapshotList};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The coordinator answers within 30 s, and gives a sign of life every 5 s while there are no events.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);
const CANCEL_WITHIN: Duration = Duration::from_secs(5);
const SILENT_MAX: Duration = Duration::from_secs(20);
/// One event is a name, a number and a reason or two.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Which coordinator is meant.
#[derive(Clone, Debug, Args)]
pub struct Address {
    /// The coordinator's HTTP address.
    #[arg(long, value_name = "URL", env = "STILLFRAME_COORDINATOR", global = true, default_value = DEFAULT_URL)]
    coordinator: String,
}

const DEFAULT_URL: &str = "http://127.0.0.1:7480";

impl Address {
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.coordinator)
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub(super) agent: Agent,
    /// Without a slash at its end.
    url: String,
}

/// Why there is no answer, or none that is of use.
#[derive(Debug)]
pub enum Trouble {
    /// Trying again may help.
    Unreachable(Failure),
    /// It may not.
    Refused(Failure),
}

impl From<Trouble> for anyhow::Error {
    fn from(trouble: Trouble) -> anyhow::Error {
        trouble.failure().into()
    }
}

impl Trouble {
    pub fn failure(self) -> Failure {
        match self {
            Trouble::Unreachable(failure) | Trouble::Refused(failure) => failure,
        }
    }
}

impl Client {
    pub fn new(url: &str) -> Result<Client, Failure> {
        if !url.starts_with("http://") {
            let remedy = "give http://HOST:PORT; the API is served on loopback only, so that it needs no TLS";
            return Err(Failure::new(Class::Usage, format!("{url}: not an http:// address"), remedy));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_recv_response(Some(ANSWER_WITHIN))
            .timeout_per_read(Some(SILENT_MAX))
            .build();
        Ok(Client { agent: config.into(), url: url.trim_end_matches('/').to_owned() })
    }

    pub fn order(&self, order: &OrderRequest) -> Result<OrderState, Trouble> {
        self.json(self.post("orders", order)?)
    }

    /// Calls `each` for every event, from the first one that the coordinator knows; returns after the last one.
    pub fn follow(&self, order: Uuid, each: &mut dyn FnMut(&Event)) -> Result<Event, Trouble> {
        let response = self.of_type("text/event-stream", self.get(&format!("orders/{order}/events"))?)?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        loop {
            let mut line = String::new();
            let read = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
            if read.map_err(|error| self.unreachable(&error.to_string()))? == 0 {
                return Err(self.unreachable("the connection ended before the order did"));
            }
            // Other lines are signs of life.
            let Some(data) = line.strip_prefix("data:") else { continue };
            let event: Event = serde_json::from_str(data).map_err(|_| self.not_a_coordinator())?;
            each(&event);
            if event.is_last() {
                return Ok(event);
            }
        }
    }

    /// Whoever wants to end does not wait long for the answer.
    pub fn cancel(&self, order: Uuid) -> Result<OrderState, Trouble> {
        let request = self.agent.delete(self.path(&format!("orders/{order}")));
        let request = request.config().timeout_global(Some(CANCEL_WITHIN)).build();
        self.json(request.call().map_err(|error| self.trouble(&error))?)
    }

    pub fn snapshots(&self, limit: Option<usize>) -> Result<SnapshotList, Trouble> {
        let query = limit.map(|limit| format!("?limit={limit}")).unwrap_or_default();
        self.json(self.get(&format!("snapshots{query}"))?)
    }

    /// The snapshot's bytes. Fewer than were announced are an error of the reader.
    pub fn download(&self, snapshot: Uuid) -> Result<impl Read, Trouble> {
        let response = self.of_type(SNAPSHOT_TYPE, self.get(&format!("snapshots/{snapshot}"))?)?;
        Ok(response.into_body().into_reader())
    }

    pub fn delete(&self, snapshot: Uuid) -> Result<(), Trouble> {
        let request = self.agent.delete(self.path(&format!("snapshots/{snapshot}")));
        let response = self.good(request.call().map_err(|error| self.trouble(&error))?)?;
        if response.status() == StatusCode::NO_CONTENT { Ok(()) } else { Err(self.not_a_coordinator()) }
    }

    pub fn nodes(&self) -> Result<NodeList, Trouble> {
        self.json(self.get("nodes")?)
    }

    pub(super) fn path(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }

    pub(super) fn get(&self, path: &str) -> Result<Response<Body>, Trouble> {
        self.agent.get(self.path(path)).call().map_err(|error| self.trouble(&error))
    }

    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Result<Response<Body>, Trouble> {
        self.agent.post(self.path(path)).send_json(body).map_err(|error| self.trouble(&error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, Trouble> {
        let mut response = self.good(response)?;
        response.body_mut().read_json().map_err(|error| match error {
            ureq::Error::Json(_) => self.not_a_coordinator(),
            error => self.trouble(&error),
        })
    }

    /// What the coordinator says that is wrong.
    pub(super) fn good(&self, mut response: Response<Body>) -> Result<Response<Body>, Trouble> {
        if response.status().is_success() {
            return Ok(response);
        }
        let is_busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        let Ok(ErrorBody { error }) = response.body_mut().read_json() else {
            return Err(self.not_a_coordinator());
        };
        let failure = Failure::new(Class::of_name(&error.class), error.message, error.remedy);
        Err(if is_busy { Trouble::Unreachable(failure) } else { Trouble::Refused(failure) })
    }

    /// Another server may have a page for everything.
    fn of_type(&self, expected: &str, response: Response<Body>) -> Result<Response<Body>, Trouble> {
        let response = self.good(response)?;
        let found = response.headers().get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok());
        let is_expected = found.is_some_and(|found| found.split(';').next() == Some(expected));
        if is_expected { Ok(response) } else { Err(self.not_a_coordinator()) }
    }

    pub(super) fn trouble(&self, error: &ureq::Error) -> Trouble {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                let remedy = format!("give an address such as {DEFAULT_URL}");
                let message = format!("{}: not an address: {error}", self.url);
                Trouble::Refused(Failure::new(Class::Usage, message, remedy))
            }
            ureq::Error::Protocol(_) => self.not_a_coordinator(),
            error => self.unreachable(&error.to_string()),
        }
    }

    pub(super) fn unreachable(&self, why: &str) -> Trouble {
        let message = format!("{}: the coordinator does not answer: {why}", self.url);
        let remedy = "see that `stillframe serve` runs, and that --coordinator or STILLFRAME_COORDINATOR has its --http address";
        Trouble::Unreachable(Failure::new(Class::Unreachable, message, remedy))
    }

    pub(super) fn not_a_coordinator(&self) -> Trouble {
        let message =
            format!("{}: who answers there is no coordinator of this version of Stillframe", self.url);
        let remedy = "check --coordinator and STILLFRAME_COORDINATOR, and compare the versions";
        Trouble::Refused(Failure::new(Class::Unreachable, message, remedy))
    }
}
