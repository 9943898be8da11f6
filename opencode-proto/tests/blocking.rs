//! The example without a runtime does what it says, on the real OpenCode, where only the model is
//! scripted.
#![cfg(target_os = "linux")]
// A test starts programs and reads what they print.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;
use testkit::model::{ModelServer, Reply, Script};

#[test]
fn a_run_and_a_turn_without_a_runtime() {
    let world = World::new();
    world.model.script("run", Reply::new().text("Good morning!"));
    let output = world.example(&["run", "Hi [[run]]"], None);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "Good morning!\n[completed; 110 tokens]\n");
    assert!(output.status.success());

    let server = Served::start(&world);
    let echo = serde_json::json!({ "command": "echo out", "description": "d" });
    let script = Script::new().then(Reply::new().text("I look. ").tool("bash", echo));
    world.model.script("turn", script.then(Reply::new().deltas(["It ", "says out."])));
    let output = world.example(&["turn", &server.address, "Go [[turn]]"], Some("secret"));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "I look. It says out.\n[completed; 220 tokens]\n", "{:?}", output.stderr);
    assert!(output.status.success());

    let output = world.example(&["turn", &server.address, "Go [[turn]]"], Some("wrong"));
    assert!(!output.status.success());
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("the server rejected the credentials (status 401)"), "{complaint}");
}

struct World {
    model: ModelServer,
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("project")).unwrap();
        Self { model: ModelServer::start().unwrap(), root }
    }

    /// A command for which everything is in the directory of the test.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let mut config = self.model.config();
        config["small_model"] = config["model"].clone();
        command
            .current_dir(self.root.path().join("project"))
            .env("PWD", self.root.path().join("project"))
            .env("OPENCODE_TEST_HOME", self.root.path())
            .env("OPENCODE_CONFIG_CONTENT", config.to_string())
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_FFF", "1");
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_STATE_HOME", "state"),
            ("TMPDIR", "."),
        ] {
            command.env(name, self.root.path().join(folder));
        }
        command
    }

    fn example(&self, arguments: &[&str], password: Option<&str>) -> Output {
        // Not from a path of the target directory: this builds it when it is not there.
        let mut command = self.command(env!("CARGO"));
        command
            .args(["run", "--quiet", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .args(["--example", "blocking", "--"])
            .args(arguments)
            .env("OPENCODE_BINARY", testkit::opencode::binary().unwrap());
        if let Some(password) = password {
            command.env("OPENCODE_SERVER_PASSWORD", password);
        }
        command.output().unwrap()
    }
}

/// A server that is gone when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(world: &World) -> Self {
        let mut child = world
            .command(testkit::opencode::binary().unwrap())
            .args(["serve", "--port", "0"])
            .env("OPENCODE_SERVER_PASSWORD", "secret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map(Result::unwrap).find(|line| line.contains("listening on"));
        let address = ready.unwrap().rsplit("http://").next().unwrap().trim().to_owned();
        Self { child, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
