//! Turns of other kinds than a plain prompt.

use std::time::Duration;

use opencode_tokio::event::{ApiErrorKind, RawJson};
use opencode_tokio::session::Role;
use opencode_tokio::turn::{
    BackgroundWork, CommandRequest, InitRequest, Origin, OutputFormat, PromptReply, ShellRequest,
    TurnSettings,
};
use opencode_tokio::{ModelRef, Prompt, TurnEnd, TurnEventKind, TurnRequest};
use serde_json::json;
use testkit::conformance::real::live::{
    CALL_TOKENS, EndedTurn, LiveTurn, assert_session_continues, requests_of, run_turn, until_idle,
};
use testkit::conformance::real::sessions::{SessionWorld, prompt};
use testkit::conformance::real::sessions::{bash, wait_for_sleepers};
use testkit::model::{Gate, Reply, RequestKind, Script};

use crate::on;

fn model() -> ModelRef {
    ModelRef::new("scripted/m1").unwrap()
}

#[tokio::test]
async fn a_prompt_without_reply_is_remembered() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;

    let note = Prompt::from("The number is 42.").with_reply(PromptReply::NoReply);
    let turn = run_turn(&session, note).await;

    assert_eq!((turn.end(), turn.outcome.answers().count()), ("completed", 0));
    assert_eq!(turn.outcome.tokens().total, 0);
    assert_eq!(requests_of(&world, &session).len(), 0);
    assert_session_continues(&world, &session).await;
    let requests = requests_of(&world, &session);
    let conversation = serde_json::to_string(requests[0].messages()).unwrap();
    assert!(conversation.contains("The number is 42."), "{conversation}");
}

#[tokio::test]
async fn a_shell_command_is_run_and_remembered() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;

    let turn = run_turn(&session, ShellRequest::new("build", "echo out; exit 3")).await;

    assert_eq!(turn.end(), "completed");
    assert_eq!(turn.tools(), [("bash", "completed")]);
    let output = turn.outcome.tools().next().unwrap().state.output().unwrap().to_str().into_owned();
    assert_eq!(output, "out\n");
    assert_eq!((turn.outcome.text(), turn.outcome.tokens().total), ("".into(), 0));
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_busy_session_refuses_shell_commands() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    world.model().script("kinds-busy", Reply::new().text("One ").pause_until(&gate).text("two."));
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt("Go [[kinds-busy]]")));
    turn.until_text("One ").await;

    let refused = turn.during(run_turn(&session, ShellRequest::new("build", "echo out"))).await;

    let TurnEnd::Refused(error) = &refused.outcome.end else { panic!("{:?}", refused.outcome) };
    assert!(matches!(error.kind, ApiErrorKind::Busy { .. }), "{error:?}");
    assert_eq!((refused.events.len(), refused.tools().len()), (0, 0), "{:#?}", refused.events);
    gate.open();
    let turn = turn.end().await;
    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "One two."));
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_shell_command_can_be_cancelled() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt(ShellRequest::new("build", "sleep 86414"))));
    turn.during(wait_for_sleepers(&on(), "86414", 1)).await;
    turn.stream.cancel();
    let turn = turn.end().await;
    assert_eq!(turn.end(), "cancelled", "{:#?}", turn.outcome);
    wait_for_sleepers(&on(), "86414", 0).await;
    until_idle(&session).await;
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_command_becomes_a_prompt() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("kinds-command", Reply::new().text("Hello, Ada."));
    let session = world.session().await;

    let turn = run_turn(&session, CommandRequest::new("greet").with_arguments("Ada")).await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "Hello, Ada."));
    let requests = world.model_requests("kinds-command");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].prompt().unwrap(), "Greet Ada. [[kinds-command]]");
    turn.assert_calls(1);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_command_can_be_cancelled() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("kinds-command-slow", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let command = CommandRequest::new("greet").with_arguments("[[kinds-command-slow]]");
    let mut turn = LiveTurn::new(session.send(prompt(command)));
    turn.until_text("Begun ").await;
    turn.stream.cancel();
    let turn = turn.end().await;
    assert_eq!((turn.end(), &*turn.outcome.text()), ("cancelled", "Begun "));
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn an_unknown_command_is_refused() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;

    let turn = run_turn(&session, CommandRequest::new("nonsense")).await;

    let TurnEnd::Refused(error) = &turn.outcome.end else { panic!("{:?}", turn.outcome) };
    assert!(matches!(error.kind, ApiErrorKind::Server { .. }), "{error:?}");
    assert_eq!(turn.outcome.answers().count(), 0);
    // The error also arrives as an event, perhaps only after the next turn has begun.
    let next = run_turn(&session, "Hello").await;
    assert_eq!(
        (next.end(), &*next.outcome.text()),
        ("completed", "Hello from the scripted model.")
    );
    next.assert_calls(1);
}

