//! Commands: a policy can reject them, but not confine them.

use opencode_tokio::config::PermissionAction;
use opencode_tokio::{PermissionReply, Policy};
use serde_json::{Value, json};

use crate::world::{PASSWORD, PolicyWorld, Verdicts};

fn bash(command: &str) -> (&'static str, Value) {
    ("bash", json!({ "command": command, "description": "a command" }))
}

#[tokio::test]
async fn a_confined_session_runs_only_commands_that_a_rule_allows() {
    let world = PolicyWorld::new("confined").await;
    let verdicts = Verdicts::default();
    // The confirm function is not called either.
    let policy = Policy::new().within(".").with_confirm(|_| async { PermissionReply::Once });
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();

    let outcome = world
        .play(
            &session,
            "confined",
            [bash("echo x > ../outside/new.txt"), bash("cat ../outside/secret.txt")],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    assert!(!world.has_leaked("confined"));
    world.assert_outside_is_untouched();
    let path = world.outside("");
    let path = path.trim_end_matches('/');
    assert_eq!(
        verdicts.texts(),
        [
            "bash reject: commands cannot be confined to the allowed directories".to_owned(),
            format!("external_directory reject: {path} is not in the allowed directories"),
        ]
    );
}

#[tokio::test]
async fn a_rule_for_a_command_allows_only_literal_commands() {
    let world = PolicyWorld::new("commands").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().pattern("bash", "echo *", PermissionAction::Allow);
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();

    let outcome = world
        .play(
            &session,
            "commands",
            [
                bash("echo one && echo two 2>&1"),
                bash("{ echo x; } > ../outside/new.txt"),
                bash("echo x > ../outside/new.txt"),
                bash("echo \"$(<../outside/secret.txt)\""),
                bash("echo `touch ../outside/new.txt`"),
                bash("cd \"$(<../outside/secret.txt)\"; echo x"),
                bash("echo one; touch ../outside/new.txt"),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    assert_eq!(world.model_requests("commands")[1].tool_results()[0].text, "one\ntwo\n");
    assert!(!world.has_leaked("commands"));
    world.assert_outside_is_untouched();
    let refused = outcome.tools().filter(|tool| tool.state.status() == "error").count();
    assert_eq!(refused, 6, "{:?}", verdicts.texts());
}

/// Nothing hides the environment of a process from other processes of the same user.
#[tokio::test]
async fn commands_inherit_no_password_and_can_read_it_from_the_server() {
    let world = PolicyWorld::new("password").await;
    let policy = Policy::new().with_confirm(|_| async { PermissionReply::Once });
    let session = world.session().await.with_policy(policy).await.unwrap();

    let outcome = world
        .play(&session, "password", [bash("env"), bash("tr '\\0' '\\n' < /proc/$PPID/environ")])
        .await;

    let outputs = outcome.tools().map(|tool| tool.state.output().unwrap().to_str().into_owned());
    let [env, server] = &outputs.collect::<Vec<_>>()[..] else { panic!("two calls") };
    assert!(env.contains("PATH=") && !env.contains(PASSWORD), "{env}");
    assert!(server.contains(&format!("OPENCODE_SERVER_PASSWORD={PASSWORD}")), "{server}");
}
