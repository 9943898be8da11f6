//! Servers whose agents may act without permission.

use opencode_tokio::config::PermissionAction;
use opencode_tokio::{Policy, PolicyError};
use serde_json::json;

use crate::world::PolicyWorld;

const TOOL: &str =
    "export default { description: 'greets', args: {}, async execute() { return 'hello' } }";

/// Message of the error when a session of this world is put under the policy.
async fn refused(world: &PolicyWorld, policy: Policy) -> String {
    let error = world.session().await.with_policy(policy).await.unwrap_err();
    assert!(matches!(error, PolicyError::Unasked { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn an_agent_of_the_project_with_wider_permissions_is_found() {
    let agent =
        "---\nmode: subagent\npermission:\n  bash:\n    \"git *\": allow\n---\nYou run git.";
    let world = PolicyWorld::with_files("agents", &[(".opencode/agent/rogue.md", agent)]).await;

    let error = refused(&world, Policy::new().allow("read")).await;
    let found = "agent `rogue` of the server may use `bash` on `git *` without asking the policy";
    assert!(error.starts_with(found), "{error}");
    refused(&world, Policy::new().allow("*").with_tool_calls_max(9)).await;
    refused(&world, Policy::new().allow("*").pattern("bash", "git push *", PermissionAction::Ask))
        .await;

    // The server's rule allows lines that do more than run git.
    refused(&world, Policy::new().within(".").pattern("bash", "git *", PermissionAction::Allow))
        .await;
    // A policy that allows the same needs no permission requests.
    let policy = Policy::new().within(".").allow("bash");
    world.session().await.with_policy(policy).await.unwrap();
}

#[tokio::test]
async fn a_tool_of_the_project_is_hidden_or_found() {
    let world = PolicyWorld::with_files("tools", &[(".opencode/tool/greet.ts", TOOL)]).await;
    let session = world.session().await.with_policy(Policy::new()).await.unwrap();
    world.play(&session, "tools", [("greet", json!({}))]).await;
    let requests = world.model_requests("tools");
    assert!(!requests[0].tools().contains(&"greet"), "{:?}", requests[0].tools());
    let results = requests[1].tool_results();
    assert!(!results[0].text.contains("hello"), "{results:?}");

    let config = r#"{"agent": {"build": {"permission": {"greet": "ask"}}}}"#;
    let files = [(".opencode/tool/greet.ts", TOOL), ("opencode.json", config)];
    let world = PolicyWorld::with_files("tools-shown", &files).await;
    let error = refused(&world, Policy::new()).await;
    let found = "agent `build` of the server may use `greet` on `*` without asking the policy";
    assert!(error.starts_with(found), "{error}");
    let session = world.session().await.with_policy(Policy::new().allow("greet")).await.unwrap();
    world.play(&session, "tools-shown", [("greet", json!({}))]).await;
    assert_eq!(world.model_requests("tools-shown")[1].tool_results()[0].text, "hello");
}

#[tokio::test]
async fn a_missing_directory_of_a_policy_is_an_error() {
    let world = PolicyWorld::new("directories").await;
    let error =
        world.session().await.with_policy(Policy::new().within("nowhere")).await.unwrap_err();
    let PolicyError::Directory { path, .. } = error else { panic!("{error:?}") };
    assert_eq!(path, world.project().join("nowhere"));
}
