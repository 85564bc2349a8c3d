//! A disk that fills: the order fails and says why, and the next one goes well once there is space.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::cluster::*;

/// A file system of its own, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = folder();
        let mount = ["-t", "tmpfs", "-o", "size=3m", "stillframe-test"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output().ok()?;
        mounted.status.success().then_some(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_order_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tested: this process may not mount a file system");
        return;
    };
    let (data, out) = (disk.path(), folder());
    let server = serve(data).await;
    Node::up(data, server.listen, "big", Scripted::new(10, 300_000)).await;
    Node::up(data, server.listen, "small", Scripted::new(11, 20)).await;
    let file = out.path().join("s.db");
    let order = |host| ["snapshot", "--host", host, "-o", text(&file)];
    let assert_full = |(code, _, said): (i32, String, String)| {
        assert_eq!(code, 11, "{said}");
        assert!(said.contains("its file system is full") && said.contains("make space there"), "{said}");
        assert!(
            !said.contains("--output"),
            "where the coordinator keeps it is not the client's to say: {said}"
        );
        assert!(!file.exists());
    };
    assert_full(run(server.http, &order("*")).await);
    assert_eq!(snapshots(data).len(), 0);
    // Not even a small one fits, until somebody makes space.
    let ballast = data.join("ballast");
    let filled = std::fs::write(&ballast, vec![0; 4 << 20]);
    assert!(filled.is_err(), "the disk is larger than it was made");
    assert_full(run(server.http, &order("small")).await);
    assert_eq!(json(server.http, &["nodes"]).await["nodes"].as_array().unwrap().len(), 2);
    std::fs::remove_file(&ballast).unwrap();
    let (code, _, said) = run(server.http, &order("small")).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(snapshots(data).len(), 1);

    // The client's own disk: nothing is left there, and the snapshot can still be fetched.
    let copy = data.join("copy.db");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap_err();
    let id = json(server.http, &["snapshots"]).await["snapshots"][0]["id"].as_str().unwrap().to_owned();
    let (code, _, said) = run(server.http, &["snapshots", "download", &id, "-o", text(&copy)]).await;
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("full") && said.contains("help:"), "{said}");
    let left: Vec<_> = files_in(data).into_iter().filter(|path| text(path).contains("copy")).collect();
    assert_eq!(
        (left.len(), files_in(data).iter().filter(|path| text(path).contains(".partial")).count()),
        (0, 0)
    );
    server.stop().await;
}
