//! Runs that OpenCode refuses to start, or starts with another agent.

use opencode_tokio::config::RunFlags;
use opencode_tokio::event::ErrorName;
use opencode_tokio::run::{AgentFallback, Exit, Notice};
use opencode_tokio::{RunConfig, RunEnd, RunError, RunReport, RunRequest};
use serde_json::json;
use testkit::conformance::real::runs::{RunWorld, object};
use testkit::model::Reply;

use crate::on;

/// Runs to a failure. Returns the report and the message of the error.
async fn ended(world: &RunWorld, request: RunRequest) -> (Box<RunReport>, String) {
    match world.run(request).await {
        Err(error @ RunError::Ended(_)) => {
            let message = error.to_string();
            let RunError::Ended(report) = error else { unreachable!() };
            (report, message)
        }
        other => panic!("{other:?}"),
    }
}

/// Message of a run that did not start.
async fn startup_message(world: &RunWorld, config: RunConfig) -> String {
    let (report, shown) = ended(world, world.request_with("Go.", config)).await;
    let RunEnd::StartupError { message } = &report.outcome.end else { panic!("{shown}") };
    assert!(shown.ends_with(&format!("did not start: {message}")), "{shown}");
    assert!(!shown.contains('\x1b'), "colours: {shown:?}");
    assert_eq!(report.outcome.exit, Some(Exit::Code(1)));
    assert_eq!((report.outcome.lines.events, report.attempts), (0, 1));
    assert_eq!(world.model.requests().len(), 0);
    message.clone()
}

#[tokio::test]
async fn an_unknown_model_is_an_error_with_its_cause() {
    let world = RunWorld::new(&on());
    let config = world.config().with_model("scripted/m7".parse().unwrap());

    let (report, shown) = ended(&world, world.request_with("Go.", config)).await;

    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{shown}") };
    assert_eq!(error.name, ErrorName::UNKNOWN);
    assert!(error.message.contains("Check server logs"), "{error:?}: OpenCode shows the cause");
    assert!(error.reference.as_ref().unwrap().starts_with("err_"), "{error:?}");
    let cause = error.cause.as_ref().unwrap();
    assert!(cause.contains("Model not found: scripted/m7"), "{cause}");
    assert!(shown.contains(cause), "{shown}");
    assert_eq!(world.model.requests().len(), 0);
}

#[tokio::test]
async fn an_unknown_command_is_an_error() {
    let world = RunWorld::new(&on());
    let config = world.config().with_flags(RunFlags::new().with_command("frobnicate"));

    let (report, shown) = ended(&world, world.request_with("now", config)).await;

    let RunEnd::AgentError(error) = &report.outcome.end else { panic!("{shown}") };
    // OpenCode logs this error without the message.
    assert!(error.reference.is_some() && error.cause.is_none(), "{error:?}");
    assert!(error.to_string().contains(&error.message), "{error}");
    assert!(shown.contains(" --command=frobnicate "), "{shown}");
    assert_eq!(world.model.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_of_another_agent_is_not_accepted() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Too late.").stall());
    let config = world.config().with_agent("nobody");

    let (report, shown) = ended(&world, world.request_with("Go.", config)).await;

    let RunEnd::AgentReplaced { reason } = &report.outcome.end else { panic!("{shown}") };
    assert_eq!(reason, "agent \"nobody\" not found");
    assert_eq!(report.text(), "");
}

#[tokio::test]
async fn the_default_agent_is_accepted_in_place_of_a_subagent_on_request() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("I am another."));
    let config = world.config().with_agent("general");
    let request = world.request_with("Go.", config);
    let settings = request.settings().clone().with_agent_fallback(AgentFallback::Accept);
    let request = request.with_settings(settings);

    let report = world.run(request).await.unwrap();

    assert_eq!(report.text(), "I am another.");
    let [Notice::AgentReplaced { reason, .. }] = &report.outcome.notices[..] else {
        panic!("{:?}", report.outcome.notices)
    };
    assert!(reason.contains("general") && reason.contains("subagent"), "{reason}");
}

#[tokio::test]
async fn a_config_that_opencode_refuses_is_an_error_with_its_message() {
    let world = RunWorld::new(&on());
    let config = world.config().with_overrides(object(&json!({ "share": 7 })));

    let message = startup_message(&world, config).await;

    assert!(message.contains("OPENCODE_CONFIG_CONTENT"), "{message}");
    assert!(message.contains("share"), "{message}");
}

#[tokio::test]
async fn a_missing_attachment_is_an_error_with_its_path() {
    let world = RunWorld::new(&on());
    let config = world.config().with_flags(RunFlags::new().with_file("no such.txt"));

    // The words are OpenCode's, and nothing is started to get them.
    let error = world.run(world.request("Go.").with_config(config)).await.unwrap_err();

    let report = error.report().unwrap();
    let message = "File not found: no such.txt".to_owned();
    assert_eq!(report.outcome.end, RunEnd::StartupError { message });
    assert_eq!((report.attempts, report.outcome.exit), (0, None));
}

#[tokio::test]
async fn a_missing_directory_or_an_empty_prompt_starts_nothing() {
    let world = RunWorld::new(&on());
    let nowhere = world.path("nowhere");

    let request = world.request("Go.").with_directory(&nowhere);
    let error = world.run(request).await.unwrap_err();
    assert!(matches!(&error, RunError::Directory { path, .. } if *path == nowhere), "{error:?}");

    for prompt in ["", " \n\t\u{feff}\u{2003}\r\n"] {
        let error = world.run(world.request(prompt)).await.unwrap_err();
        let RunError::Config(error) = &error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), "the prompt is empty");
    }
    assert_eq!(world.model.requests().len(), 0);
}
