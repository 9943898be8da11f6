//! Refusals of permissions, which take no other request of the session along.

use super::*;

/// A request of the session `s` and the call `call`.
fn request(id: &str) -> String {
    format!(
        r#""id":"{id}","permission":"bash","patterns":["{id}"],"always":["*"],
            "tool":{{"messageID":"m2","callID":"{id}"}}"#
    )
}

/// An entry of the list of permission requests.
fn entry(id: &str) -> String {
    format!(r#"{{"sessionID":"s",{}}}"#, request(id))
}

/// A turn whose agent has asked for these permissions at once.
fn asked<const N: usize>(ids: [&str; N]) -> Stage {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.answer("");
    for id in ids {
        stage.tell("permission.asked", &request(id));
    }
    stage
}

/// Answers the request with this id.
fn decide(stage: &mut Stage, id: &str, reply: PermissionReply) {
    let place = stage.asked.iter().position(|ask| ask.request.id == id).expect("it was asked");
    let answer = stage.asked.remove(place).reply(reply);
    stage.does(|turn, session, now| turn.answer(answer, session, now));
}

/// The server replies to the listing with these requests.
fn list<const N: usize>(stage: &mut Stage, ids: [&str; N]) {
    let server = WrittenServer { permissions: ids.map(entry).to_vec(), ..WrittenServer::default() };
    let call = stage.calls.iter().find(|call| call.request.uri() == "/permission");
    let reply = server.reply(call.expect("the permissions are listed"));
    stage.reply("/permission", reply);
}

/// Bodies of the replies on their way, with the ids.
fn replies(stage: &Stage) -> Vec<String> {
    let reply = |call: &ApiCall| {
        let id = call.request.uri().path().strip_prefix("/permission/")?.strip_suffix("/reply")?;
        Some(format!("{id} {}", String::from_utf8_lossy(call.request.body())))
    };
    stage.calls.iter().filter_map(reply).collect()
}

const REJECTED: &str = r#"per_1 {"reply":"reject"}"#;
const GRANTED: &str = r#"per_2 {"reply":"once"}"#;

#[test]
fn a_refusal_alone_is_sent_after_one_listing() {
    let mut stage = asked(["per_1"]);
    decide(&mut stage, "per_1", PermissionReply::reject());
    assert!(replies(&stage).is_empty());
    list(&mut stage, ["per_1"]);
    assert_eq!(replies(&stage), [REJECTED]);
}

#[test]
fn a_refusal_waits_for_the_grant_of_a_parallel_call_in_both_orders() {
    for is_refused_first in [true, false] {
        let mut stage = asked(["per_1", "per_2"]);
        if is_refused_first {
            decide(&mut stage, "per_1", PermissionReply::reject());
            assert!(!stage.is_calling("/permission"), "the other request is still open");
        }
        decide(&mut stage, "per_2", PermissionReply::Once);
        assert_eq!(replies(&stage), [GRANTED]);
        if !is_refused_first {
            decide(&mut stage, "per_1", PermissionReply::reject());
        }
        list(&mut stage, ["per_1", "per_2"]);
        assert_eq!(replies(&stage), [GRANTED], "the grant may be on its way");
        stage.replied("/per_2/reply");
        stage.wait(SECOND);
        list(&mut stage, ["per_1"]);
        assert_eq!(replies(&stage), [REJECTED]);
    }
}

#[test]
fn a_refusal_waits_for_the_event_of_a_request_that_the_server_lists() {
    let mut stage = asked(["per_1"]);
    decide(&mut stage, "per_1", PermissionReply::reject());
    list(&mut stage, ["per_1", "per_2"]);
    assert!(replies(&stage).is_empty());
    stage.tell("permission.asked", &request("per_2"));
    decide(&mut stage, "per_2", PermissionReply::Once);
    stage.replied("/per_2/reply");
    stage.wait(SECOND);
    list(&mut stage, ["per_1"]);
    assert_eq!(replies(&stage), [REJECTED]);
}

#[test]
fn refusals_are_sent_together_and_name_the_turns_end() {
    let mut stage = asked(["per_1", "per_2"]);
    decide(&mut stage, "per_2", PermissionReply::reject());
    decide(&mut stage, "per_1", PermissionReply::reject_with("no"));
    list(&mut stage, ["per_1", "per_2"]);
    let messages = [r#"per_1 {"reply":"reject","message":"no"}"#, r#"per_2 {"reply":"reject"}"#];
    assert_eq!(replies(&stage), messages);
    stage.replied("/per_1/reply");
    stage.replied("/per_2/reply");
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    let end = stage.outcome.map(|outcome| outcome.end);
    let Some(TurnEnd::Rejected { refused }) = end else { panic!("{end:?}") };
    assert_eq!(refused, "bash (per_2)");
}

/// OpenCode allows pending requests that an `always` covers.
#[test]
fn a_grant_for_good_does_not_overrule_a_refusal_that_waits() {
    let mut stage = asked(["per_1", "per_2"]);
    decide(&mut stage, "per_1", PermissionReply::reject());
    decide(&mut stage, "per_2", PermissionReply::Always);
    assert_eq!(replies(&stage), [GRANTED]);
    let mut stage = asked(["per_2"]);
    decide(&mut stage, "per_2", PermissionReply::Always);
    assert_eq!(replies(&stage), [r#"per_2 {"reply":"always"}"#]);
}

#[test]
fn a_refusal_that_waits_ends_with_its_request() {
    // Another client answers.
    let mut stage = asked(["per_1", "per_2"]);
    decide(&mut stage, "per_1", PermissionReply::reject());
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"once""#);
    decide(&mut stage, "per_2", PermissionReply::Once);
    stage.replied("/per_2/reply");
    stage.wait(SECOND);
    assert!(!stage.is_calling("/permission") && replies(&stage).is_empty());

    // The turn is aborted.
    let mut stage = asked(["per_1", "per_2"]);
    decide(&mut stage, "per_1", PermissionReply::reject());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!((stage.end(), replies(&stage)), (Some("cancelled"), vec![]));
}

#[test]
fn questions_and_refusals_do_not_wait_for_each_other() {
    let mut stage = asked(["per_1"]);
    let question = r#""id":"que_1","questions":[],"tool":{"messageID":"m2","callID":"q"}"#;
    stage.tell("question.asked", question);
    assert!(stage.did.contains(&"ask question"));
    decide(&mut stage, "per_1", PermissionReply::reject());
    list(&mut stage, ["per_1"]);
    assert_eq!(replies(&stage), [REJECTED]);
}

#[test]
fn requests_of_other_sessions_do_not_wait() {
    let mut stage = asked(["per_1"]);
    let child = r#""info":{"id":"c","parentID":"s"}"#;
    stage.hear(event_of_child("session.created", child));
    let ask = r#""id":"per_2","permission":"bash","patterns":["ls"]"#;
    stage.hear(event_of_child("permission.asked", ask));
    decide(&mut stage, "per_1", PermissionReply::reject());
    list(&mut stage, ["per_1"]);
    assert_eq!(replies(&stage), [REJECTED]);
}

#[test]
fn a_refusal_waits_for_a_request_that_another_turn_of_the_session_answers() {
    let mut stage = asked(["per_1"]);
    let settings = TurnSettings::default();
    let mut other = Turn::new("And?", settings, "m0".into(), &mut stage.session, stage.now);
    other.handle_opened(&mut stage.session, stage.now);
    while let TurnAction::Ready = other.poll_action() {
        other.post("m8".into(), &mut stage.session, stage.now);
    }
    let prompt = event("message.updated", r#""info":{"id":"m8","role":"user"}"#);
    other.handle_event(&prompt, &mut stage.session, stage.now);
    // The other turn hears of the second request first.
    let asked = event("permission.asked", &request("per_2"));
    other.handle_event(&asked, &mut stage.session, stage.now);
    let ask = loop {
        let action = other.poll_action();
        assert!(!matches!(action, TurnAction::Wait(_)), "no request");
        if let TurnAction::AskPermission(ask) = action {
            break ask;
        }
    };
    stage.hear(asked);
    assert_eq!(stage.asked.len(), 1, "the request is the other turn's");

    decide(&mut stage, "per_1", PermissionReply::reject());
    assert!(!stage.is_calling("/permission"));
    other.answer(ask.reply(PermissionReply::reject()), &mut stage.session, stage.now);
    assert!(stage.session.poll_woken().is_some(), "the first turn may go on");
    stage.wait(Duration::ZERO);
    list(&mut stage, ["per_1", "per_2"]);
    assert!(replies(&stage).is_empty(), "the other request may not have been decided yet");
    stage.wait(SECOND * 3);
    list(&mut stage, ["per_1", "per_2"]);
    assert_eq!(replies(&stage), [REJECTED]);
}
