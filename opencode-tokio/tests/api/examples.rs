//! The examples of the whole API, on the real OpenCode.

use opencode_api::{Groups, mcp};
use testkit::conformance::real::sessions::SessionWorld;

use crate::groups::git;
use crate::on;

#[allow(dead_code, reason = "the test calls the function that `main` calls")]
#[path = "../../examples/files.rs"]
mod files;
#[allow(dead_code, reason = "the test calls the function that `main` calls")]
#[path = "../../examples/pick.rs"]
mod pick;

#[tokio::test]
async fn pick_shows_models_agents_commands_and_mcp_servers() {
    let world = SessionWorld::in_directory(&on(), "pick").await;
    let mut unused = mcp::McpLocalConfig::new(vec!["false".to_owned()]);
    unused.enabled = Some(false);
    world.server.mcp().add("unused", unused.into()).await.unwrap();

    let text = pick::overview(&world.server).await.unwrap();

    let lines = [
        "logged in: true\n",
        "model scripted/m1: ",
        "tokens\n",
        "agent build (primary): ",
        "command /greet: ",
        "MCP server unused: disabled\n",
    ];
    for line in lines {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn files_shows_folders_files_and_changes() {
    // Outside of the repository that the tests share.
    let project = tempfile::tempdir().unwrap();
    let directory = project.path().canonicalize().unwrap();
    std::fs::create_dir(directory.join("src")).unwrap();
    std::fs::write(directory.join("src/main.rs"), "fn main() {}\n").unwrap();
    git(&directory, ["init", "--quiet"]);
    git(&directory, ["add", "src"]);
    git(&directory, ["commit", "--message=first"]);
    std::fs::write(directory.join("src/main.rs"), "fn main() { todo!() }\n").unwrap();
    let there = directory.to_str().unwrap();
    let world =
        SessionWorld::attached(&on(), "files", |request| request.with_directory(there)).await;
    let mut browser = files::Browser::new(world.server.clone());

    assert!(browser.list().await.unwrap().contains("src/"));
    let src = browser.open("src").await.unwrap();
    assert!(src.contains("modified main.rs"), "{src}");
    let file = browser.open("main.rs").await.unwrap();
    assert_eq!(file, "fn main() { todo!() }");
    let diff = browser.open("diff").await.unwrap();
    assert!(diff.starts_with("src/main.rs +1 -1\n"), "{diff}");
    assert!(diff.contains("+fn main() { todo!() }"), "{diff}");
    assert!(browser.open("..").await.unwrap().contains("src/"));
}
