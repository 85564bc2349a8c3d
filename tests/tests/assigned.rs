//! How often a variable is believed to be what it was before it was assigned anew: debug information says nothing of a value
//! that is kept nowhere (a constant, one that nobody uses), or that the compiler computes only behind a call.
//!
//! `tools/assigned/build` builds a program with a compiler that writes down, for each call, which variables debug information
//! will take for something else than they are then. Here every variable that would be read at any call is looked up there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use stillframe_golang::build::Build;
use stillframe_golang::variable::{Location, Variable};

/// Function, lines of the call and of the calls that it is inlined into (outermost first), variable and the line of its
/// declaration.
type Place = (String, String, String, i64);

/// What the compiler knows of a part of a variable when a call is made, by the part's offset: `right`, or why the value
/// that debug information takes it for is not its value.
type Fates = HashMap<i64, Vec<String>>;

fn record(path: &Path) -> HashMap<Place, Fates> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut all: HashMap<Place, Fates> = HashMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [function, _, lines, variable, declared, offset, fate] = fields[..] else { panic!("{line}") };
        let place = (function.to_owned(), lines.to_owned(), variable.to_owned(), declared.parse().unwrap());
        let fates = all.entry(place).or_default().entry(offset.parse().unwrap()).or_default();
        if !fates.iter().any(|known| known == fate) {
            fates.push(fate.to_owned());
        }
    }
    all
}

/// The program whose values others compare with what it says itself.
fn build(folder: &Path) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut build = Command::new(tests.join("../tools/assigned/build"));
    build.arg(folder).arg(".").current_dir(tests.join("programs/values"));
    let status =
        build.env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", "-buildvcs=false").status();
    assert!(status.expect("bash is there").success(), "tools/assigned/build fails");
    folder.to_owned()
}

/// Offsets of the parts that would be read.
fn parts(variable: &Variable) -> Vec<i64> {
    match &variable.location {
        Location::Frame(_) => vec![0],
        Location::Pieces(pieces) => {
            let mut offset = 0;
            let mut found = Vec::new();
            for piece in pieces {
                if matches!(piece.location, Location::Frame(_)) {
                    found.push(offset);
                }
                offset += piece.length as i64;
            }
            found
        }
        _ => Vec::new(),
    }
}

/// What this says is read by people: `--nocapture`, and of another program by STILLFRAME_ASSIGNED.
#[test]
fn believed_though_assigned_anew() {
    let built = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("STILLFRAME_ASSIGNED").map_or_else(|| build(built.path()), PathBuf::from);
    let (program, record) = (folder.join("program"), record(&folder.join("record")));
    let build = Build::read(Arc::new(std::fs::read(&program).unwrap())).unwrap();
    let debug = build.debug_info().unwrap();
    let code = build.code_of_file().unwrap();
    let names: BTreeSet<String> =
        code.functions.all().map(|function| code.functions.name(&function).to_owned()).collect();
    let (mut calls, mut variables, mut compared) = (0, 0, 0);
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        for pc in code.call_sites(&name) {
            let at = pc - 1;
            let Some(evidence) = code.evidence(at) else { continue };
            let lines: String = evidence.calls.iter().rev().map(|call| format!(":{}", call.line)).collect();
            let Ok(frames) = debug.variables(at, &evidence) else { continue };
            calls += 1;
            for variable in frames.iter().flat_map(|frame| &frame.variables) {
                let parts = parts(variable);
                if parts.is_empty() {
                    continue;
                }
                variables += 1;
                let declared = i64::from(variable.declared_line);
                let place = (name.clone(), lines.clone(), variable.name.clone(), declared);
                let Some(fates) = record.get(&place) else { continue };
                let fates: Vec<&Vec<String>> = parts.iter().filter_map(|part| fates.get(part)).collect();
                compared += usize::from(!fates.is_empty());
                let is_wrong = |fates: &&&Vec<String>| !fates.iter().any(|fate| fate == "right");
                if let Some(fates) = fates.iter().find(is_wrong) {
                    *wrong.entry(fates[0].clone()).or_default() += 1;
                    let place = format!("{name}\t{lines}\t{}\t{declared}", variable.name);
                    println!("{}\t{place}\t{:?}", fates[0], variable.location);
                }
            }
        }
    }
    println!("{calls} calls, {variables} variables, {compared} compared, wrong: {wrong:?}");
    assert!(compared > 1000, "the record is of another program");
    let wrong: usize = wrong.values().sum();
    assert!(wrong * 100 < compared, "more than one of a hundred: {wrong} of {compared}");
}
