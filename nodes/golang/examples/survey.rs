//! Asks a build's debug information for the variables at every call of every function, and counts what is known of them.
//!
//!     cargo run -p stillframe-golang --example survey -- FILE [PREFIX]
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use stillframe_golang::build::Build;
use stillframe_golang::executable::Bytes;
use stillframe_golang::variable::Location;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(file) = arguments.next() else { return Err("usage: survey FILE [PREFIX]".into()) };
    let prefix = arguments.next().unwrap_or_default();
    let bytes: Bytes = Arc::new(std::fs::read(file)?);
    let start = Instant::now();
    let build = Build::read(bytes)?;
    let debug = build.debug_info()?;
    let code = build.code_of_file().ok_or("the file does not say where its code is")?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut sites, mut frames, mut other_frames) = (0usize, 0usize, 0usize);
    let mut of_code = std::time::Duration::ZERO;
    let mut seen = std::collections::BTreeSet::new();
    for function in code.functions.all() {
        let name = code.functions.name(&function);
        if !name.starts_with(&prefix) || !seen.insert(name) {
            continue;
        }
        for return_address in code.call_sites(name) {
            let pc = return_address - 1;
            let asked = Instant::now();
            let evidence = code.evidence(pc).ok_or("no function there")?;
            of_code += asked.elapsed();
            let found = match debug.variables(pc, &evidence) {
                Ok(found) => found,
                Err(gap) => {
                    *counts.entry(format!("error: {gap}")).or_default() += 1;
                    continue;
                }
            };
            sites += 1;
            frames += found.len();
            other_frames += usize::from(found.len() != evidence.calls.len());
            for variable in found.iter().flat_map(|frame| &frame.variables) {
                debug.type_of(variable.of)?;
                let what = match &variable.location {
                    Location::Missing(gap) => format!("{:?} missing: {gap}", variable.role),
                    Location::Pieces(pieces) => {
                        let all = pieces
                            .iter()
                            .all(|p| matches!(p.location, Location::Frame(_) | Location::Missing(_)));
                        format!("{:?} pieces{}", variable.role, if all { "" } else { ", some in registers" })
                    }
                    Location::Frame(_) => format!("{:?} in the frame", variable.role),
                    Location::Through(_) => format!("{:?} behind a pointer", variable.role),
                    Location::Address(_) => format!("{:?} at an address", variable.role),
                    Location::Register(_) => format!("{:?} in a register", variable.role),
                };
                *counts.entry(what).or_default() += 1;
            }
        }
    }
    println!(
        "{sites} sites, {frames} frames, {other_frames} sites with other inlined calls than the function table has, {} ms, {} ms of them for what the code and its tables say",
        start.elapsed().as_millis(),
        of_code.as_millis()
    );
    for (what, count) in counts {
        println!("{count:9}  {what}");
    }
    Ok(())
}
