//! Lost requests: prompts, looks and aborts.

use opencode_client::TurnEnd;

use super::behind::{ProxiedSession, follow};
use super::sessions::prompt;
use crate::conformance::Host;
use crate::model::{Gate, ModelRequest, Outcome, Reply};
use crate::proxy::{Cut, CutAt};

const PROMPT: &str = "/session/{id}/prompt_async";

pub(crate) async fn a_lost_prompt_is_not_sent_again(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    behind.world.model().script("faults-unsent", Reply::new().text("Never."));
    behind.proxy.cut_request("POST", PROMPT, CutAt::Before);
    let ended = follow(behind.session.send(prompt("Go [[faults-unsent]]"))).end().await;
    let TurnEnd::NotPosted { reason, .. } = &ended.outcome().end else {
        panic!("{:?}", ended.result)
    };
    assert!(reason.contains("/prompt_async: the connection was lost"), "{reason}");
    assert_eq!((behind.posts(), behind.calls("faults-unsent")), (1, 0));
    assert!(ended.outcome().transcript.messages().is_empty(), "{:?}", ended.events);
    // The session remains usable.
    behind.world.model().script("faults-next", Reply::new().text("Yes."));
    follow(behind.session.send(prompt("Go [[faults-next]]"))).end().await.assert_answer("Yes.");
}

pub(crate) async fn a_prompt_without_a_response_counts(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    for (n, at) in [CutAt::AfterRequest, CutAt::InsideReply].into_iter().enumerate() {
        behind.world.model().script("faults-sent", Reply::new().text("Once."));
        behind.proxy.cut_request("POST", PROMPT, at);
        let ended = follow(behind.session.send(prompt("Go [[faults-sent]]"))).end().await;
        ended.assert_answer("Once.");
        ended.assert_gaps(0);
        assert_eq!((behind.posts(), behind.calls("faults-sent")), (n + 1, n + 1), "{at:?}");
    }
}

pub(crate) async fn a_broken_look_is_repeated(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    let gate = Gate::new();
    let answer = Reply::new().text("one ").pause_until(&gate).text("two");
    behind.world.model().script("faults-look", answer);
    let mut turn = follow(behind.session.send(prompt("Go [[faults-look]]")));
    turn.until_text("one ").await;
    behind.proxy.cut_request("GET", "/session/status", CutAt::Before);
    behind.proxy.cut_request("GET", "/session/{id}/message", CutAt::InsideReply);
    behind.proxy.cut_request("GET", "/session/{id}/children", CutAt::AfterRequest);
    behind.proxied(|proxy| proxy.cut_events(Cut::Close)).await;
    turn.until_reconnected(1).await;
    gate.open();
    let ended = turn.end().await;
    ended.assert_answer("one two");
    ended.assert_gaps(1);
    for path in ["/session/status", "/session/{id}/message", "/session/{id}/children"] {
        assert!(behind.count("GET", path) > 1, "{path}: {:#?}", behind.proxy.requests());
    }
}

pub(crate) async fn a_broken_abort_is_repeated(on: &Host) {
    let behind = ProxiedSession::new(on).await;
    behind.world.model().script("faults-abort", Reply::new().text("one ").stall());
    let mut turn = follow(behind.session.send(prompt("Go [[faults-abort]]")));
    turn.until_text("one ").await;
    behind.proxy.cut_request("POST", "/session/{id}/abort", CutAt::Before);
    turn.turn.cancel();
    let ended = turn.end().await;
    assert_eq!((ended.outcome().end.name(), &*ended.outcome().text()), ("cancelled", "one "));
    assert_eq!(behind.count("POST", "/session/{id}/abort"), 2);
    let has_left = |request: &ModelRequest| {
        request.script() == Some("faults-abort") && request.outcome() == Some(Outcome::ClientLeft)
    };
    behind.wait_for_model_request(has_left).await;
    behind.world.model().script("faults-after", Reply::new().text("Yes."));
    follow(behind.session.send(prompt("Go [[faults-after]]"))).end().await.assert_answer("Yes.");
}
