//! Layouts of the runtime's types by Go release, for executables without debug information.
//!
//! The table is generated from Go's source (`tools/runtime-facts`). Patch releases do move fields: `runtime.m` in 1.24.6,
//! `runtime.timer` in 1.23.3.

use crate::executable::Architecture;
use crate::layout::{Structure, Structures};

const TABLE: &str = include_str!("layout_table.txt");

/// Those of go1.`minor`.`patch`. A patch release that is newer than the table is taken to have those of the newest one
/// of its minor version that is in it; that has to be checked on a process (`validation.rs`), and is for all.
pub(crate) fn structures(minor: u32, patch: u32, architecture: Architecture) -> Option<Structures> {
    let of_minor = || lines().filter(|line| line.minor == minor && line.is_of(architecture));
    let newest = of_minor().map(|line| line.last).max()?;
    let patch = patch.min(newest);
    let found = of_minor().filter(|line| line.first <= patch && patch <= line.last);
    Some(found.map(|line| (line.name.to_owned(), line.structure())).collect())
}

/// `runtime.stack go1.21.0 go1.21.13 any 16 lo=0 hi=8`
struct Line<'a> {
    name: &'a str,
    minor: u32,
    /// Patch releases.
    first: u32,
    last: u32,
    architecture: &'a str,
    size: u64,
    fields: &'a str,
}

fn lines() -> impl Iterator<Item = Line<'static>> {
    TABLE.lines().filter_map(Line::parse)
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let name = words.next().filter(|name| !name.starts_with('#'))?;
        let release = |word: &str| {
            let (minor, patch) = word.strip_prefix("go1.")?.split_once('.')?;
            Some((minor.parse().ok()?, patch.parse().ok()?))
        };
        let (minor, first) = release(words.next()?)?;
        let (_, last) = release(words.next()?)?;
        let (architecture, size) = (words.next()?, words.next()?.parse().ok()?);
        Some(Line { name, minor, first, last, architecture, size, fields: words.next().unwrap_or_default() })
    }

    fn is_of(&self, architecture: Architecture) -> bool {
        self.architecture == "any" || self.architecture == architecture.name()
    }

    fn structure(&self) -> Structure {
        let field = |field: &str| {
            let (name, offset) = field.split_once('=')?;
            Some((name.to_owned(), offset.parse().ok()?))
        };
        Structure { size: self.size, fields: self.fields.split(' ').filter_map(field).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layouts;
    use crate::version::{MINOR_NEWEST, MINOR_OLDEST};

    fn of(minor: u32, patch: u32) -> Structures {
        structures(minor, patch, Architecture::Amd64).unwrap()
    }

    #[test]
    fn every_line_is_understood() {
        let entries = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines().count(), entries);
        for line in lines() {
            let fields = line.fields.split(' ').count();
            assert_eq!(line.structure().fields.len(), fields, "{} of 1.{}", line.name, line.minor);
            assert!(line.first <= line.last);
        }
    }

    #[test]
    fn all_supported_versions_have_what_is_needed() {
        for minor in MINOR_OLDEST..=MINOR_NEWEST {
            for architecture in [Architecture::Amd64, Architecture::Arm64] {
                for patch in 0..20 {
                    let structures = structures(minor, patch, architecture).unwrap();
                    Layouts::load(&structures).unwrap_or_else(|e| panic!("1.{minor}.{patch}: {e}"));
                }
            }
        }
        assert!(structures(MINOR_OLDEST - 1, 0, Architecture::Amd64).is_none());
        assert!(structures(MINOR_NEWEST + 1, 0, Architecture::Amd64).is_none());
    }

    /// Figures of debug information (DW_AT_data_member_location) of programs of these releases.
    #[test]
    fn patch_releases_differ() {
        assert_eq!(of(23, 1)["runtime.timer"].size, 80);
        assert_eq!(of(23, 9)["runtime.timer"].size, 88);
        assert_eq!(of(24, 11)["runtime.m"].fields["vdsoSP"], 904);
        assert_ne!(of(24, 3)["runtime.m"].fields["vdsoSP"], 904);
        assert_eq!(of(27, 3)["runtime.g"].fields["goid"], 152);
        assert_eq!(of(23, 9)["runtime.g"].fields["goid"], 160);
    }

    #[test]
    fn a_patch_release_of_tomorrow_is_as_that_of_today() {
        assert_eq!(of(21, 13), of(21, 99));
    }
}
