//! A program that is killed takes its server with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::{env, fs};

use opencode_tokio::{OpenCode, ServeRequest, TokioRuntime};
use testkit::processes::eventually;

use crate::fake_world::{LONG, World, send};
use crate::pretended::{answering, stubborn};

/// Set for a copy of this test program: it starts a server and waits.
const PART: &str = "OPENCODE_TEST_PART";

#[test]
fn a_killed_program_leaves_no_server() {
    let server = answering();
    let world = World::new(stubborn(&server));
    let mut program = Command::new(env::current_exe().unwrap())
        .args(["--exact", "guardian::plays_its_part", "--nocapture"])
        .env_clear()
        .envs(world.environment())
        .env(PART, "serve")
        .env("OPENCODE_BINARY", world.fake.program())
        .env("TMPDIR", world.path("temp"))
        .current_dir(world.path("project"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let told = lines.any(|line| line.unwrap() == "serving");
    assert!(told, "it has a server");
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));

    send("KILL", &program.id().to_string());
    assert_eq!(program.wait().unwrap().signal(), Some(9));
    eventually(LONG, || {
        let left = (world.processes(), world.private_dirs(), world.guardians());
        if left.0.is_empty() && left.1.is_empty() && left.2.is_empty() { Ok(()) } else { Err(left) }
    });
    assert!(fs::read_dir(world.path("temp")).unwrap().next().is_none());
}

/// Is no test but the copy's part; without one there is nothing to do.
#[test]
#[allow(clippy::explicit_write, reason = "the harness captures what `println!` prints")]
fn plays_its_part() {
    if env::var_os(PART).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let opencode = OpenCode::new(TokioRuntime::new());
        let server = opencode.serve(ServeRequest::new()).await.unwrap();
        writeln!(std::io::stdout(), "\nserving").unwrap();
        server.exited().await;
    });
}
