//! Looks at the server, and the ends that only looks can decide.

use super::*;

/// Time passes in which the server is idle, until the turn is over or this many seconds.
fn quiet(stage: &mut Stage, server: &WrittenServer, seconds: u64) -> Option<u64> {
    for second in 0..seconds {
        if stage.end().is_some() {
            return Some(second);
        }
        stage.wait(SECOND);
        stage.find(server);
    }
    None
}

const FAILED: &str = r#""error":{"name":"UnknownError","data":{"message":"It failed."}}"#;

#[test]
fn the_second_error_says_that_the_prompt_failed() {
    // A prompt for an unknown agent has no message, no idle, and two errors.
    for (errors, seconds_max) in [(2, 4), (1, 20)] {
        let mut stage = Stage::new(TurnSettings::default());
        stage.accept();
        for error in 0..errors {
            stage.tell("session.error", &FAILED.replace("It", &format!("{error}: it")));
        }
        let seconds = quiet(&mut stage, &idle(), 40).expect("the turn ends");
        assert!(seconds <= seconds_max, "{errors} errors: {seconds} s");
        assert!(errors > 1 || seconds > 8, "one error may be of a part of the prompt");
        assert_eq!(stage.end(), Some("agent_error"));
    }
}

#[test]
fn a_look_puts_the_answers_into_the_servers_order() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    // The message that was reported first is the last answer, and the complete one.
    let info = |id: &str, rest: &str| {
        let info = format!(r#"{{"id":"{id}","role":"assistant","parentID":"m1"{rest}}}"#);
        message(id, &info)
    };
    let tools = r#","finish":"tool-calls","time":{"completed":1}"#;
    stage.find(&busy().with("s", [prompt(), info("m3", DONE)]));
    stage.wait(TurnSettings::default().look_interval);
    stage.find(&idle().with("s", [prompt(), info("m2", tools), info("m3", DONE)]));
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    let order: Vec<_> = outcome.answers().map(|answer| answer.id.as_str()).collect();
    assert_eq!(order, ["m2", "m3"]);
}

#[test]
fn an_answer_that_may_be_lost_wakes_the_turn_to_send_it_again() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("permission.asked", ASK);
    let answer = stage.asked.pop().unwrap().reply(PermissionReply::Once);
    stage.does(|turn, session, now| turn.answer(answer, session, now));
    stage.reply("/reply", lost());
    let TurnAction::Wait(Some(wake)) = stage.turn.poll_action() else { panic!("it waits") };
    assert_eq!(wake, stage.now + SECOND / 2, "and not for the next look");
    stage.wait(SECOND / 2);
    assert_eq!(stage.did, ["post", "ask permission", "reply", "reply"]);
    stage.replied("/reply");
    assert!(!stage.is_calling("/reply"));
}

#[test]
fn text_of_a_subagent_that_is_known_after_a_gap_begins_with_a_snapshot() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.gap();
    stage.wait(Duration::ZERO);
    stage.find(&busy().with("s", [prompt(), message("m2", &answer(""))]));
    // The subagent was started in the gap: the text has a beginning that no event contained.
    let tool = r#""id":"p","messageID":"m2","type":"tool","tool":"task","callID":"c""#;
    let state = r#""state":{"status":"running","input":{},"metadata":{"sessionId":"c"}}"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{tool},{state}}}"#));
    let delta = r#""messageID":"c2","partID":"p2","field":"text","delta":"the rest""#;
    stage.hear(event_of_child("message.part.delta", delta));
    stage.wait(TurnSettings::default().look_interval);
    // The server stores the text when the part is complete.
    let part = r#"{"id":"p2","messageID":"c2","type":"text","text":"","time":{"start":1}}"#;
    let answer = message("c2", r#"{"id":"c2","role":"assistant","parentID":"c1"}"#);
    let answer = WrittenMessage { parts: vec![part.to_owned()], ..answer };
    let mut server = busy().with("s", [prompt()]).with("c", [answer]);
    server.children.insert("s".to_owned(), vec!["c".to_owned()]);
    stage.find(&server);
    let texts = stage.events.iter().filter(|event| event.session == "c");
    let texts = texts.filter(|event| matches!(event.kind, TurnEventKind::PartDelta { .. }));
    assert_eq!(texts.count(), 0, "{:#?}", stage.events);
    assert!(stage.events.iter().any(|event| event.session == "c"), "its message is told");
}

#[test]
fn an_abort_that_was_before_the_prompt_does_not_count_for_it() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    stage.accept();
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    // The session is idle, and the second abort has no reply yet.
    stage.tell("session.status", IDLE);
    stage.wait(SECOND);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), None);
    stage.aborted();
    // OpenCode accepts a prompt a moment before the prompt is stored, so a third abort follows.
    stage.wait(SECOND);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), None);
    stage.aborted();
    stage.wait(SECOND);
    stage.find(&idle().with("s", [prompt()]));
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn a_look_that_fails_is_repeated_less_and_less_often() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.gap();
    let mut times = Vec::new();
    for _ in 0..4 {
        let begun = stage.now;
        while !stage.is_calling("/session/status") {
            let TurnAction::Wait(Some(wake)) = stage.turn.poll_action() else { panic!("it waits") };
            stage.now = stage.now.max(wake);
            stage.does(Turn::handle_timeout);
        }
        times.push((stage.now - begun).as_millis());
        stage.reply("/session/status", lost());
    }
    assert_eq!(times, [0, 500, 1000, 2000]);
}

