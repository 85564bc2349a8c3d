//! The auxiliary vector: what the kernel told a program at its start (getauxval(3)).

use crate::proc_files;
use crate::process::ProcessError;

/// The most entries kept: the kernel writes about 20.
const ENTRIES_MAX: usize = 1024;

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_ENTRY: u64 = 9;
const AT_SYSINFO_EHDR: u64 = 33;

/// The vector, in its order, without the AT_NULL at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auxiliary {
    pub entries: Vec<(u64, u64)>,
}

/// The auxiliary vector of a process. That of a kernel thread is empty.
pub fn of_process(pid: u32) -> Result<Auxiliary, ProcessError> {
    proc_files::read(&format!("/proc/{pid}/auxv"))
        .map(|bytes| Auxiliary::parse(&bytes))
        .map_err(|error| ProcessError::on(pid, "auxv", error))
}

impl Auxiliary {
    /// The first value of a key.
    pub fn get(&self, key: u64) -> Option<u64> {
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    /// AT_PHDR: where the program headers of the executable are in memory.
    pub fn program_headers(&self) -> Option<u64> {
        self.get(AT_PHDR)
    }

    /// AT_ENTRY: the executable's entry point in memory.
    pub fn entry(&self) -> Option<u64> {
        self.get(AT_ENTRY)
    }

    /// AT_SYSINFO_EHDR: where the vDSO is.
    pub fn vdso(&self) -> Option<u64> {
        self.get(AT_SYSINFO_EHDR)
    }

    /// From its bytes, little-endian pairs of 64-bit words; a part of a pair at the end is left out.
    pub(crate) fn parse(bytes: &[u8]) -> Auxiliary {
        let (pairs, _) = bytes.as_chunks::<16>();
        let entries = pairs
            .iter()
            .map(|pair| {
                let pair = u128::from_le_bytes(*pair);
                (pair as u64, (pair >> 64) as u64)
            })
            .take_while(|(key, _)| *key != AT_NULL)
            .take(ENTRIES_MAX)
            .collect();
        Auxiliary { entries }
    }

    /// Its bytes, with the AT_NULL.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.entries
            .iter()
            .chain(&[(AT_NULL, 0)])
            .flat_map(|(k, v)| [k.to_le_bytes(), v.to_le_bytes()].concat())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_told_its_entry_and_its_vdso() {
        let auxiliary = of_process(std::process::id()).unwrap();
        assert!(auxiliary.entry().is_some() && auxiliary.program_headers().is_some());
        assert!(auxiliary.vdso().is_none_or(|address| address % 4096 == 0));
        assert_eq!(Auxiliary::parse(&auxiliary.to_bytes()), auxiliary);
    }

    #[test]
    fn a_cut_vector_is_read_as_far_as_it_goes() {
        let bytes = Auxiliary { entries: vec![(9, 0x1234)] }.to_bytes();
        assert_eq!(Auxiliary::parse(&bytes[..17]).entry(), Some(0x1234));
        assert_eq!(Auxiliary::parse(&bytes[..15]).entry(), None);
    }
}
