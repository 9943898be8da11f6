//! How a run ended, by what was said and how the process went.

use super::*;
use crate::surroundings::McpStatus;

fn end(lines: &[&str], stderr: &str, code: i32) -> RunEnd {
    run().out(lines).err(stderr).done(code).end.clone()
}

#[test]
fn an_answer_is_complete() {
    let mut run = run();
    let outcome = run.out(&[START, TEXT, STOP]).err("some warning\n").pass(7).done(0);
    assert_eq!(outcome.end, RunEnd::Completed);
    assert!(outcome.end.is_completed());
    assert_eq!((outcome.answer.text(), outcome.answer.cost()), ("Hello".into(), 0.5));
    assert_eq!(outcome.exit, Some(Exit::Code(0)));
    assert_eq!(outcome.stderr, "some warning\n");
    assert_eq!(outcome.elapsed, seconds(7));
    assert_eq!(outcome.lines, LineCounts { events: 3, ..Default::default() });
    assert!(outcome.raw_lines.is_empty() && outcome.notices.is_empty());
    assert_eq!(run.events.len(), 3);
}

#[test]
fn exit_and_the_ends_of_the_output_come_in_any_order() {
    let exit = ScriptStep::Exit(Some(Exit::Code(0)));
    let [out, err] = [ScriptStep::StdoutEnd, ScriptStep::StderrEnd];
    for order in [
        [&exit, &out, &err],
        [&exit, &err, &out],
        [&out, &exit, &err],
        [&err, &exit, &out],
        [&out, &err, &exit],
        [&err, &out, &exit],
    ] {
        let mut run = run();
        run.out(&[START, TEXT, STOP]);
        for step in order {
            assert!(!run.is_over(), "{order:?}");
            run.step(step.clone());
        }
        assert_eq!(run.outcome().end, RunEnd::Completed, "{order:?}");
    }
}

#[test]
fn output_after_the_exit_still_counts() {
    let mut run = run();
    run.out(&[START]).exit(Exit::Code(0)).out(&[TEXT, STOP]).ends();
    assert_eq!(run.outcome().end, RunEnd::Completed);
    assert_eq!(run.outcome().answer.text(), "Hello");
}

#[test]
fn an_error_that_was_not_recovered_from_is_the_end() {
    for code in [0, 1] {
        let end = end(&[START, ERROR], "", code);
        let RunEnd::AgentError(error) = &end else { panic!("{end:?}") };
        assert_eq!(error.reference.as_deref(), Some("err_1"));
    }
    assert_eq!(
        end(&[ERROR], "", 1).to_string(),
        "the agent failed: UnknownError: See logs. (err_1)"
    );
}

#[test]
fn an_error_that_was_recovered_from_is_not_the_end() {
    let mut run = run();
    let outcome = run.out(&[ERROR, START, TEXT, STOP]).done(1);
    assert_eq!((&outcome.end, outcome.answer.errors().len()), (&RunEnd::Completed, 1));
}

#[test]
fn the_cause_of_an_error_is_found_before_and_after_it() {
    let causes = |run: &mut Play| {
        let outcome = run.done(1);
        let RunEnd::AgentError(error) = &outcome.end else { panic!("{:?}", outcome.end) };
        assert_eq!(error.as_ref(), &outcome.answer.errors()[0]);
        error.cause.clone()
    };
    let cause = Some("no such model".to_owned());
    assert_eq!(causes(run().err(CAUSE).out(&[ERROR])), cause);
    assert_eq!(causes(run().out(&[ERROR]).err(CAUSE)), cause);
    assert_eq!(causes(run().out(&[ERROR]).err(CAUSE.trim_end())), cause, "at the very end");
    assert_eq!(causes(run().out(&[ERROR]).err(&CAUSE.replace("err_1", "err_2"))), None);
}

