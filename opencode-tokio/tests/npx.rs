//! OpenCode behind a wrapper that pins the version. npm downloads the package on the first run.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

use std::path::PathBuf;

use opencode_tokio::config::ProgramCommand;
use opencode_tokio::process::Binary;
use opencode_tokio::run::Backend;
use testkit::conformance::Host;
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{Reply, Script};

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}

#[tokio::test]
async fn a_command_line_of_npx_runs_and_serves() {
    let line = format!("npx -y opencode-ai@{}", testkit::opencode::VERSION);
    let command = line.parse::<ProgramCommand>().unwrap();
    let world = RunWorld::with_binary(&on(), Binary::from(command));
    world.model.default_script(Script::new().then(Reply::new().text("Pinned.")).repeat_last());
    // The packages of npm are shared by all tests, like those of the user.
    let cache = std::env::var_os("HOME").map(PathBuf::from).unwrap().join(".npm");
    let config = world.config().with_env("npm_config_cache", cache);
    for backend in [Backend::Process, Backend::NewServer] {
        let request = world.request_with("Go.", config.clone()).with_backend(backend);
        let report = world.run(request).await.unwrap();
        assert_eq!(report.text(), "Pinned.");
        assert!(report.command.contains("npx -y opencode-ai@"), "{}", report.command);
    }
}
