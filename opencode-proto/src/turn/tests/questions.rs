//! Questions of the agent, and requests that the server sends twice.

use super::*;
use crate::QuestionReply;

const QUESTION: &str = concat!(
    r#""id":"que_1","tool":{"messageID":"m2","callID":"c"},"#,
    r#""questions":[{"question":"Which?","header":"Color","options":[{"label":"Red"}]}]"#,
);

/// A turn whose model has asked a question.
fn asking() -> Stage {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("question.asked", QUESTION);
    assert_eq!(stage.did, ["post", "ask question"]);
    stage
}

fn reply(stage: &mut Stage, reply: QuestionReply) {
    let answer = stage.questions.pop().unwrap().reply(reply);
    stage.does(|turn, session, now| turn.answer(answer, session, now));
}

#[test]
fn an_answer_is_sent_until_the_server_has_it() {
    let mut stage = asking();
    reply(&mut stage, QuestionReply::Answer(vec!["Red".into()]));
    assert!(stage.is_calling("/question/que_1/reply"));
    stage.reply("/reply", lost());
    stage.wait(SECOND / 2);
    assert_eq!(stage.did, ["post", "ask question", "reply", "reply"]);
    stage.replied("/reply");
    stage.wait(SECOND);
    assert!(!stage.is_calling("/reply"));
}

#[test]
fn a_dismissed_question_ends_the_turn() {
    let mut stage = asking();
    reply(&mut stage, QuestionReply::Dismiss);
    assert!(stage.is_calling("/question/que_1/reject"));
    stage.replied("/reject");
    stage.tell("question.rejected", r#""requestID":"que_1""#);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("rejected"));
}

#[test]
fn a_question_that_another_client_answered_needs_no_answer() {
    let mut stage = asking();
    stage.tell("question.replied", r#""requestID":"que_1","answers":[["Red"]]"#);
    reply(&mut stage, QuestionReply::Dismiss);
    assert_eq!(stage.did, ["post", "ask question"]);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn a_request_that_is_sent_twice_is_asked_once() {
    let mut stage = asking();
    stage.tell("question.asked", QUESTION);
    stage.tell("permission.asked", ASK);
    stage.tell("permission.asked", ASK);
    assert_eq!(stage.did, ["post", "ask question", "ask permission"]);
}

#[test]
fn a_question_that_another_client_answers_stops_no_deadline() {
    let limit = Duration::from_secs(60);
    let settings = TurnSettings::default().with_deadlines(Deadlines::NONE.with_overall(limit));
    let mut stage = Stage::posted(settings);
    stage.answer("");
    stage.tell("permission.asked", ASK);
    stage.wait(limit);
    assert!(!stage.did.contains(&"abort"), "the program may still decide");
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"once""#);
    stage.wait(limit);
    assert!(stage.did.contains(&"abort"));
}
