//! Short methods, async and blocking, on the real OpenCode.

use std::path::Path;
use std::process::{Command, Stdio};

use opencode_api::vcs::VcsDiffMode;
use opencode_api::{Groups, mcp};
use opencode_tokio::{AttachRequest, ModelRef, blocking};
use testkit::conformance::real::sessions::{SessionWorld, credentials};

use crate::on;

#[tokio::test]
async fn short_methods_return_the_output_of_operations() {
    // Outside of the repository that the tests share.
    let project = tempfile::tempdir().unwrap();
    let directory = project.path().canonicalize().unwrap();
    let there = directory.to_str().unwrap();
    let world =
        SessionWorld::attached(&on(), "groups", |request| request.with_directory(there)).await;
    std::fs::write(directory.join("found.txt"), "a needle\n").unwrap();
    let server = &world.server;

    let providers = server.providers().list().await.unwrap();
    assert!(providers.is_logged_in(), "the scripted provider is connected");
    let model = providers.model(&ModelRef::new("scripted/m1").unwrap()).unwrap();
    assert!(model.limit.context > 0.0);
    let agents = server.agents().list().await.unwrap();
    assert!(agents.iter().any(|agent| agent.name == "build"));
    assert!(!server.commands().list().await.unwrap().is_empty());
    server.projects().init_git().await.unwrap();
    server.instance().dispose().await.unwrap();
    git(&directory, ["add", "found.txt"]);
    git(&directory, ["commit", "--message=first"]);
    std::fs::write(directory.join("found.txt"), "two needles\n").unwrap();
    let diff = server.vcs().diff(VcsDiffMode::Git).await.unwrap();
    assert!(diff.iter().any(|file| file.file == "found.txt"), "{diff:?}");
    assert!(server.vcs().diff_raw().await.unwrap().contains("+two needles"));
    assert_eq!(server.files().read("found.txt").await.unwrap().content, "two needles");
    let session = world.session().await;
    let info = server.sessions().get(session.id().clone()).await.unwrap();
    assert_eq!(info.id, *session.id());
    let added = mcp::McpLocalConfig::new(vec!["false".to_owned()]).into();
    let status = server.mcp().add("grouped", added).await.unwrap();
    assert!(status.iter().any(|(name, _)| name == "grouped"));
    let next = server.next().agents().list().await.unwrap();
    assert!(next.data.iter().any(|agent| agent.id == "build"), "{next:?}");
    // A call can be moved to another task.
    let call = server.path().get();
    let paths = tokio::spawn(call).await.unwrap().unwrap();
    assert_eq!(paths.directory, there);
}

#[tokio::test]
async fn short_methods_block_on_a_blocking_server() {
    let world = SessionWorld::in_directory(&on(), "blocking-groups").await;
    let request = AttachRequest::new(world.server.url())
        .with_credentials(credentials())
        .with_directory(world.project().to_str().unwrap());
    let directory = world.project();

    tokio::task::spawn_blocking(move || {
        let server = blocking::opencode().unwrap().attach(request).unwrap();
        assert_eq!(server.path().get().unwrap().directory, directory.to_str().unwrap());
        let made = server.sessions().create().unwrap();
        assert_eq!(server.sessions().get(made.id.clone()).unwrap().title, made.title);
        assert!(server.next().server().health().unwrap().healthy);
        assert!(server.sessions().delete(made.id.clone()).unwrap());
        let error = server.sessions().get(made.id).unwrap_err();
        assert!(error.to_string().contains("/session/"), "{error}");
    })
    .await
    .unwrap();
}

pub(crate) fn git<const N: usize>(directory: &Path, arguments: [&str; N]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
    let status = command.args(arguments).current_dir(directory).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}
