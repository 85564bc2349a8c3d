//! Builds with debug information from wherever it is.
//!
//! Every look at a build wants the runtime's structures, for which the executable's own debug information will do, or none;
//! what is elsewhere is only looked for when values are wanted ([`Symbols::complete`]).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use stillframe_golang::build::{Build, BuildError, Identity};
use stillframe_golang::dwarf::DebugInfo;
use stillframe_golang::gap::Gap;

use super::debug_file::DebugFileError;
use super::sections::Sections;
use super::{Missing, Symbols, Wanted, image, look};

impl Symbols {
    /// Reads an executable; its own debug information comes from the cache. The outer error: the file cannot be read.
    /// `path`, `pid`: as in [`Wanted`].
    pub fn build(
        &self,
        executable: &File,
        path: Option<&Path>,
        pid: Option<u32>,
    ) -> Result<Result<Build, BuildError>, DebugFileError> {
        let identity = match Identity::read(image::read(executable)?) {
            Ok(identity) => identity,
            Err(error) => return Ok(Err(error)),
        };
        let own = match self.own_sections(&identity.id, executable) {
            Ok(Some(sections)) => debug_info(&sections),
            Ok(None) => Err(Gap::NoDebugInfo),
            Err(missing) => Err(missing.into()),
        };
        let build = Build::of(identity.clone(), own);
        // The runtime of a release that is not known is known by its debug information, wherever that is.
        if let Err(BuildError::UnknownRelease(_)) = build
            && let Ok(sections) =
                self.sections(&Wanted { build_id: &identity.id, executable, path, pid }, self.patience())
        {
            return Ok(Build::of(identity, debug_info(&sections)));
        }
        Ok(build)
    }

    /// For whoever wants values: looks everywhere for the debug information of a build that has none yet, and sees to the
    /// index of its types. Blocks, and may wait for a server until `until`.
    pub fn complete(&self, build: &Build, wanted: &Wanted<'_>, until: Instant) {
        if let Err(Gap::NoDebugInfo | Gap::DebugInfoNotFound(_)) = build.debug_info() {
            let found = self.sections(wanted, until).map_err(Gap::from);
            build.set_debug_info(found.and_then(|sections| debug_info(&sections)));
        }
        if let Ok(debug_info) = build.debug_info()
            && let Err(reason) = self.index_types(&debug_info, wanted)
        {
            // It is made when it is needed, or not at all, which is a gap then.
            tracing::warn!(build = wanted.build_id, reason, "the index of a build's types is not cached");
        }
    }

    /// Takes the index that is kept, or makes one and keeps it. Not for builds that no probe was ever for.
    fn index_types(&self, debug_info: &DebugInfo, wanted: &Wanted<'_>) -> Result<(), String> {
        let Some(cache) = &self.shared.cache else { return Ok(()) };
        let (_, key) = look(wanted.build_id, wanted.executable).map_err(|missing| missing.to_string())?;
        let Some(key) = key else { return Ok(()) };
        let gap = |gap: Gap| gap.to_string();
        if let Some(kept) = cache.index(&key)
            && (debug_info.has_type_index() || debug_info.set_type_index((*kept).as_ref()).map_err(gap)?)
        {
            return Ok(());
        }
        let index = debug_info.type_index_bytes().map_err(gap)?;
        cache.keep_index(&key, &index).map_err(|error| error.to_string())
    }
}

fn debug_info(sections: &Sections) -> Result<Arc<DebugInfo>, Gap> {
    let debug_info = DebugInfo::of_sections(|section| sections.get(section.name()));
    debug_info.map(Arc::new).ok_or(Gap::NoDebugInfo)
}

impl From<Missing> for Gap {
    fn from(missing: Missing) -> Gap {
        match missing {
            Missing::Damaged(reason) => Gap::DamagedDebugInfo(reason),
            Missing::Nowhere(reasons) if reasons.is_empty() => Gap::NoDebugInfo,
            missing => Gap::DebugInfoNotFound(missing.to_string()),
        }
    }
}