#[test]
fn output_that_stops_before_the_answer_is_torn() {
    assert_eq!(end(&[START], "", 0), RunEnd::Torn);
    assert_eq!(end(&[START, TEXT], "", 0), RunEnd::Torn);
    assert_eq!(end(&[START, TOOL_CALLS], "", 0), RunEnd::Torn);
    assert_eq!(end(&[], "", 0), RunEnd::Torn);
    assert_eq!(end(&[START, TEXT, STOP, r#"{"type":"te"#], "", 0), RunEnd::Torn);
}

#[test]
fn a_torn_last_line_is_told() {
    let mut run = run();
    run.out(&[START, r#"{"type":"text","part":{"te"#]).ends();
    let last = run.events.last().unwrap();
    assert_eq!(last.kind, RunEventKind::Diagnostic(Diagnostic::Torn));
    assert_eq!(last.raw, r#"{"type":"text","part":{"te"#);
    let lines = run.exit(Exit::Code(0)).outcome().lines;
    assert_eq!((lines.events, lines.diagnostics), (1, 1));
}

#[test]
fn a_last_line_torn_inside_a_character_is_torn() {
    let mut run = run();
    run.out(&[START]);
    let cut = &r#"{"type":"text","part":{"text":"ä"#.as_bytes();
    run.step(ScriptStep::Stdout(Bytes::copy_from_slice(&cut[..cut.len() - 1])));
    assert_eq!(run.done(0).end, RunEnd::Torn);
    assert_eq!(
        run.events.last().unwrap().kind,
        RunEventKind::Diagnostic(Diagnostic::Torn),
        "after the diagnostic for what is no UTF-8"
    );
}

#[test]
fn a_whole_last_line_without_its_line_end_is_an_event() {
    let outcome_of = |run: &mut Play| run.outcome().end.clone();
    let mut ended = run();
    ended.out(&[START, TEXT, STOP.trim_end()]).ends().exit(Exit::Code(0));
    assert_eq!(outcome_of(&mut ended), RunEnd::Completed);

    // Something that outlives the process holds its output open.
    let mut held_open = run();
    held_open.out(&[START, TEXT, STOP.trim_end()]).exit(Exit::Code(0)).pass(5);
    assert_eq!(outcome_of(&mut held_open), RunEnd::Completed);
    assert_eq!(held_open.events.len(), 3);
}

#[test]
fn a_signal_of_somebody_else_interrupts() {
    let mut killed = run();
    killed.out(&[START]).ends().exit(Exit::Signal(9));
    assert_eq!(killed.outcome().end, RunEnd::Interrupted { signal: 9 });
    assert_eq!(end(&[START], "", 143), RunEnd::Interrupted { signal: 15 });
}

#[test]
fn a_process_that_fails_without_an_event_crashed() {
    for lines in [&[START][..], &[START, TEXT, STOP]] {
        let end = end(lines, "Error: write EPIPE\n", 1);
        assert_eq!(end, RunEnd::Crashed { code: 1, message: "write EPIPE".into() });
    }
    assert_eq!(end(&[START], "", 200).to_string(), "the process exited with code 200");
}

#[test]
fn a_process_that_says_nothing_did_not_start() {
    let started = |stderr, code| end(&[], stderr, code);
    let message = |message: &str| RunEnd::StartupError { message: message.into() };
    assert_eq!(started("Error: Session not found\n", 1), message("Session not found"));
    assert_eq!(started("Error: Session not found\n", 0), message("Session not found"));
    assert_eq!(started("", 1), message(""));
    assert_eq!(end(&["junk\n"], "Error: no\n", 1), message("no"));
}

#[test]
fn a_database_race_is_one_only_when_no_event_was_printed() {
    let stderr = "Error: database is locked\n";
    let race = RunEnd::StartupDatabase { message: "database is locked".into() };
    assert_eq!(end(&[], stderr, 1), race);
    let crashed = RunEnd::Crashed { code: 1, message: "database is locked".into() };
    assert_eq!(end(&[START], stderr, 1), crashed);
    assert_eq!(end(&[START, TEXT, STOP], stderr, 0), RunEnd::Completed);
}

#[test]
fn a_run_that_prints_text_instead_of_events_is_answered_with_it() {
    let mut run = run();
    let outcome = run.out(&["hello\n", "end\n"]).done(0);
    assert_eq!((&outcome.end, outcome.answer.text()), (&RunEnd::Completed, "hello\nend".into()));
}

#[test]
fn a_turn_that_stops_at_its_tool_calls_was_refused_a_permission() {
    let told =
        "\u{1b}[93m\u{1b}[1m! \u{1b}[0mpermission requested: bash (ls, pwd); auto-rejecting\n";
    let refused = |refused: &str| RunEnd::PermissionRejected { refused: refused.into() };
    let lines = [START, REJECTED, TOOL_CALLS];
    assert_eq!(end(&lines, told, 0), refused("bash (ls, pwd)"));
    assert_eq!(end(&lines, "", 0), refused("bash"));
    assert_eq!(end(&[START, TOOL_CALLS], told, 0), refused("bash (ls, pwd)"));
    let answered = [START, REJECTED, TOOL_CALLS, START_2, STOP];
    assert_eq!(end(&answered, told, 0), RunEnd::Completed, "the agent went on");
}

#[test]
fn a_replaced_agent_is_refused_at_once() {
    let mut run = run();
    run.err(REPLACED);
    assert_eq!(run.signals, [Signal::Terminate]);
    let outcome = run.out(&[START, TEXT, STOP]).done(0);
    let reason = "agent \"x\" not found".to_owned();
    assert_eq!(outcome.end, RunEnd::AgentReplaced { reason: reason.clone() });
    assert_eq!(outcome.notices, [Notice::AgentReplaced { reason }]);
}

#[test]
fn a_replaced_agent_is_refused_when_it_is_only_seen_after_the_exit() {
    let mut run = run();
    run.out(&[START, TEXT, STOP]).exit(Exit::Code(0)).err(REPLACED).ends();
    assert_eq!(run.outcome().end.name(), "agent_replaced");
}

#[test]
fn a_replaced_agent_may_be_accepted() {
    let mut run = run_with(|settings| settings.agent_fallback = AgentFallback::Accept);
    run.err(REPLACED);
    assert!(run.signals.is_empty());
    let outcome = run.out(&[START, TEXT, STOP]).done(0);
    assert_eq!((&outcome.end, outcome.notices.len()), (&RunEnd::Completed, 1));
}

#[test]
fn an_exit_that_nobody_saw_leaves_it_to_the_events() {
    for (lines, end) in [
        (&[START, TEXT, STOP][..], "completed"),
        (&[START], "torn"),
        (&[ERROR], "agent_error"),
        (&[START, REJECTED, TOOL_CALLS], "permission_rejected"),
        (&[], "torn"),
    ] {
        let mut run = run();
        run.out(lines).ends().step(ScriptStep::Exit(None));
        assert_eq!((run.outcome().end.name(), run.outcome().exit), (end, None));
    }
}

#[test]
fn raw_lines_are_kept_only_when_asked_for() {
    let mut run = run_with(|settings| settings.raw_lines = Retention::Keep);
    let outcome = run.out(&[START, "junk\r\n", "\n", STOP.trim_end()]).done(0);
    assert_eq!(outcome.raw_lines, [START.trim_end(), "junk", "", STOP.trim_end()]);
}

#[test]
fn a_line_over_the_limit_is_told_and_nothing_else_is_lost() {
    let mut run = run_with(|settings| settings.line_size_max = 200);
    let long = format!("{}\n", "x".repeat(1000));
    let outcome = run.out(&[START, &long, TEXT, STOP]).done(0);
    assert_eq!((&outcome.end, outcome.lines.diagnostics), (&RunEnd::Completed, 1));
    assert_eq!(run.events[1].kind, RunEventKind::Diagnostic(Diagnostic::TooLong { size: 1000 }));
}

#[test]
fn unknown_and_malformed_events_are_counted() {
    let mut run = run();
    let outcome = run
        .out(&[START, NEW, "{\"type\":\"text\",\"sessionID\":\"ses_1\"}\n", "[]\n", STOP])
        .done(0);
    let lines = outcome.lines;
    assert_eq!((lines.events, lines.unknown, lines.malformed, lines.diagnostics), (4, 1, 1, 1));
}

/// The events of a run, kept in a log, tell how it ended as the run itself did.
#[test]
fn a_log_of_events_replays_to_the_same_end() {
    let told = "\u{1b}[93m! \u{1b}[0mpermission requested: bash (ls); auto-rejecting\n";
    for (lines, stderr) in [
        (&[START, TEXT, STOP][..], ""),
        (&[START, REJECTED, TOOL_CALLS], told),
        (&[START, TOOL_CALLS], told),
        (&[START, TEXT, STOP], REPLACED),
        (&[START, TEXT, STOP, r#"{"type":"te"#], ""),
        (&["plain\n", "text\n"], ""),
    ] {
        let mut live = run();
        live.out(lines).err(stderr).done(0);
        let mut log = Vec::new();
        for event in &live.events {
            log.extend_from_slice(&event.to_json_line());
            log.push(b'\n');
        }
        let mut replayed = run();
        replayed.out(&[str::from_utf8(&log).unwrap()]).done(0);
        assert_eq!(replayed.events, live.events, "{lines:?}");
        let (again, outcome) = (replayed.outcome(), live.outcome());
        assert_eq!((&again.end, &again.notices), (&outcome.end, &outcome.notices), "{lines:?}");
        assert_eq!((again.answer.text(), again.lines), (outcome.answer.text(), outcome.lines));
    }
}

#[test]
fn a_conversation_that_overflows_again_and_again_is_ended() {
    const OVERFLOW: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"ContextOverflowError","data":{"message":"too long"}}}
"#;
    let mut run = run_with(|settings| settings.overflows_max = 2);
    run.out(&[OVERFLOW, OVERFLOW, ERROR, START]);
    assert!(run.signals.is_empty());
    run.out(&[OVERFLOW]);
    assert_eq!(run.signals, [Signal::Terminate]);
    let end = run.ends().exit(Exit::Signal(15)).outcome().end.clone();
    let RunEnd::AgentError(error) = &end else { panic!("{end:?}") };
    assert_eq!(error.name, "ContextOverflowError");

    // An answer starts the count anew.
    let mut run = run_with(|settings| settings.overflows_max = 2);
    let answer = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"f2","messageID":"m2","reason":"stop"}}
"#;
    run.out(&[OVERFLOW, OVERFLOW, START, STOP, answer, OVERFLOW, OVERFLOW]);
    assert!(run.signals.is_empty());
}

#[test]
fn a_failure_that_is_printed_twice_counts_once() {
    let mut run = run();
    run.out(&[START, ERROR, ERROR]);
    let outcome = run.done(1);
    assert_eq!(outcome.answer.errors().len(), 1);
}

#[test]
fn an_empty_answer_has_a_notice() {
    let mut run = run();
    run.out(&[START, STOP]);
    assert_eq!(run.done(0).notices, [Notice::AnswerEmpty]);
    let last = run.events.last().map(RunEvent::event_type);
    assert_eq!(last, Some("notice"));
}

/// Line of the log about an MCP server that did not start.
const UNAVAILABLE: &str = "timestamp=1 level=WARN run=1 message=\"server unavailable\" key=notes \
    type=local status=failed\n";

#[test]
fn a_required_mcp_server_that_does_not_start_ends_the_run() {
    let server = McpServer::new("notes", McpStatus::Failed { error: None });
    let mut run = run_with(|settings| settings.required_mcp = vec!["notes".to_owned()]);
    run.err(UNAVAILABLE);
    assert_eq!(run.signals, [Signal::Terminate]);
    let outcome = run.out(&[START]).exit(Exit::Signal(15)).ends().outcome();
    assert_eq!(outcome.end, RunEnd::McpUnavailable(Box::new(server.clone())));
    assert_eq!(outcome.end.to_string(), "a required MCP server `notes`: failed");
    assert_eq!(outcome.notices, [Notice::McpUnavailable(server.clone())]);

    // Without the requirement, the answer is complete, and the fault is a notice.
    let mut run = run_with(|settings| settings.required_mcp = vec!["others".to_owned()]);
    let outcome = run.err(UNAVAILABLE).out(&[START, TEXT, STOP]).done(0);
    assert_eq!(outcome.end, RunEnd::Completed);
    assert_eq!(outcome.notices, [Notice::McpUnavailable(server)]);
}
