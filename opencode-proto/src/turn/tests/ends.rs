//! Ends of turns that no recording has.

use super::*;

#[test]
fn what_an_aborted_turn_still_says_is_not_the_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.error", ABORTED);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().errors(), []);
    assert!(!stage.events.iter().any(|event| matches!(event.kind, TurnEventKind::Failed(_))));
}

#[test]
fn a_look_finds_nothing_of_earlier_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    assert_eq!(stage.did, ["post", "look"]);

    let ask = |id: &str, message: &str| {
        format!(
            r#"{{"id":"{id}","sessionID":"s","permission":"bash","patterns":[],"tool":{{"messageID":"{message}","callID":"c"}}}}"#
        )
    };
    let child = r#"{"id":"c2","role":"assistant","parentID":"c1","tokens":{"input":5}}"#;
    let mut server = busy()
        .with("s", [prompt(), message("m2", &answer(""))])
        .with("child", [message("c2", child)]);
    server.children.insert("s".to_owned(), vec!["child".to_owned()]);
    server.permissions = vec![ask("per_1", "m0"), ask("per_2", "m2")];
    stage.find(&server);

    assert_eq!(stage.did, ["post", "look", "ask permission"]);
    let asked = stage.events.iter().filter_map(|event| {
        let TurnEventKind::PermissionAsked(request) = &event.kind else { return None };
        Some(request.id.as_str())
    });
    assert!(asked.eq(["per_2"]), "{:#?}", stage.events);
    // The hub learns of the child all the same.
    assert_eq!(stage.links, [("child".into(), "s".into())]);
    let exited = HubEnd::Exited;
    stage.does(|turn, session, now| turn.handle_lost(&exited, session, now));
    assert!(stage.outcome.unwrap().children.is_empty());
}

#[test]
fn a_session_that_was_told_to_be_idle_and_is_found_busy_is_looked_at_once_more() {
    let settings = TurnSettings::default;
    let idle_and_found_busy = || {
        let mut stage = Stage::posted(settings());
        stage.answer(r#","finish":"unknown","time":{"completed":1}"#);
        stage.tell("session.status", IDLE);
        stage.wait(Duration::ZERO);
        stage.find(&busy());
        stage.wait(settings().settle_delay);
        assert_eq!(stage.did, ["post", "look", "look"]);
        stage
    };
    let mut stage = idle_and_found_busy();
    stage.find(&idle());
    assert_eq!(stage.end(), Some("completed"));

    // A session that is busy twice is at work, and reports that itself.
    let mut stage = idle_and_found_busy();
    stage.find(&busy());
    stage.wait(settings().look_interval - SECOND);
    assert_eq!((stage.did.len(), stage.end()), (3, None));
}

#[test]
fn what_a_look_finds_while_the_stream_is_broken_does_not_count() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    stage.interrupt();
    assert_eq!(stage.look_call().map(|call| call.id), None, "the driver may drop the call");

    stage.reopen();
    stage.wait(Duration::ZERO);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!((&*stage.did, stage.end()), (&["post", "look", "look"][..], None));
    stage.find(&idle().with("s", [prompt(), message("m2", &answer(DONE))]));
    assert_eq!(stage.end(), Some("completed"));
}

const REJECTED: &str = "The user rejected permission to use this specific tool call";

