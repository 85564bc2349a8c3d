//! The sections of debug information: from an executable, or handed in; each decompressed when it is first needed.
//!
//! `.debug_line`, `.debug_frame` and `.debug_str` are not among them: the function table has what the first two say, and
//! Go puts no name into the third.

use std::cell::{Cell, OnceCell};
use std::sync::{Mutex, PoisonError};

use gimli::{
    DebugAbbrev, DebugAddr, DebugInfo, DebugLoc, DebugLocLists, DebugRanges, DebugRngLists, EndianSlice,
    LittleEndian, LocationLists, RangeLists,
};

use crate::executable::{Bytes, Executable};
use crate::gap::Gap;

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A section that Stillframe reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    Info,
    Abbreviations,
    /// DWARF 5.
    Addresses,
    /// DWARF 4.
    Locations,
    /// DWARF 5.
    LocationLists,
    /// DWARF 4.
    Ranges,
    /// DWARF 5.
    RangeLists,
}

impl Section {
    pub const ALL: [Section; 7] = [
        Section::Info,
        Section::Abbreviations,
        Section::Addresses,
        Section::Locations,
        Section::LocationLists,
        Section::Ranges,
        Section::RangeLists,
    ];

    /// As ELF has it.
    pub fn name(self) -> &'static str {
        match self {
            Section::Info => ".debug_info",
            Section::Abbreviations => ".debug_abbrev",
            Section::Addresses => ".debug_addr",
            Section::Locations => ".debug_loc",
            Section::LocationLists => ".debug_loclists",
            Section::Ranges => ".debug_ranges",
            Section::RangeLists => ".debug_rnglists",
        }
    }
}

/// Entries, ranges and locations that one question may look at. The types of the largest Go programs have 30 million
/// entries.
const STEPS_MAX: u64 = 1 << 26;

/// Where sections come from.
enum Source {
    Executable(Executable),
    /// By `Section as usize`; a section that there is not is empty.
    Given([Bytes; Section::ALL.len()]),
}

/// All sections of one build.
pub(super) struct Sections {
    source: Source,
    /// By `Section as usize`: what was decompressed, or why not.
    read: [Mutex<Option<Result<Bytes, Gap>>>; Section::ALL.len()],
}

impl Sections {
    /// `None` where the executable has no debug information.
    pub(super) fn of_executable(executable: &Executable) -> Option<Self> {
        let has = |section: Section| executable.section(section.name()).is_some_and(|s| s.file_length > 0);
        (has(Section::Info) && has(Section::Abbreviations))
            .then(|| Sections { source: Source::Executable(executable.clone()), read: Default::default() })
    }

    pub(super) fn given(bytes: impl Fn(Section) -> Option<Bytes>) -> Option<Self> {
        let empty = || -> Bytes { std::sync::Arc::new(Vec::new()) };
        let given = Section::ALL.map(|section| bytes(section).unwrap_or_else(empty));
        let has = |section: Section| !(*given[section as usize]).as_ref().is_empty();
        (has(Section::Info) && has(Section::Abbreviations))
            .then(|| Sections { source: Source::Given(given), read: Default::default() })
    }

    pub(super) fn get(&self, section: Section) -> Result<Bytes, Gap> {
        let executable = match &self.source {
            Source::Given(given) => return Ok(given[section as usize].clone()),
            Source::Executable(executable) => executable,
        };
        // Held while decompressing, so that two threads do not do the same.
        let mut read = self.read[section as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let read = read.get_or_insert_with(|| {
            executable.debug_section(section.name()).map_err(|e| Gap::DamagedDebugInfo(e.to_string()))
        });
        read.clone()
    }

    /// Forgets what was decompressed; what is in use stays until its user is done.
    pub(super) fn unload(&self) {
        for read in &self.read {
            *read.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub(super) fn open(&self) -> Result<Open<'_>, Gap> {
        Ok(Open {
            sections: self,
            info: self.get(Section::Info)?,
            abbreviations: self.get(Section::Abbreviations)?,
            others: Default::default(),
            steps_left: Cell::new(STEPS_MAX),
        })
    }
}

/// A hold on the sections for the length of one question.
pub(super) struct Open<'s> {
    sections: &'s Sections,
    info: Bytes,
    abbreviations: Bytes,
    others: [OnceCell<Bytes>; Section::ALL.len()],
    steps_left: Cell<u64>,
}

impl Open<'_> {
    /// Counts work; what would take more than any sound file needs is damaged.
    pub(super) fn spend(&self, steps: u64) -> Result<(), Gap> {
        let left = self.steps_left.get().checked_sub(steps);
        self.steps_left
            .set(left.ok_or_else(|| Gap::DamagedDebugInfo("it refers to itself too often".to_owned()))?);
        Ok(())
    }

    pub(super) fn info(&self) -> DebugInfo<Slice<'_>> {
        DebugInfo::from(slice(&self.info))
    }

    pub(super) fn abbreviations(&self) -> DebugAbbrev<Slice<'_>> {
        DebugAbbrev::from(slice(&self.abbreviations))
    }

    fn other(&self, section: Section) -> Result<Slice<'_>, Gap> {
        let cell = &self.others[section as usize];
        if cell.get().is_none() {
            // Set by nobody else: an `Open` belongs to one thread.
            let _ = cell.set(self.sections.get(section)?);
        }
        Ok(cell.get().map_or(EndianSlice::new(&[], LittleEndian), slice))
    }

    pub(super) fn addresses(&self) -> Result<DebugAddr<Slice<'_>>, Gap> {
        Ok(DebugAddr::from(self.other(Section::Addresses)?))
    }

    /// `version`: of the unit that asks.
    pub(super) fn locations(&self, version: u16) -> Result<LocationLists<Slice<'_>>, Gap> {
        let empty = EndianSlice::new(&[], LittleEndian);
        Ok(if version >= 5 {
            LocationLists::new(
                DebugLoc::from(empty),
                DebugLocLists::from(self.other(Section::LocationLists)?),
            )
        } else {
            LocationLists::new(DebugLoc::from(self.other(Section::Locations)?), DebugLocLists::from(empty))
        })
    }

    /// `version`: of the unit that asks.
    pub(super) fn ranges(&self, version: u16) -> Result<RangeLists<Slice<'_>>, Gap> {
        let empty = EndianSlice::new(&[], LittleEndian);
        Ok(if version >= 5 {
            RangeLists::new(DebugRanges::from(empty), DebugRngLists::from(self.other(Section::RangeLists)?))
        } else {
            RangeLists::new(DebugRanges::from(self.other(Section::Ranges)?), DebugRngLists::from(empty))
        })
    }
}

fn slice(bytes: &Bytes) -> Slice<'_> {
    EndianSlice::new((**bytes).as_ref(), LittleEndian)
}

pub(super) fn damaged(error: gimli::Error) -> Gap {
    Gap::DamagedDebugInfo(error.to_string())
}
