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
    stage.wait(SECOND);
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
        stage.wait(SECOND);
        assert_eq!(stage.end(), Some(end));
    }

    // Without an idle in between, the answer is that of both prompts.
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    next(&mut stage);
    assert_eq!(stage.end(), Some("completed"));
    let told = |event: &TurnEvent| matches!(&event.kind, TurnEventKind::AnsweredWith(prompt) if *prompt == "m3");
    assert_eq!(stage.events.iter().filter(|event| told(event)).count(), 1);
    assert_eq!(stage.outcome.unwrap().answered_with, [MessageId::from("m3")]);
}

/// The model had begun to answer, and went on with the prompt of another writer.
#[test]
fn a_prompt_whose_answer_another_prompt_got_has_none() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.begin_answer_and_take_over();
    assert_eq!(stage.end(), Some("answered_by_another"));
    let outcome = stage.outcome.unwrap();
    let TurnEnd::AnsweredByAnother { prompt } = &outcome.end else { panic!("{outcome:?}") };
    assert_eq!((prompt.as_str(), &*outcome.answered_with), ("m3", &[MessageId::from("m3")][..]));
    assert!(outcome.end.to_string().contains("m3"), "{}", outcome.end);
}

/// A program that prompts its own running turn wants one answer to both.
#[test]
fn a_prompt_that_the_program_itself_follows_up_is_answered_with_the_second() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.session.add_prompt("m3".into());
    stage.begin_answer_and_take_over();
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().answered_with, [MessageId::from("m3")]);
}

