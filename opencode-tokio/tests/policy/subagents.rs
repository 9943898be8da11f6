//! What subagents may do.

use opencode_tokio::{Policy, PolicyError};
use serde_json::{Value, json};
use testkit::model::{Reply, Script};

use crate::world::{Verdicts, World, tools};

fn task(prompt: &str) -> (&'static str, Value) {
    let input = json!({ "description": "a task", "prompt": prompt, "subagent_type": "general" });
    ("task", input)
}

#[tokio::test]
async fn a_subagent_may_do_what_its_session_may() {
    let world = World::new("parent").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().within(".").allow("task").allow("edit");
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();
    let write =
        |path: String| Reply::new().tool("write", json!({ "filePath": path, "content": "x" }));
    let bash = json!({ "command": "touch ../outside/new.txt", "description": "a command" });
    let child = Script::new()
        .then(write(world.inside("good.txt")))
        .then(write(world.inside("link/new.txt")))
        .then(write(world.outside("new.txt")))
        .then(Reply::new().tool("bash", bash))
        .then(Reply::new().text("I tried."));
    world.model().script("child", child);

    let outcome = world.play(&session, "parent", [task("Go [[child]]")]).await;

    assert_eq!(outcome.text(), "Done.");
    let [child] = &outcome.children[..] else { panic!("{:?}", outcome.children) };
    assert_eq!(child.text(), "I tried.");
    assert!(world.project().join("good.txt").exists());
    world.assert_outside_is_untouched();
    let of_child = verdicts.all().into_iter().filter(|verdict| verdict.session == *child.id());
    let replies: Vec<_> = of_child.map(|verdict| verdict.reply.as_str().to_owned()).collect();
    assert_eq!(replies, ["once", "reject", "reject", "reject"], "{:?}", verdicts.texts());
}

#[tokio::test]
async fn the_prompt_of_a_subagent_brings_no_file_from_outside() {
    let world = World::new("mentions").await;
    let verdicts = Verdicts::default();
    let policy = Policy::new().within(".").allow("task");
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();
    let answers = Script::from(Reply::new().text("Seen."));
    world.model().script("mentioned", answers);
    let (inside, outside) = (world.inside("inside.txt"), world.outside("secret.txt"));
    let link = world.inside("link/secret.txt");

    let outcome = world
        .play(
            &session,
            "mentions",
            [
                task(&format!("Go [[mentioned]] @{outside}")),
                task(&format!("Go [[mentioned]] @{link}")),
                task(&format!("Go [[mentioned]] @{inside} or @nobody")),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    let statuses: Vec<_> = tools(&outcome).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["error", "error", "completed"], "{:?}", verdicts.texts());
    assert!(!world.is_told("mentioned"), "OpenCode reads what is mentioned without asking");
    let asked = world.asked("mentioned");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].body().to_string().contains("1: inside"));
}

#[tokio::test]
async fn a_subagent_goes_on_with_no_session_of_others() {
    let world = World::new("resumes").await;
    let other = world.session().await;
    let session = world.session().await;
    let session = session.with_policy(Policy::new().allow("task")).await.unwrap();
    world.model().script("resumed", Reply::new().text("I am another."));
    let (tool, mut input) = task("Go [[resumed]]");
    input["task_id"] = json!(other.id().as_str());

    let outcome = world.play(&session, "resumes", [(tool, input)]).await;

    assert_eq!(tools(&outcome), [("task".to_owned(), "error".to_owned())]);
    assert_eq!(world.asked("resumed").len(), 0);
    assert_eq!(other.messages().await.unwrap().len(), 0);
}

#[tokio::test]
async fn where_a_server_asks_nothing_a_policy_is_for_sessions_without_subagents() {
    // What an agent of the project may do comes after what the server was told.
    let config = r#"{"agent": {"build": {"permission": {"*": "allow"}}, "general": {"permission": {"*": "allow"}}}}"#;
    let world = World::with_files("unasked", &[("opencode.json", config)]).await;
    let policy = Policy::new().within(".").allow("edit").allow("task");

    let error = world.session().await.with_policy(policy.clone()).await.unwrap_err();
    let PolicyError::Unasked { agent, permission, pattern } = error else { panic!("{error:?}") };
    assert_eq!((&*agent, &*permission, &*pattern), ("build", "*", "*"));

    let verdicts = Verdicts::default();
    let policy = verdicts.of(policy.without_subagents());
    let session = world.session().await.with_policy(policy).await.unwrap();
    let write = |path: String| ("write", json!({ "filePath": path, "content": "x" }));
    let bash = json!({ "command": "touch ../outside/new.txt", "description": "a command" });
    let outcome = world
        .play(
            &session,
            "unasked",
            [
                write(world.inside("good.txt")),
                write(world.inside("link/new.txt")),
                ("bash", bash),
                task("Go [[unasked-child]]"),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    assert!(world.project().join("good.txt").exists());
    world.assert_outside_is_untouched();
    assert_eq!(verdicts.all().len(), 2, "{:?}", verdicts.texts());
    let offered = world.asked("unasked")[0].tools().join(" ");
    assert_eq!(offered, "edit write", "what cannot be allowed is hidden");
    let called: Vec<_> = outcome.tools().map(|tool| tool.tool.to_string()).collect();
    assert_eq!(called, ["write", "write", "invalid", "invalid"]);
    assert_eq!(world.asked("unasked-child").len(), 0);
    // A turn without the policy shows what the server would have done.
    let free = world.session().await;
    world.play(&free, "unasked-free", [write(world.inside("link/new.txt"))]).await;
    assert!(std::path::Path::new(&world.outside("new.txt")).exists());
}
