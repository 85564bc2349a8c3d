//! Makes the store of each order: `ID.db` in the archive's folder.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use stillframe_actors::clock::Clock;
use stillframe_actors::coordinator::actor::Stores;
use stillframe_actors::order::Order;
use stillframe_actors::writer::actor::Store;
use stillframe_wire::message::Selector;
use uuid::Uuid;

use super::archive::Archive;
use super::store_thread::{FileOrder, Notice, StoreThread};
use crate::store::order::{Existing, SnapshotMeta};

pub struct ArchiveStores {
    archive: Archive,
    clock: Clock,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ArchiveStores {
    pub fn new(archive: Archive, clock: Clock) -> ArchiveStores {
        ArchiveStores { archive, clock, threads: Mutex::default() }
    }

    /// Waits until every file is either whole or deleted, but not for ever. Whether that is so.
    pub async fn settle(&self, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        while !self.are_settled() {
            if tokio::time::Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    fn are_settled(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.is_empty()
    }
}

impl Stores for ArchiveStores {
    fn store(&self, order: &Order) -> Box<dyn Store> {
        let id = Uuid::from_u128(order.id.0);
        let file = FileOrder {
            output: self.archive.path(id),
            existing: Existing::Refuse,
            meta: SnapshotMeta {
                id: id.to_string(),
                label: order.label.clone(),
                taken_at_unix_ns: self.clock.now().unix_ns,
                requested_by: order.requested_by.clone(),
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                selector: selector(&order.selector),
                probes: Some(order.probes.to_string()).filter(|probes| !probes.is_empty()),
            },
        };
        let notify = move |notice: Notice| match notice {
            Notice::Temporary(_) => {}
            Notice::Finished(summary) => {
                tracing::info!(%id, bytes = summary.bytes, complete = summary.complete, "a snapshot was written");
            }
            Notice::Failed(error) => tracing::error!(%id, %error, "a snapshot cannot be written"),
        };
        let (store, thread) = StoreThread::start(file, self.clock.clone(), Box::new(notify));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Box::new(store)
    }
}

/// As on the command line.
pub fn selector(selector: &Selector) -> String {
    let Selector { hosts, programs, pids } = selector;
    let mut words: Vec<String> = hosts.iter().map(|glob| format!("--host '{glob}'")).collect();
    words.extend(programs.iter().map(|glob| format!("--program '{glob}'")));
    words.extend(pids.iter().map(|pid| format!("--pid {pid}")));
    if words.is_empty() { "--all".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_reads_as_on_the_command_line() {
        assert_eq!(selector(&Selector::default()), "--all");
        let all = Selector { hosts: vec!["a*".into()], programs: vec!["shop".into()], pids: vec![7, 8] };
        assert_eq!(selector(&all), "--host 'a*' --program 'shop' --pid 7 --pid 8");
    }
}
