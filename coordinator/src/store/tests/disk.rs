//! A disk that fills: the error says so, and nothing is left.

use std::path::Path;
use std::process::Command;

use stillframe_wire::batch::batches;
use tempfile::TempDir;

use super::{files_in, meta, synthetic};
use crate::store::order::{ClockBound, Existing, Summary, WriteError};
use crate::store::writer::SnapshotWriter;

/// A file system of its own, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "stillframe-test"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output().ok()?;
        mounted.status.success().then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

/// Writes processes until it fails or there are `processes`; `prepare` comes before the first.
fn write(folder: &Path, processes: u32, prepare: impl Fn(&SnapshotWriter)) -> Result<Summary, WriteError> {
    let mut writer = SnapshotWriter::create(&folder.join("s.db"), Existing::Refuse, meta())?;
    prepare(&writer);
    let host = writer.host(&synthetic::host(), ClockBound::default())?;
    for pid in 0..processes {
        writer.process(host, "test", batches(synthetic::process(pid, 2_000, 10)))?;
    }
    writer.finish(0)
}

fn assert_full(result: &Result<Summary, WriteError>, folder: &Path) {
    let Err(error @ WriteError::Full { path }) = result else { panic!("{result:?}") };
    assert_eq!(path, &folder.join("s.db"));
    assert!(error.to_string().ends_with("s.db: its file system is full"), "{error}");
    assert!(error.remedy().contains("make space"), "{}", error.remedy());
    assert_eq!(files_in(folder), [""; 0]);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tested: this process may not mount a file system");
        return;
    };
    assert_full(&write(disk.0.path(), 1_000, |_| {}), disk.0.path());
}

/// Pages are refused from one more on each time: while rows are written, indices made, statistics taken.
#[test]
fn a_disk_that_fills_at_any_moment_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = write(folder.path(), 2, |_| {}).unwrap();
    std::fs::remove_file(whole.path).unwrap();
    let pages = whole.bytes / 8_192;
    for pages_max in (20..pages).step_by(3) {
        let result = write(folder.path(), 2, |writer| {
            let limit = format!("pragma max_page_count = {pages_max}");
            writer.database.connection.query_row(&limit, [], |_| Ok(())).unwrap();
        });
        assert_full(&result, folder.path());
    }
}

#[test]
fn a_writer_whose_disk_was_full_is_of_no_more_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SnapshotWriter::create(&folder.path().join("s.db"), Existing::Refuse, meta()).unwrap();
    let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    writer.database.connection.query_row("pragma max_page_count = 20", [], |_| Ok(())).unwrap();
    let full = writer.process(host, "test", batches(synthetic::process(1, 20_000, 10)));
    assert!(matches!(full, Err(WriteError::Full { .. })), "{full:?}");
    assert!(matches!(writer.abort(), Err(WriteError::Spoiled { .. })));
    assert!(matches!(writer.begin(host, "test"), Err(WriteError::Spoiled { .. })));
    assert!(matches!(writer.finish(0), Err(WriteError::Spoiled { .. })));
    assert_eq!(files_in(folder.path()), [""; 0]);
}
