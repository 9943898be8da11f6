//! Servers before OpenCode 1.18.

use std::sync::{Arc, Mutex};

use opencode_client::process::Version;
use opencode_client::turn::PostError;
use opencode_client::{PermissionReply, Prompt, TurnError, TurnEventKind, TurnRequest};
use serde_json::{Value, json};

use super::world::TurnWorld;
use crate::conformance::Host;
use crate::server::{ServerReply, ServerScript};

fn page() -> [ServerReply; 1] {
    [ServerReply::new(200, "text/html", "<!doctype html>")]
}

/// A server without the routes that came after OpenCode 1.0: no event stream of all directories, and
/// no lists of permissions and questions. Reports the oldest supported version, since a server
/// without a version is refused.
fn old_server() -> ServerScript {
    let health = json!({ "healthy": true, "version": Version::OLDEST_SUPPORTED.to_string() });
    let script = ServerScript::new()
        .on("GET", "/global/health", [ServerReply::json(health)])
        .on("GET", "/global/event", page())
        .on("GET", "/config", [ServerReply::json(json!({}))]);
    script.on("GET", "/permission", page()).on("GET", "/question", page())
}

/// Events of a turn in OpenCode 1.0: without ids, without `sessionID` at the top level, with text
/// snapshots that grow, and with `session.idle` alone.
fn old_turn(session: &str, user: &str, words: &[&str]) -> Vec<String> {
    let answer = format!("{user}_answer");
    let event = |kind: &str, properties: Value| {
        json!({ "type": kind, "properties": properties }).to_string()
    };
    let tokens =
        json!({ "input": 7, "output": 3, "reasoning": 0, "cache": { "read": 0, "write": 0 } });
    let message = |time: Value| {
        json!({ "info": { "id": answer, "sessionID": session, "role": "assistant", "system": [],
            "parentID": user, "modelID": "m1", "providerID": "scripted", "mode": "build",
            "cost": 0.5, "tokens": tokens, "path": { "cwd": "/workspace", "root": "/workspace" },
            "time": time, "finish": "stop" } })
    };
    let part = |id: &str, mut part: Value| {
        part["id"] = json!(format!("prt_{user}_{id}"));
        part["messageID"] = json!(answer);
        part["sessionID"] = json!(session);
        part
    };
    let mut events = vec![
        event(
            "message.updated",
            json!({ "info": { "id": user, "sessionID": session,
            "role": "user", "time": { "created": 1 } } }),
        ),
        event(
            "message.part.updated",
            json!({ "part": { "id": format!("prt_{user}"),
            "messageID": user, "sessionID": session, "type": "text", "text": "Hello?" } }),
        ),
        event("message.updated", message(json!({ "created": 2 }))),
        event(
            "message.part.updated",
            json!({ "part": part("1", json!({ "type": "step-start" })) }),
        ),
    ];
    let mut text = String::new();
    for word in words {
        text.push_str(word);
        let grown = part("2", json!({ "type": "text", "text": text, "time": { "start": 3 } }));
        events.push(event("message.part.updated", json!({ "part": grown, "delta": word })));
    }
    let whole = json!({ "type": "text", "text": text, "time": { "start": 3, "end": 4 } });
    let finish = json!({ "type": "step-finish", "reason": "stop", "cost": 0.5, "tokens": tokens });
    events.extend([
        event("message.part.updated", json!({ "part": part("2", whole) })),
        event("message.part.updated", json!({ "part": part("3", finish) })),
        event("message.updated", message(json!({ "created": 2, "completed": 5 }))),
        event("session.idle", json!({ "sessionID": session })),
    ]);
    events
}

pub(crate) async fn a_turn_completes(on: &Host) {
    let world = TurnWorld::new(on, old_server()).await;
    assert_eq!(world.server.version(), Some(&Version::OLDEST_SUPPORTED));
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    world.send(old_turn(world.session.id().as_str(), &message, &["Hel", "lo ", "you."]));
    let played = turn.await;
    played.assert_answer("Hello you.");
    let deltas = played.count(|kind| matches!(kind, TurnEventKind::PartDelta { .. }));
    assert_eq!((deltas, played.outcome().gaps), (2, 0));
    assert_eq!(played.outcome().tokens().output, 3);
    assert!((played.outcome().cost() - 0.5).abs() < 1e-9);
}