#[tokio::test]
async fn init_becomes_a_prompt_about_the_project() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;

    let turn = run_turn(&session, InitRequest::new(model())).await;

    assert_eq!(turn.end(), "completed", "{:?}", turn.outcome);
    assert_eq!(turn.outcome.text(), "Hello from the scripted model.");
    turn.assert_calls(1);
    let requests = requests_of(&world, &session);
    assert!(requests[0].prompt().unwrap().contains("AGENTS.md"));
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_conversation_can_be_summarised() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    assert_session_continues(&world, &session).await;

    session.summarize(model()).await.unwrap();

    let requests = requests_of(&world, &session);
    let summaries = requests.iter().filter(|request| request.kind() == RequestKind::Compaction);
    assert_eq!(summaries.count(), 1);
    until_idle(&session).await;
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_summary_that_fails_is_an_error() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    assert_session_continues(&world, &session).await;

    let error = session.summarize("scripted/none".parse().unwrap()).await.unwrap_err();

    let end = error.end().expect("the turn was posted");
    assert!(!end.is_completed(), "{end}");
    // OpenCode makes up for the summary with the model of the next prompt, which has no answer.
    let next = run_turn(&session, "And now?").await;
    assert_eq!(next.end(), "replaced_by_summary");
    assert_session_continues(&world, &session).await;
}

fn structured(text: &str) -> Prompt {
    let schema = json!({
        "type": "object",
        "properties": { "x": { "type": "integer" } },
        "required": ["x"],
    });
    let schema = RawJson::parse(schema.to_string()).unwrap();
    Prompt::from(text).with_format(OutputFormat::json_schema(schema))
}

#[tokio::test]
async fn a_structured_answer_follows_its_schema() {
    let world = SessionWorld::new(&on()).await;
    let script = Script::new().then(Reply::new().tool("StructuredOutput", json!({ "x": 42 })));
    world.model().script("kinds-form", script);
    let gate = Gate::new();
    let slow = Script::new()
        .then(Reply::new().pause_until(&gate).tool("StructuredOutput", json!({ "x": 43 })));
    world.model().script("kinds-form-slow", slow);
    let session = world.session().await;

    let turn = run_turn(&session, structured("How many? [[kinds-form]]")).await;

    assert_eq!(turn.end(), "completed", "{:#?}", turn.outcome);
    assert_eq!(turn.outcome.structured().unwrap().as_str(), r#"{"x":42}"#);
    turn.assert_calls(1);
    // From here on, OpenCode cannot list the messages of the session.
    session.messages().await.unwrap_err();
    assert_session_continues(&world, &session).await;

    // A turn with frequent looks completes nevertheless.
    let request = prompt(structured("How many now? [[kinds-form-slow]]"));
    let frequent = request.settings().clone().with_look_interval(Duration::from_millis(50));
    let request = request.with_settings(frequent);
    let mut turn = LiveTurn::new(session.send(request));
    turn.until_model_request(&world, |request| request.script() == Some("kinds-form-slow")).await;
    turn.during(tokio::time::sleep(Duration::from_millis(400))).await;
    gate.open();
    let turn = turn.end().await;
    assert_eq!(turn.end(), "completed", "{:#?}", turn.outcome);
    assert_eq!(turn.outcome.structured().unwrap().as_str(), r#"{"x":43}"#);
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_missing_structured_answer_is_an_error() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("kinds-formless", Reply::new().text("Forty-two."));
    let session = world.session().await;

    let turn = run_turn(&session, structured("How many? [[kinds-formless]]")).await;

    let TurnEnd::AgentError(error) = &turn.outcome.end else { panic!("{:#?}", turn.outcome) };
    assert_eq!(error.name, opencode_tokio::event::ErrorName::STRUCTURED_OUTPUT);
    assert_eq!(turn.outcome.text(), "Forty-two.");
    assert_session_continues(&world, &session).await;
}

fn task(prompt: &str) -> serde_json::Value {
    json!({ "description": "helps", "prompt": prompt, "subagent_type": "general" })
}

fn assert_child(turn: &EndedTurn, text: &str, calls: u64) {
    let [child] = &*turn.outcome.children else { panic!("{:#?}", turn.outcome.children) };
    assert_eq!(child.text(), text);
    assert_eq!(child.parent(), Some(turn.outcome.transcript.id()));
    assert_eq!(turn.outcome.children_tokens().total, calls * CALL_TOKENS);
    assert_eq!(turn.count(|kind| matches!(kind, TurnEventKind::ChildStarted(_))), 1);
    for event in &turn.events {
        let is_child = event.session == *child.id();
        assert_eq!(event.origin == Origin::Subagent, is_child, "{event:?}");
    }
}

#[tokio::test]
async fn a_subagent_works_in_a_child_session() {
    let world = SessionWorld::new(&on()).await;
    let script = Script::new()
        .then(Reply::new().text("I ask.").tool("task", task("Look [[kinds-child]]")))
        .then(Reply::new().text("It says so."));
    world.model().script("kinds-parent", script);
    let child = Script::new()
        .then(Reply::new().text("I look.").tool("bash", bash("echo found")))
        .then(Reply::new().text("Found it."));
    world.model().script("kinds-child", child);
    let session = world.session().await;

    let turn = run_turn(&session, "Go [[kinds-parent]]").await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "It says so."));
    assert_eq!(turn.text(), "I ask.It says so.");
    assert_eq!(turn.tools(), [("task", "completed")]);
    turn.assert_calls(2);
    assert_child(&turn, "Found it.", 2);
    assert_eq!(turn.outcome.children[0].tools().count(), 1);
    assert!(turn.events.iter().any(|event| matches!(&event.kind,
        TurnEventKind::PartDelta { .. } if event.origin == Origin::Subagent)));

    // The next turn ignores the child session, even with frequent looks.
    let gate = Gate::new();
    world.model().script("kinds-after", Reply::new().text("One ").pause_until(&gate).text("two."));
    let request = prompt("Next [[kinds-after]]");
    let frequent = request.settings().clone().with_look_interval(Duration::from_millis(50));
    let request = request.with_settings(frequent);
    let mut next = LiveTurn::new(session.send(request));
    next.until_text("One ").await;
    next.during(tokio::time::sleep(Duration::from_millis(400))).await;
    gate.open();
    let next = next.end().await;
    assert_eq!((next.end(), &*next.outcome.text()), ("completed", "One two."));
    assert_eq!(next.outcome.children.len(), 0, "{:#?}", next.outcome.children);
    assert!(next.events.iter().all(|event| event.origin == Origin::Session));
}

