//! `record PROGRAM OUTPUT`: runs a program until it says `ready`, freezes it, and writes what a capture reads of it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillframe_fuzz::recorded::{Recorded, Recorder};
use stillframe_golang::build::Build;
use stillframe_golang::gather::gather;
use stillframe_golang::memory::Image;
use stillframe_golang::runtime::Runtime;
use stillframe_target::{auxiliary, freeze::freeze, process};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, program, output] = &arguments[..] else { panic!("usage: record PROGRAM OUTPUT") };
    let mut child = Command::new(program).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).expect("the program says ready");
    let pid = child.id();
    let build = Build::read(Arc::new(std::fs::read(program).unwrap())).expect("a Go program");
    let entry = auxiliary::of_process(pid).unwrap().entry().unwrap();
    let bias = build.identity.executable.load_bias(entry);
    let frozen = freeze(&process::find(pid).unwrap(), Duration::from_secs(5)).expect("it can be frozen");
    let recorder = Recorder { memory: frozen.memory(), read: Mutex::default() };
    let runtime = Runtime::locate(&build, &recorder, bias).expect("its runtime is found");
    gather(&runtime, &recorder, frozen.threads(), None, None, &|| frozen.is_frozen());
    let threads = frozen.threads().to_vec();
    let recorder = recorder.read.into_inner().unwrap();
    frozen.resume();
    let image = Image::from_segments(recorder);
    std::fs::write(output, Recorded { entry, threads, image }.to_bytes()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}
