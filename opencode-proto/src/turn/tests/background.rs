//! Work that goes on after the answer.

use super::*;
use crate::BackgroundWork;

/// A turn whose subagent `c` works when the answer is complete.
fn answered(settings: TurnSettings) -> Stage {
    let mut stage = Stage::posted(settings);
    stage.hear(event_of_child("session.created", r#""info":{"id":"c","parentID":"s"}"#));
    stage.hear(event_of_child("session.status", BUSY));
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    stage
}

#[test]
fn a_turn_waits_for_a_subagent_and_answers_its_requests() {
    let mut stage = answered(TurnSettings::default());
    assert_eq!(stage.end(), None);
    let ask = r#""id":"per_1","permission":"bash","patterns":["ls"]"#;
    stage.hear(event_of_child("permission.asked", ask));
    let answer = stage.asked.pop().expect("the turn is asked").reply(PermissionReply::Once);
    stage.does(|turn, session, now| turn.answer(answer, session, now));
    let spent =
        r#""tokens":{"total":7,"input":7,"output":0,"reasoning":0,"cache":{"read":0,"write":0}}"#;
    let info = format!(r#""info":{{"id":"c1","role":"assistant","parentID":"c0",{spent}{DONE}}}"#);
    stage.hear(event_of_child("message.updated", &info));
    stage.hear(event_of_child("session.status", IDLE));
    assert_eq!(stage.end(), None, "OpenCode may prompt the session now");
    stage.wait(TurnSettings::default().settle_delay);
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    assert_eq!((outcome.children_tokens().total, &*outcome.still_running), (7, &[][..]));
    assert!(!stage.did.contains(&"abort"));
}

/// OpenCode prompts the session with the result of the subagent.
#[test]
fn the_answer_to_the_result_of_a_subagent_belongs_to_the_turn() {
    let mut stage = answered(TurnSettings::default());
    stage.hear(event_of_child("session.status", IDLE));
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let text = r#""id":"p3","messageID":"m3","type":"text","text":"Done.","synthetic":true"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    stage.tell("session.status", BUSY);
    stage.wait(TurnSettings::default().settle_delay);
    assert_eq!(stage.end(), None);
    let reply = r#""id":"m4","role":"assistant","parentID":"m3""#;
    stage.tell("message.updated", &format!(r#""info":{{{reply}}}"#));
    let text = r#""id":"p4","messageID":"m4","type":"text","text":"Thanks.","time":{"end":1}"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    stage.tell("message.updated", &format!(r#""info":{{{reply}{DONE}}}"#));
    stage.tell("session.status", IDLE);
    stage.wait(TurnSettings::default().settle_delay);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().text(), "Thanks.");
}

#[test]
fn a_turn_that_leaves_its_subagents_names_them() {
    let settings = TurnSettings::default().with_background(BackgroundWork::Leave);
    let stage = answered(settings);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().still_running, [SessionId::from("c")]);
}

/// A plugin prompts the session when it is idle.
#[test]
fn a_turn_that_waits_for_quiet_has_the_prompts_of_plugins() {
    let quiet = BackgroundWork::AwaitQuiet(5 * SECOND);
    let mut stage = Stage::posted(TurnSettings::default().with_background(quiet));
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    stage.wait(4 * SECOND);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    stage.tell("session.status", BUSY);
    stage.wait(4 * SECOND);
    let reply = format!(r#""info":{{"id":"m4","role":"assistant","parentID":"m3"{DONE}}}"#);
    stage.tell("message.updated", &reply);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), None);
    stage.wait(5 * SECOND);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().answers().count(), 2);
}

#[test]
fn a_deadline_or_a_cancel_aborts_the_rest_of_an_answered_turn() {
    let deadlines = Deadlines::default().with_overall(60 * SECOND);
    for cancel in [false, true] {
        let mut stage = answered(TurnSettings::default().with_deadlines(deadlines));
        match cancel {
            true => stage.does(Turn::cancel),
            false => stage.wait(60 * SECOND),
        }
        assert_eq!(stage.end(), Some("completed"));
        assert!(stage.is_calling("/abort") && !stage.session.may_post());
        assert_eq!(stage.outcome.as_ref().unwrap().still_running, [SessionId::from("c")]);
    }
}

/// The end of the subagent is in a gap.
#[test]
fn a_look_finds_that_a_subagent_has_ended() {
    let mut stage = answered(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    let found = || idle().with("s", [prompt(), message("m2", &answer(DONE))]);
    let mut server = found();
    server.statuses.insert("c".to_owned(), r#"{"type":"busy"}"#.to_owned());
    stage.find(&server);
    stage.wait(SECOND);
    assert_eq!(stage.end(), None, "it works");
    stage.gap();
    stage.wait(Duration::ZERO);
    stage.find(&found());
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("completed"));
}
