//! The names of the nodes that are registered, in a file: after a crash the next coordinator knows for whom to wait before
//! it begins an order.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use stillframe_actors::coordinator::actor::Overview;
use stillframe_actors::order::NodeName;
use tokio::sync::watch;

use super::data_folder::replace_private;

/// The names in the file; none if there is no file, or nothing of use in it.
pub fn read(path: &Path) -> BTreeSet<NodeName> {
    let names = std::fs::read(path).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    names.unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(file = %path.display(), %error, "which nodes there were is not known");
        }
        BTreeSet::new()
    })
}

/// Writes the file whenever a node comes or goes, until the coordinator ends.
pub async fn keep(path: PathBuf, mut overview: watch::Receiver<Overview>) {
    let mut written = None;
    loop {
        let names: BTreeSet<NodeName> = overview.borrow_and_update().nodes.keys().cloned().collect();
        // The first names are none: those of before are kept until one is back.
        if written.as_ref() != Some(&names) && !(written.is_none() && names.is_empty()) {
            let (to, text) = (path.clone(), serde_json::to_vec(&names));
            let write = move || text.map_err(io::Error::from).and_then(|text| replace_private(&to, &text));
            let result = tokio::task::spawn_blocking(write).await.map_err(io::Error::other).flatten();
            if let Err(error) = result {
                tracing::warn!(file = %path.display(), %error, "which nodes there are cannot be noted");
            }
            written = Some(names);
        }
        if overview.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use stillframe_actors::coordinator::state::{Node, SessionId};
    use stillframe_actors::time::Moment;
    use stillframe_wire::message::{Generation, InstanceId};

    use super::*;

    fn node() -> Node {
        Node {
            session: SessionId(1),
            generation: Generation(1),
            instance: InstanceId(1),
            host: Default::default(),
            clock: None,
            heard: Moment(0),
        }
    }

    #[tokio::test]
    async fn names_are_kept_until_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_nodes.json");
        assert!(read(&path).is_empty());
        std::fs::write(&path, "[\"old\"]").unwrap();
        let (overview, seen) = watch::channel(Overview::default());
        let keeping = tokio::spawn(keep(path.clone(), seen));
        tokio::task::yield_now().await;
        assert_eq!(read(&path), BTreeSet::from(["old".to_owned()]));
        overview.send_modify(|overview| drop(overview.nodes.insert("new".to_owned(), node())));
        while read(&path) != BTreeSet::from(["new".to_owned()]) {
            tokio::task::yield_now().await;
        }
        overview.send_modify(|overview| overview.nodes.clear());
        while !read(&path).is_empty() {
            tokio::task::yield_now().await;
        }
        drop(overview);
        keeping.await.unwrap();
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path).is_empty());
    }
}
