//! What is asked, or answered, while the connection is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opencode_client::api::ListPermissions;
use opencode_client::{
    CreateSession, HubSettings, PermissionReply, Permissions, TurnEventKind, TurnRequest,
};
use serde_json::json;

use super::behind::{Behind, Follow, follow};
use super::sessions::prompt;
use crate::conformance::Host;
use crate::model::{Gate, Reply, Script};
use crate::proxy::{Cut, CutAt};

/// A session whose shell commands have to be granted.
async fn asking(on: &Host) -> Behind {
    let create = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    Behind::with(on, HubSettings::default(), create).await
}

/// Grants everything, and counts it.
fn granting(request: &str) -> (TurnRequest, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let request = prompt(request).on_permission({
        let asked = Arc::clone(&asked);
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready(PermissionReply::Once)
        }
    });
    (request, asked)
}

fn script(gate: &Gate) -> Script {
    let bash = json!({ "command": "echo o''ut", "description": "d" });
    Script::new()
        .then(Reply::new().text("I look. ").pause_until(gate).tool("bash", bash))
        .then(Reply::new().text("Done."))
}

/// The command ran, once, on one grant.
async fn assert_granted(behind: &Behind, turn: Follow, asked: &AtomicUsize) {
    let told = turn.end().await;
    let outcome = told.assert_answer("I look. Done.");
    let outputs: Vec<_> = outcome
        .tools()
        .map(|tool| tool.state.output().map(|output| output.to_str().trim().to_owned()))
        .collect();
    assert_eq!(outputs, [Some("out".to_owned())]);
    let asks = told.count(|kind| matches!(kind, TurnEventKind::PermissionAsked(_)));
    assert_eq!((asks, asked.load(Ordering::SeqCst), behind.posts()), (1, 1, 1));
}

pub(crate) async fn a_permission_that_was_asked_in_the_gap_is_found(on: &Host) {
    let behind = asking(on).await;
    let gate = Gate::new();
    behind.world.model().script("faults-ask", script(&gate));
    let (request, asked) = granting("Go [[faults-ask]]");
    let mut turn = follow(behind.session.send(request));
    turn.until_text("I look. ").await;
    behind.proxy.refuse();
    behind.proxied(|proxy| proxy.cut_events(Cut::Close)).await;
    gate.open();
    // Asked past the proxy.
    loop {
        let asks = behind.world.server.call(&ListPermissions::new()).await.unwrap();
        if asks.iter().any(|ask| ask.session == *behind.session.id()) {
            break;
        }
    }
    behind.proxy.accept();
    assert_granted(&behind, turn, &asked).await;
    assert_eq!(behind.count("POST", "/permission/{id}/reply"), 1);
}

pub(crate) async fn an_answer_that_was_lost_is_sent_again(on: &Host) {
    let behind = asking(on).await;
    let gate = Gate::new();
    gate.open();
    behind.world.model().script("faults-lost", script(&gate));
    behind.proxy.cut_request("POST", "/permission/{id}/reply", CutAt::Before);
    let (request, asked) = granting("Go [[faults-lost]]");
    let turn = follow(behind.session.send(request));
    assert_granted(&behind, turn, &asked).await;
    assert_eq!(behind.count("POST", "/permission/{id}/reply"), 2);
}

pub(crate) async fn an_answer_whose_receipt_was_lost_counts(on: &Host) {
    let behind = asking(on).await;
    let gate = Gate::new();
    gate.open();
    behind.world.model().script("faults-receipt", script(&gate));
    behind.proxy.cut_request("POST", "/permission/{id}/reply", CutAt::AfterRequest);
    let (request, asked) = granting("Go [[faults-receipt]]");
    let turn = follow(behind.session.send(request));
    assert_granted(&behind, turn, &asked).await;
}
