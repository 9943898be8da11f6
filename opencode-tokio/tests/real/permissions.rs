//! Permissions in run mode, which no one can grant.

use opencode_tokio::config::{
    Approval, PermissionAction, PermissionError, RunConfigError, RunFlags,
};
use opencode_tokio::run::{Exit, Notice};
use opencode_tokio::{Permissions, RunEnd, RunError};
use serde_json::json;
use testkit::conformance::real::runs::{RunWorld, bash};
use testkit::model::{Reply, Script};

use crate::on;

/// Runs a tool that needs a permission. Returns the rejected permission and the patterns.
async fn refused(world: &RunWorld, tool: &str, input: serde_json::Value) -> (String, String) {
    let step = Reply::new().text("I will.").tool(tool, input);
    world.model.default_script(Script::new().then(step).then(Reply::new().text("Never said.")));

    let error = world.run(world.request("Do it.")).await.unwrap_err();

    let RunError::Ended(report) = &error else { panic!("{error}") };
    let RunEnd::PermissionRejected { refused } = &report.outcome.end else { panic!("{error}") };
    assert_eq!(report.outcome.exit, Some(Exit::Code(0)), "the exit code of OpenCode");
    assert_eq!(world.turns().len(), 1, "the model was called again");
    assert_eq!(report.text(), "I will.", "partial results are kept");
    let [tool] = report.answer().tools() else { panic!("{:?}", report.answer().tools()) };
    assert!(tool.state.is_rejected(), "{tool:?}");
    let [Notice::PermissionRejected { permission, patterns, .. }] = &report.outcome.notices[..]
    else {
        panic!("{:?}", report.outcome.notices)
    };
    assert_eq!(*refused, format!("{permission} ({patterns})"));
    assert!(error.to_string().contains(refused), "{error}");
    (permission.clone(), patterns.clone())
}

#[tokio::test]
async fn a_permission_that_the_project_asks_for_is_rejected() {
    let world = RunWorld::new(&on());
    world.write("project/opencode.json", json!({ "permission": { "bash": "ask" } }).to_string());

    let (permission, patterns) = refused(&world, "bash", bash("touch made")).await;

    assert_eq!((&*permission, &*patterns), ("bash", "touch made"));
    assert!(!world.project().join("made").exists());
}

#[tokio::test]
async fn a_rejected_command_of_several_lines_is_reported_completely() {
    let world = RunWorld::new(&on());
    world.write("project/opencode.json", json!({ "permission": { "bash": "ask" } }).to_string());
    let command = "cat > made <<'END'\nfirst line\n! second (line); auto\n\nEND";

    let (permission, patterns) = refused(&world, "bash", bash(command)).await;

    assert_eq!((&*permission, &*patterns), ("bash", command));
    assert!(!world.project().join("made").exists());
}

#[tokio::test]
async fn a_file_outside_of_the_project_is_rejected() {
    let world = RunWorld::new(&on());
    let outside = world.write("outside/secret.txt", "secret");

    let input = json!({ "filePath": outside });
    let (permission, patterns) = refused(&world, "read", input).await;

    assert_eq!(permission, "external_directory");
    assert!(patterns.starts_with(world.path("outside").to_str().unwrap()), "{patterns}");
}

#[tokio::test]
async fn auto_approves_what_no_rule_denies() {
    let world = RunWorld::new(&on());
    let kept = world.write("project/kept", "");
    let calls = Reply::new()
        .tool("bash", bash("touch made"))
        .tool("bash", bash("rm kept"))
        .tool("webfetch", json!({ "url": "http://127.0.0.1:1/", "format": "text" }));
    world.model.default_script(Script::new().then(calls).then(Reply::new().text("Done.")));
    let permissions = Permissions::new()
        .pattern("bash", "*", PermissionAction::Ask)
        .pattern("bash", "rm *", PermissionAction::Deny)
        .deny("webfetch");
    let flags = RunFlags::new().with_title("t").with_approval(Approval::Auto);
    let config = world.config().with_permission(permissions).with_flags(flags);

    let report = world.run(world.request_with("Do it.", config)).await.unwrap();

    assert_eq!(report.text(), "Done.", "a denial by a rule ended the run");
    assert!(world.project().join("made").exists());
    assert!(kept.exists());
    let tools = report.answer().tools();
    let state = |id: &str| tools.iter().find(|tool| tool.call == id).unwrap();
    assert_eq!(state("call_0_0").state.status(), "completed");
    let denied = state("call_0_1");
    assert_eq!(denied.state.status(), "error");
    assert!(!denied.state.is_rejected(), "denied by a rule, not by a reply: {denied:?}");
    assert_eq!(&*state("call_0_2").tool, "invalid", "a denied tool is not offered");
    assert!(!world.turns()[0].tools().contains(&"webfetch"));
    assert_eq!(report.outcome.notices, []);
}

#[tokio::test]
async fn a_rule_that_asks_is_refused_before_the_start() {
    let world = RunWorld::new(&on());
    let permissions = Permissions::new().pattern("bash", "git *", PermissionAction::Ask);

    let request = world.request_with("Do it.", world.config().with_permission(permissions));
    let error = world.run(request).await.unwrap_err();

    let RunError::Config(RunConfigError::Permission(PermissionError::Ask { path })) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(path, "permission.bash.git *");
    assert_eq!(world.model.requests().len(), 0);
}
