//! Events and messages of the turns before and after, which a turn has to tell from its own.

use super::*;

const TOOLS: &str = r#","finish":"tool-calls","time":{"completed":1}"#;
/// An answer that was ended without a reason: the input was too long, or the turn was aborted
/// between two attempts.
const CUT: &str = r#","time":{"completed":1}"#;

fn asks(id: &str) -> WrittenMessage {
    user(id, "And?")
}

fn compaction(id: &str) -> WrittenMessage {
    user_with(id, r#""type":"compaction","auto":true"#)
}

impl Stage {
    /// The server reports the message.
    fn report(&mut self, message: &WrittenMessage) {
        self.tell("message.updated", &format!(r#""info":{}"#, message.info));
        for part in &message.parts {
            self.tell("message.part.updated", &format!(r#""part":{part}"#));
        }
    }

    /// Time passes, and looks find this server.
    fn pass(&mut self, seconds: u32, server: &WrittenServer) {
        for _ in 0..seconds {
            self.wait(SECOND);
            self.find(server);
        }
    }

    fn report_idle(&mut self) {
        self.tell("session.status", IDLE);
        self.tell("session.idle", "");
    }

    fn covered(&self) -> Vec<&str> {
        let outcome = self.outcome.as_ref().expect("the turn has ended");
        outcome.answered_with.iter().map(|prompt| prompt.as_str()).collect()
    }
}

/// OpenCode reports the session as idle, and lists the session so, when an aborted turn has wound
/// down, although the next prompt is worked on.
#[test]
fn the_end_of_an_aborted_turn_is_not_the_end_of_the_next() {
    let aborted = format!("{CUT},{ABORTED}");
    let silent = idle().with("s", [prompt(), message("m2", &answer(""))]);
    let begun = |status: &str| {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.tell("session.status", status);
        stage.answer("");
        stage.report(&reply_to("m0", "m_0", &aborted));
        stage.report_idle();
        stage
    };
    let mut stage = begun(BUSY);
    stage.pass(60, &silent);
    assert_eq!(stage.end(), None, "the model is silent, and the list is outdated");
    let mut forgotten = begun(BUSY);
    forgotten
        .tell("message.part.updated", r#""part":{"id":"p","messageID":"m2","type":"step-start"}"#);
    forgotten.pass(400, &silent);
    assert_eq!(forgotten.end(), Some("torn"), "the abort took the prompt along after all");
    stage.tell("session.status", BUSY);
    stage.answer(DONE);
    stage.report_idle();
    assert_eq!(stage.end(), Some("completed"));

    // Without a report of work after the prompt, the abort took the prompt along.
    let mut stage = begun(IDLE);
    stage.pass(60, &silent);
    assert_eq!(stage.end(), Some("torn"));

    // The next report is the turn's own.
    let mut stage = begun(BUSY);
    stage.report_idle();
    stage.pass(60, &silent);
    assert_eq!(stage.end(), Some("torn"));

    // After a gap, the server may be another one.
    let mut stage = begun(BUSY);
    stage.gap();
    stage.pass(60, &silent);
    assert_eq!(stage.end(), Some("torn"));
}

/// OpenCode stops at a failure, and never works on a prompt that waited.
#[test]
fn a_failure_before_takes_a_prompt_that_waits_along() {
    for (failed, error, end) in
        [(7, REFUSED, "agent_error"), (3, REFUSED, "torn"), (7, ABORTED, "torn")]
    {
        let mut stage = Stage::new(TurnSettings::default());
        stage.accept();
        stage.gap();
        let failure = format!(r#","time":{{"completed":{failed}}},{error}"#);
        let own = message("m1", r#"{"id":"m1","role":"user","time":{"created":5}}"#);
        let messages = [asks("m_0"), reply_to("m0", "m_0", &failure), own];
        stage.pass(60, &idle().with("s", messages));
        assert_eq!(stage.end(), Some(end), "{failed}");
    }
}

#[test]
fn a_failure_after_is_not_that_of_a_prompt_that_was_given_up() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.accept();
    stage.tell("message.updated", r#""info":{"id":"m1","role":"user","time":{"created":5}}"#);
    stage.tell("session.status", BUSY);
    stage.report_idle();
    stage.report(&asks("m3"));
    stage.report(&reply_to("m4", "m3", ""));
    stage.tell("session.error", REFUSED);
    stage.report(&reply_to("m4", "m3", &format!(r#","time":{{"completed":7}},{REFUSED}"#)));
    stage.report_idle();
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("torn"));
}

/// The model answers all prompts up to the one that its answer names.
#[test]
fn an_answer_covers_the_prompts_before_the_one_it_names() {
    let ask_twice = |answer: &str| {
        let mut stage = Stage::new(TurnSettings::default());
        stage.report(&asks("m00"));
        stage.report(&asks("m01"));
        stage.report(&reply_to("m02", "m01", answer));
        stage = stage.told();
        stage.answer(DONE);
        stage.report_idle();
        assert_eq!(stage.end(), Some("completed"));
        stage
    };
    assert_eq!(ask_twice(TOOLS).covered(), ["m00", "m01"], "the agent goes on with the turn's");
    assert_eq!(ask_twice(DONE).covered(), [""; 0]);
    assert_eq!(ask_twice("").covered(), [""; 0], "the answer in work was given up");
}

/// The prompts before the compaction are answered by the message that OpenCode inserts after that.
#[test]
fn prompts_around_a_compaction_are_answered_together() {
    let compacted = |stage: &mut Stage| {
        stage.report(&asks("m00"));
        stage.report(&reply_to("m01", "m00", CUT));
        stage.report(&compaction("m02"));
        stage.report(&reply_to("m03", "m02", r#","summary":true"#));
    };
    let insert = |stage: &mut Stage| {
        stage.report(&reply_to("m03", "m02", &format!(r#","summary":true{DONE}"#)));
        stage.report(&asks("m04"));
        stage.tell("session.compacted", "");
    };
    // The turn's prompt, and another one, came during the compaction.
    let mut stage = Stage::new(TurnSettings::default());
    compacted(&mut stage);
    stage = stage.told();
    stage.report(&asks("m3"));
    insert(&mut stage);
    stage.report(&reply_to("m4", "m04", DONE));
    stage.report_idle();
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.covered(), ["m3", "m00"]);

    // The turn's prompt came after the answer.
    let mut stage = Stage::new(TurnSettings::default());
    compacted(&mut stage);
    insert(&mut stage);
    stage.report(&reply_to("m05", "m04", DONE));
    stage = stage.told();
    stage.answer(DONE);
    stage.report_idle();
    assert_eq!(stage.covered(), [""; 0]);
}

/// OpenCode serves the request first, and then has no prompt without an answer left.
#[test]
fn a_summary_that_was_asked_for_before_takes_the_place_of_the_answer() {
    let summary = |rest: &str| reply_to("m01", "m00", &format!(r#","summary":true{rest}"#));
    let request = user_with("m00", r#""type":"compaction","auto":false"#);
    let aborted = format!("{CUT},{ABORTED}");
    let cases = [
        (true, &*aborted, "torn"),
        (true, DONE, "replaced_by_summary"),
        (false, DONE, "replaced_by_summary"),
        (true, "", "torn"),
    ];
    for (is_reported, rest, end) in cases {
        let mut stage = Stage::new(TurnSettings::default());
        if is_reported {
            stage.report(&request);
        }
        stage = stage.told();
        stage.tell("session.status", BUSY);
        stage.report(&summary(""));
        if rest == aborted {
            stage.report_idle();
        }
        stage.report(&summary(rest));
        stage.report_idle();
        stage.pass(60, &idle().with("s", [request.clone(), prompt(), summary(rest)]));
        assert_eq!(stage.end(), Some(end));
    }
    // The summary was there before the prompt.
    let mut stage = Stage::new(TurnSettings::default());
    stage.report(&request);
    stage.report(&summary(DONE));
    stage = stage.told();
    stage.tell("session.status", BUSY);
    stage.report_idle();
    stage.pass(60, &idle().with("s", [request, summary(DONE), prompt()]));
    assert_eq!(stage.end(), Some("torn"));
}

/// A look reads the summaries of the whole session again.
#[test]
fn an_old_summary_makes_no_later_prompt_an_inserted_one() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    let summary = reply_to("m01", "m0", &format!(r#","summary":true{DONE}"#));
    stage.report(&summary);
    stage.tell("session.compacted", "");
    stage.answer("");
    stage.wait(TurnSettings::default().look_interval);
    stage.find(&busy().with("s", [prompt(), summary, message("m2", &answer(""))]));
    stage.report(&asks("m3"));
    stage.answer(TOOLS);
    stage.report(&reply_to("m4", "m3", DONE));
    stage.report_idle();
    assert_eq!(stage.end(), Some("answered_by_another"), "the prompt is another client's");
}

/// A look is ahead of a slow stream.
#[test]
fn a_failed_attempt_that_is_reported_late_takes_no_later_text_along() {
    let next = |ms| format!(r#""status":{{"type":"retry","attempt":1,"message":"m","next":{ms}}}"#);
    for (next_ms, text) in [(50, "Found."), (51, "")] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.tell("session.status", BUSY);
        stage.answer("");
        stage.wait(TurnSettings::default().look_interval);
        let mut found = message("m2", &answer(""));
        let part = r#""id":"p","messageID":"m2","type":"text","text":"Found.""#;
        found.parts = vec![format!(r#"{{{part},"time":{{"start":50,"end":60}}}}"#)];
        stage.find(&busy().with("s", [prompt(), found]));
        stage.tell("session.status", &next(next_ms));
        stage.answer(DONE);
        stage.report_idle();
        assert_eq!(stage.outcome.unwrap().full_text(), text, "{next_ms}");
    }
}

/// A look finds the prompt before the stream reports the end of the turn before.
#[test]
fn events_before_the_prompt_is_reported_are_of_an_earlier_turn() {
    let mut stage = Stage::new(TurnSettings::default());
    stage.accept();
    stage.wait(TurnSettings::default().look_interval);
    let server = busy().with("s", [prompt(), message("m2", &answer(""))]);
    stage.find(&server);
    stage.tell("session.error", REFUSED);
    stage.report_idle();
    stage.pass(60, &server);
    assert_eq!(stage.end(), None);
    let failed = |event: &TurnEvent| matches!(event.kind, TurnEventKind::Failed(_));
    assert!(!stage.events.iter().any(failed), "{:#?}", stage.events);
    stage = stage.reported();
    stage.tell("session.error", REFUSED);
    assert!(stage.events.iter().any(failed), "this one is the turn's own");
}

impl Stage {
    fn reported(mut self) -> Self {
        self.report(&prompt());
        self
    }
}

/// OpenCode stops at a refusal, so the answer to a later prompt is none of the turn's.
#[test]
fn a_turn_whose_refusal_was_missed_has_no_part_in_the_next_answer() {
    let rejected = "The user rejected permission to use this specific tool call.";
    let succeeded = r#"{"status":"completed","input":{},"output":"ok"}"#.to_owned();
    let refused = format!(r#"{{"status":"error","input":{{}},"error":"{rejected}"}}"#);
    for (state, end) in [(refused, "rejected"), (succeeded, "agent_error")] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.gap();
        let mut called = message("m2", &answer(TOOLS));
        let tool = r#""id":"p","messageID":"m2","type":"tool","tool":"bash","callID":"c""#;
        called.parts = vec![format!(r#"{{{tool},"state":{state}}}"#)];
        stage.wait(Duration::ZERO);
        stage.find(&busy().with("s", [prompt(), called, asks("m3")]));
        stage.report(&reply_to("m4", "m3", ""));
        stage.tell("session.error", REFUSED);
        stage.report(&reply_to("m4", "m3", &format!("{CUT},{REFUSED}")));
        stage.report_idle();
        assert_eq!(stage.end(), Some(end));
    }
}

/// Between two attempts, an abort leaves an answer without a reason and without an error.
#[test]
fn a_turn_that_was_aborted_between_attempts_has_no_part_in_the_next_answer() {
    for (why, end) in [(Interruption::Closed, "aborted"), (Interruption::Disposed, "disposed")] {
        let mut stage = Stage::posted(TurnSettings::default());
        stage.answer("");
        stage.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
        stage.reopen();
        let messages =
            [prompt(), message("m2", &answer(CUT)), asks("m3"), reply_to("m4", "m3", DONE)];
        stage.pass(5, &idle().with("s", messages));
        assert_eq!(stage.end(), Some(end));
    }
}

/// The next prompt may be there before the reason of an abort.
#[test]
fn a_prompt_after_the_abort_hides_no_disposal() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.answer("");
    stage.tell("session.error", ABORTED);
    stage.report_idle();
    stage.answer(&format!("{CUT},{ABORTED}"));
    stage.report(&asks("m3"));
    stage.report(&reply_to("m4", "m3", ""));
    assert_eq!(stage.end(), None, "the reason may follow");
    let why = Interruption::Disposed;
    stage.does(|turn, session, now| turn.handle_interrupted(&why, session, now));
    stage.reopen();
    let aborted = message("m2", &answer(&format!("{CUT},{ABORTED}")));
    stage.pass(5, &busy().with("s", [prompt(), aborted, asks("m3"), reply_to("m4", "m3", "")]));
    assert_eq!(stage.end(), Some("disposed"));
}

/// Two runs of a session overlap while an abort is under way: the answer that is cut short is
/// completed after the next one has begun.
#[test]
fn an_answer_that_is_cut_short_is_looked_up_before_the_end() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.answer("");
    stage.report(&asks("m3"));
    stage.report(&reply_to("m4", "m3", ""));
    stage.tell("session.error", REFUSED);
    stage.report(&reply_to("m4", "m3", &format!("{CUT},{REFUSED}")));
    assert_eq!(stage.end(), None);
    let aborted = message("m2", &answer(&format!("{CUT},{ABORTED}")));
    let failed = reply_to("m4", "m3", &format!("{CUT},{REFUSED}"));
    stage.pass(5, &idle().with("s", [prompt(), aborted, asks("m3"), failed]));
    assert_eq!(stage.end(), Some("aborted"), "and not the error of the next prompt");
}

/// The look finds that OpenCode went on, before the overflow is reported.
#[test]
fn an_overflow_in_a_gap_is_not_the_reason_of_a_later_end() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.answer("");
    stage.gap();
    stage.tell("session.error", OVERFLOW);
    stage.answer(CUT);
    let begun = [
        prompt(),
        message("m2", &answer(CUT)),
        compaction("m3"),
        reply_to("m4", "m3", &format!(r#","summary":true{DONE}"#)),
        user("m5", "Go."),
        reply_to("m6", "m5", ""),
    ];
    stage.wait(Duration::ZERO);
    stage.find(&busy().with("s", begun.clone()));
    // The server is started anew.
    stage.gap();
    stage.pass(60, &idle().with("s", begun));
    assert_eq!(stage.end(), Some("torn"));
}
