#![cfg(unix)]

use std::fs;
use std::process::Command;

use opencode_config::{Environment, IsolationPlan, RunConfig};

use super::*;

/// A gate, carried out from the plan.
struct GateDir {
    directory: tempfile::TempDir,
}

impl GateDir {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let config = RunConfig::new().with_command_gate(CommandGate::Approved);
        let root = directory.path().join("run");
        let plan = IsolationPlan::new(&config, &Environment::new(), root, Vec::new()).unwrap();
        for planned in &plan.directories {
            fs::create_dir_all(&planned.path).unwrap();
        }
        for planned in &plan.files {
            fs::write(&planned.path, &planned.contents).unwrap();
            fs::set_permissions(&planned.path, fs::Permissions::from_mode(planned.mode)).unwrap();
        }
        Self { directory }
    }

    fn shell(&self) -> PathBuf {
        self.directory.path().join("run/command-gate/bash")
    }

    fn approve(&self, line: &str) {
        write(&CommandGate::approvals(&self.shell()).unwrap(), line, 7).unwrap();
    }

    /// Runs the shell, through `sh`: the file may still be open for writing in a process that
    /// another test starts. Returns the exit code and standard output.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new("sh")
            .arg(self.shell())
            .args(arguments)
            .env("OPENCODE_SERVER_PASSWORD", "secret")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

const REFUSED: (Option<i32>, String) = (Some(126), String::new());

#[test]
fn a_line_runs_once_for_each_approval() {
    let gate = GateDir::new();
    let line = "echo 'a  b' \"$((1 + 1))\"";
    assert_eq!(gate.run(&["-c", line]), REFUSED);
    gate.approve(line);
    gate.approve(line);
    gate.approve("echo other");
    for _ in 0..2 {
        assert_eq!(gate.run(&["-c", line]), (Some(0), "a  b 2\n".to_owned()));
    }
    assert_eq!(gate.run(&["-c", line]), REFUSED);
    assert_eq!(gate.run(&["-c", "echo other"]), (Some(0), "other\n".to_owned()));
}

#[test]
fn approvals_are_compared_with_the_whole_line() {
    let gate = GateDir::new();
    gate.approve("echo a");
    for line in ["echo a\n", " echo a", "echo a ", "echo", "echo ab", "*", ""] {
        assert_eq!(gate.run(&["-c", line]), REFUSED, "{line:?}");
    }
    for line in ["", "echo a\necho b\n\n", "echo \\\n*"] {
        gate.approve(line);
        assert_eq!(gate.run(&["-c", line]).0, Some(0), "{line:?}");
    }
}

#[test]
fn lines_that_opencode_does_not_ask_about_do_not_run() {
    let gate = GateDir::new();
    let pwn = gate.directory.path().join("pwn");
    for line in [
        format!("{{touch,{}}}", pwn.display()),
        format!("[[ 'a[$(touch {})]' -eq 0 ]]", pwn.display()),
        format!("> {}", pwn.display()),
    ] {
        assert_eq!(gate.run(&["-c", &line]), REFUSED);
        assert!(!pwn.exists(), "{line}");
    }
}

#[test]
fn commands_of_the_application_need_no_approval() {
    let gate = GateDir::new();
    let run = gate.run(&["-l", "-c", "echo \"$1\"", "opencode", "x"]);
    assert_eq!(run, (Some(0), "x\n".to_owned()));
}

#[test]
fn commands_do_not_inherit_the_password() {
    let gate = GateDir::new();
    gate.approve("echo \"[$OPENCODE_SERVER_PASSWORD]\"");
    let run = gate.run(&["-c", "echo \"[$OPENCODE_SERVER_PASSWORD]\""]);
    assert_eq!(run, (Some(0), "[]\n".to_owned()));
}
