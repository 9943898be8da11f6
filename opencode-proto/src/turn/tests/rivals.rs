//! Ends of turns in sessions that other clients use, and of command lines.

use super::*;

/// Another client aborts the prompt, and prompts the session itself.
#[test]
fn a_prompt_that_was_given_up_has_no_part_in_the_next_answer() {
    let next = |stage: &mut Stage| {
        stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
        let text = r#""id":"p3","messageID":"m3","type":"text","text":"Now this.""#;
        stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
        stage.tell("session.status", BUSY);
        let answer = r#""id":"m4","role":"assistant","parentID":"m3""#;
        stage.tell("message.updated", &format!(r#""info":{{{answer}{DONE}}}"#));
        stage.tell("session.status", IDLE);
    };
    // Before the model was asked.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.tell("session.status", IDLE);
    next(&mut stage);
    assert_eq!(stage.end(), Some("torn"));
    assert_eq!(stage.outcome.unwrap().text(), "");

    // The abort is reported before the answer has its error.
    for (error, end) in [(ABORTED, "aborted"), (REFUSED, "agent_error")] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.tell("session.status", BUSY);
        stage.answer("");
        stage.tell("session.error", error);
        stage.tell("session.status", IDLE);
        next(&mut stage);
        assert_eq!(stage.end(), Some(end));
    }

    // Without an idle in between, the answer is that of both prompts.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    next(&mut stage);
    assert_eq!(stage.end(), Some("completed"));
}

const REFUSED: &str =
    r#""error":{"name":"APIError","data":{"message":"refused","statusCode":401}}"#;

/// OpenCode completes the call of a command line that it aborts, and says so in the output.
#[test]
fn a_command_line_that_another_client_aborts_is_aborted() {
    let end = |output: &str| {
        let mut stage = Stage::sent(ShellRequest::new("build", "sleep 9"), TurnSettings::default());
        stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
        stage.answer("");
        stage.answer(r#","time":{"completed":1}"#);
        let state = format!(r#"{{"status":"completed","input":{{}},"output":"{output}"}}"#);
        let tool = r#""id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c""#;
        stage.tell("message.part.updated", &format!(r#""part":{{{tool},"state":{state}}}"#));
        stage.tell("session.status", IDLE);
        stage.end()
    };
    assert_eq!(end(r"a\n"), Some("completed"));
    let aborted = r"a\n\n\n<metadata>\nUser aborted the command\n</metadata>";
    assert_eq!(end(aborted), Some("aborted"));
    assert_eq!(end(r"User aborted the command\n"), Some("completed"), "its own words");
}

#[test]
fn the_compaction_of_an_earlier_turn_is_not_the_turns() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.tell("session.compacted", "");
    stage = stage.told();
    assert!(!stage.events.iter().any(|event| matches!(event.kind, TurnEventKind::Compacted)));
    stage.tell("session.compacted", "");
    assert!(!stage.events.iter().any(|event| matches!(event.kind, TurnEventKind::Compacted)));
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let part = r#""id":"p3","messageID":"m3","type":"compaction","auto":true"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
    stage.tell("session.compacted", "");
    assert!(stage.events.iter().any(|event| matches!(event.kind, TurnEventKind::Compacted)));
}

/// The server replies to a command line at its end, and not at all when the request was lost.
#[test]
fn a_command_line_that_never_arrives_was_not_posted() {
    let post = ShellRequest::new("build", "sleep 9");
    let mut stage = Stage::sent(post, TurnSettings::default());
    for _ in 0..120 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    let end = stage.outcome.map(|outcome| outcome.end);
    assert!(matches!(end, Some(TurnEnd::NotPosted { is_certain: false, .. })), "{end:?}");
}

/// After a gap, the order of a status and a prompt that a look finds is not known.
#[test]
fn an_idle_in_a_gap_does_not_separate_two_prompts() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.gap();
    stage.tell("session.status", IDLE);
    stage.wait(Duration::ZERO);
    let mut other = message("m3", r#"{"id":"m3","role":"user"}"#);
    other.parts = vec![r#"{"id":"p3","messageID":"m3","type":"text","text":"And?"}"#.to_owned()];
    let answer = format!(r#"{{"id":"m4","role":"assistant","parentID":"m3"{DONE}}}"#);
    stage.find(&idle().with("s", [prompt(), other, message("m4", &answer)]));
    assert_eq!(stage.end(), Some("completed"));
}
