//! Whether a server asks at all.

use opencode_tokio::{PermissionAction, Policy, PolicyError};
use serde_json::json;

use crate::world::World;

const TOOL: &str =
    "export default { description: 'greets', args: {}, async execute() { return 'hello' } }";

/// Why a session of this world cannot be put under the policy.
async fn refused(world: &World, policy: Policy) -> String {
    let error = world.session().await.with_policy(policy).await.unwrap_err();
    assert!(matches!(error, PolicyError::Unasked { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn an_agent_of_the_project_that_may_more_is_found() {
    let agent =
        "---\nmode: subagent\npermission:\n  bash:\n    \"git *\": allow\n---\nYou run git.";
    let world = World::with_files("agents", &[(".opencode/agent/rogue.md", agent)]).await;

    let error = refused(&world, Policy::new().allow("read")).await;
    assert_eq!(error, "agent `rogue` of the server may use `bash` on `git *` without asking");
    refused(&world, Policy::new().allow("*").with_tool_calls_max(9)).await;
    refused(&world, Policy::new().allow("*").pattern("bash", "git push *", PermissionAction::Ask))
        .await;

    // Where the policy allows as much, there is nothing to ask.
    let policy = Policy::new().within(".").pattern("bash", "git *", PermissionAction::Allow);
    world.session().await.with_policy(policy).await.unwrap();
}

#[tokio::test]
async fn a_tool_of_the_project_is_hidden_or_found() {
    let world = World::with_files("tools", &[(".opencode/tool/greet.ts", TOOL)]).await;
    let session = world.session().await.with_policy(Policy::new()).await.unwrap();
    world.play(&session, "tools", [("greet", json!({}))]).await;
    let asked = world.asked("tools");
    assert!(!asked[0].tools().contains(&"greet"), "{:?}", asked[0].tools());
    assert!(!asked[1].tool_results()[0].text.contains("hello"), "{:?}", asked[1].tool_results());

    let config = r#"{"agent": {"build": {"permission": {"greet": "ask"}}}}"#;
    let files = [(".opencode/tool/greet.ts", TOOL), ("opencode.json", config)];
    let world = World::with_files("tools-shown", &files).await;
    let error = refused(&world, Policy::new()).await;
    assert_eq!(error, "agent `build` of the server may use `greet` on `*` without asking");
    let session = world.session().await.with_policy(Policy::new().allow("greet")).await.unwrap();
    world.play(&session, "tools-shown", [("greet", json!({}))]).await;
    assert_eq!(world.asked("tools-shown")[1].tool_results()[0].text, "hello");
}

#[tokio::test]
async fn directories_have_to_be_there() {
    let world = World::new("directories").await;
    let error =
        world.session().await.with_policy(Policy::new().within("nowhere")).await.unwrap_err();
    let PolicyError::Directory { path, .. } = error else { panic!("{error:?}") };
    assert_eq!(path, world.project().join("nowhere"));
}
