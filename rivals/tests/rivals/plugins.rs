//! Plugins of npm that many people use.

use std::fs;
use std::path::Path;

use opencode_tokio::config::{Isolation, PluginHome};
use opencode_tokio::process::Warning;
use opencode_tokio::run::{Backend, Notice};
use opencode_tokio::{RunConfig, RunReport, RunRequest};
use serde_json::json;
use testkit::conformance::real::runs::RunWorld;
use testkit::model::Reply;

use crate::on;

const SMALL: &str = "opencode-pty@0.1.3";

fn with_plugin(world: &RunWorld, plugin: &str, kept: &Path) -> RunConfig {
    let mut overrides = world.model.config();
    overrides["plugin"] = json!([plugin]);
    let isolation = Isolation::new().with_plugins(PluginHome::At(kept.to_owned()));
    world
        .config()
        .with_isolation(isolation)
        .with_overrides(testkit::conformance::real::runs::object(&overrides))
}

fn request(world: &RunWorld, plugin: &str, kept: &Path) -> RunRequest {
    world.model.default_script(Reply::new().text("It works."));
    world.request_with("Hello?", with_plugin(world, plugin, kept))
}

fn has_installed(report: &RunReport) -> bool {
    report.outcome.notices.iter().any(|notice| matches!(notice, Notice::Installing { .. }))
}

/// Names of the tools that the model was offered last.
fn tools(world: &RunWorld) -> Vec<String> {
    world.turns().last().unwrap().tools().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_plugin_is_installed_once_for_runs_at_the_same_time() {
    let world = RunWorld::new(&on());
    let kept = tempfile::tempdir().unwrap();
    let first = world.opencode.stream(request(&world, SMALL, kept.path()));
    let second = world.opencode.stream(request(&world, SMALL, kept.path()));
    let (first, second) = tokio::join!(first.outcome(), second.outcome());
    let reports = [first.unwrap(), second.unwrap()];
    assert_eq!(reports.iter().filter(|report| has_installed(report)).count(), 1);
    for report in &reports {
        assert_eq!(report.text(), "It works.");
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
    for request in world.turns() {
        assert!(request.tools().contains(&"pty_spawn"), "{:?}", request.tools());
    }
    world.assert_nothing_left();
    assert!(kept.path().join(SMALL).join("package-lock.json").exists());

    // An installation that was broken off is made again.
    fs::remove_file(kept.path().join(".complete").join(SMALL)).unwrap();
    fs::remove_file(kept.path().join(SMALL).join("package-lock.json")).unwrap();
    let again = request(&world, SMALL, kept.path()).with_backend(Backend::NewServer);
    let report = world.run(again).await.unwrap();
    assert_eq!(report.text(), "It works.");
    let report = world.run(request(&world, SMALL, kept.path())).await.unwrap();
    assert!(!has_installed(&report), "{:?}", report.outcome.notices);
}

#[tokio::test]
async fn popular_plugins_work_in_runs_and_on_servers() {
    let world = RunWorld::new(&on());
    let kept = rivals::cache().join("plugins");
    for (plugin, tool) in [
        (SMALL, Some("pty_spawn")),
        ("@tarquinen/opencode-dcp@3.1.14", None),
        ("oh-my-opencode@4.19.4", Some("background_output")),
    ] {
        for backend in [Backend::Process, Backend::NewServer] {
            let request = request(&world, plugin, &kept).with_backend(backend.clone());
            let report = world.run(request).await.unwrap();
            assert_eq!(report.text(), "It works.", "{plugin} {backend:?}");
            // The last plugin brings MCP servers of its own, on machines that may be out of reach.
            let is_remote = |warning: &Warning| {
                plugin.starts_with("oh-my-") && matches!(warning, Warning::McpUnavailable(_))
            };
            assert!(report.warnings.iter().all(is_remote), "{plugin}: {:?}", report.warnings);
            let tools = tools(&world);
            let is_offered = tool.is_none_or(|tool| tools.iter().any(|offered| offered == tool));
            assert!(is_offered, "{plugin} {backend:?}: {tools:?}");
        }
        assert!(kept.join(plugin).exists(), "{plugin} is kept");
    }
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_a_warning() {
    let world = RunWorld::new(&on());
    let kept = tempfile::tempdir().unwrap();
    let missing = "opencode-pty@0.0.0";
    let request = request(&world, missing, kept.path()).with_backend(Backend::NewServer);
    let report = world.run(request).await.unwrap();
    assert_eq!(report.text(), "It works.");
    let texts: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    let expected = format!("plugin `{missing}` was not loaded: No matching version");
    assert!(texts.iter().any(|text| text.starts_with(&expected)), "{texts:?}");
}
