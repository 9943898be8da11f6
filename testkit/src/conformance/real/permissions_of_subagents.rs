//! Permission requests of subagents.

use opencode_client::turn::Origin;
use opencode_client::{PermissionReply, TurnEventKind};
use serde_json::json;

use super::asking::{PermissionLog, commands, completed, tools};
use super::sessions::{SessionWorld, play, prompt};
use crate::conformance::Host;
use crate::model::{Reply, Script};

fn parent(child: &str) -> Script {
    let task = json!({
        "description": "a task",
        "prompt": format!("Go [[{child}]]"),
        "subagent_type": "asker",
    });
    Script::new().then(Reply::new().tool("task", task)).then(Reply::new().text("All done."))
}

pub(crate) async fn a_subagent_uses_the_handler_of_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-parent", parent("permissions-child"));
    world.model().script("permissions-child", commands(["echo one"]));
    let asked = PermissionLog::default();
    let session = world.session().await.on_permission(asked.reply(PermissionReply::Once));

    let mut turn = session.send(prompt("Go [[permissions-parent]]"));
    let (mut children, mut asks) = (Vec::new(), Vec::new());
    while let Some(event) = turn.next_event().await {
        match event.kind {
            TurnEventKind::ChildStarted(info) => children.push(info.id),
            TurnEventKind::PermissionAsked(_) => asks.push((event.origin, event.session)),
            _ => {}
        }
    }
    let outcome = turn.outcome().await.unwrap();

    assert_eq!(outcome.text(), "All done.");
    let [child] = &outcome.children[..] else { panic!("{:?}", outcome.children) };
    assert_eq!(children, [child.id().clone()]);
    assert_ne!(child.id(), session.id());
    assert_eq!(asks, [(Origin::Subagent, child.id().clone())]);
    assert_eq!(asked.patterns(), ["echo one"]);
    assert_eq!(asked.all()[0].session, *child.id());
    assert_eq!(child.text(), "Done.");
    let of_child: Vec<_> =
        child.tools().map(|tool| tool.state.output().unwrap().to_str().into_owned()).collect();
    assert_eq!(of_child, [completed("one\n").1]);
    let calls: Vec<_> = outcome.tools().map(|tool| (&*tool.tool, tool.state.status())).collect();
    assert_eq!(calls, [("task", "completed")]);
}

pub(crate) async fn a_rejection_ends_the_subagent_and_not_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("permissions-parent-2", parent("permissions-child-2"));
    world.model().script("permissions-child-2", commands(["echo one"]));
    let session = world.session().await;

    let (_, outcome) = play(session.send(prompt("Go [[permissions-parent-2]]"))).await;

    assert_eq!(outcome.text(), "All done.");
    assert_eq!(outcome.children[0].text(), "");
    assert_eq!(tools(&outcome).len(), 1);
    assert_eq!(world.model_requests("permissions-child-2").len(), 1);
}
