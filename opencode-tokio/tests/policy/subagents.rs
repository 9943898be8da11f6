//! Permissions of subagents.

use opencode_tokio::{Policy, PolicyError};
use serde_json::{Value, json};
use testkit::model::{Reply, Script};

use crate::world::{PolicyWorld, Verdicts, tools};

fn task(prompt: &str) -> (&'static str, Value) {
    let input = json!({ "description": "a task", "prompt": prompt, "subagent_type": "general" });
    ("task", input)
}

#[tokio::test]
async fn a_subagent_has_the_permissions_of_its_session() {
    let world = PolicyWorld::new("parent").await;
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
async fn the_prompt_of_a_subagent_mentions_no_file_outside() {
    let world = PolicyWorld::new("mentions").await;
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
    assert!(!world.has_leaked("mentioned"), "OpenCode reads mentioned files without permission");
    let requests = world.model_requests("mentioned");
    assert_eq!(requests.len(), 1);
    assert!(requests[0].body().to_string().contains("1: inside"));
}

#[tokio::test]
async fn a_subagent_resumes_no_other_session() {
    let world = PolicyWorld::new("resumes").await;
    let other = world.session().await;
    let session = world.session().await;
    let session = session.with_policy(Policy::new().allow("task")).await.unwrap();
    world.model().script("resumed", Reply::new().text("I am another."));
    let (tool, mut input) = task("Go [[resumed]]");
    input["task_id"] = json!(other.id().as_str());

    let outcome = world.play(&session, "resumes", [(tool, input)]).await;

    assert_eq!(tools(&outcome), [("task".to_owned(), "error".to_owned())]);
    assert_eq!(world.model_requests("resumed").len(), 0);
    assert_eq!(other.messages().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_server_that_asks_nothing_supports_policies_without_subagents() {
    // Permissions of agents in the project override those of the server's config.
    let config = json!({ "agent": {
        "build": { "permission": { "*": "allow" } },
        "general": { "permission": { "*": "allow" } },
    } });
    let config = config.to_string();
    let world = PolicyWorld::with_files("unasked", &[("opencode.json", &config)]).await;
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
    let offered = world.model_requests("unasked")[0].tools().join(" ");
    assert_eq!(offered, "edit write", "tools that the policy cannot allow are hidden");
    let called: Vec<_> = outcome.tools().map(|tool| tool.tool.to_string()).collect();
    assert_eq!(called, ["write", "write", "invalid", "invalid"]);
    assert_eq!(world.model_requests("unasked-child").len(), 0);
    // Without the policy, the server writes to the link.
    let free = world.session().await;
    world.play(&free, "unasked-free", [write(world.inside("link/new.txt"))]).await;
    assert!(std::path::Path::new(&world.outside("new.txt")).exists());
}
