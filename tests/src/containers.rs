//! Containers of runc's.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs::{PATIENCE, pause};

/// Root in a container with a user namespace is this user of the host.
const ROOT_OUTSIDE: u32 = 100_000;

/// What to run, and in which surroundings. The host's `/usr` is there, read-only.
pub struct Specification {
    pub arguments: Vec<String>,
    pub environment: Vec<String>,
    /// Of all that a container can have: `pid`, `user`, `network`, ...
    pub namespaces: &'static [&'static str],
    /// User in the container.
    pub user: u32,
    pub capabilities: Vec<&'static str>,
    pub read_only: bool,
    /// Folders of the host's, and where they are in the container.
    pub mounts: Vec<(PathBuf, &'static str, &'static str)>,
}

/// A container; removed, and what runs in it killed, when dropped.
pub struct Container {
    folder: TempDir,
    name: String,
    /// Whom its files belong to, on the host.
    owner: u32,
    specification: Value,
}

impl Container {
    pub fn new(specification: &Specification) -> Container {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let root = folder.path().join("root");
        for name in ["usr", "proc", "tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        for (_, inside, _) in &specification.mounts {
            std::fs::create_dir_all(root.join(inside.trim_start_matches('/'))).unwrap();
        }
        for name in ["bin", "lib", "lib64"] {
            symlink(Path::new("usr").join(name), root.join(name)).unwrap();
        }
        let base = if specification.namespaces.contains(&"user") { ROOT_OUTSIDE } else { 0 };
        let owner = base + specification.user;
        let name = format!("stillframe-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Container { folder, name, owner, specification: configuration(specification) }
    }

    /// Where the container's root folder is on the host.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.folder.path().join("state")).stdin(Stdio::null());
        command
    }

    fn prepare(&self) {
        let file = self.folder.path().join("config.json");
        std::fs::write(file, self.specification.to_string()).unwrap();
        let owner = format!("{0}:{0}", self.owner);
        let status = Command::new("chown").args(["-hR", &owner]).arg(self.root()).status().unwrap();
        assert!(status.success(), "chown: {status}");
    }

    /// Runs it to its end: `runc run`, for `run_command`.
    pub fn command(&self) -> Command {
        self.prepare();
        let mut command = self.runc();
        command.arg("run").arg("--bundle").arg(self.folder.path()).arg(&self.name);
        command
    }

    /// Starts it, and waits until it prints a line that begins with `ready`. Its pid on the host.
    pub fn start(&self) -> u32 {
        self.prepare();
        let (pid, log) = (self.folder.path().join("pid"), self.folder.path().join("log"));
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.runc();
        command.arg("run").arg("--detach").arg("--bundle").arg(self.folder.path());
        command.arg("--pid-file").arg(&pid).arg(&self.name);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let status = command.status().unwrap_or_else(|e| panic!("runc (apt-get install runc): {e}"));
        let said = || std::fs::read_to_string(&log).unwrap();
        assert!(status.success(), "runc: {status}: {}", said());
        let deadline = Instant::now() + PATIENCE;
        while !said().lines().any(|line| line.starts_with("ready")) {
            assert!(Instant::now() < deadline, "the container never said ready: {}", said());
            pause(std::time::Duration::from_millis(10));
        }
        std::fs::read_to_string(pid).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.runc().args(["delete", "--force", &self.name]).stderr(Stdio::null()).status();
    }
}

/// See the runtime specification of the Open Container Initiative, `config.md`.
fn configuration(specification: &Specification) -> Value {
    let namespaces: Vec<Value> = specification.namespaces.iter().map(|n| json!({ "type": n })).collect();
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}),
    ];
    for (outside, inside, mode) in &specification.mounts {
        mounts.push(
            json!({"destination": inside, "type": "bind", "source": outside, "options": ["bind", mode]}),
        );
    }
    let mut linux = json!({"namespaces": namespaces});
    if specification.namespaces.contains(&"user") {
        let map = json!([{"containerID": 0, "hostID": ROOT_OUTSIDE, "size": 65_536}]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
    }
    let capabilities = &specification.capabilities;
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": specification.user, "gid": specification.user},
            "args": specification.arguments,
            "env": specification.environment,
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": true,
        },
        "root": {"path": "root", "readonly": specification.read_only},
        "hostname": "container",
        "mounts": mounts,
        "linux": linux,
    })
}