/// Nothing more happens after an answer whose only tool call was refused by somebody else, in these
/// words, with or without the events of it.
fn refused(error: &str, is_told: bool) -> Option<TurnEnd> {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    if is_told {
        stage.tell("permission.asked", ASK);
        stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    }
    let tool = r#""id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c""#;
    let state = format!(r#""state":{{"status":"error","input":{{}},"error":"{error}"}}"#);
    stage.tell("message.part.updated", &format!(r#""part":{{{tool},{state}}}"#));
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    for _ in 0..60 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    stage.outcome.map(|outcome| outcome.end)
}

#[test]
fn a_refusal_is_the_end_unless_the_model_was_told_why() {
    let why = format!("{REJECTED} with the following feedback: No.");
    for (error, is_told, refused_tool) in [
        (format!("{REJECTED}."), true, Some("bash (ls)")),
        (format!("{REJECTED}."), false, Some("bash")),
        (why.clone(), true, None),
        (why, false, None),
    ] {
        match (refused(&error, is_told), refused_tool) {
            (Some(TurnEnd::Rejected { refused }), Some(tool)) => assert_eq!(refused, tool),
            (Some(TurnEnd::Torn), None) => {}
            (end, _) => panic!("{error}, told: {is_told}: {end:?}"),
        }
    }
}

#[test]
fn a_prompt_that_comes_while_it_is_looked_for_is_waited_for() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.reply("/prompt_async", lost());
    stage.wait(SECOND);
    stage.find(&idle());
    stage.wait(SECOND);
    // The session was idle when the status was read, and a while later the prompt was there.
    stage.now += 20 * SECOND;
    stage.find(&idle().with("s", [prompt()]));
    stage.wait(SECOND);
    assert_eq!((stage.did.last(), stage.end()), (Some(&"look"), None));
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn a_refusal_that_the_model_went_on_after_is_not_the_end() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("permission.asked", ASK);
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    let next = r#""id":"m3","role":"assistant","parentID":"m1","finish":"tool-calls","time":{"completed":2}"#;
    stage.tell("message.updated", &format!(r#""info":{{{next}}}"#));
    stage.tell("session.status", IDLE);
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("torn"));
}

#[test]
fn a_summary_is_not_told_as_text() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(r#","summary":true"#);
    let part = |text: &str, end: &str| {
        format!(
            r#""part":{{"id":"p","messageID":"m2","type":"text","text":"{text}","time":{{"start":1{end}}}}}"#
        )
    };
    stage.tell("message.part.updated", &part("", ""));
    let delta = r#""messageID":"m2","partID":"p","field":"text","delta":"We did""#;
    stage.tell("message.part.delta", delta);
    stage.tell("message.part.updated", &part("We did it.", r#","end":2"#));

    let parts = stage.events.iter().filter(|event| event.step == StepRole::Summary);
    assert_eq!(parts.count(), 4, "{:#?}", stage.events);
    assert_eq!(stage.events.iter().filter_map(TurnEvent::text).count(), 0);
}

#[test]
fn a_model_that_says_nothing_has_not_begun() {
    let deadlines = Deadlines::NONE.with_first_event(10 * SECOND).with_idle(60 * SECOND);
    let settings = || TurnSettings::default().with_deadlines(deadlines);

    let mut stage = Stage::posted(settings());
    stage.tell("session.status", BUSY);
    stage.answer("");
    stage.wait(9 * SECOND);
    assert_eq!(stage.did, ["post"]);
    stage.wait(SECOND);
    assert_eq!(stage.did, ["post", "abort"]);
    stage.wait(TurnSettings::default().abort_limit);
    let end = stage.outcome.unwrap().end;
    assert!(matches!(end, TurnEnd::TimedOut { deadline: Deadline::FirstEvent, .. }), "{end}");

    // One that has begun, one whose provider said when to come back, and one whose turn it is not
    // yet.
    let retry = r#""status":{"type":"retry","attempt":1,"message":"later","next":1}"#;
    let begun = r#""part":{"id":"p","messageID":"m2","type":"step-start"}"#;
    for told in [&[("message.part.updated", begun)][..], &[("session.status", retry)], &[]] {
        let mut stage = Stage::posted(settings());
        if let [(event_type, properties)] = told {
            stage.answer("");
            stage.tell(event_type, properties);
        }
        stage.wait(59 * SECOND);
        assert!(!stage.did.contains(&"abort"), "{told:?}");
        stage.wait(SECOND);
        assert!(stage.did.contains(&"abort"), "{told:?}");
    }
}

#[test]
fn a_prompt_that_is_cancelled_on_its_way_is_aborted_where_it_arrives() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "abort", "look"]);
    stage.find(&idle());
    assert_eq!(stage.end(), None, "the prompt may still arrive");

    stage.accept();
    assert_eq!(stage.did, ["post", "abort", "look", "abort"]);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle());
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn a_shell_command_that_was_cancelled_is_not_complete() {
    for (is_cancelled, end) in [(true, "cancelled"), (false, "completed")] {
        let shell = ShellRequest::new("build", "sleep 9");
        let mut stage = Stage::sent(shell, TurnSettings::default()).told();
        stage.answer("");
        if is_cancelled {
            stage.does(Turn::cancel);
        }
        stage.answer(r#","time":{"completed":1}"#);
        stage.tell("session.status", IDLE);
        assert_eq!(stage.end(), Some(end));
    }
}

#[test]
fn an_answer_that_overflowed_does_not_end_the_row_of_overflows() {
    let mut stage = Stage::posted(TurnSettings::default());
    for _ in 0..TurnSettings::default().overflows_max {
        stage.tell("session.error", OVERFLOW);
        stage.answer(r#","time":{"completed":1}"#);
    }
    assert_eq!(stage.did, ["post"]);
    stage.tell("session.error", OVERFLOW);
    assert_eq!(stage.did, ["post", "abort"]);
}

#[test]
fn a_model_that_is_never_done_is_stopped() {
    let mut stage = Stage::posted(TurnSettings::default());
    let limit = TurnSettings::default().unfinished_max;
    let unknown = |stage: &mut Stage, number: usize| {
        let id = format!("m{}", number + 10);
        let info = format!(
            r#""info":{{"id":"{id}","role":"assistant","parentID":"m1","finish":"unknown","tokens":{{"input":5}},"time":{{"completed":1}}}}"#
        );
        // Each event comes several times.
        stage.tell("message.updated", &info);
        stage.tell("message.updated", &info.replace("}}", r#"},"cost":1}"#));
    };
    (0..limit).for_each(|number| unknown(&mut stage, number));
    assert_eq!(stage.did, ["post"], "not yet");
    unknown(&mut stage, limit);
    assert_eq!(stage.did, ["post", "abort"]);
    stage.aborted();
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("endless"));

    // Without tokens and text, the provider did not answer at all.
    let mut stage = Stage::posted(TurnSettings::default());
    for number in 0..=limit {
        let info = format!(
            r#""info":{{"id":"m{}","role":"assistant","parentID":"m1","finish":"unknown","time":{{"completed":1}}}}"#,
            number + 10
        );
        stage.tell("message.updated", &info);
    }
    stage.aborted();
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("empty_replies"));

    // One that gives a reason in between is not that.
    let mut stage = Stage::posted(TurnSettings::default());
    for number in 0..3 * limit {
        unknown(&mut stage, number);
        if number % limit == 0 {
            let begun =
                format!(r#""info":{{"id":"m9{number}","role":"assistant","parentID":"m1"}}"#);
            let tool = format!(
                r#""part":{{"id":"c{number}","messageID":"m9{number}","type":"tool","tool":"bash","state":{{"status":"running","input":{{}}}}}}"#
            );
            let info = format!(
                r#""info":{{"id":"m9{number}","role":"assistant","parentID":"m1","finish":"tool-calls","time":{{"completed":1}}}}"#
            );
            stage.tell("message.updated", &begun);
            stage.tell("message.part.updated", &tool);
            stage.tell("message.updated", &info);
        }
    }
    assert_eq!(stage.did, ["post"]);
}

#[test]
fn a_prompt_that_is_on_its_way_is_not_torn() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.gap();
    for _ in 0..30 {
        stage.wait(SECOND);
        if stage.did.last() == Some(&"look") {
            stage.find(&idle());
        }
    }
    assert_eq!(stage.end(), None, "nobody knows yet whether it arrives");

    stage.reply("/prompt_async", lost());
    for _ in 0..5 {
        stage.wait(SECOND);
        stage.find(&idle());
    }
    assert_eq!(stage.end(), Some("not_posted"));
}

#[test]
fn a_look_finds_the_answer_to_the_prompt_that_came_meanwhile() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.gap();
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post", "look"]);

    let spoken = |id: &str, info: &str| {
        let part = format!(r#"{{"id":"p{id}","type":"text","text":"hi","messageID":"{id}"}}"#);
        WrittenMessage { parts: vec![part], ..message(id, info) }
    };
    let tools = answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.find(&idle().with(
        "s",
        [
            spoken("m1", r#"{"id":"m1","role":"user"}"#),
            spoken("m2", &tools),
            spoken("m3", r#"{"id":"m3","role":"user"}"#),
            spoken(
                "m4",
                r#"{"id":"m4","role":"assistant","parentID":"m3","finish":"stop","time":{"completed":1}}"#,
            ),
        ],
    ));
    // Nothing shows whether the prompt was given up before the other one came.
    assert_eq!(stage.end(), Some("answered_by_another"));
    assert_eq!(stage.outcome.unwrap().answered_with, [MessageId::from("m3")]);
}

#[test]
fn a_turn_that_was_refused_has_nothing_of_the_next() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    let ask =
        r#""id":"per_1","permission":"bash","patterns":[],"tool":{"messageID":"m2","callID":"c"}"#;
    stage.tell("permission.asked", ask);
    stage.tell("permission.replied", r#""requestID":"per_1","reply":"reject""#);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("rejected"), "before the next one is heard of");
}

#[test]
fn what_a_subagent_was_refused_does_not_end_the_turn() {
    for is_told in [true, false] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.answer("");
        stage.hear(event_of_child("session.created", r#""info":{"id":"c","parentID":"s"}"#));
        let ask = r#""id":"per_1","permission":"bash","patterns":[]"#;
        stage.hear(event_of_child("permission.asked", ask));
        assert_eq!(stage.did, ["post", "ask permission"]);
        if is_told {
            let told = r#""requestID":"per_1","reply":"reject""#;
            stage.hear(event_of_child("permission.replied", told));
        } else {
            let refusal = stage.asked.pop().unwrap().refuse();
            stage.does(|turn, session, now| turn.answer(refusal, session, now));
        }
        stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
        // The server is started anew.
        stage.gap();
        for _ in 0..20 {
            stage.wait(SECOND);
            stage.find(&idle());
        }
        assert_eq!(stage.end(), Some("torn"));
    }
}

#[test]
fn a_failure_that_is_reported_twice_is_handed_out_once() {
    let failures = |stage: &Stage| {
        let is_failure = |event: &&TurnEvent| matches!(event.kind, TurnEventKind::Failed(_));
        stage.events.iter().filter(is_failure).count()
    };
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    for _ in 0..2 {
        stage.tell("session.error", OVERFLOW);
    }
    assert_eq!(failures(&stage), 1);
    assert_eq!(stage.turn.transcript().unwrap().errors().len(), 1);
    // The same failure of another call of the model is another one.
    let next = r#""info":{"id":"m3","role":"assistant","parentID":"m1"}"#;
    stage.tell("message.updated", next);
    stage.tell("session.error", OVERFLOW);
    assert_eq!(failures(&stage), 2);
}

#[test]
fn an_abort_of_our_own_is_no_error() {
    for why in ["cancelled", "timed_out"] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.answer("");
        stage.events.clear();
        match why {
            "cancelled" => stage.does(Turn::cancel),
            _ => stage.wait(120 * SECOND),
        }
        stage.tell("session.error", ABORTED);
        stage.answer(&format!(r#","time":{{"completed":1}},{ABORTED}"#));
        stage.aborted();
        stage.tell("session.status", IDLE);
        stage.wait(SECOND);
        assert_eq!(stage.end(), Some(why));
        let is_failure = |event: &TurnEvent| matches!(event.kind, TurnEventKind::Failed(_));
        assert!(!stage.events.iter().any(is_failure), "{:?}", stage.events);
        assert_eq!(stage.outcome.unwrap().errors(), []);
    }

    // That of another client is one.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.tell("session.error", ABORTED);
    stage.answer(&format!(r#","time":{{"completed":1}},{ABORTED}"#));
    stage.tell("session.status", IDLE);
    stage.wait(SECOND);
    let outcome = stage.outcome.unwrap();
    assert_eq!((outcome.end.name(), outcome.errors().len()), ("aborted", 1));
}

#[test]
fn an_empty_answer_has_an_event() {
    let is_empty =
        |stage: &Stage| matches!(stage.events.last().unwrap().kind, TurnEventKind::AnswerEmpty);
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!((stage.end(), is_empty(&stage)), (Some("completed"), true));

    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    let part = r#""part":{"id":"p1","messageID":"m2","type":"text","text":"Hi","time":{"end":1}}"#;
    stage.tell("message.part.updated", part);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!((stage.end(), is_empty(&stage)), (Some("completed"), false));

    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer(&format!(r#"{DONE},"structured":{{"a":1}}"#));
    stage.tell("session.status", IDLE);
    assert_eq!((stage.end(), is_empty(&stage)), (Some("completed"), false));
}

#[test]
fn calls_in_flight_end_with_the_turn() {
    let mut stage = Stage::new(TurnSettings::default());
    let post = stage.calls[0].id;
    stage.tell("session.deleted", r#""info":{"id":"s"}"#);
    assert_eq!(stage.end(), Some("session_deleted"));
    assert!(!stage.turn.awaits(post), "the reply to the post decides nothing");

    // A prompt that is on its way when the turn is stopped is aborted on arrival.
    let mut stage = Stage::new(TurnSettings::default());
    let post = stage.calls[0].id;
    stage.wait(TurnSettings::default().look_interval);
    let look = stage.calls[1].id;
    assert!(stage.turn.awaits(look));
    stage.does(Turn::cancel);
    stage.wait(TurnSettings::default().abort_limit);
    assert_eq!(stage.end(), Some("cancelled"));
    assert!(stage.turn.awaits(post) && !stage.turn.awaits(look));
}

#[test]
fn the_words_of_the_prompt_are_no_part_of_the_answer() {
    let mut stage = Stage::posted(TurnSettings::default());
    let text = r#""id":"p1","messageID":"m1","type":"text","text":"Go.""#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    let added = |event: &TurnEvent| matches!(event.kind, TurnEventKind::PartAdded(_));
    assert!(!stage.events.iter().any(added), "{:#?}", stage.events);
    stage.answer("");
    let text = r#""id":"p2","messageID":"m2","type":"text","text":"Done.""#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    assert_eq!(stage.events.iter().filter(|event| added(event)).count(), 1);
}
