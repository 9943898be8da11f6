//! Turns that ran before they were followed.

use super::*;

/// A turn of the session `s` that is followed, with the event stream open.
fn follow(prompt: Option<&str>) -> Stage {
    follow_with(prompt, DroppedFollow::LeaveRunning, TurnSettings::default())
}

fn follow_with(prompt: Option<&str>, dropped: DroppedFollow, settings: TurnSettings) -> Stage {
    let mut stage = Stage::following(prompt, dropped, settings);
    stage.does(Turn::handle_opened);
    stage
}

fn kinds(stage: &Stage) -> Vec<&'static str> {
    let names = [
        ("posted", (|kind| matches!(kind, TurnEventKind::Posted(_))) as fn(&TurnEventKind) -> bool),
        ("added", |kind| matches!(kind, TurnEventKind::PartAdded(_))),
        ("final", |kind| matches!(kind, TurnEventKind::PartFinal { .. })),
        ("delta", |kind| matches!(kind, TurnEventKind::PartDelta { .. })),
    ];
    let name = |event: &TurnEvent| {
        names.iter().find(|(_, is_meant)| is_meant(&event.kind)).map(|(name, _)| *name)
    };
    stage.events.iter().filter_map(name).collect()
}

#[test]
fn a_turn_is_joined_in_the_middle_and_followed_to_its_end() {
    let mut stage = follow(Some("m1"));
    assert_eq!(stage.did, ["look"]);
    let earlier = [user("m_0", "Hi."), said(reply_to("m_00", "m_0", DONE), "Ho.")];
    let answer =
        said(reply_to("m2", "m1", r#","finish":"tool-calls","time":{"completed":1}"#), "A");
    let server = busy().with("s", earlier).with("s", [user("m1", "Go."), answer]);
    stage.find(&server);
    assert_eq!(kinds(&stage), ["posted", "added", "final"]);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"assistant","parentID":"m1"}"#);
    let part = text_part("m3", "B", r#","time":{"start":1,"end":2}"#);
    stage.tell("message.part.updated", &format!(r#""part":{part}"#));
    let done = format!(r#""info":{{"id":"m3","role":"assistant","parentID":"m1"{DONE}}}"#);
    stage.tell("message.updated", &done);
    stage.tell("session.status", IDLE);
    let outcome = stage.outcome.unwrap();
    assert_eq!((outcome.end.name(), &*outcome.full_text()), ("completed", "AB"));
    assert_eq!((outcome.message.as_str(), outcome.gaps), ("m1", 0));
    assert!(!stage.did.contains(&"post") && !stage.did.contains(&"abort"));
}

#[test]
fn an_ended_turn_has_its_outcome_from_the_record() {
    let aborted = format!(",{ABORTED},\"time\":{{\"completed\":1}}");
    let refused = r#","error":{"name":"APIError","data":{"message":"no"}},"time":{"completed":1}"#;
    let mut line = user("m8", "");
    let synthetic = "The following tool was executed by the user";
    line.parts = vec![text_part("m8", synthetic, r#","synthetic":true"#)];
    let later = [
        vec![],
        vec![user("m8", "And?"), said(reply_to("m9", "m8", DONE), "Later.")],
        vec![line, said(reply_to("m9", "m8", r#","time":{"completed":1}"#), "Output.")],
    ];
    for (rest, end) in [(DONE, "completed"), (&*aborted, "aborted"), (refused, "agent_error")] {
        for later in later.clone() {
            let mut stage = follow(Some("m1"));
            let server =
                idle().with("s", [user("m1", "Go."), said(reply_to("m2", "m1", rest), "This.")]);
            stage.find(&server.with("s", later));
            // The reason of an abort may follow.
            stage.wait(TurnSettings::default().settle_delay);
            assert_eq!(stage.end(), Some(end));
            assert_eq!(stage.outcome.unwrap().text(), "This.");
            assert!(stage.calls.is_empty());
        }
    }
}

#[test]
fn the_outcome_of_a_rejected_turn_names_the_tool() {
    let mut stage = follow(Some("m1"));
    let mut answer = reply_to("m2", "m1", r#","finish":"tool-calls","time":{"completed":1}"#);
    let error = "The user rejected permission to use this specific tool call.";
    answer.parts = vec![format!(
        r#"{{"id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c",
            "state":{{"status":"error","input":{{}},"error":"{error}"}}}}"#
    )];
    stage.find(&idle().with("s", [user("m1", "Go."), answer]));
    let end = stage.outcome.map(|outcome| outcome.end);
    assert!(matches!(&end, Some(TurnEnd::Rejected { refused }) if refused == "bash"), "{end:?}");
}

#[test]
fn command_lines_and_summaries_are_recognised() {
    let synthetic = "The following tool was executed by the user";
    let mut line = user("m1", "");
    line.parts = vec![text_part("m1", synthetic, r#","synthetic":true"#)];
    let mut call = reply_to("m2", "m1", r#","time":{"completed":1}"#);
    call.parts = vec![
        r#"{"id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c",
            "state":{"status":"completed","input":{},"output":"out"}}"#
            .to_owned(),
    ];
    let mut stage = follow(Some("m1"));
    stage.find(&idle().with("s", [line, call]));
    assert_eq!(stage.end(), Some("completed"));

    let mut request = user("m1", "");
    request.parts =
        vec![r#"{"id":"p","messageID":"m1","type":"compaction","auto":false}"#.to_owned()];
    let summary = said(reply_to("m2", "m1", &format!(r#","summary":true{DONE}"#)), "In short.");
    let mut stage = follow(Some("m1"));
    stage.find(&idle().with("s", [request, summary]));
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn without_an_id_the_prompt_that_the_session_works_on_is_found() {
    let open = || reply_to("m2", "m1", "");
    let of_overflow = || {
        let mut compaction = user("m3", "");
        compaction.parts =
            vec![r#"{"id":"p","messageID":"m3","type":"compaction","auto":true}"#.to_owned()];
        [compaction, reply_to("m4", "m3", &format!(r#","summary":true{DONE}"#))]
    };
    let old = || [user("m_0", "Hi."), reply_to("m_00", "m_0", DONE)];
    let go = || user("m1", "Go.");
    let mut goes_on = user("m5", "");
    let rest = r#","synthetic":true,"metadata":{"compaction_continue":true}"#;
    goes_on.parts = vec![text_part("m5", "Go on.", rest)];
    let sessions = [
        // A prompt before the first answer.
        vec![go()],
        // An open answer, and another prompt that is queued behind.
        vec![go(), open(), user("m3", "And?")],
        // A compaction, and what OpenCode repeats or adds after it.
        [vec![go(), reply_to("m2", "m1", DONE)], of_overflow().to_vec(), vec![user("m5", "Go.")]]
            .concat(),
        [vec![go(), reply_to("m2", "m1", DONE)], of_overflow().to_vec(), vec![goes_on]].concat(),
    ];
    for messages in sessions {
        for page in [0, 1] {
            let mut stage = follow(None);
            let mut server = busy().with("s", old()).with("s", messages.clone());
            server.page = page;
            stage.find(&server);
            assert_eq!(stage.turn.message().as_str(), "m1", "{messages:?}");
            assert_eq!(kinds(&stage)[0], "posted");
        }
    }
}

#[test]
fn where_nothing_runs_there_is_nothing_to_follow() {
    let reason = |stage: Stage| match stage.outcome.map(|outcome| outcome.end) {
        Some(TurnEnd::NothingToFollow(reason)) => reason,
        end => panic!("{end:?}"),
    };
    let mut stage = follow(None);
    stage.find(&idle().with("s", [user("m1", "Go."), reply_to("m2", "m1", DONE)]));
    assert_eq!(reason(stage), NothingToFollow::Idle);

    // A prompt that the server has accepted may not be stored yet.
    let unknown = |server: WrittenServer| {
        let mut stage = follow(Some("m1"));
        let begun = stage.now;
        while stage.outcome.is_none() {
            stage.find(&server);
            stage.wait(SECOND);
            assert!(stage.now - begun < SECOND * 20);
        }
        assert!(stage.now - begun >= SECOND * 10);
        assert!(!stage.did.contains(&"abort"), "others may use the session");
        reason(stage)
    };
    assert_eq!(unknown(idle().with("s", [user("m0", "Hi.")])), NothingToFollow::UnknownPrompt);
}

#[test]
fn a_prompt_that_is_stored_late_is_followed() {
    let mut stage = follow(Some("m1"));
    stage.find(&idle());
    stage.wait(SECOND);
    stage.find(&idle());
    stage = {
        stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
        stage
    };
    assert_eq!(kinds(&stage), ["posted"]);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}

#[test]
fn asks_from_before_are_handed_out() {
    let ask = format!(r#"{{"sessionID":"s",{ASK}}}"#);
    let question =
        r#"{"id":"que_1","sessionID":"s","questions":[],"tool":{"messageID":"m2","callID":"q"}}"#;
    let stranger = r#"{"id":"per_9","sessionID":"other","permission":"bash","patterns":["rm"]}"#;
    let mut server = busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]);
    server.permissions = vec![ask, stranger.to_owned()];
    server.questions = vec![question.to_owned()];
    let mut stage = follow(Some("m1"));
    stage.find(&server);
    assert_eq!(stage.asked.len(), 1);
    assert!(stage.did.contains(&"ask question"));
    let answer = stage.asked.pop().unwrap().reply(PermissionReply::Once);
    stage.does(|turn, session, now| turn.answer(answer, session, now));
    assert!(stage.is_calling("/permission/per_1/reply"));
}

#[test]
fn a_gap_while_joining_begins_the_search_again() {
    for prompt in [None, Some("m1")] {
        let mut stage = follow(prompt);
        stage.gap();
        stage.wait(Duration::ZERO);
        assert_eq!(stage.did, ["look", "look"]);
        stage.calls.retain(|call| stage.turn.awaits(call.id));
        stage.find(&busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
        stage.wait(Duration::ZERO);
        assert_eq!(kinds(&stage).last(), Some(&"posted"), "{prompt:?}");
    }
    // A call that fails is repeated.
    let mut stage = follow(None);
    stage.reply("/session/status", lost());
    stage.wait(SECOND);
    stage.find(&busy().with("s", [user("m1", "Go.")]));
    assert_eq!(stage.turn.message().as_str(), "m1");
}

#[test]
fn where_messages_cannot_be_listed_an_answer_names_the_prompt() {
    let unlisted = || reply(400, r#"{"name":"BadRequest","data":{"message":"odd"}}"#);
    let mut stage = follow(None);
    stage.replied_by(&busy(), "/session/status");
    stage.reply("/session/s/message", unlisted());
    stage.answer("");
    assert_eq!(stage.turn.message().as_str(), "m1");
    stage.replied_by(&busy(), "/session/status");
    stage.reply("/session/s/message", unlisted());
    stage.find(&busy());
    stage.answer(&format!(r#","structured":{{"x":1}}{DONE}"#));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));

    // An ended turn cannot be read.
    let mut stage = follow(Some("m1"));
    while stage.outcome.is_none() {
        if stage.is_calling("/session/s/message") {
            stage.reply("/session/s/message", unlisted());
        } else if stage.calls.is_empty() {
            stage.wait(SECOND);
        } else {
            let call = stage.calls.remove(0);
            let reply = idle().reply(&call);
            stage.does(|turn, session, now| turn.handle_reply(call.id, reply, session, now));
        }
    }
    let end = stage.outcome.map(|outcome| outcome.end);
    let expected = Some(NothingToFollow::Unlisted);
    assert!(matches!(end, Some(TurnEnd::NothingToFollow(reason)) if Some(reason) == expected));
}

fn reply(status: u16, body: &'static str) -> ApiReply {
    let reply = http::Response::builder().status(status).header("content-type", "application/json");
    Ok(reply.body(bytes::Bytes::from_static(body.as_bytes())).unwrap())
}

#[test]
fn a_dropped_turn_goes_on_unless_asked_otherwise() {
    for (dropped, aborts) in [(DroppedFollow::LeaveRunning, false), (DroppedFollow::Abort, true)] {
        let mut stage = follow_with(Some("m1"), dropped, TurnSettings::default());
        stage.find(&busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
        stage.does(Turn::abandon);
        assert_eq!(stage.is_calling("/abort"), aborts);
        assert_eq!(stage.turn.is_over(), !aborts);
    }
    // Cancelling is a request.
    let mut stage = follow(Some("m1"));
    stage.find(&busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
    stage.does(Turn::cancel);
    stage.aborted();
    stage.wait(Duration::ZERO);
    stage.find(&idle().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
    assert_eq!(stage.end(), Some("cancelled"));
}

#[test]
fn a_turn_that_is_cancelled_before_it_is_found_is_aborted_then() {
    for prompt in [None, Some("m1")] {
        let cancelled = || {
            let mut stage =
                Stage::following(prompt, DroppedFollow::LeaveRunning, TurnSettings::default());
            stage.does(Turn::cancel);
            stage
        };
        let mut stage = cancelled();
        let server = busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]);
        stage.find(&server);
        assert!(stage.is_calling("/abort"), "{prompt:?}");
        stage.aborted();
        stage.wait(Duration::ZERO);
        stage.find(&idle().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
        assert_eq!(stage.end(), Some("cancelled"));

        // The server does not answer.
        let mut stage = cancelled();
        stage.wait(SECOND * 10);
        assert_eq!((stage.end(), stage.is_calling("/abort")), (Some("cancelled"), true));
    }
    // The server does not know the prompt.
    let mut stage = follow(Some("m1"));
    stage.find(&busy().with("s", [user("m8", "And?"), reply_to("m9", "m8", "")]));
    stage.does(Turn::cancel);
    stage.wait(SECOND * 10);
    assert_eq!((stage.end(), stage.is_calling("/abort")), (Some("cancelled"), false));

    // The turn had ended, and another one runs.
    let mut stage = Stage::following(Some("m1"), DroppedFollow::Abort, TurnSettings::default());
    stage.does(Turn::cancel);
    let others = [user("m8", "And?"), reply_to("m9", "m8", "")];
    let own = [user("m1", "Go."), said(reply_to("m2", "m1", DONE), "Done.")];
    stage.find(&busy().with("s", own).with("s", others));
    assert_eq!((stage.end(), stage.is_calling("/abort")), (Some("completed"), false));
}

#[test]
fn a_turn_that_is_dropped_before_it_is_found_is_aborted_then() {
    let found = busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]);
    let other = busy().with("s", [user("m8", "And?"), reply_to("m9", "m8", "")]);
    for prompt in [None, Some("m1")] {
        for is_open in [false, true] {
            let dropped = || {
                let (dropped, settings) = (DroppedFollow::Abort, TurnSettings::default());
                let mut stage = Stage::following(prompt, dropped, settings);
                if is_open {
                    stage.does(Turn::handle_opened);
                }
                stage.does(Turn::abandon);
                stage
            };
            let mut stage = dropped();
            stage.find(&found);
            assert!(stage.is_calling("/abort"), "{prompt:?}");
            stage.aborted();
            stage.wait(Duration::ZERO);
            stage.find(&idle().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]));
            assert!(stage.turn.is_over());
        }
    }
    // The session works on another prompt.
    let (dropped, settings) = (DroppedFollow::Abort, TurnSettings::default());
    let mut stage = Stage::following(Some("m1"), dropped, settings);
    stage.does(Turn::abandon);
    stage.find(&other);
    stage.wait(SECOND * 10);
    assert!(stage.turn.is_over() && !stage.is_calling("/abort"));
}

#[test]
fn a_retry_that_is_due_within_the_idle_deadline_is_waited_for() {
    let mut stage = follow(Some("m1"));
    let retry = r#"{"type":"retry","attempt":3,"message":"slow down","next":600001}"#;
    let open = reply_to("m2", "m1", r#","time":{"created":1}"#);
    let mut server = idle().with("s", [user("m1", "Go."), open]);
    server.statuses.insert("s".to_owned(), retry.to_owned());
    stage.find(&server);
    stage.wait(SECOND * 300);
    assert!(stage.end().is_none() && !stage.is_calling("/abort"));
}

#[test]
fn asks_of_a_turn_that_cannot_be_listed_are_handed_out() {
    let unlisted = || reply(400, r#"{"name":"BadRequest","data":{"message":"odd"}}"#);
    let mut stage = follow(Some("m1"));
    stage.replied_by(&busy(), "/session/status");
    stage.reply("/session/s/message", unlisted());
    stage.find(&busy());
    // Perhaps an answer of the turn, after a compaction.
    stage.tell("message.updated", r#""info":{"id":"m2","role":"assistant","parentID":"m5"}"#);
    stage.tell("permission.asked", ASK);
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn deadlines_count_from_the_moment_of_following() {
    let deadlines = Deadlines::NONE.with_overall(SECOND * 5);
    let settings = TurnSettings::default().with_deadlines(deadlines);
    let mut stage = Stage::following(None, DroppedFollow::LeaveRunning, settings.clone());
    stage.wait(SECOND * 5);
    assert_eq!(stage.end(), Some("timed_out"));
    assert!(!stage.is_calling("/abort"), "the turn was not found");

    let mut stage = follow_with(Some("m1"), DroppedFollow::LeaveRunning, settings);
    let server = busy().with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]);
    stage.find(&server);
    stage.wait(SECOND * 5);
    assert!(stage.is_calling("/abort"));
}

/// A post of `Go.` in the session `s`, alone.
fn post(session: Session) -> Stage {
    let begin = |session: &mut Session, now| {
        Turn::post_only("Go.".into(), TurnSettings::default(), "m0".into(), session, now)
    };
    Stage::begun(begin, session)
}

fn new_session() -> Session {
    Session::new("s".into(), None)
}

#[test]
fn a_post_ends_when_the_server_has_the_prompt() {
    let mut stage = post(new_session());
    assert_eq!(stage.did, ["post"]);
    stage.accept();
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().message.as_str(), "m1");
    assert!(stage.calls.is_empty() && stage.turn.is_over());
}

#[test]
fn a_post_waits_for_aborts_and_refuses_settings_like_a_turn() {
    let mut session = new_session();
    let abort = session.begin_abort();
    let mut stage = post(session);
    assert_eq!(stage.did, [""; 0]);
    stage.session.end_abort(abort);
    stage.wait(Duration::ZERO);
    assert_eq!(stage.did, ["post"]);

    let mut session = new_session();
    session.keep_rules();
    let switched = Prompt::from("Go.").with_tool("bash", opencode_config::ToolSwitch::Disabled);
    let begin = |session: &mut Session, now| {
        Turn::post_only(switched, TurnSettings::default(), "m0".into(), session, now)
    };
    assert_eq!(Stage::begun(begin, session).end(), Some("tool_switches"));
}

#[test]
fn a_post_whose_reply_is_lost_is_looked_up_and_aborts_nothing() {
    let others = || reply_to("m_9", "m_8", "");
    for (server, end) in [
        (busy().with("s", [others(), user("m1", "Go.")]), "completed"),
        (busy().with("s", [user("m_8", "Hi."), others()]), "not_posted"),
        (idle(), "not_posted"),
    ] {
        let mut stage = post(new_session());
        stage.reply("/prompt_async", lost());
        for _ in 0..5 {
            stage.wait(SECOND);
            stage.find(&server);
        }
        assert_eq!(stage.end(), Some(end));
        assert!(!stage.did.contains(&"abort"));
    }
}

#[test]
fn a_post_that_is_dropped_or_takes_too_long_aborts_nothing() {
    let mut stage = post(new_session());
    stage.does(Turn::abandon);
    assert!(stage.turn.is_over() && !stage.is_calling("/abort"));

    let mut stage = post(new_session());
    stage.wait(SECOND * 120);
    assert_eq!(stage.end(), Some("timed_out"));
    assert!(!stage.is_calling("/abort") && stage.turn.is_over());
}
