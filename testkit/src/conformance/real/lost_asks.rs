//! Permission requests and replies that are lost with the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opencode_client::api::ListPermissions;
use opencode_client::server::HubSettings;
use opencode_client::{CreateSession, PermissionReply, Permissions, TurnEventKind, TurnRequest};
use serde_json::json;

use super::behind::{ProxiedSession, TurnFollower, follow};
use super::sessions::prompt;
use crate::conformance::Host;
use crate::model::{Gate, Reply, Script};
use crate::proxy::{Cut, CutAt};

/// Creates a session that needs permission for every command.
async fn asking(on: &Host) -> ProxiedSession {
    let create = CreateSession::new().with_permission(Permissions::new().ask("bash"));
    ProxiedSession::with(on, HubSettings::default(), create).await
}

/// Creates a request whose handler grants and counts all permissions.
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

/// Checks that the command ran once, after one grant.
async fn assert_granted(behind: &ProxiedSession, turn: TurnFollower, asked: &AtomicUsize) {
    let ended = turn.end().await;
    let outcome = ended.assert_answer("I look. Done.");
    let outputs: Vec<_> = outcome
        .tools()
        .map(|tool| tool.state.output().map(|output| output.to_str().trim().to_owned()))
        .collect();
    assert_eq!(outputs, [Some("out".to_owned())]);
    let asks = ended.count(|kind| matches!(kind, TurnEventKind::PermissionAsked(_)));
    assert_eq!((asks, asked.load(Ordering::SeqCst), behind.posts()), (1, 1, 1));
}

pub(crate) async fn a_request_published_in_a_gap_is_found(on: &Host) {
    let behind = asking(on).await;
    let gate = Gate::new();
    behind.world.model().script("faults-ask", script(&gate));
    let (request, asked) = granting("Go [[faults-ask]]");
    let mut turn = follow(behind.session.send(request));
    turn.until_text("I look. ").await;
    behind.proxy.refuse();
    behind.proxied(|proxy| proxy.cut_events(Cut::Close)).await;
    gate.open();
    // Polls the server without the proxy.
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

pub(crate) async fn a_lost_reply_is_sent_again(on: &Host) {
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

pub(crate) async fn a_reply_without_a_response_counts(on: &Host) {
    let behind = asking(on).await;
    let gate = Gate::new();
    gate.open();
    behind.world.model().script("faults-receipt", script(&gate));
    behind.proxy.cut_request("POST", "/permission/{id}/reply", CutAt::AfterRequest);
    let (request, asked) = granting("Go [[faults-receipt]]");
    let turn = follow(behind.session.send(request));
    assert_granted(&behind, turn, &asked).await;
}
