//! Which build symbols are of.
//!
//! The text is that of `stillframe_golang::build::Identity`: the GNU build id in hexadecimal, or `go:` and Go's own. A
//! build that has neither goes by a hash of its function table, which a separate file does not hold: nothing is looked
//! up or kept for it by id.

use std::fmt;

use thiserror::Error;

/// Bytes of a build id as text. Go's own has 83 bytes and `go:`; a GNU one rarely more than 40.
pub const BUILD_ID_BYTES_MAX: usize = 128;

/// gdb's layout of folders wants one byte for the folder, and some for the file.
const GNU_BYTES_MIN: usize = 2;

const GO_PREFIX: &str = "go:";

/// A build's id, which can be part of a path and of a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(String);

#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is no build id: give a GNU build id in hexadecimal, or go: and Go's own (stillframe ps --json, file, go tool buildid)"
)]
pub struct BadBuildId(String);

impl BuildId {
    pub fn parse(text: &str) -> Result<BuildId, BadBuildId> {
        let is_good = text.len() <= BUILD_ID_BYTES_MAX
            && match text.strip_prefix(GO_PREFIX) {
                Some(go) => {
                    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
                    !go.is_empty() && go.bytes().all(is_part)
                }
                None => {
                    let is_hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                    text.len().is_multiple_of(2)
                        && text.len() / 2 >= GNU_BYTES_MIN
                        && text.bytes().all(is_hexadecimal)
                }
            };
        if is_good { Ok(BuildId(text.to_owned())) } else { Err(BadBuildId(text.chars().take(200).collect())) }
    }

    /// Of a GNU build id's bytes.
    pub fn of_gnu(bytes: &[u8]) -> Option<BuildId> {
        BuildId::parse(&bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()).ok()
    }

    /// Of Go's own.
    pub fn of_go(bytes: &[u8]) -> Option<BuildId> {
        let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
        BuildId::parse(&format!("{GO_PREFIX}{text}")).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In hexadecimal.
    pub fn gnu(&self) -> Option<&str> {
        (!self.0.starts_with(GO_PREFIX)).then_some(&self.0)
    }

    /// Different for different ids: a dot is in none of them, a colon only behind `go`.
    pub fn file_name(&self) -> String {
        self.0.replace(['/', ':'], ".")
    }

    /// The reverse of [`BuildId::file_name`].
    pub fn of_file_name(name: &str) -> Option<BuildId> {
        let text = match name.strip_prefix("go.") {
            Some(go) => format!("{GO_PREFIX}{}", go.replace('.', "/")),
            None => name.to_owned(),
        };
        BuildId::parse(&text).ok()
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_file_name_and_back() {
        for text in ["abcdef", "0123456789abcdef0123456789abcdef01234567", "go:aB_-/cd/ef/9"] {
            let id = BuildId::parse(text).unwrap();
            assert!(!id.file_name().contains('/'));
            assert_eq!(BuildId::of_file_name(&id.file_name()), Some(id));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_id() {
        let long = "ab".repeat(65);
        let bad = [
            "",
            "ab",
            "abc",
            "ABCD",
            "../../etc",
            "go:",
            "go:..",
            "go:a.b",
            "go:a b",
            "fnv:0123456789abcdef",
            "abcd/ef",
            "ab\0d",
            &long,
        ];
        for text in bad {
            assert!(BuildId::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(BuildId::of_file_name(".."), None);
        assert_eq!(BuildId::of_gnu(&[0xab, 0x0c]).unwrap().as_str(), "ab0c");
        assert_eq!(BuildId::of_go(b"x/y\0\0").unwrap().as_str(), "go:x/y");
        assert_eq!(BuildId::of_go(b"\xff"), None);
    }
}
