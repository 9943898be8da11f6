//! Work that repeats itself without end, in the session and in subagents.

use super::stage::*;
use crate::turn::*;

const CHILD: &str = r#""info":{"id":"c","parentID":"s"}"#;

fn settings() -> TurnSettings {
    TurnSettings::default().with_repeated_calls_max(2).with_unfinished_max(2).with_overflows_max(2)
}

/// Returns a completed call of `bash` in message `m2`.
fn call(id: &str, input: &str, output: &str) -> String {
    format!(
        r#""part":{{"id":"{id}","messageID":"m2","type":"tool","tool":"bash","state":{{"status":"completed","input":{{"a":"{input}"}},"output":"{output}"}}}}"#
    )
}

/// The abort ends the turn.
fn ended(stage: &mut Stage) -> TurnEnd {
    assert_eq!(stage.did.last(), Some(&"abort"));
    stage.aborted();
    stage.wait(TurnSettings::default().abort_limit);
    stage.outcome.take().expect("the abort limit is over").end
}

#[test]
fn the_same_call_with_the_same_result_ends_the_turn() {
    let mut stage = Stage::posted(settings());
    stage.answer("");
    for (id, input, output) in [
        ("c1", "ls", "x"),
        ("c2", "ls", "x"),
        ("c2", "ls", "x"),
        ("c3", "ls", "y"),
        ("c4", "ls", "x"),
        ("c5", "ls", "x"),
    ] {
        stage.tell("message.part.updated", &call(id, input, output));
    }
    assert_eq!(stage.did, ["post"], "another result in between starts a new row");
    stage.tell("message.part.updated", &call("c6", "ls", "x"));
    let end = ended(&mut stage);
    assert!(matches!(&end, TurnEnd::RepeatedCalls { tool } if tool == "bash"), "{end}");
    assert_eq!(end.name(), "repeated_calls");
}

#[test]
fn any_number_of_calls_is_allowed_on_request() {
    let mut stage = Stage::posted(settings().with_repeated_calls_max(u32::MAX));
    stage.answer("");
    for number in 0..100 {
        stage.tell("message.part.updated", &call(&format!("c{number}"), "ls", "x"));
    }
    assert_eq!(stage.did, ["post"]);
}

#[test]
fn a_subagent_that_repeats_itself_ends_the_turn() {
    let child = |stage: &mut Stage, event_type: &str, properties: &str| {
        stage.hear(event_of_child(event_type, properties));
    };
    let begun = || {
        let mut stage = Stage::posted(settings());
        child(&mut stage, "session.created", CHILD);
        child(&mut stage, "message.updated", r#""info":{"id":"m2","role":"assistant"}"#);
        stage
    };

    let mut calling = begun();
    for number in 0..3 {
        child(&mut calling, "message.part.updated", &call(&format!("c{number}"), "ls", "x"));
    }
    assert_eq!(ended(&mut calling).name(), "repeated_calls");

    let mut unfinished = begun();
    for number in 0..3 {
        let info = format!(
            r#""info":{{"id":"n{number}","role":"assistant","finish":"unknown","tokens":{{"input":5}},"time":{{"completed":1}}}}"#
        );
        child(&mut unfinished, "message.updated", &info);
    }
    assert_eq!(ended(&mut unfinished).name(), "endless");

    let mut overflowing = begun();
    for _ in 0..3 {
        let error = r#""error":{"name":"ContextOverflowError","data":{"message":"too long"}}"#;
        child(&mut overflowing, "session.error", error);
    }
    let end = ended(&mut overflowing);
    assert_eq!(end.agent_error().map(|error| &*error.message), Some("too long"), "{end}");

    // The rows of two sessions are counted apart.
    let mut both = begun();
    both.answer("");
    for number in 0..2 {
        both.tell("message.part.updated", &call(&format!("c{number}"), "ls", "x"));
        child(&mut both, "message.part.updated", &call(&format!("d{number}"), "ls", "x"));
    }
    assert_eq!(both.did, ["post"]);
}

#[test]
fn calls_for_tools_without_a_call_are_empty_steps() {
    let mut stage = Stage::posted(settings());
    for number in 0..3 {
        assert_eq!(stage.did, ["post"]);
        let info = format!(
            r#""info":{{"id":"n{number}","role":"assistant","parentID":"m1","finish":"tool-calls","tokens":{{"input":5}},"time":{{"completed":1}}}}"#
        );
        stage.tell("message.updated", &info);
    }
    assert_eq!(ended(&mut stage).name(), "endless");
}
