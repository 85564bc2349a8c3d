//! Planted secrets: with rules to redact them they appear nowhere, neither in the file nor on standard output, nor in a
//! log, nor in the memory of a coordinator that got the result over the network. Without the rules all of them do.

use std::os::unix::fs::FileExt;
use std::path::Path;

use stillframe_tests::cluster::Cluster;
use stillframe_tests::hosts::{Within, child_of};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::stillframe::{run, run_command};

/// As many as `tests/programs/secrets` takes.
const SECRETS: usize = 11;

/// Of the one that is an array.
const SECRET_BYTES: usize = 16;

/// What is looked for: as much of the beginning and of the end.
const PART_BYTES: usize = 8;

const PROBES: &str = r#"
[[probe]]
name = "hold"
function = "main.hold"
capture = [
  "a",
  { as = "whole", expr = "*a" },
  { as = "password", expr = "a.Password" },
  { as = "token", expr = "string(a.Token)" },
  { as = "key", expr = "a.Key" },
  { as = "inner", expr = "a.Inner" },
  { as = "inner_token", expr = "a.Inner.Token" },
  { as = "key_bytes", expr = "a.Inner.SecretKey" },
  { as = "key_part", expr = "a.Inner.SecretKey[0:16]" },
  { as = "headers", expr = "a.Headers" },
  { as = "authorization", expr = 'a.Headers["Authorization"]' },
  { as = "bearer", expr = 'a.Headers["Authorization"][0]' },
  { as = "any", expr = "a.Any" },
  { as = "any_token", expr = "a.Any.(Session).Token" },
  { as = "list", expr = "a.List" },
  { as = "list_token", expr = "a.List[0].Token" },
  "p",
  "tokens",
  { as = "map_token", expr = 'tokens["Token"]' },
  "anything",
  { as = "first", expr = "anything[0]" },
  { as = "asserted", expr = "anything[0].(Password)" },
  { as = "public", expr = "a.Public" },
  { as = "vault", expr = "main.vault" },
  { as = "vault_key", expr = "main.vault.Key" },
  { as = "vault_tokens", expr = "main.vault.Tokens" },
  { as = "vault_token", expr = 'main.vault.Tokens["Token"]' },
  { as = "vault_anything", expr = "main.vault.Anything" },
  { as = "vault_first", expr = "main.vault.Anything[0]" },
  { as = "vault_asserted", expr = "main.vault.Anything[0].(Password)" },
]

[[probe]]
name = "wait"
function = "main.(*Account).wait"
"#;

const REDACTIONS: &str = r#"
[[redact]]
type = "**.Password"

[[redact]]
field = "**.{Password,Token,Authorization,SecretKey}"
"#;

/// The program, and what it hides.
struct Planted {
    secrets: Vec<String>,
    file: std::path::PathBuf,
}

