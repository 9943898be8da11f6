//! Compactions that end early, and sessions whose messages cannot be listed.

use super::*;

/// The server compacts the session after an answer, or after an input that was too long.
fn compacting(automatic: &str) -> Stage {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.error", OVERFLOW);
    stage.answer(r#","time":{"completed":1}"#);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let part = r#""id":"p3","messageID":"m3","type":"compaction""#;
    stage.tell("message.part.updated", &format!(r#""part":{{{part},"auto":{automatic}}}"#));
    stage
}

fn summarised(stage: &mut Stage) {
    let summary = r#""id":"m4","role":"assistant","parentID":"m3","summary":true"#;
    stage.tell("message.updated", &format!(r#""info":{{{summary}{DONE}}}"#));
}

/// Ends the work of the server: a look finds nothing going on.
fn end(mut stage: Stage) -> TurnOutcome {
    stage.tell("session.status", IDLE);
    for _ in 0..30 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    stage.outcome.expect("the turn ends")
}

#[test]
fn a_summary_is_no_answer() {
    // The server stops before the summary, or after it.
    assert!(matches!(end(compacting("true")).end, TurnEnd::Torn));
    let mut stage = compacting("true");
    summarised(&mut stage);
    let outcome = end(stage);
    assert!(matches!(outcome.end, TurnEnd::Torn), "{:?}", outcome.end);
    // OpenCode recovered from the overflow.
    assert_eq!(outcome.errors().len(), 1);
}

#[test]
fn the_answer_after_a_summary_completes_the_turn() {
    let mut stage = compacting("true");
    summarised(&mut stage);
    stage.tell("message.updated", r#""info":{"id":"m5","role":"user"}"#);
    let text = r#""id":"p5","messageID":"m5","type":"text","text":"Go."#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}"}}"#));
    let answer = r#""id":"m6","role":"assistant","parentID":"m5""#;
    stage.tell("message.updated", &format!(r#""info":{{{answer}{DONE}}}"#));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

/// Another client prompts the session after the compaction.
#[test]
fn one_message_repeats_the_prompt() {
    let mut stage = compacting("true");
    summarised(&mut stage);
    for (id, text) in [("m5", "Go."), ("m6", "Now this.")] {
        stage.tell("message.updated", &format!(r#""info":{{"id":"{id}","role":"user"}}"#));
        let part = format!(r#""id":"p{id}","messageID":"{id}","type":"text","text":"{text}""#);
        stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
    }
    for (id, parent) in [("m7", "m5"), ("m8", "m6")] {
        let answer = format!(r#""id":"{id}","role":"assistant","parentID":"{parent}""#);
        stage.tell("message.updated", &format!(r#""info":{{{answer}{DONE}}}"#));
    }
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    assert!(outcome.answers().all(|answer| answer.id.as_str() != "m8"));
}

/// Another prompt took over before the turn learned of its end.
#[test]
fn the_compaction_of_the_next_prompt_is_not_the_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    let info = |id: &str, parent: &str, rest: &str| {
        let info = format!(r#"{{"id":"{id}","role":"assistant","parentID":"{parent}"{rest}}}"#);
        message(id, &info)
    };
    let user = |id: &str, part: &str| {
        let mut user = message(id, &format!(r#"{{"id":"{id}","role":"user"}}"#));
        user.parts = vec![format!(r#"{{"id":"p{id}","messageID":"{id}",{part}}}"#)];
        user
    };
    let summary = format!(r#","summary":true{DONE}"#);
    let messages = [
        prompt(),
        info("m2", "m1", DONE),
        user("m3", r#""type":"text","text":"Now this.""#),
        info("m4", "m3", DONE),
        user("m5", r#""type":"compaction","auto":true"#),
        info("m6", "m5", &summary),
        user("m7", r#""type":"text","text":"Go on.","synthetic":true"#),
        info("m8", "m7", DONE),
    ];
    stage.find(&idle().with("s", messages));
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    let answers: Vec<_> = outcome.answers().map(|answer| answer.id.as_str()).collect();
    assert_eq!(answers, ["m2"]);
}

#[test]
fn an_error_after_the_summary_ends_the_turn() {
    let mut stage = compacting("true");
    summarised(&mut stage);
    let refused = r#""error":{"name":"APIError","data":{"message":"no"}}"#;
    stage.tell("session.error", refused);
    let outcome = end(stage);
    let error = outcome.end.agent_error().expect("the error that nothing followed");
    assert_eq!(error.message, "no");
}

/// A server that cannot list the messages of the session, and knows one of them.
fn unlisted(stage: &mut Stage, info: &str, permissions: Vec<String>) {
    let mut server = busy().with("s", [message("m3", info)]);
    server.children.insert("s".to_owned(), vec!["child".to_owned()]);
    server.permissions = permissions;
    let broken = || {
        let body = r#"{"name":"BadRequest","data":{"message":"no list"}}"#.into();
        let reply = http::Response::builder().status(400);
        Ok(reply.header("content-type", "application/json").body(body).unwrap())
    };
    while let Some(call) = stage.look_call() {
        let is_list = call.request.uri().path() == "/session/s/message";
        let reply = if is_list { broken() } else { server.reply(&call) };
        stage.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
    }
}

const CALLS: &str = r#","finish":"tool-calls","time":{"completed":1}"#;

#[test]
fn one_message_says_nothing_about_the_order_of_all() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(CALLS);
    let second = r#""id":"m3","role":"assistant","parentID":"m1""#;
    stage.tell("message.updated", &format!(r#""info":{{{second}}}"#));
    stage.wait(TurnSettings::default().look_interval);
    unlisted(&mut stage, &format!("{{{second}}}"), Vec::new());
    stage.tell("message.updated", &format!(r#""info":{{{second}{DONE}}}"#));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    let order: Vec<_> = outcome.answers().map(|answer| answer.id.as_str()).collect();
    assert_eq!(order, ["m2", "m3"]);
}

#[test]
fn an_ask_of_a_message_that_cannot_be_listed_is_answered() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    let tool = r#""tool":{"messageID":"m3","callID":"c"}"#;
    let ask =
        format!(r#"{{"sessionID":"s","id":"per_1","permission":"bash","patterns":[],{tool}}}"#);
    unlisted(&mut stage, r#"{"id":"m3","role":"assistant","parentID":"m1"}"#, vec![ask]);
    assert_eq!(stage.asked.len(), 1);
}

/// Another client asks for a summary in the middle of the turn.
#[test]
fn a_summary_for_another_client_is_not_the_turns() {
    let replaced = |finish: &str| {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.tell("session.status", BUSY);
        stage.answer(&format!(r#","finish":"{finish}","time":{{"completed":1}}"#));
        stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
        let part = r#""id":"p3","messageID":"m3","type":"compaction","auto":false"#;
        stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
        summarised(&mut stage);
        stage.tell("session.compacted", "");
        let outcome = stage.outcome.expect("the summary takes over");
        let answers: Vec<_> = outcome.answers().map(|answer| answer.id.as_str()).collect();
        assert_eq!(answers, ["m2"]);
        outcome.end.name()
    };
    // After the answer, or in place of the next step.
    assert_eq!(replaced("stop"), "completed");
    assert_eq!(replaced("tool-calls"), "replaced_by_summary");
}

#[test]
fn an_abort_that_only_an_error_reports_is_an_abort() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("session.error", ABORTED);
    stage.tell("session.status", IDLE);
    for _ in 0..10 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    assert_eq!(stage.end(), Some("aborted"));
}

/// The part that starts the subagent was missed, and cannot be listed.
#[test]
fn an_ask_of_a_subagent_that_cannot_be_listed_is_answered() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    let ask = |session: &str, id: &str| {
        format!(r#"{{"sessionID":"{session}","id":"{id}","permission":"bash","patterns":[]}}"#)
    };
    let asks = vec![ask("child", "per_1"), ask("other", "per_2")];
    unlisted(&mut stage, r#"{"id":"m3","role":"assistant","parentID":"m1"}"#, asks);
    let asked: Vec<_> = stage.asked.iter().map(|ask| ask.request.id.as_str()).collect();
    assert_eq!(asked, ["per_1"]);
}