#[tokio::test]
async fn a_subagent_is_cancelled_with_its_turn() {
    let world = SessionWorld::new(&on()).await;
    let script = Script::new().then(Reply::new().tool("task", task("Look [[kinds-child-slow]]")));
    world.model().script("kinds-parent-slow", script);
    world.model().script("kinds-child-slow", Reply::new().text("Begun ").stall());
    let session = world.session().await;
    let mut turn = LiveTurn::new(session.send(prompt("Go [[kinds-parent-slow]]")));
    turn.until(|event| {
        event.origin == Origin::Subagent && matches!(event.kind, TurnEventKind::PartDelta { .. })
    })
    .await;

    turn.stream.cancel();
    let turn = turn.end().await;

    assert_eq!(turn.end(), "cancelled");
    testkit::conformance::real::live::wait_for_model_disconnect(&world, "kinds-child-slow").await;
    assert_eq!(turn.outcome.children[0].text(), "Begun ");
    assert_session_continues(&world, &session).await;
}

#[tokio::test]
async fn a_background_subagent_outlives_its_turn() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let mut background = task("Look [[kinds-background-child]]");
    background["background"] = json!(true);
    let script = Script::new()
        .then(Reply::new().tool("task", background))
        .then(Reply::new().text("It has begun."));
    world.model().script("kinds-background", script);
    let child = Reply::new().text("Begun, ").pause_until(&gate).text("found.");
    world.model().script("kinds-background-child", child);
    let session = world.session().await;

    let settings = TurnSettings::default().with_background(BackgroundWork::Leave);
    let request =
        TurnRequest::from(Prompt::from("Go [[kinds-background]]")).with_settings(settings);
    let turn = run_turn(&session, request).await;

    assert_eq!((turn.end(), &*turn.outcome.text()), ("completed", "It has begun."));
    assert_eq!(turn.outcome.still_running.len(), 1, "the subagent");
    assert_eq!(turn.tools(), [("task", "completed")]);
    turn.assert_calls(2);
    gate.open();
    // The result of the subagent is a prompt, which the session answers by itself.
    testkit::conformance::real::live::wait_for_model_request(&world, {
        let id = session.id().clone();
        move |request| {
            request.session() == Some(id.as_str())
                && request.prompt().is_some_and(|prompt| prompt.contains("Begun, found."))
        }
    })
    .await;
    assert_session_continues(&world, &session).await;
    let messages = session.messages().await.unwrap();
    let prompts = messages.iter().filter(|message| message.info.role == Role::User);
    assert_eq!(prompts.count(), 3);
}
