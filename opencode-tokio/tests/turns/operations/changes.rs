//! Changes of files by turns, and their reversal.

use std::fs;

use opencode_tokio::Session;
use opencode_tokio::api::ReadPaths;
use opencode_tokio::event::MessageId;
use opencode_tokio::session::FileDiff;
use serde_json::json;
use testkit::conformance::real::kept::git;
use testkit::conformance::real::sessions::{LONG, SessionWorld, play, prompt};
use testkit::model::{Reply, Script};

use crate::on;

/// Repeats the request until the turn of a message has changes, which OpenCode computes after the
/// turn.
async fn changed(session: &Session, message: &MessageId) -> Vec<FileDiff> {
    let poll = async {
        loop {
            let diff = session.diff(Some(message.clone())).await.unwrap();
            if !diff.is_empty() {
                return diff;
            }
        }
    };
    tokio::time::timeout(LONG, poll).await.unwrap()
}

/// A revert restores the whole worktree.
#[tokio::test]
async fn the_worktree_of_the_tests_is_not_that_of_the_checkout() {
    let world = SessionWorld::new(&on()).await;
    let paths = world.server.call(&ReadPaths::new()).await.unwrap();
    assert_eq!(paths.worktree, world.project().parent().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn changes_of_files_are_listed_and_reverted() {
    let world = SessionWorld::in_directory(&on(), "changes").await;
    let project = world.project();
    fs::write(project.join("old.txt"), "one\ntwo\n").unwrap();
    // OpenCode sees changes only in repositories.
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "--quiet", "-m", "m"]);
    let (old, new) = (project.join("old.txt"), project.join("a dir/new.txt"));
    let write = json!({ "filePath": new, "content": "brand\nnew\n" });
    let read = json!({ "filePath": old });
    let edit = json!({ "filePath": old, "oldString": "two", "newString": "2" });
    let script =
        Script::new().then(Reply::new().tool("write", write)).then(Reply::new().text("Written."));
    world.model().script("changes-write", script);
    let script = Script::new()
        .then(Reply::new().tool("read", read))
        .then(Reply::new().tool("edit", edit))
        .then(Reply::new().text("Edited."));
    world.model().script("changes-edit", script);
    let session = world.session().await;

    let (_, written) = play(session.send(prompt("Go [[changes-write]]"))).await;
    let of_first = changed(&session, &written.message).await;
    let (_, edited) = play(session.send(prompt("Go [[changes-edit]]"))).await;
    let of_second = changed(&session, &edited.message).await;

    let summary = |diff: &FileDiff| {
        let name = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
        (name(&diff.file), name(&diff.status), diff.additions, diff.deletions)
    };
    let new_file = ("a dir/new.txt".to_owned(), "added".to_owned(), 2, 0);
    assert_eq!(of_first.iter().map(summary).collect::<Vec<_>>(), [new_file]);
    let old_file = ("old.txt".to_owned(), "modified".to_owned(), 1, 1);
    assert_eq!(of_second.iter().map(summary).collect::<Vec<_>>(), [old_file]);
    assert_eq!(session.diff(None).await.unwrap(), [], "OpenCode has no diff of a whole session");
    let patch = of_second[0].patch.as_ref().unwrap().to_str().into_owned();
    assert!(patch.contains("-two\n+2\n"), "{patch}");

    session.revert(edited.message.clone(), None).await.unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(&new).unwrap(), "brand\nnew\n");
    session.unrevert().await.unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), "one\n2\n");
    session.revert(written.message, None).await.unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
    assert!(!new.exists());
}
