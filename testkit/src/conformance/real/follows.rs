//! Turns that one client posts, and another one follows.

use opencode_client::api::{ListPermissions, ListQuestions};
use opencode_client::server::HubSettings;
use opencode_client::turn::{
    DroppedFollow, FollowRequest, NothingToFollow, PostError, PostedPrompt, ShellRequest,
};
use opencode_client::{
    Ask, CreateSession, PermissionReply, Permissions, QuestionReply, Session, TurnEnd,
    TurnEventKind, TurnStream,
};
use serde_json::json;

use super::asking::{PermissionLog, asking, command_of, commands, completed, tools};
use super::behind::{ProxiedSession, follow as follow_events};
use super::live::{until_idle, wait_for_model_disconnect, wait_for_model_request};
use super::sessions::{LONG, SessionWorld, failed_outcome, play, prompt};
use crate::conformance::Host;
use crate::model::{Gate, ModelRequest, Reply, Script};
use crate::proxy::Cut;

/// A handle of the session in a client of its own, which knows nothing but ids.
async fn elsewhere(on: &Host, posted: &PostedPrompt) -> Session {
    let world = SessionWorld::new(on).await;
    world.server.session(posted.session.clone()).await.unwrap()
}

/// Hands the ids over as text, as to another program.
fn by_text(posted: &PostedPrompt) -> PostedPrompt {
    let text = serde_json::to_string(posted).unwrap();
    assert!(text.starts_with(r#"{"sessionID":"ses_"#), "{text}");
    serde_json::from_str(&text).unwrap()
}

fn limited(request: impl Into<FollowRequest>) -> FollowRequest {
    request.into().with_deadlines(opencode_client::Deadlines::NONE.with_overall(LONG))
}

fn nothing(end: &TurnEnd) -> NothingToFollow {
    let TurnEnd::NothingToFollow(reason) = end else { panic!("{end:?}") };
    *reason
}

/// Waits until the model works on the script.
async fn at_work(world: &SessionWorld, script: &'static str) {
    let is_meant = move |request: &ModelRequest| request.script() == Some(script);
    wait_for_model_request(world, is_meant).await;
}

/// A script that calls a tool, says something, pauses at the gate, and says the rest.
fn paused(gate: &Gate) -> Script {
    let rest = Reply::new().text("I look. ").pause_until(gate).text("Done.");
    Script::new().then(command_of(Reply::new(), "echo one")).then(rest)
}

pub(crate) async fn a_posted_turn_is_followed_by_another_client(on: &Host) {
    let world = SessionWorld::new(on).await;
    let gate = Gate::new();
    world.model().script("follow-posted", paused(&gate));
    let session = world.session().await;
    session.send("Before.").outcome().await.unwrap();
    let posted = by_text(&session.post("Go [[follow-posted]]").await.unwrap());
    assert_eq!(posted.session, *session.id());
    wait_for_model_request(&world, |request| {
        request.script() == Some("follow-posted") && !request.tool_results().is_empty()
    })
    .await;

    // The client that posted is gone.
    drop((session, world));
    let session = elsewhere(on, &posted).await;
    let mut turn = follow_events(session.follow(limited(posted.clone())));
    turn.until(|turn| turn.count(|kind| matches!(kind, TurnEventKind::Posted(_))) == 1).await;
    assert_eq!(turn.turn.message(), Some(&posted.message));
    gate.open();
    let ended = turn.end().await;
    let outcome = ended.assert_answer("I look. Done.");
    assert_eq!(tools(outcome), [completed("one\n")]);
    assert_eq!((&outcome.message, outcome.gaps), (&posted.message, 0));
}

pub(crate) async fn a_turn_that_has_ended_has_the_same_outcome(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("follow-ended", commands(["echo one"]));
    world.model().script("follow-failed", Reply::error(400, "no such thing"));
    let session = world.session().await;
    let mut posted = Vec::new();
    let mut expected = Vec::new();
    for text in ["Go [[follow-ended]]", "Go [[follow-failed]]"] {
        let outcome = match session.send(prompt(text)).outcome().await {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap().clone(),
        };
        posted.push(PostedPrompt::new(session.id().clone(), outcome.message.clone()));
        expected.push(outcome);
    }
    let line = session.send(ShellRequest::new("build", "echo line")).outcome().await.unwrap();
    posted.push(PostedPrompt::new(session.id().clone(), line.message.clone()));
    expected.push(line);

    for (posted, expected) in posted.iter().zip(expected) {
        let session = elsewhere(on, posted).await;
        let ended = follow_events(session.follow(limited(posted.clone()))).end().await;
        let outcome = ended.outcome();
        assert_eq!(outcome.end.name(), expected.end.name(), "{:#?}", ended.events);
        assert_eq!(outcome.full_text(), expected.full_text());
        assert_eq!(tools(outcome), tools(&expected));
        assert_eq!(outcome.tokens(), expected.tokens());
        ended.assert_no_repeats();
    }
}

pub(crate) async fn the_running_turn_is_found_by_the_session_alone(on: &Host) {
    let world = SessionWorld::new(on).await;
    let gate = Gate::new();
    world.model().script("follow-running", paused(&gate));
    let session = world.session().await;
    let idle = session.follow(limited(FollowRequest::new()));
    assert_eq!(nothing(&failed_outcome(idle).await.end), NothingToFollow::Idle);

    let posted = session.post("Go [[follow-running]]").await.unwrap();
    at_work(&world, "follow-running").await;
    let session = elsewhere(on, &posted).await;
    let turn = session.follow(limited(FollowRequest::new()));
    gate.open();
    let (_, outcome) = play(turn).await;
    assert_eq!((&*outcome.text(), &outcome.message), ("I look. Done.", &posted.message));
}

pub(crate) async fn asks_from_before_are_answered(on: &Host) {
    let world = SessionWorld::new(on).await;
    let question = json!({ "question": "Sure?", "header": "Sure", "options": [] });
    let both =
        command_of(Reply::new(), "echo one").tool("question", json!({ "questions": [question] }));
    let script = Script::new().then(both).then(Reply::new().text("Done."));
    world.model().script("follow-asks", script);
    let yes = || QuestionReply::Answer(vec![["Yes"].into_iter().collect()]);
    for is_by_reader in [false, true] {
        let session = asking(&world).await;
        let posted = session.post("Go [[follow-asks]]").await.unwrap();
        loop {
            let asks = world.server.call(&ListPermissions::new()).await.unwrap();
            let questions = world.server.call(&ListQuestions::new()).await.unwrap();
            let is_asked = asks.iter().any(|ask| ask.session == posted.session);
            if is_asked && questions.iter().any(|ask| ask.session == posted.session) {
                break;
            }
        }
        let session = elsewhere(on, &posted).await;
        let outcome = if is_by_reader {
            let mut turn = session.follow(limited(posted).with_asks_in_stream());
            while turn.next_event().await.is_some() {
                match turn.take_ask() {
                    Some(Ask::Permission(token)) => token.reply(PermissionReply::Once),
                    Some(Ask::Question(token)) => token.reply(yes()),
                    None => {}
                }
            }
            turn.outcome().await.unwrap()
        } else {
            let asked = PermissionLog::default();
            let session = session.on_permission(asked.reply(PermissionReply::Once));
            let request = limited(posted).on_question(move |_| async move { yes() });
            let outcome = session.follow(request).outcome().await.unwrap();
            assert_eq!(asked.patterns(), ["echo one"]);
            outcome
        };
        assert_eq!(outcome.text(), "Done.");
        assert!(outcome.tools().all(|tool| tool.state.status() == "completed"));
    }
}

pub(crate) async fn the_ask_of_a_subagent_is_answered(on: &Host) {
    let world = SessionWorld::new(on).await;
    let task = json!({
        "description": "a task",
        "prompt": "Go [[follow-child]]",
        "subagent_type": "asker",
    });
    let parent = Script::new().then(Reply::new().tool("task", task));
    world.model().script("follow-parent", parent.then(Reply::new().text("All done.")));
    world.model().script("follow-child", commands(["echo one"]));
    let session = world.session().await;
    let posted = session.post("Go [[follow-parent]]").await.unwrap();
    'asked: loop {
        for child in session.children().await.unwrap() {
            let asks = world.server.call(&ListPermissions::new()).await.unwrap();
            if asks.iter().any(|ask| ask.session == child.id) {
                break 'asked;
            }
        }
    }
    let asked = PermissionLog::default();
    let session = elsewhere(on, &posted).await.on_permission(asked.reply(PermissionReply::Once));
    let outcome = session.follow(limited(posted)).outcome().await.unwrap();
    assert_eq!((outcome.text(), asked.patterns()), ("All done.".into(), vec!["echo one".into()]));
    assert_eq!(tools_of_children(&outcome), [completed("one\n").1]);
}

fn tools_of_children(outcome: &opencode_client::TurnOutcome) -> Vec<String> {
    let tools = outcome.children.iter().flat_map(|child| child.tools());
    tools.filter_map(|tool| Some(tool.state.output()?.to_str().into_owned())).collect()
}

pub(crate) async fn a_dropped_follow_leaves_the_turn_running(on: &Host) {
    let world = SessionWorld::new(on).await;
    let gate = Gate::new();
    world.model().script("follow-dropped", paused(&gate));
    let session = world.session().await;
    let posted = session.post("Go [[follow-dropped]]").await.unwrap();
    for _ in 0..2 {
        let session = elsewhere(on, &posted).await;
        let mut turn = session.follow(limited(posted.clone()));
        until_posted(&mut turn).await;
        drop(turn);
    }
    let turn = elsewhere(on, &posted).await.follow(limited(posted.clone()));
    gate.open();
    assert_eq!(play(turn).await.1.text(), "I look. Done.");
}

pub(crate) async fn a_followed_turn_is_aborted_on_request(on: &Host) {
    let world = SessionWorld::new(on).await;
    let stalled = || Reply::new().text("Well").stall();
    world.model().script("follow-abort", stalled());
    world.model().script("follow-cancel", stalled());
    let session = world.session().await;

    let posted = session.post("Go [[follow-abort]]").await.unwrap();
    at_work(&world, "follow-abort").await;
    let other = elsewhere(on, &posted).await;
    let mut turn = other.follow(limited(posted).with_dropped(DroppedFollow::Abort));
    until_posted(&mut turn).await;
    drop(turn);
    wait_for_model_disconnect(&world, "follow-abort").await;
    until_idle(&session).await;

    let posted = session.post("Go [[follow-cancel]]").await.unwrap();
    at_work(&world, "follow-cancel").await;
    let other = elsewhere(on, &posted).await;
    let mut turn = other.follow(limited(posted));
    until_posted(&mut turn).await;
    turn.cancel();
    assert_eq!(failed_outcome(turn).await.end.name(), "cancelled");
    wait_for_model_disconnect(&world, "follow-cancel").await;
}

async fn until_posted(turn: &mut TurnStream) {
    while let Some(event) = turn.next_event().await {
        if matches!(event.kind, TurnEventKind::Posted(_)) {
            return;
        }
    }
    panic!("the turn has ended");
}

pub(crate) async fn a_gap_in_a_followed_turn_is_closed(on: &Host) {
    let create = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    let behind = ProxiedSession::with(on, HubSettings::default(), create).await;
    let gate = Gate::new();
    let ask = Reply::new().text("I look. ").pause_until(&gate);
    let script = Script::new().then(command_of(ask, "echo one")).then(Reply::new().text("Done."));
    behind.world.model().script("follow-gap", script);
    let direct = behind.world.server.session(behind.session.id().clone()).await.unwrap();
    let posted = direct.post("Go [[follow-gap]]").await.unwrap();
    at_work(&behind.world, "follow-gap").await;

    let request = limited(posted).on_permission(|_| async { PermissionReply::Once });
    let mut turn = follow_events(behind.session.follow(request));
    turn.until(|turn| turn.count(|kind| matches!(kind, TurnEventKind::Posted(_))) == 1).await;
    behind.proxy.refuse();
    behind.proxied(|proxy| proxy.cut_events(Cut::Close)).await;
    gate.open();
    loop {
        let asks = behind.world.server.call(&ListPermissions::new()).await.unwrap();
        if asks.iter().any(|ask| ask.session == *behind.session.id()) {
            break;
        }
    }
    behind.proxy.accept();
    let ended = turn.end().await;
    let outcome = ended.assert_answer("I look. Done.");
    assert_eq!(tools(outcome), [completed("one\n")]);
    assert_eq!((outcome.gaps, behind.posts()), (1, 0));
}

pub(crate) async fn unknown_prompts_and_sessions_are_typed(on: &Host) {
    let world = SessionWorld::new(on).await;
    let session = world.session().await;
    let unknown = FollowRequest::new().with_prompt("msg_000000000000unknown");
    let end = failed_outcome(session.follow(limited(unknown))).await.end;
    assert_eq!(nothing(&end), NothingToFollow::UnknownPrompt);

    session.delete().await.unwrap();
    let error = session.post("Hello?").await.unwrap_err();
    assert!(matches!(error, PostError::Refused(_)), "{error:?}");
    let turn = session.follow(limited(FollowRequest::new().with_prompt("msg_1")));
    assert_eq!(failed_outcome(turn).await.end.name(), "session_deleted");
}

pub(crate) async fn two_clients_follow_one_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    let gate = Gate::new();
    world.model().script("follow-both", paused(&gate));
    let session = world.session().await;
    let sent = session.send(prompt("Go [[follow-both]]"));
    let sender = on.spawn(async move { play(sent).await.1 });
    at_work(&world, "follow-both").await;
    let running = world.server.session(session.id().clone()).await.unwrap();
    let here = running.follow(limited(FollowRequest::new()));
    let posted = PostedPrompt::new(session.id().clone(), "msg_any");
    let there = elsewhere(on, &posted).await.follow(limited(FollowRequest::new()));
    let followers = [here, there].map(|turn| on.spawn(async move { play(turn).await.1 }));
    gate.open();
    let mut outcomes = vec![sender.await];
    for follower in followers {
        outcomes.push(follower.await);
    }
    let texts: Vec<_> = outcomes.iter().map(|outcome| outcome.full_text()).collect();
    assert_eq!(texts, ["I look. Done."; 3]);
    let messages: Vec<_> = outcomes.iter().map(|outcome| &outcome.message).collect();
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
}
