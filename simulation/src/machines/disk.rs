//! The coordinator's disk: what of its files outlives a crash of the process or a loss of power.
//!
//! A crash of the process loses nothing that was written. A loss of power loses what no fsync had brought to the disk: of a
//! file a part or all, of a rename whether it happened.

use std::collections::BTreeMap;

use crate::oracle::File;
use crate::random::Random;

#[derive(Default)]
pub struct Disk {
    /// By run: files in the making.
    making: BTreeMap<u64, Making>,
    /// By order: files that have their name.
    named: BTreeMap<u128, Named>,
    pub full_until_ns: u64,
    pub fails_until_ns: u64,
    pub slow_until_ns: u64,
    pub operation_ns: u64,
    /// The next commit that comes to this step loses power, for so long.
    pub power_lost_at: Option<(usize, u64)>,
}

#[derive(Default)]
struct Making {
    file: File,
    is_synced: bool,
}

struct Named {
    run: u64,
    file: File,
    is_synced: bool,
    /// The folder was brought to the disk after the rename.
    is_name_synced: bool,
}

impl Disk {
    /// The file of a run in the making.
    pub fn file(&mut self, run: u64) -> &mut File {
        let making = self.making.entry(run).or_default();
        making.is_synced = false;
        &mut making.file
    }

    pub fn sync(&mut self, run: u64) {
        if let Some(making) = self.making.get_mut(&run) {
            making.is_synced = true;
        }
        if let Some(named) = self.named.values_mut().find(|named| named.run == run) {
            named.is_synced = true;
        }
    }

    pub fn rename(&mut self, run: u64, order: u128) -> Option<&File> {
        let Making { file, is_synced } = self.making.remove(&run)?;
        let named = Named { run, file, is_synced, is_name_synced: false };
        self.named.insert(order, named);
        self.named.get(&order).map(|named| &named.file)
    }

    pub fn sync_folder(&mut self) {
        self.named.values_mut().for_each(|named| named.is_name_synced = true);
    }

    /// What this run has made, a finished file too.
    pub fn delete(&mut self, run: u64) {
        self.making.remove(&run);
        self.named.retain(|_, named| named.run != run);
    }

    pub fn named(&self, order: u128) -> Option<&File> {
        self.named.get(&order).map(|named| &named.file)
    }

    pub fn named_by(&self, run: u64) -> Option<&File> {
        self.named.values().find(|named| named.run == run).map(|named| &named.file)
    }

    pub fn lose_power(&mut self, random: &mut Random) {
        self.making.clear();
        let mut gone = Vec::new();
        for (order, named) in &mut self.named {
            if !named.is_name_synced && random.percent(50) {
                gone.push(*order);
            } else if !named.is_synced {
                named.file.is_whole = false;
                let parts = named.file.rows.values_mut().chain(named.file.values.values_mut());
                parts.for_each(|rows| rows.truncate(rows.len() / 2));
            }
        }
        gone.iter().for_each(|order| drop(self.named.remove(order)));
    }

    /// What a coordinator does first. A file that was renamed before a crash will be promised to whoever asks for it, so its
    /// name is brought to the disk now.
    pub fn recover(&mut self) {
        self.making.clear();
        self.sync_folder();
    }

    pub fn named_files(&self) -> BTreeMap<u128, File> {
        self.named.iter().map(|(order, named)| (*order, named.file.clone())).collect()
    }

    pub fn temporary_files(&self) -> usize {
        self.making.len()
    }
}
