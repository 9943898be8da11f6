//! Runs that share a server.

use opencode_tokio::config::{
    ExtraFlags, FlagValue, Isolation, LogLevel, ProjectConfig, Resume, RunFlags, ToolSwitch,
};
use opencode_tokio::run::Backend;
use opencode_tokio::{Permissions, RunConfig, RunEnd, RunError, RunRequest, ServeRequest};
use serde_json::json;
use testkit::conformance::real::runs;
use testkit::model::{ModelRequest, Reply};

use crate::on;
use crate::world::{ServedRun, ServedWorld, titled};

#[tokio::test]
async fn settings_of_a_running_server_are_refused() {
    let world = ServedWorld::new("shared-settings").await;
    let config = || titled(RunFlags::new());
    let flags = |flags| titled(flags);
    let isolation = Isolation::new().with_project_config(ProjectConfig::Ignore);
    let settings: [(&str, RunConfig); 9] = [
        ("environment", config().with_env("A", "1")),
        ("instructions", config().with_instructions(["/a.md"])),
        ("isolation", config().with_isolation(isolation)),
        ("MCP servers", config().with_mcp("a", json!({}))),
        ("overrides", config().with_overrides(runs::object(&json!({ "share": "auto" })))),
        ("permissions", config().with_permission(Permissions::new().deny("bash"))),
        ("tools", config().with_tool("bash", ToolSwitch::Disabled)),
        ("log level", flags(RunFlags::new().with_log_level(LogLevel::Debug))),
        ("plugins", flags(RunFlags::new().with_plugins(opencode_tokio::config::Plugins::BuiltIn))),
    ];
    for (expected, config) in settings {
        let request = world.request("shared-never", Reply::new()).with_config(config);
        let error = world.run(request).await.result.unwrap_err();
        let RunError::Setting { setting } = &error else { panic!("{expected}: {error:?}") };
        assert_eq!(*setting, expected);
        assert!(error.report().is_none() && error.to_string().contains(expected), "{error}");
    }
    let extra = ExtraFlags::new().with("fork", FlagValue::Off).with("demo", FlagValue::On);
    for backend in [Backend::from(&world.shared.server), Backend::NewServer] {
        let config = config().with_extra_flags(extra.clone());
        let request = world.request("shared-never", Reply::new()).with_config(config);
        let error = world.run(request.with_backend(backend)).await.result.unwrap_err();
        assert!(matches!(&error, RunError::Flag { flag } if flag == "--demo"), "{error:?}");
    }
    assert_eq!(world.shared.model_requests("shared-never").len(), 0);
}

/// Messages of a model request.
fn history(request: &ModelRequest) -> String {
    request.messages().iter().map(|message| format!("{message}\n")).collect()
}

#[tokio::test]
async fn runs_resume_and_fork_sessions() {
    let world = ServedWorld::new("shared-sessions").await;
    let with = |resume: Resume| RunConfig::new().with_flags(RunFlags::new().with_resume(resume));
    let first =
        world.run(world.request("shared-first", Reply::new().text("I will remember."))).await;
    let session = first.report().answer().session().unwrap().clone();

    let request = world.request("shared-second", Reply::new().text("It was that."));
    let second = world.run(request.with_config(with(Resume::latest()))).await;
    assert_eq!(second.report().answer().session(), Some(&session));
    assert_eq!(second.report().answer().full_text(), "It was that.", "earlier turns are included");

    let request = world.request("shared-third", Reply::new().text("Again."));
    let forked = with(Resume::session(session.as_str()).forked());
    let third = world.run(request.with_config(forked)).await;
    assert_ne!(third.report().answer().session().unwrap(), &session);
    let requests = world.shared.model_requests("shared-third");
    let history = history(&requests[0]);
    assert!(history.contains("I will remember.") && history.contains("It was that."), "{history}");

    let unknown = with(Resume::session("ses_0000000000000000000000000"));
    let run = world.run(world.request("shared-first", Reply::new()).with_config(unknown)).await;
    let end = &run.report().outcome.end;
    assert!(
        matches!(end, RunEnd::StartupError { message } if message == "Session not found"),
        "{end}"
    );
}

#[tokio::test]
async fn a_started_server_serves_runs_in_every_directory_until_it_dies() {
    let world = runs::RunWorld::new(&on());
    let _permit = runs::permit();
    let config = || titled(RunFlags::new());
    let serve = ServeRequest::new().with_directory(world.project()).with_config(world.config());
    let server = world.opencode.serve(serve).await.unwrap();
    world.write("other/notes.txt", "of the other project");
    world.model.default_script(Reply::new().text("Read."));

    let flags = RunFlags::new().with_title("").with_file("notes.txt");
    let request = RunRequest::new("What does it say?").with_directory(world.path("other"));
    let request = request.with_config(config().with_flags(flags)).with_backend(&server);
    let report = world.opencode.run(request.clone()).await.unwrap();
    assert_eq!(report.text(), "Read.");
    assert!(history(&world.turns()[0]).contains("of the other project"));
    let session = server.session(report.answer().session().unwrap().clone()).await.unwrap();
    assert_eq!(session.directory(), world.path("other").to_str());
    assert_eq!(session.info().await.unwrap().title, "What does it say?");

    let missing = config().with_flags(RunFlags::new().with_file("no.txt"));
    let error = world.opencode.run(request.clone().with_config(missing)).await.unwrap_err();
    let end = error.end().unwrap();
    assert!(matches!(end, RunEnd::StartupError { message } if message == "File not found: no.txt"));
    let nowhere = request.clone().with_directory(world.path("nowhere"));
    let error = world.opencode.run(nowhere).await.unwrap_err();
    assert!(matches!(error, RunError::Directory { .. }), "{error:?}");

    world.model.default_script(Reply::new().text("I wait.").stall());
    let mut run = world.opencode.stream(request.clone());
    while run.next_event().await.unwrap().text().is_none() {}
    kill(server.process_id().unwrap());
    let end = ServedRun::of(run).await.report().outcome.end.clone();
    assert!(matches!(end, RunEnd::ServerLost { .. }), "{end}");

    let run = world.opencode.stream(request);
    let end = ServedRun::of(run).await.report().outcome.end.clone();
    assert!(matches!(end, RunEnd::ServerLost { .. }), "{end}");
    drop((server, session));
}

pub(crate) fn kill(process: u32) {
    let status = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(status.unwrap().success());
}
