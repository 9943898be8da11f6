//! Event streams that break, in every way and at every moment.

use std::time::Duration;

use opencode_client::event::Part;
use opencode_client::server::{HubSettings, Interruption};
use opencode_client::turn::Origin;
use opencode_client::{CreateSession, TurnEventKind};
use serde_json::json;

use super::behind::{ProxiedSession, follow, is_lost};
use super::sessions::prompt;
use crate::conformance::Host;
use crate::model::{Gate, Reply, RequestKind, Script};
use crate::proxy::Cut;

pub(crate) async fn cut_twice_in_one_turn(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    let (first, second) = (Gate::new(), Gate::new());
    let answer = Reply::new().text("one ").pause_until(&first).text("two ");
    let answer = answer.pause_until(&second).text("three");
    behind.world.model().script("faults-twice", answer);
    let mut turn = follow(behind.session.send(prompt("Go [[faults-twice]]")));
    turn.until_text("one ").await;
    behind.proxied(|proxy| proxy.cut_events(Cut::Reset)).await;
    turn.until_reconnected(1).await;
    behind.proxy.cut_events_after(r#""delta":"two ""#, 1);
    first.open();
    turn.until_reconnected(2).await;
    second.open();
    let ended = turn.end().await;
    ended.assert_answer("one two three");
    ended.assert_gaps(2);
    assert_eq!((behind.posts(), behind.calls("faults-twice")), (1, 1));
}

/// During the gap there are a text, a tool call, and another model call.
pub(crate) async fn unreachable_for_a_while(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    let (first, second) = (Gate::new(), Gate::new());
    let bash = json!({ "command": "echo out", "description": "d" });
    let script = Script::new()
        .then(Reply::new().text("one ").pause_until(&first).text("two ").tool("bash", bash))
        .then(Reply::new().pause_until(&second).text("three"));
    behind.world.model().script("faults-away", script);
    let mut turn = follow(behind.session.send(prompt("Go [[faults-away]]")));
    turn.until_text("one ").await;
    behind.proxy.refuse();
    behind.proxied(|proxy| proxy.cut_all(Cut::Reset)).await;
    turn.until(|turn| turn.count(is_lost) == 1).await;
    first.open();
    behind
        .wait_for_model_request(|request| {
            request.script() == Some("faults-away") && request.step() == 1
        })
        .await;
    behind.proxy.accept();
    turn.until_text("one two ").await;
    second.open();
    let ended = turn.end().await;
    let outcome = ended.assert_answer("one two three");
    assert_eq!(outcome.text(), "three");
    let tools: Vec<_> = outcome.tools().map(|tool| (&*tool.tool, tool.state.status())).collect();
    assert_eq!(tools, [("bash", "completed")]);
    let finished = ended.count(|kind| matches!(kind, TurnEventKind::StepFinished(_)));
    assert_eq!((finished, outcome.answers().count()), (2, 2));
    ended.assert_gaps(1);
    assert_eq!((behind.posts(), behind.calls("faults-away")), (1, 2));
}

pub(crate) async fn cut_before_the_session_is_idle(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    let gate = Gate::new();
    behind
        .world
        .model()
        .script("faults-idle", Reply::new().text("one ").pause_until(&gate).text("two"));
    let mut turn = follow(behind.session.send(prompt("Go [[faults-idle]]")));
    turn.until_text("one ").await;
    behind.proxy.refuse();
    behind.proxy.cut_events_after(r#""type":"step-finish""#, 1);
    gate.open();
    turn.until(|turn| turn.count(is_lost) == 1).await;
    behind.proxy.accept();
    let ended = turn.end().await;
    let outcome = ended.assert_answer("one two");
    assert_eq!(outcome.tokens().output, 10);
    ended.assert_gaps(1);
    assert_eq!(behind.posts(), 1);
}

pub(crate) async fn cut_before_the_prompt_event(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    behind.world.model().script("faults-warm", Reply::new().text("Warm."));
    follow(behind.session.send(prompt("Go [[faults-warm]]"))).end().await.assert_answer("Warm.");
    let gate = Gate::new();
    behind
        .world
        .model()
        .script("faults-early", Reply::new().text("one ").pause_until(&gate).text("two"));
    behind.proxy.hold_events();
    let turn = on.spawn(follow(behind.session.send(prompt("Go [[faults-early]]"))).end());
    behind.wait_for_model_request(|request| request.script() == Some("faults-early")).await;
    behind.proxied(|proxy| proxy.cut_events(Cut::Close)).await;
    behind.proxy.release_events();
    behind.proxied(|proxy| proxy.wait_for_open_events(1)).await;
    gate.open();
    let ended = turn.await;
    ended.assert_answer("one two");
    ended.assert_gaps(1);
    assert_eq!(behind.posts(), 2);
}

pub(crate) async fn cut_during_a_subagent(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    let (task, child) = (Gate::new(), Gate::new());
    let call = json!({ "description": "d", "prompt": "Do it [[faults-child]]",
        "subagent_type": "general" });
    let script = Script::new()
        .then(Reply::new().text("Go. ").pause_until(&task).tool("task", call))
        .then(Reply::new().text("Done."));
    behind.world.model().script("faults-parent", script);
    let answer = Reply::new().text("I ").pause_until(&child).text("did.");
    behind.world.model().script("faults-child", answer);
    let mut turn = follow(behind.session.send(prompt("Go [[faults-parent]]")));
    turn.until_text("Go. ").await;
    behind.proxy.refuse();
    behind.proxied(|proxy| proxy.cut_events(Cut::Reset)).await;
    task.open();
    // All events of the new child session are lost.
    let asked =
        behind.wait_for_model_request(|request| request.script() == Some("faults-child")).await;
    behind.proxy.accept();
    turn.until_reconnected(1).await;
    child.open();
    let ended = turn.end().await;
    let outcome = ended.assert_answer("Go. Done.");
    let children: Vec<_> = outcome
        .children
        .iter()
        .map(|child| (child.id().as_str(), child.text().into_owned()))
        .collect();
    assert_eq!(children, [(asked.session().unwrap(), "I did.".to_owned())]);
    // The answer of the subagent, without the prompt.
    let texts = ended.events.iter().filter_map(|event| match &event.kind {
        TurnEventKind::PartFinal { part: Part::Text(part), .. } => {
            Some((event.origin, part.text.to_str().into_owned()))
        }
        _ => None,
    });
    let texts: Vec<_> = texts.filter(|(origin, _)| *origin == Origin::Subagent).collect();
    assert_eq!(texts, [(Origin::Subagent, "I did.".to_owned())]);
    ended.assert_gaps(1);
}

pub(crate) async fn half_open(on: &Host) {
    let limit = Duration::from_secs(12);
    let settings = HubSettings::default().with_silence_limit(limit);
    let behind = ProxiedSession::with(on, settings, CreateSession::new()).await;
    let gate = Gate::new();
    behind
        .world
        .model()
        .script("faults-half", Reply::new().text("one ").pause_until(&gate).text("two"));
    let mut turn = follow(behind.session.send(prompt("Go [[faults-half]]")));
    turn.until_text("one ").await;
    behind.proxy.hold_events();
    gate.open();
    turn.until(|turn| turn.count(is_lost) == 1).await;
    behind.proxy.release_events();
    let ended = turn.end().await;
    ended.assert_answer("one two");
    ended.assert_gaps(1);
    let interruption = ended.events.iter().find_map(|event| match &event.kind {
        TurnEventKind::ConnectionLost(interruption) => Some(interruption.clone()),
        _ => None,
    });
    assert!(
        matches!(interruption, Some(Interruption::Silent { limit: actual, .. }) if actual == limit),
        "{interruption:?}"
    );
    let calls = behind.world.model().requests();
    assert!(calls.iter().all(|request| request.kind() != RequestKind::Title), "{calls:?}");
}
