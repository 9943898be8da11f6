//! Confirmations, refusals and withdrawn requests.

use super::*;

#[test]
fn the_application_confirms_what_the_rules_leave_open() {
    let settings = PolicySettings::new().ask("edit").with_unruled(Unruled::Confirm);
    let mut trial = Trial::new(settings);
    trial.asks("a", "edit", "x", "{}");
    trial.asks("b", "webfetch", "y", "{}");
    assert_eq!(trial.confirms, ["a", "b"]);
    trial.confirms("b", PermissionReply::Once);
    assert_eq!(trial.verdicts(), ["b once: decided by confirmation"]);
    trial.confirms("a", PermissionReply::reject_with("Not today."));
    trial.lists(&[("a", "s")]);
    assert_eq!(trial.verdicts[0].reply, PermissionReply::reject_with("Not today."));
    trial.confirms("a", PermissionReply::Once);
    assert_eq!(trial.verdicts(), ["a reject: decided by confirmation"], "decided once");
}

#[test]
fn always_holds_for_the_session_and_its_subagents() {
    let mut trial = Trial::new(PolicySettings::new().with_unruled(Unruled::Confirm));
    trial.asks("a", "webfetch", "x", "{}");
    trial.confirms("a", PermissionReply::Always);
    trial.asks_in("child", "b", "webfetch", "x", "{}", "b");
    trial.asks("c", "webfetch", "y", "{}");
    assert_eq!(
        trial.verdicts(),
        ["a once: decided by confirmation", "b once: allowed for good before"]
    );
    assert_eq!(trial.confirms, ["a", "c"]);
}

#[test]
fn a_refusal_waits_until_it_takes_no_allowed_request_along() {
    let settings = PolicySettings::new().deny("bash").with_unruled(Unruled::Confirm);
    let mut trial = Trial::new(settings);
    trial.asks("a", "webfetch", "x", "{}");
    trial.asks("b", "bash", "x", "{}");
    assert_eq!(trial.calls.len(), 0, "`a` is not decided");
    trial.confirms("a", PermissionReply::Once);
    assert_eq!(trial.verdicts(), ["a once: decided by confirmation"]);
    trial.lists(&[("a", "s"), ("b", "s")]);
    assert_eq!(trial.verdicts(), NONE, "the reply is on its way");
    assert_eq!(trial.waits(), Duration::from_millis(20));
    trial.lists(&[("b", "s")]);
    assert_eq!(trial.verdicts(), ["b reject: decided by a rule"]);
}

#[test]
fn a_withdrawn_request_gets_no_verdict_and_holds_nothing_back() {
    let settings = PolicySettings::new().deny("bash").with_unruled(Unruled::Confirm);
    let mut trial = Trial::new(settings);
    trial.asks("a", "webfetch", "x", "{}");
    trial.asks("b", "bash", "x", "{}");
    trial.asks("c", "bash", "x", "{}");
    trial.withdraws("a");
    trial.withdraws("b");
    trial.confirms("a", PermissionReply::Once);
    trial.lists(&[("c", "s")]);
    assert_eq!(trial.verdicts(), ["c reject: decided by a rule"]);
    assert!(matches!(trial.judge.poll_action(), PolicyAction::Wait(None)));
}

#[test]
fn a_request_that_is_withdrawn_unseen_leaves_no_action() {
    let mut trial = Trial::new(PolicySettings::new().with_unruled(Unruled::Confirm));
    let entry = ask("a", "s", "webfetch", &["x"], &[], "{}", "null");
    let asked = listed(&entry).remove(0);
    trial.judge.handle_ask(asked.clone(), trial.now);
    trial.withdraws("a");
    assert_eq!(trial.confirms, NONE);
    trial.does(|judge, now| judge.handle_ask(asked, now));
    assert_eq!(trial.confirms, ["a"], "another turn of the session hands the request over again");
}

#[test]
fn replies_for_withdrawn_requests_are_ignored() {
    let mut trial = Trial::new(within());
    trial.asks("a", "read", "p/x", "{}");
    trial.withdraws("a");
    trial.answers_message("s", &[("a", &running(r#"{"filePath":"x"}"#))]);
    assert_eq!(trial.questions.len(), 0);
    trial.asks("b", "edit", "p/x", r#"{"filepath":"/w/p/x"}"#);
    trial.withdraws("b");
    trial.finds(&Links::default());
    assert_eq!(trial.verdicts(), NONE);
    trial.asks("c", "task", "general", "{}");
    let input = running(r#"{"prompt":"Go","task_id":"ses_x"}"#);
    trial.answers_message("s", &[("c", &input)]);
    trial.withdraws("c");
    trial.asks("c", "task", "general", "{}");
    trial.answers("/session/ses_x", status(404, ""));
    trial.answers_message("s", &[("c", &input)]);
    trial.answers("/session/ses_x", status(404, r#"{"name":"NotFoundError","data":{}}"#));
    assert_eq!(trial.verdicts(), ["c once: decided by a rule"]);
}

#[test]
fn a_request_is_handled_once() {
    let mut trial = Trial::new(PolicySettings::new().with_unruled(Unruled::Confirm));
    trial.asks("a", "webfetch", "x", "{}");
    trial.asks("a", "webfetch", "x", "{}");
    assert_eq!(trial.confirms, ["a"]);
}
