//! What is mapped where in a process: `/proc/PID/maps` (proc_pid_maps(5)).

use crate::executable::Identity;
use crate::proc_files;
use crate::process::ProcessError;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// The device as `stat` numbers it. On btrfs and overlayfs it may differ from what `stat` says of the same file.
    pub device: u64,
    /// 0: no file.
    pub inode: u64,
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    /// A file's path in the words of the process's mount namespace, `[heap]`, `[stack]`, `[vdso]`, `[anon:...]` or
    /// nothing.
    pub path: String,
}

/// A mapping of a file, as a core file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMapping {
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    pub path: String,
}

impl Mapping {
    /// If a file is mapped.
    pub fn of_file(&self) -> Option<FileMapping> {
        let Mapping { start, end, offset, .. } = *self;
        (self.inode != 0).then(|| FileMapping { start, end, offset, path: self.path.clone() })
    }
}

/// The mappings of a process, in the order of their addresses. While the process runs they change.
pub fn mappings(pid: u32) -> Result<Vec<Mapping>, ProcessError> {
    let bytes = proc_files::read(&format!("/proc/{pid}/maps"))
        .map_err(|error| ProcessError::on(pid, "maps", error))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(parse_line).collect())
}

/// Where the executable lies in memory: the start of its first mapping.
///
/// `entry` is AT_ENTRY of the auxiliary vector: the kernel points it into the executable itself (binfmt_elf.c,
/// `create_elf_tables`), so that the mapping it lies in names the device and the inode in the very words of `maps`.
/// Without it `identity` is used.
pub fn exe_base(mappings: &[Mapping], entry: Option<u64>, identity: Option<Identity>) -> Option<u64> {
    let by_entry = entry
        .and_then(|entry| mappings.iter().find(|m| (m.start..m.end).contains(&entry) && m.inode != 0))
        .map(|m| (m.device, m.inode, m.start));
    if let Some((device, inode, start)) = by_entry {
        // A program may map its own file once more, below or above: what counts is the nearest beginning below.
        let of_it = |m: &&Mapping| m.device == device && m.inode == inode && m.start <= start;
        let nearest = mappings.iter().filter(of_it).filter(|m| m.offset == 0).map(|m| m.start).max();
        return nearest.or_else(|| mappings.iter().filter(of_it).map(|m| m.start).min());
    }
    let identity = identity?;
    mappings
        .iter()
        .filter(|m| m.device == identity.device && m.inode == identity.inode)
        .map(|m| m.start)
        .min()
}

/// `7f0c0000-7f0c2000 r-xp 00001000 fd:01 1234   /usr/bin/name`
fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let trimmed = rest.trim_start_matches(' ');
        let (word, after) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
        rest = after;
        word
    };
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = word().split_once('-')?;
    let permissions = word().as_bytes();
    let offset = hexadecimal(word())?;
    let (major, minor) = word().split_once(':')?;
    let inode = word().parse().ok()?;
    Some(Mapping {
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        offset,
        device: nix::sys::stat::makedev(hexadecimal(major)?, hexadecimal(minor)?),
        inode,
        readable: permissions.first() == Some(&b'r'),
        writable: permissions.get(1) == Some(&b'w'),
        executable: permissions.get(2) == Some(&b'x'),
        // The only escape in it is that of a newline (seq_file_path(m, file, "\n")).
        path: rest.trim_start_matches(' ').replace("\\012", "\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auxiliary;
    use crate::executable::Executable;
    use proptest::prelude::*;

    #[test]
    fn a_path_may_hold_spaces() {
        let line =
            "00400000-00452000 r-xp 00001000 08:02 173521                             /usr/bin/a b (deleted)";
        let mapping = parse_line(line).unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.offset), (0x40_0000, 0x45_2000, 0x1000));
        assert_eq!(mapping.device, nix::sys::stat::makedev(8, 2));
        assert_eq!(mapping.path, "/usr/bin/a b (deleted)");
        assert!(mapping.readable && !mapping.writable && mapping.executable);
        let anonymous = parse_line("7ffc0000-7ffc1000 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!((anonymous.path.as_str(), anonymous.inode), ("", 0));
    }

    #[test]
    fn the_base_of_this_executable_holds_its_elf_header() {
        let pid = std::process::id();
        let mappings = mappings(pid).unwrap();
        let auxiliary = auxiliary::of_process(pid).unwrap();
        let base = exe_base(&mappings, auxiliary.entry(), None).unwrap();
        let header = std::fs::read("/proc/self/exe").unwrap();
        let phoff = u64::from_le_bytes(header[32..40].try_into().unwrap());
        assert_eq!(auxiliary.program_headers(), Some(base + phoff));
        let identity = Executable::open(pid).unwrap().identity();
        if mappings.iter().any(|m| m.device == identity.device) {
            assert_eq!(exe_base(&mappings, None, Some(identity)), Some(base));
        }
    }

    #[test]
    fn a_second_mapping_of_the_executable_does_not_move_its_base() {
        let mapping = |start, offset, inode| Mapping {
            start,
            end: start + 0x1000,
            offset,
            device: 1,
            inode,
            readable: true,
            writable: false,
            executable: true,
            path: String::new(),
        };
        let all =
            [mapping(0x1000, 0, 7), mapping(0x5000, 0, 7), mapping(0x6000, 0x1000, 7), mapping(0x9000, 0, 7)];
        assert_eq!(exe_base(&all, Some(0x6010), None), Some(0x5000));
        assert_eq!(exe_base(&all, Some(0xffff), None), None);
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_without_a_panic(line in ".{0,120}") {
            let _ = parse_line(&line);
        }
    }
}