impl Planted {
    fn new(folder: &Path) -> Planted {
        let unique = stillframe_target::clock::realtime_ns() as u64;
        let secret = |n: usize| {
            let mixed = (unique ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            let mut text = format!("{n:x}{:016x}", mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
            text.truncate(SECRET_BYTES);
            text
        };
        let secrets: Vec<String> = (0..SECRETS).map(secret).collect();
        let file = folder.join("secrets");
        std::fs::write(&file, secrets.join("\n")).unwrap();
        Planted { secrets, file }
    }

    /// Which of them stand in these bytes: as they are, or in hexadecimal digits.
    fn found_in(&self, bytes: &[u8]) -> Vec<usize> {
        let parts = |secret: &str| {
            let ends = [&secret[..PART_BYTES], &secret[secret.len() - PART_BYTES..]];
            let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
            ends.map(|end| [end.to_owned(), hex(end)]).concat()
        };
        let finders: Vec<Vec<String>> = self.secrets.iter().map(|secret| parts(secret)).collect();
        (0..SECRETS).filter(|&n| finders[n].iter().any(|part| contains(bytes, part.as_bytes()))).collect()
    }

    #[track_caller]
    fn assert_hidden(&self, bytes: &[u8], place: &str) {
        let found = self.found_in(bytes);
        assert!(found.is_empty(), "{place} has the secrets {found:?}");
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let first = part[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

fn write_probes(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn secrets_are_nowhere_in_a_local_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted::new(folder.path());
    let bare = write_probes(folder.path(), "bare.toml", PROBES);
    let redacted = write_probes(folder.path(), "redacted.toml", &format!("{PROBES}{REDACTIONS}"));
    for program in Program::some("secrets") {
        let process = Running::start(program.command().arg(&planted.file), None);
        let pid = process.pid().to_string();
        let take = |probes: &Path, name: &str| {
            let file = folder.path().join(name);
            let paths = [probes, &file].map(|path| path.to_str().unwrap().to_owned());
            let ran = run(&[
                "snapshot",
                "--force",
                "--max-pause",
                "5s",
                "--pid",
                &pid,
                "--probes",
                &paths[0],
                "-o",
                &paths[1],
            ]);
            assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
            (std::fs::read(&file).unwrap(), ran)
        };
        let (file, _) = take(&bare, "bare.db");
        let all: Vec<usize> = (0..SECRETS).collect();
        assert_eq!(planted.found_in(&file), all, "{program}: without rules every secret is captured");

        let (file, ran) = take(&redacted, "redacted.db");
        planted.assert_hidden(&file, &format!("{program}: the file"));
        planted.assert_hidden(ran.stdout.as_bytes(), "standard output");
        planted.assert_hidden(ran.stderr.as_bytes(), "standard error");
        for public in ["public-text", "public-header"] {
            assert!(contains(&file, public.as_bytes()), "{program}: {public} is no secret, and not captured");
        }
        assert_free(process.pid(), &program.to_string());
    }
}

#[test]
fn secrets_never_leave_their_host() {
    let mut cluster = Cluster::start("10.78.5", &["web"]);
    // Without a policy a node gives no values.
    let policy = cluster.folder.path().join("policy.toml");
    std::fs::write(&policy, "values = true\nmax_pause_ms = 5000\n").unwrap();
    cluster.nodes[0].kill();
    cluster.nodes[0] = cluster.node_with("web", &["--policy".as_ref(), policy.as_os_str()]);
    cluster.await_nodes();
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted::new(folder.path());
    let program = Program::some("secrets").pop().unwrap();
    let mut command = cluster.hosts.command("web", Within::Processes, &program.path);
    let process = Running::start(command.arg(&planted.file), None);
    let target = child_of(process.pid());
    let order = |text: &str| {
        let probes = write_probes(folder.path(), "probes.toml", text);
        let mut command =
            cluster.command(&["snapshot", "--program", "secrets-*", "--max-pause", "5s", "--force"]);
        command.arg("--probes").arg(probes).arg("-o").arg(cluster.file());
        let ran = run_command(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (std::fs::read(cluster.file()).unwrap(), ran)
    };

    let (file, ran) = order(&format!("{PROBES}{REDACTIONS}"));
    assert!(contains(&file, b"public-text"), "what is no secret was captured");
    planted.assert_hidden(&file, "the file");
    planted.assert_hidden(format!("{}{}", ran.stdout, ran.stderr).as_bytes(), "what the client says");
    for name in cluster.kept() {
        let kept = std::fs::read(cluster.folder.path().join("data/snapshots").join(&name)).unwrap();
        planted.assert_hidden(&kept, &format!("the coordinator's {name}"));
    }
    let memory = memory_of(cluster.coordinator.pid);
    // What it got, deciphered, is still there: so is what was no secret.
    assert!(contains(&memory, b"public-text"), "nothing of the result is in the coordinator's memory");
    planted.assert_hidden(&memory, "the coordinator's memory");

    // The same order without rules: the same places do show secrets.
    let (file, _) = order(PROBES);
    assert_eq!(planted.found_in(&file).len(), SECRETS);
    assert!(
        !planted.found_in(&memory_of(cluster.coordinator.pid)).is_empty(),
        "its memory shows what it got"
    );
    planted.assert_hidden(cluster.coordinator.log().as_bytes(), "the coordinator's log");
    planted.assert_hidden(cluster.nodes[0].log().as_bytes(), "the node's log");
    assert_free(target, &program.to_string());
    cluster.coordinator.kill();
}

/// All private memory of a process that can be written, read as it runs.
fn memory_of(pid: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.starts_with("rw"))) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // A mapping may be gone by now.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            all.extend(bytes);
        }
    }
    all
}

#[test]
fn what_is_planted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted::new(folder.path());
    let text = format!("x{}y", planted.secrets[3]);
    assert_eq!(planted.found_in(text.as_bytes()), [3]);
    assert_eq!(planted.found_in(&text.as_bytes()[..12]), [3]);
    let hex: String = planted.secrets[7].bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(planted.found_in(hex.as_bytes()), [7]);
    assert_eq!(planted.found_in(b"nothing"), [0; 0]);
}
