//! Prints what a build's debug information says of a function: its variables at each of its calls, how long that took and
//! how much memory.
//!
//!     cargo run -p stillframe-golang --example variables -- FILE FUNCTION
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use stillframe_golang::build::Build;
use stillframe_golang::executable::Bytes;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(function)) = (arguments.next(), arguments.next()) else {
        return Err("usage: variables FILE FUNCTION".into());
    };
    // SAFETY of the figures: a file that is read whole would count as memory; nodes map it.
    let bytes: Bytes = Arc::new(std::fs::read(file)?);
    let start = Instant::now();
    let lap = |what: &str| eprintln!("{:7} ms  {what} ({})", start.elapsed().as_millis(), peak_memory());
    let build = Build::read(bytes)?;
    lap("build read");
    let debug = build.debug_info()?;
    let code = build.code_of_file().ok_or("the file does not say where its code is")?;
    for return_address in code.call_sites(&function) {
        let pc = return_address - 1;
        let evidence = code.evidence(pc).ok_or("no function there")?;
        println!(
            "{pc:#x} {}",
            evidence
                .calls
                .iter()
                .map(|c| format!("{}:{}", c.function, c.line))
                .collect::<Vec<_>>()
                .join(" < ")
        );
        for frame in debug.variables(pc, &evidence)? {
            println!("  {}", frame.function);
            for v in frame.variables {
                let of = debug.type_of(v.of)?;
                println!("    {:?} {} {} :{} = {:?}", v.role, v.name, of.name, v.declared_line, v.location);
            }
        }
    }
    lap("variables");
    println!("similar to runtime.gg: {:?}", debug.similar("runtime.gg")?);
    lap("all types looked through");
    let kept = debug.type_index_bytes()?;
    lap("type index as bytes");
    println!("type index: {} bytes", kept.len());
    Ok(())
}

/// The peak of this process's resident memory, as Linux has it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.map_or("?".to_owned(), |line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
}