pub(crate) async fn a_gap_is_healed(on: &Host) {
    let world = TurnWorld::new(on, old_server()).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    let events = old_turn(world.session.id().as_str(), &message, &["Hel", "lo ", "you."]);
    world.store(&events);
    world.send(&events[..6]);
    world.fake.close_events();
    let played = turn.await;
    played.assert_answer("Hello you.");
    assert_eq!(played.outcome().gaps, 1);
}

pub(crate) async fn a_permission_is_replied_to_on_the_old_route(on: &Host) {
    for missing in [page()[0].clone(), ServerReply::status(404)] {
        let script = old_server().on("POST", "/permission/{id}/reply", [missing]);
        let world = TurnWorld::new(on, script).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let request = TurnRequest::new(Prompt::from("Go.")).on_permission({
            let asked = Arc::clone(&asked);
            move |ask: opencode_client::turn::Pending<opencode_client::turn::PermissionRequest>| {
                asked.lock().unwrap().push(ask.request.permission);
                std::future::ready(PermissionReply::Once)
            }
        });
        let (turn, message) = world.begin_and_wait_for_prompt(request).await;
        let session = world.session.id().as_str();
        let events = old_turn(session, &message, &["Done."]);
        world.send(&events[..4]);
        let permission = json!({ "id": "per_1", "type": "bash", "pattern": "echo *",
            "sessionID": session, "messageID": format!("{message}_answer"), "callID": "call_1",
            "title": "echo out", "metadata": {}, "time": { "created": 3 } });
        world.send([json!({ "type": "permission.updated", "properties": permission }).to_string()]);
        let answers = world.wait_for_bodies("POST", "/session/{id}/permissions/per_1", 1).await;
        assert_eq!(answers, [json!({ "response": "once" })]);
        let replied = json!({ "sessionID": session, "permissionID": "per_1", "response": "once" });
        world.send([json!({ "type": "permission.replied", "properties": replied }).to_string()]);
        world.send(&events[4..]);
        let played = turn.await;
        played.assert_answer("Done.");
        assert_eq!(*asked.lock().unwrap(), ["bash"]);
        let is_granted = |kind: &TurnEventKind| match kind {
            TurnEventKind::PermissionReplied { reply, .. } => &**reply == "once",
            _ => false,
        };
        let asks = [
            played.count(|kind| matches!(kind, TurnEventKind::PermissionAsked(_))),
            played.count(is_granted),
        ];
        assert_eq!(asks, [1, 1]);
        assert_eq!(world.count("POST", "/session/{id}/permissions/per_1"), 1);
    }
}

pub(crate) async fn an_unknown_agent_is_refused_without_a_prompt(on: &Host) {
    let agents = json!([{ "name": "build", "mode": "primary", "permission": [] }]);
    let script = old_server().on("GET", "/agent", [ServerReply::json(agents)]);
    let world = TurnWorld::new(on, script).await;
    let prompt = || Prompt::from("Hello?").with_agent("unheard-of");
    let error = world.session.send(prompt()).outcome().await.unwrap_err();
    let TurnError::UnknownAgent(unknown) = &error else { panic!("{error:?}") };
    assert_eq!(unknown.agent, "unheard-of");
    assert_eq!(error.to_string(), "the server has no agent `unheard-of`");
    let error = world.session.post(prompt()).await.unwrap_err();
    assert!(matches!(error, PostError::UnknownAgent(_)) && error.posted().is_none(), "{error:?}");
    assert_eq!(world.count("POST", "/session/{id}/prompt_async"), 0, "a prompt was posted");
    world.session.post(Prompt::from("Hello?").with_agent("build")).await.unwrap();
    assert_eq!(world.count("POST", "/session/{id}/prompt_async"), 1);
}
