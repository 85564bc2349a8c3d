//! Delve, the Go debugger, as a second reader of the same process: its JSON-RPC API, and its values beside ours.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub use compare::{Verdict, compare, without_brackets};

mod compare;

/// A target that Delve has stopped; it runs on when this is dropped.
pub struct Delve {
    child: Child,
    connection: BufReader<TcpStream>,
    calls: u64,
}

/// What one frame holds.
#[derive(Clone, Debug)]
pub struct Frame {
    pub function: String,
    /// Arguments and local variables, as `api.Variable` of Delve describes them.
    pub variables: Vec<Value>,
}

/// `api.VariableShadowed`
const SHADOWED: u64 = 2;

impl Delve {
    pub fn attach(pid: u32) -> Delve {
        let mut command = Command::new(binary());
        command.args(["attach", &pid.to_string(), "--headless", "--api-version=2", "--listen=127.0.0.1:0"]);
        command.args(["--accept-multiclient", "--check-go-version=false"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output is piped"))
            .read_line(&mut line)
            .expect("its output is readable");
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        let connection = TcpStream::connect(address)
            .unwrap_or_else(|e| panic!("Delve says {line:?}, and there is nothing: {e}"));
        Delve { child, connection: BufReader::new(connection), calls: 0 }
    }

    fn call(&mut self, method: &str, argument: Value) -> Value {
        self.calls += 1;
        let request =
            json!({ "method": format!("RPCServer.{method}"), "params": [argument], "id": self.calls });
        writeln!(self.connection.get_mut(), "{request}").expect("Delve listens");
        let mut line = String::new();
        self.connection.read_line(&mut line).expect("Delve answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{method}: {e}: {line}"));
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer["result"].clone()
    }

    pub fn goroutines(&mut self) -> Vec<u64> {
        let answer = self.call("ListGoroutines", json!({ "Start": 0, "Count": 0 }));
        let all = answer["Goroutines"].as_array().expect("a list of goroutines");
        all.iter().filter_map(|goroutine| goroutine["id"].as_u64()).collect()
    }

    /// The frames of a goroutine, from the innermost out, as far as Delve gets.
    pub fn frames(&mut self, goid: u64) -> Vec<Frame> {
        let load = json!({
            "FollowPointers": true, "MaxVariableRecurse": 2, "MaxStringLen": 4096, "MaxArrayValues": 64, "MaxStructFields": -1
        });
        let answer = self.call("Stacktrace", json!({ "Id": goid, "Depth": 200, "Full": true, "Cfg": load }));
        let frames = answer["Locations"].as_array().cloned().unwrap_or_default();
        let variables = |frame: &Value| {
            let of = |name: &str| frame[name].as_array().cloned().unwrap_or_default();
            let all = of("Arguments").into_iter().chain(of("Locals"));
            all.filter(|v| v["flags"].as_u64().unwrap_or_default() & SHADOWED == 0).collect()
        };
        let frame = |frame: &Value| Frame {
            function: frame["function"]["name"].as_str().unwrap_or_default().to_owned(),
            variables: variables(frame),
        };
        frames.iter().map(frame).collect()
    }
}

impl Drop for Delve {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("Detach", json!({ "Kill": false }));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tools/delve.sh` installs it.
fn binary() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/delve.sh");
    let output = Command::new(script).output().unwrap_or_else(|e| panic!("{script}: {e}"));
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim().to_owned()
}