#[test]
fn a_session_that_is_gone_ends_the_turn() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    stage.replied("/session/status");
    stage.reply("/session/s/message", Ok(not_found()));
    // OpenCode works on for a session that was deleted.
    assert_eq!((stage.end(), stage.is_calling("/abort")), (Some("session_deleted"), true));
}

#[test]
fn messages_that_the_server_lists_before_the_prompt_are_not_the_turns() {
    // Another prompt came before this one, and the events after a gap.
    let mut stage = Stage::new(TurnSettings::default());
    stage.accept();
    stage.gap();
    stage.wait(Duration::ZERO);
    let told = |stage: &mut Stage, id: &str, rest: &str| {
        let info = format!(r#""info":{{"id":"{id}"{rest}}}"#);
        stage.tell("message.updated", &info);
    };
    let answer_to = |parent: &str| format!(r#","role":"assistant","parentID":"{parent}"{DONE}"#);
    let text = r#""part":{"id":"p0","messageID":"m0","type":"text","text":"Before."}"#;
    told(&mut stage, "m0", r#","role":"user""#);
    stage.tell("message.part.updated", text);
    told(&mut stage, "m1", r#","role":"user""#);
    stage.find(&busy().with("s", [message("m0", r#"{"id":"m0","role":"user"}"#), prompt()]));
    told(&mut stage, "a0", &answer_to("m0"));
    told(&mut stage, "a1", &answer_to("m1"));
    stage.tell("session.status", IDLE);
    let outcome = stage.outcome.unwrap();
    let answers: Vec<_> = outcome.answers().map(|answer| answer.id.as_str()).collect();
    assert_eq!((outcome.end.name(), &*answers), ("completed", &["a1"][..]));
}

#[test]
fn a_message_that_is_only_stored_is_complete_when_both_say_so() {
    let post = || Prompt::from("Note this.").with_reply(PromptReply::NoReply);
    let mut stage = Stage::sent(post(), TurnSettings::default());
    stage.accept();
    assert_eq!(stage.end(), None);
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn a_message_that_a_look_found_is_not_told_again_after_older_news() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.accept();
    stage.gap();
    stage.wait(Duration::ZERO);
    let (before, after) = (answer(""), answer(r#","cost":1"#));
    stage.find(&busy().with("s", [prompt(), message("m2", &after)]));
    // The stream is behind the look.
    stage.tell("message.updated", &format!(r#""info":{before}"#));
    stage.tell("message.updated", &format!(r#""info":{after}"#));
    let told = stage.events.iter().filter(|event| {
        matches!(&event.kind, TurnEventKind::MessageUpdated(info) if info.raw.as_str() == after)
    });
    assert_eq!(told.count(), 1, "{:#?}", stage.events);
    stage.tell("message.updated", &format!(r#""info":{}"#, answer(DONE)));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn an_ask_that_holds_up_the_prompt_is_answered() {
    let mut stage = Stage::posted(TurnSettings::default());
    let earlier = message("m0", r#"{"id":"m0","role":"assistant","parentID":"m00"}"#);
    let ask = |id: &str| {
        format!(
            r#""id":"{id}","permission":"bash","patterns":[],"tool":{{"messageID":"m0","callID":"c"}}"#
        )
    };
    // One that is found may be older than the prompt, and left by a turn that was aborted.
    stage.wait(TurnSettings::default().look_interval);
    let mut server = busy().with("s", [earlier, prompt()]);
    server.permissions = vec![format!(r#"{{"sessionID":"s",{}}}"#, ask("per_1"))];
    stage.find(&server);
    assert!(stage.asked.is_empty());
    // One that is published after the prompt holds it up.
    stage.tell("permission.asked", &ask("per_2"));
    let asked: Vec<_> = stage.asked.iter().map(|ask| ask.request.id.as_str()).collect();
    assert_eq!(asked, ["per_2"]);
}

#[test]
fn events_beyond_the_held_size_are_read_again() {
    let info = format!(r#"{{"id":"m2","role":"assistant","parentID":"m1"{DONE}}}"#);
    for held_size_max in [0, 8 << 20] {
        let settings = TurnSettings::default().with_held_size_max(held_size_max);
        let mut stage = Stage::posted(settings);
        stage.gap();
        stage.wait(Duration::ZERO);
        let look = stage.calls.last().unwrap().id;
        stage.tell("message.updated", &format!(r#""info":{info}"#));
        // A look that does not have the event is given up for another one.
        assert_eq!(stage.turn.awaits(look), held_size_max > 0);
        stage.calls.retain(|call| stage.turn.awaits(call.id));
        stage.wait(Duration::ZERO);
        let server = idle().with("s", [prompt(), message("m2", &info)]);
        quiet(&mut stage, &server, 10).expect("the turn ends");
        assert_eq!(stage.end(), Some("completed"));
    }
}