impl Stage {
    /// The model calls a tool, the prompt `m3` comes, and the model answers `m3`.
    fn begin_answer_and_take_over(&mut self) {
        self.tell("session.status", BUSY);
        self.answer("");
        self.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
        let text = r#""id":"p3","messageID":"m3","type":"text","text":"Now this.""#;
        self.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
        self.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
        let answer = r#""id":"m4","role":"assistant","parentID":"m3""#;
        self.tell("message.updated", &format!(r#""info":{{{answer}{DONE}}}"#));
        self.tell("session.status", IDLE);
    }
}

/// The prompt comes while the session works on one of another writer.
#[test]
fn a_prompt_before_that_gets_no_answer_of_its_own_is_answered_with_the_turns() {
    let other = |stage: &mut Stage, rest: &str| {
        let info = r#""id":"m01","role":"assistant","parentID":"m00""#;
        stage.tell("message.updated", &format!(r#""info":{{{info}{rest}}}"#));
    };
    let tools = r#","finish":"tool-calls","time":{"completed":1}"#;
    let failed = format!(r#","time":{{"completed":1}},{ABORTED}"#);
    // The other answer expects more; is complete; is aborted; all of it was before an idle.
    for (end, expected) in
        [(tools, &[MessageId::from("m00")][..]), (DONE, &[]), (&failed, &[]), ("", &[])]
    {
        let mut stage = Stage::new(TurnSettings::default());
        other(&mut stage, "");
        if end.is_empty() {
            stage.tell("session.status", IDLE);
        }
        stage = stage.told();
        if !end.is_empty() {
            other(&mut stage, end);
        }
        stage.answer(DONE);
        stage.tell("session.status", IDLE);
        assert_eq!(stage.end(), Some("completed"));
        assert_eq!(stage.outcome.unwrap().answered_with, expected, "{end}");
    }
}

/// Two prompts wait together, and the second is the turn's own. Prompts that were answered long ago
/// are reported again when their summary is there, without their parts.
#[test]
fn a_prompt_that_came_just_before_is_answered_with_the_turns() {
    for (has_part, expected) in [(true, &[MessageId::from("m00")][..]), (false, &[])] {
        let mut stage = Stage::new(TurnSettings::default());
        stage.tell("message.updated", r#""info":{"id":"m00","role":"user"}"#);
        if has_part {
            let text = r#""id":"p00","messageID":"m00","type":"text","text":"And?""#;
            stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
        }
        stage = stage.told();
        stage.answer(DONE);
        stage.tell("session.status", IDLE);
        assert_eq!(stage.outcome.unwrap().answered_with, expected);
    }
}

#[test]
fn a_summary_in_place_of_the_answer_is_reported() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let part = r#""id":"p3","messageID":"m3","type":"compaction","auto":false"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
    let summary = r#""id":"m4","role":"assistant","parentID":"m3","summary":true"#;
    stage.tell("message.updated", &format!(r#""info":{{{summary}}}"#));
    assert_eq!(stage.end(), Some("replaced_by_summary"));
    let told = |event: &TurnEvent| matches!(&event.kind, TurnEventKind::ReplacedBySummary(by) if *by == "m3");
    assert!(stage.events.iter().any(told), "{:#?}", stage.events);
}

/// The other prompt comes while the work on the turn's own is being aborted.
#[test]
fn an_aborted_prompt_whose_session_goes_on_at_once_is_aborted() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.answer("");
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let text = r#""id":"p3","messageID":"m3","type":"text","text":"Now this.""#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    let next = r#""id":"m4","role":"assistant","parentID":"m3""#;
    stage.tell("message.updated", &format!(r#""info":{{{next}}}"#));
    stage.answer(&format!(r#","time":{{"completed":1}},{ABORTED}"#));
    stage.tell("message.updated", &format!(r#""info":{{{next}{DONE}}}"#));
    stage.tell("session.status", IDLE);
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("aborted"));
}

/// OpenCode repeats no prompt after a summary that failed.
#[test]
fn a_prompt_after_a_refused_summary_is_not_the_turns() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.answer(r#","finish":"tool-calls","time":{"completed":1}"#);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let part = r#""id":"p3","messageID":"m3","type":"compaction","auto":true"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
    let summary = r#""id":"m4","role":"assistant","parentID":"m3","summary":true"#;
    stage.tell("session.error", REFUSED);
    let failed = format!(r#""info":{{{summary},"time":{{"completed":1}},{REFUSED}}}"#);
    stage.tell("message.updated", &failed);
    // The end of the turn is read after the next prompt, in the case of a slow reader.
    stage.tell("message.updated", r#""info":{"id":"m5","role":"user"}"#);
    let text = r#""id":"p5","messageID":"m5","type":"text","text":"Now this.""#;
    stage.tell("message.part.updated", &format!(r#""part":{{{text}}}"#));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("agent_error"));
}

/// The session was idle before: the prompt was given up, and the summary replaces nothing.
#[test]
fn a_summary_after_the_work_was_given_up_replaces_nothing() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.tell("session.status", IDLE);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    let part = r#""id":"p3","messageID":"m3","type":"compaction","auto":false"#;
    stage.tell("message.part.updated", &format!(r#""part":{{{part}}}"#));
    let summary = r#""id":"m4","role":"assistant","parentID":"m3","summary":true"#;
    stage.tell("message.updated", &format!(r#""info":{{{summary}{DONE}}}"#));
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("torn"));
}

/// OpenCode aborts the turns of a directory first, and then reports that the directory is closed.
#[test]
fn a_turn_that_is_closed_with_its_directory_is_disposed() {
    let aborted = |stage: &mut Stage| {
        stage.answer("");
        stage.tell("session.error", ABORTED);
        stage.tell("session.status", IDLE);
        stage.answer(&format!(r#","time":{{"completed":1}},{ABORTED}"#));
        stage.tell("session.status", IDLE);
        assert_eq!(stage.end(), None, "the reason may follow");
    };
    let dispose = |stage: &mut Stage| {
        let why = Interruption::Disposed;
        stage.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
        stage.reopen();
        stage.wait(Duration::ZERO);
    };
    let mut stage = Stage::posted(TurnSettings::default());
    aborted(&mut stage);
    dispose(&mut stage);
    let failed = answer(&format!(r#","time":{{"completed":1}},{ABORTED}"#));
    stage.find(&idle().with("s", [prompt(), message("m2", &failed)]));
    assert_eq!(stage.end(), Some("disposed"));

    // Before the model was asked.
    let mut stage = Stage::posted(TurnSettings::default());
    dispose(&mut stage);
    for _ in 0..20 {
        stage.find(&idle().with("s", [prompt()]));
        stage.wait(SECOND);
    }
    assert_eq!(stage.end(), Some("disposed"));

    // The answer was complete before.
    let mut stage = Stage::posted(TurnSettings::default());
    dispose(&mut stage);
    stage.find(&idle().with("s", [prompt(), message("m2", &answer(DONE))]));
    assert_eq!(stage.end(), Some("completed"));

    // No directory was closed: another client aborted the turn.
    let mut stage = Stage::posted(TurnSettings::default());
    aborted(&mut stage);
    stage.wait(TurnSettings::default().settle_delay);
    assert_eq!(stage.end(), Some("aborted"));
}

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
        stage.wait(SECOND);
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
    assert_eq!(stage.end(), Some("answered_by_another"));
}

/// A server that runs on completes a message before it goes on with another prompt.
#[test]
fn a_restart_leaves_the_answer_to_a_later_prompt_and_its_error_to_that_prompt() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.gap();
    stage.wait(Duration::ZERO);
    let mut later = message("m3", r#"{"id":"m3","role":"user"}"#);
    later.parts = vec![r#"{"id":"p3","messageID":"m3","type":"text","text":"And?"}"#.to_owned()];
    let answer_of = |rest| format!(r#"{{"id":"m4","role":"assistant","parentID":"m3"{rest}}}"#);
    let begun = [prompt(), message("m2", &answer("")), later];
    stage.find(&busy().with("s", begun.clone()));
    stage.tell("message.updated", &format!(r#""info":{}"#, answer_of("")));
    stage.tell("session.error", REFUSED);
    let failed = answer_of(&format!(r#","time":{{"completed":1}},{REFUSED}"#));
    stage.tell("message.updated", &format!(r#""info":{failed}"#));
    stage.tell("session.status", IDLE);
    for _ in 0..60 {
        stage.wait(SECOND);
        let messages = begun.clone().into_iter().chain([message("m4", &failed)]);
        stage.find(&idle().with("s", messages));
    }
    assert_eq!(stage.end(), Some("torn"));
}

/// Two prompts that wait together fail together, and the error is part of the answer to one.
#[test]
fn the_error_of_the_prompt_before_is_that_of_both() {
    let mut stage = Stage::new(TurnSettings::default());
    let before = r#""info":{"id":"m0","role":"assistant","parentID":"m_0""#;
    stage.tell("message.updated", &format!("{before}}}"));
    stage.accept();
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user"}"#);
    stage.tell("session.error", REFUSED);
    stage.tell("message.updated", &format!(r#"{before},"time":{{"completed":1}},{REFUSED}}}"#));
    stage.tell("session.status", IDLE);
    for _ in 0..60 {
        stage.wait(SECOND);
        stage.find(&idle().with("s", [prompt()]));
    }
    assert_eq!(stage.end(), Some("agent_error"));
}
