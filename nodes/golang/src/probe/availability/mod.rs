//! What probes can capture of a build, said before any capture: which functions a pattern means, what stands in them, and at
//! how many of the places where they can stand an expression is available.
//!
//! A function stands on a stack where it calls another one: these are the places that are looked at. Where it runs itself, or
//! was preempted, more is there, since its registers are real then.
//!
//! [`Availability::check`] is for a whole set, [`Availability::list`] for a pattern, [`Availability::variables`] for a function.

mod check;
mod functions;
mod list;
mod needs;
mod type_rules;
mod variables;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::scope::BuildProgram;
use crate::build::{Build, Code};
use crate::bytes::{i32_at, u32_at};
use crate::dwarf::{DebugInfo, Evidence, calls};
use crate::executable::Architecture;
use crate::function_table::Function;
use crate::gap::Gap;
use crate::types::{Type, TypeRef, Types};

pub use check::{
    Checked, CheckedExpression, CheckedFunction, CheckedPart, CheckedProbe, CheckedType, CheckedTypeRule,
    Mistake,
};
pub use list::{Listed, ListedFunction};
pub use variables::{VariableReport, VariablesReport};

/// Places where one function can stand that are looked at.
const SITES_MAX: usize = 1 << 12;
/// Functions of one pattern that are looked into.
const FUNCTIONS_MAX: usize = 256;

/// One build, as probes see it.
pub struct Availability<'a> {
    build: &'a Build,
    code: Code<'a>,
    debug: Result<Debug<'a>, Gap>,
}

struct Debug<'a> {
    info: Arc<DebugInfo>,
    program: BuildProgram<'a>,
}

/// A place where a frame can stand.
struct Site {
    /// Of the call, as an address of the file: its last byte.
    pc: u64,
    evidence: Evidence,
}

impl<'a> Availability<'a> {
    /// `None`: the file does not say where its code is.
    pub fn new(build: &'a Build) -> Option<Self> {
        let code = build.code_of_file()?;
        let debug = build.debug_info().map(|info| {
            let program = BuildProgram::new(Arc::clone(&info), code.functions);
            Debug { info, program }
        });
        Some(Availability { build, code, debug })
    }

    /// Why nothing is known of variables; `None`: there is debug information.
    pub fn without_debug_info(&self) -> Option<&Gap> {
        self.debug.as_ref().err()
    }

    /// The calls in `holder` at which a function of this name stands, itself or inlined.
    fn sites(&self, holder: &Function, name: &str) -> Vec<Site> {
        let code = self.range(holder);
        let mut sites = Vec::new();
        for return_address in calls::return_addresses(&self.build.identity.executable, code) {
            let pc = return_address - 1;
            if self.target(return_address).is_some_and(is_passed_through) {
                continue;
            }
            let Some(evidence) = self.code.evidence(pc) else { continue };
            if evidence.calls.iter().any(|call| call.function == name) {
                sites.push(Site { pc, evidence });
            }
            if sites.len() == SITES_MAX {
                break;
            }
        }
        sites
    }

    /// The function that a direct call goes to; `return_address`: behind the call.
    fn target(&self, return_address: u64) -> Option<&'a str> {
        let executable = &self.build.identity.executable;
        let target = match executable.architecture {
            // CALL rel32 (Intel SDM, volume 2, "CALL").
            Architecture::Amd64 => {
                let code = executable.from_address(return_address.checked_sub(5)?)?;
                (*code.first()? == 0xe8).then_some(())?;
                return_address.wrapping_add_signed(i64::from(i32_at(code, 1)?))
            }
            // BL (Arm Architecture Reference Manual for A-profile, C6.2): 26 bits, in words.
            Architecture::Arm64 => {
                let call = return_address.checked_sub(4)?;
                let word = u32_at(executable.from_address(call)?, 0)?;
                (word & 0xfc00_0000 == 0x9400_0000).then_some(())?;
                let words = i64::from((word << 6) as i32 >> 6);
                call.wrapping_add_signed(4 * words)
            }
        };
        let functions = &self.code.functions;
        Some(functions.name(&functions.find(target.checked_sub(self.code.text)?)?))
    }

    /// Addresses of the file.
    fn range(&self, function: &Function) -> Range<u64> {
        let text = self.code.text;
        text.saturating_add(function.entry)..text.saturating_add(self.code.functions.end(function))
    }
}

/// Calls that the compiler adds: to grow the stack, to tell the collector of a write, to clear and copy memory. Nobody waits
/// in them.
fn is_passed_through(function: &str) -> bool {
    ["runtime.morestack", "runtime.gcWriteBarrier", "runtime.duffzero", "runtime.duffcopy"]
        .iter()
        .any(|name| function.starts_with(name))
}

/// Types of a build, without a process.
struct BuildTypes<'a>(&'a DebugInfo);

impl Types for BuildTypes<'_> {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        self.0.type_of(of)
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        self.0.by_name(name)
    }

    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap> {
        Err(Gap::UnknownType(format!("{address:#x}")))
    }

    fn similar(&self, name: &str) -> Vec<String> {
        // What cannot be read has no names.
        self.0.similar(name).unwrap_or_default()
    }
}

/// At how many places something is there, and why not at the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub all: usize,
    /// In memory.
    pub available: usize,
    /// In a register, which is real only where the function runs itself or was preempted.
    pub in_register: usize,
    /// The most frequent reason first.
    pub missing: Vec<(Gap, usize)>,
}

impl Places {
    fn miss(&mut self, gap: Gap) {
        match self.missing.iter_mut().find(|(other, _)| *other == gap) {
            Some((_, count)) => *count += 1,
            None => self.missing.push((gap, 1)),
        }
        self.missing.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    }
}

/// By name.
type ByName<'a, T> = FxHashMap<&'a str, T>;
