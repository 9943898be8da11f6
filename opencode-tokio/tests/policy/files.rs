//! Files inside and outside of the directories of a policy.

use std::fs;

use opencode_tokio::{Policy, Prompt};
use serde_json::json;
use testkit::conformance::real::kept::git;
use testkit::model::{Reply, Script};

use crate::world::{PolicyWorld, Verdicts, prompt, tools};

/// A policy that allows every tool, confined to the project.
fn within_the_project() -> Policy {
    Policy::new().within(".").allow("*")
}

#[tokio::test]
async fn nothing_outside_is_written() {
    let world = PolicyWorld::new("writes").await;
    let verdicts = Verdicts::default();
    let session = world.session().await.with_policy(verdicts.of(within_the_project()));
    let session = session.await.unwrap();
    let write = |path: String| ("write", json!({ "filePath": path, "content": "written" }));
    let edit = |path: String| {
        ("edit", json!({ "filePath": path, "oldString": "-of-the-", "newString": "!" }))
    };

    let outcome = world
        .play(
            &session,
            "writes",
            [
                write(world.inside("deep/new.txt")),
                write(world.outside("new.txt")),
                write(world.inside("../outside/new.txt")),
                write(world.inside("link/new.txt")),
                write(world.inside("far/../new.txt")),
                edit(world.outside("secret.txt")),
                edit(world.inside("link/secret.txt")),
                write(world.inside(".opencode/plugin/new.ts")),
                write(world.inside(".git/hooks/post-checkout")),
                write(world.inside("opencode.json")),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.", "a rejection ended the turn");
    assert_eq!(fs::read_to_string(world.inside("deep/new.txt")).unwrap(), "written");
    world.assert_outside_is_untouched();
    for path in [".opencode", ".git", "opencode.json"] {
        assert!(!world.project().join(path).exists(), "{path}");
    }
    let outside = |permission: &str, path: String| {
        format!("{permission} reject: {path} is not in the allowed directories")
    };
    let guarded = |path| format!("edit reject: {} must not be changed", world.inside(path));
    assert_eq!(
        verdicts.texts(),
        [
            "edit once: decided by a rule".to_owned(),
            outside("external_directory", world.outside("new.txt")),
            outside("external_directory", world.inside("../outside/new.txt")),
            outside("edit", world.inside("link/new.txt")),
            outside("edit", world.inside("far/../new.txt")),
            outside("external_directory", world.outside("secret.txt")),
            outside("edit", world.inside("link/secret.txt")),
            guarded(".opencode/plugin/new.ts"),
            guarded(".git/hooks/post-checkout"),
            guarded("opencode.json"),
        ]
    );
    let result = &world.model_requests("writes")[2].tool_results()[1].text;
    let path = world.outside("new.txt");
    let reason =
        format!("Refused by the policy of this session: {path} is not in the allowed directories.");
    assert!(result.ends_with(&reason), "{result}");
}

#[tokio::test]
async fn no_patch_writes_outside() {
    let world = PolicyWorld::new("patches").await;
    let verdicts = Verdicts::default();
    let session = world.session().await.with_policy(verdicts.of(within_the_project()));
    let session = session.await.unwrap();
    let patch = |text: String| {
        let text = format!("*** Begin Patch\n{text}\n*** End Patch");
        Reply::new().tool("apply_patch", json!({ "patchText": text }))
    };
    let script = Script::new()
        .then(patch("*** Add File: new.txt\n+new".into()))
        .then(patch("*** Add File: good.txt\n+x\n*** Add File: link/new.txt\n+x".into()))
        .then(patch(
            "*** Update File: inside.txt\n*** Move to: link/moved.txt\n@@\n-inside\n+moved".into(),
        ))
        .then(patch("*** Delete File: link/secret.txt".into()))
        .then(patch("*** Add File: ../outside/new.txt\n+x".into()))
        .then(Reply::new().text("Done."));
    world.model().script("patches", script);

    let request =
        prompt(Prompt::from("Go [[patches]]").with_model("scripted/gpt-patches".parse().unwrap()));
    let outcome = session.send(request).outcome().await.unwrap();

    let statuses: Vec<_> = tools(&outcome).into_iter().map(|(_, status)| status).collect();
    assert_eq!(
        statuses,
        ["completed", "error", "error", "error", "error"],
        "{:?}",
        outcome.tools().collect::<Vec<_>>()
    );
    assert_eq!(fs::read_to_string(world.inside("new.txt")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(world.inside("inside.txt")).unwrap(), "inside\n");
    assert!(!world.project().join("good.txt").exists(), "a patch was applied in part");
    world.assert_outside_is_untouched();
    let asked: Vec<_> =
        verdicts.all().into_iter().map(|verdict| verdict.reply.as_str().to_owned()).collect();
    assert_eq!(asked, ["once", "reject", "reject", "reject", "reject"]);
}

#[tokio::test]
async fn nothing_outside_is_read() {
    let world = PolicyWorld::new("reads").await;
    let verdicts = Verdicts::default();
    let session = world.session().await.with_policy(verdicts.of(within_the_project()));
    let session = session.await.unwrap();
    let read = |path: String| ("read", json!({ "filePath": path }));
    let search = |tool, path: &str| (tool, json!({ "pattern": "the", "path": path }));

    let outcome = world
        .play(
            &session,
            "reads",
            [
                read(world.inside("inside.txt")),
                read(world.outside("secret.txt")),
                read(world.inside("link/secret.txt")),
                read("link".into()),
                // OpenCode's rules count this as a file of the project.
                read(world.inside("far/../secret.txt")),
                search("grep", "link"),
                search("grep", "link/nothing.txt"),
                search("grep", "../outside"),
                search("glob", "link"),
                search("glob", "/"),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    assert!(!world.has_leaked("reads"));
    let results = world.model_requests("reads")[10].tool_results();
    assert!(results[0].text.contains("1: inside"), "{}", results[0].text);
    let refused = |result: &testkit::model::ToolResult| {
        result.text.ends_with("is not in the allowed directories.")
    };
    assert_eq!(results.iter().filter(|result| refused(result)).count(), 9, "{results:?}");
    let permissions: Vec<_> =
        verdicts.all().into_iter().map(|verdict| verdict.request.permission).collect();
    assert_eq!(
        permissions,
        [
            "read",
            "external_directory",
            "read",
            "read",
            "read",
            "grep",
            "grep",
            "grep",
            "glob",
            "glob"
        ]
    );
    assert!(fs::exists(world.inside("link/secret.txt")).unwrap(), "the link is broken");
}

#[tokio::test]
async fn another_directory_can_be_allowed_for_reads() {
    let world = PolicyWorld::new("opened").await;
    let verdicts = Verdicts::default();
    let policy = within_the_project().deny("bash").with_reads_in(world.outside("deep"));
    let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();

    world
        .play(
            &session,
            "opened",
            [
                ("read", json!({ "filePath": world.outside("deep/other.txt") })),
                ("write", json!({ "filePath": world.outside("deep/other.txt"), "content": "x" })),
            ],
        )
        .await;

    assert!(world.has_leaked("opened"));
    world.assert_outside_is_untouched();
    assert_eq!(
        verdicts.texts(),
        [
            "external_directory once: decided by a rule".to_owned(),
            "read once: decided by a rule".to_owned(),
            "external_directory once: decided by a rule".to_owned(),
            format!(
                "edit reject: {} is not in the allowed directories",
                world.outside("deep/other.txt")
            ),
        ]
    );
}

/// OpenCode counts the whole repository as the project, and asks only for files.
#[tokio::test]
async fn the_rest_of_a_repository_is_outside_too() {
    let world = PolicyWorld::new("repository").await;
    let root = world.project().parent().unwrap().to_owned();
    git(&root, &["init", "--quiet"]);
    let verdicts = Verdicts::default();
    let session = world.session().await.with_policy(verdicts.of(within_the_project()));
    let session = session.await.unwrap();
    let write = |path: String| ("write", json!({ "filePath": path, "content": "written" }));
    let read = |path: String| ("read", json!({ "filePath": path }));

    let outcome = world
        .play(
            &session,
            "repository",
            [
                write(world.inside("new.txt")),
                write(world.outside("new.txt")),
                write(world.inside("link/new.txt")),
                read(world.outside("secret.txt")),
                read(world.inside("link/secret.txt")),
            ],
        )
        .await;

    assert_eq!(outcome.text(), "Done.");
    assert_eq!(fs::read_to_string(world.inside("new.txt")).unwrap(), "written");
    for path in ["new.txt", "deep/new.txt"] {
        assert!(!fs::exists(world.outside(path)).unwrap(), "{path} was written");
    }
    assert!(!world.has_leaked("repository"));
    let asked: Vec<_> =
        verdicts.all().into_iter().map(|verdict| verdict.request.permission).collect();
    assert_eq!(asked, ["edit", "edit", "edit", "read", "read"]);
}
