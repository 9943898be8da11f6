//! Compares releases of OpenCode: plays the same scenarios with each version from npm, and writes
//! the table of `docs/compatibility.md`.
//!
//! ```text
//! cargo run -p rivals --example releases -- --versions 1.1.65,1.14.41,latest
//! cargo run -p rivals --example releases -- --versions 1.1.65 --only policy,run_tools
//! ```
//!
//! Versions run one after the other. A cell is a pass, or a limit that is named below the table;
//! anything else fails the command. With `--only`, the other cells stay. `--page` names another page.
#![allow(clippy::unwrap_used, reason = "a panic fails the scenario")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]

mod cell;
mod runs;
mod sessions;
mod table;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, panic};

use opencode_tokio::TokioRuntime;
use testkit::conformance::Host;

use cell::{Cell, Limit};
use table::Table;
use world::{Scenario, World};

/// Versions of the table: the oldest supported one, those around which OpenCode changed, and recent
/// ones.
const VERSIONS: &str = "1.1.65,1.2.1,1.2.11,1.2.20,1.2.27,1.3.2,1.14.34,1.14.41,1.15.0,1.15.13,\
                        1.17.0,1.17.11,1.17.18,1.18.3,1.18.20,1.18.33,latest";

/// Page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility.md");

/// Limit of one scenario on a loaded machine.
const LIMIT: Duration = Duration::from_secs(240);

/// Message of the last panic, which is the reason of a failed scenario.
static REASON: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let mut versions = VERSIONS.to_owned();
    let mut only = Vec::new();
    let mut page = PathBuf::from(PAGE);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--versions" => versions = value,
            "--page" => page = value.into(),
            "--only" => only = value.split(',').map(str::to_owned).collect(),
            _ => panic!("unknown flag {arg}: use --versions, --only or --page"),
        }
    }
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let reason = text.unwrap_or("no message");
        *REASON.lock().unwrap() = format!("{reason} ({place})");
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut table = Table::read(page);
    let mut failures = Vec::new();
    for version in versions.split(',') {
        let version = match version {
            "latest" => testkit::opencode::latest().expect("npm knows the newest version"),
            version => version.to_owned(),
        };
        let cells = runtime.block_on(compare(&version, &only));
        let failed = cells.iter().filter(|(_, cell)| matches!(cell, Cell::Failed(_)));
        failures.extend(failed.map(|(name, _)| format!("{version} {name}")));
        table.add(&version, &cells);
        table.write();
    }
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("failed: {}", failures.join(", "));
    ExitCode::FAILURE
}

/// Plays all scenarios with one version.
async fn compare(version: &str, only: &[String]) -> Vec<(&'static str, Cell)> {
    let binary = testkit::opencode::binary_of(version).expect("the version is on npm");
    let host = Host::of(TokioRuntime::new());
    let world = Arc::new(World::new(&host, binary, version));
    println!("OpenCode {version}");
    let mut cells = Vec::new();
    for Scenario { name, play } in runs::SCENARIOS.iter().chain(sessions::SCENARIOS) {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let begun = Instant::now();
        let task = tokio::spawn(tokio::time::timeout(LIMIT, play(Arc::clone(&world))));
        let cell = match task.await {
            Ok(Ok(cell)) => cell,
            Err(_)
                if name.starts_with("run_") && world.has_lost_output(&REASON.lock().unwrap()) =>
            {
                Cell::Limited(Limit::OutputLost)
            }
            Ok(Err(_)) => Cell::Failed(format!("not over after {LIMIT:?}")),
            Err(_) => Cell::Failed(REASON.lock().unwrap().clone()),
        };
        println!("  {name}: {cell} ({:.1} s)", begun.elapsed().as_secs_f64());
        cells.push((*name, cell));
    }
    let cell = match world.stop().await {
        Ok(()) => Cell::Passed,
        Err(error) => Cell::Failed(error),
    };
    println!("  stop: {cell}");
    cells.push(("stop", cell));
    cells
}
