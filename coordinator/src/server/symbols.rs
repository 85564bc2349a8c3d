//! What was pushed to the coordinator, for nodes that ask: `stillframe_node::symbols::store` behind QUIC.

use std::fs::File;
use std::io;

use stillframe_actors::connection::{Later, Reading};
use stillframe_actors::symbols::Library;
use stillframe_node::symbols::build_id::BuildId;
use stillframe_node::symbols::store::{Store, Stored};

use crate::api::symbols::SymbolsEntry;

/// The coordinator's store of debug information.
#[derive(Clone, Debug)]
pub struct Pushed(pub Store);

impl Library for Pushed {
    fn symbols(&self, build_id: String) -> Later<io::Result<Option<(u64, Reading)>>> {
        let store = self.0.clone();
        Box::pin(async move {
            // A build without an id of its own has nothing here.
            let Ok(build) = BuildId::parse(&build_id) else { return Ok(None) };
            let open = move || -> io::Result<Option<(u64, File)>> {
                let Some(file) = store.file(&build)? else { return Ok(None) };
                Ok(Some((file.metadata()?.len(), file)))
            };
            let opened = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
            Ok(opened.map(|(bytes, file)| (bytes, Box::new(tokio::fs::File::from_std(file)) as Reading)))
        })
    }
}

/// As the API and the command line show it.
pub fn entry(stored: Stored) -> SymbolsEntry {
    SymbolsEntry {
        build_id: stored.build_id.to_string(),
        bytes: stored.bytes,
        used_unix_ns: stored.used_unix_s.saturating_mul(1_000_000_000),
    }
}
