//! What `go version -m` reads: the Go version and the modules of an executable.
//!
//! Source: debug/buildinfo/buildinfo.go. The section starts at a multiple of 16 with 14 bytes of
//! magic; byte 14 is the pointer size and byte 15 has bit 1 set when two strings, each with its length as a varint,
//! follow from offset 32 (Go 1.18 and later).
//
// @go source debug/buildinfo.readRawBuildInfo

use crate::bytes::{u8_at, varint};
use crate::executable::Executable;
use crate::version::GoVersion;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: usize = 16;
const FLAG_INLINE_STRINGS: u8 = 2;
/// The linker puts 16 bytes of sentinel before and behind the module text (`cmd/go/internal/modload/build.go`).
const SENTINEL_BYTES: usize = 16;
const STRING_BYTES_MAX: usize = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    pub version: GoVersion,
    /// Of the main package's module: path and version.
    pub main_module: Option<Module>,
    pub dependencies: Vec<Module>,
    /// `-race`, `CGO_ENABLED`, `GOARCH`, ...: as `go version -m` lists them.
    pub settings: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub path: String,
    pub version: String,
}

impl BuildInfo {
    /// Whether the program was built with this module, or is of it.
    pub fn has_module(&self, path: &str) -> bool {
        self.main_module.iter().chain(&self.dependencies).any(|module| module.path == path)
    }

    /// `None` where the executable has none: it is not Go, or not of this age.
    pub fn read(executable: &Executable) -> Option<Self> {
        let section = match executable.section_bytes(".go.buildinfo") {
            Some(section) => section,
            // As debug/buildinfo does where there are no sections.
            None => executable.search(ALIGNMENT, MAGIC).next()?.1,
        };
        if !section.starts_with(MAGIC) || u8_at(section, 15)? & FLAG_INLINE_STRINGS == 0 {
            return None;
        }
        let (version, behind) = string(section, 32)?;
        let version = GoVersion::parse(std::str::from_utf8(version).ok()?);
        let modules = string(section, behind)
            .and_then(|(text, _)| text.get(SENTINEL_BYTES..text.len().checked_sub(SENTINEL_BYTES)?))
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let mut info =
            BuildInfo { version, main_module: None, dependencies: Vec::new(), settings: Vec::new() };
        for line in modules.lines() {
            let mut fields = line.split('\t');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("mod"), Some(path), version) => info.main_module = Some(Module::new(path, version)),
                (Some("dep"), Some(path), version) => info.dependencies.push(Module::new(path, version)),
                (Some("build"), Some(setting), _) => {
                    if let Some((key, value)) = setting.split_once('=') {
                        info.settings.push((key.to_owned(), value.to_owned()));
                    }
                }
                _ => {}
            }
        }
        Some(info)
    }
}

impl Module {
    fn new(path: &str, version: Option<&str>) -> Self {
        Module { path: path.to_owned(), version: version.unwrap_or_default().to_owned() }
    }
}

/// A string with its length before it, and the offset behind it.
fn string(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (length, start) = varint(bytes, at)?;
    let length = usize::try_from(length).ok().filter(|&l| l <= STRING_BYTES_MAX)?;
    let end = start.checked_add(length)?;
    Some((bytes.get(start..end)?, end))
}
