//! Work that OpenCode would repeat without end.

use super::*;

fn call(number: usize, tool: &str, output: &str) -> String {
    format!(
        r#"{{"type":"tool_use","sessionID":"ses_1","part":{{"id":"c{number}","messageID":"m1","tool":"{tool}","state":{{"status":"completed","input":{{}},"output":"{output}"}}}}}}"#
    ) + "\n"
}

fn finish(number: usize, reason: &str) -> String {
    format!(
        r#"{{"type":"step_finish","sessionID":"ses_1","part":{{"id":"f{number}","messageID":"m{number}","reason":"{reason}"}}}}"#
    ) + "\n"
}

#[test]
fn the_same_call_with_the_same_result_ends_the_run() {
    let mut run = run_with(|settings| settings.repeated_calls_max = 3);
    run.out(&[START]);
    for number in 0..3 {
        run.out(&[&call(number, "bash", "x"), &finish(number, "tool-calls")]);
    }
    assert!(run.signals.is_empty());
    run.out(&[&call(3, "bash", "x")]);
    assert_eq!(run.signals, [Signal::Terminate]);
    let outcome = run.ends().exit(Exit::Signal(15)).outcome();
    assert_eq!(outcome.end, RunEnd::RepeatedCalls { tool: "bash".into() });
    assert_eq!(outcome.answer.tools().len(), 4);
}

#[test]
fn calls_that_differ_or_that_are_printed_again_are_no_repetition() {
    let mut run = run_with(|settings| settings.repeated_calls_max = 1);
    run.out(&[START]);
    for number in 0..9 {
        let same = call(number, "bash", &number.to_string());
        let hidden = same.replace("}}", r#","time":{"start":1,"end":2,"compacted":3}}}"#);
        run.out(&[&same, &same, &hidden]);
    }
    run.out(&[&call(9, "edit", "8")]);
    assert!(run.signals.is_empty());
}

#[test]
fn a_model_that_is_never_done_is_ended() {
    for reason in ["unknown", "tool-calls"] {
        let mut run = run_with(|settings| settings.unfinished_max = 2);
        run.out(&[START, &finish(1, reason), &finish(2, reason)]);
        assert!(run.signals.is_empty(), "{reason}");
        run.out(&[&finish(3, reason)]);
        assert_eq!(run.signals, [Signal::Terminate], "{reason}");
        assert_eq!(run.ends().exit(Exit::Code(0)).outcome().end, RunEnd::EmptyReplies, "{reason}");

        // Tokens or a text show that the provider answered.
        let mut run = run_with(|settings| settings.unfinished_max = 2);
        let used = finish(1, reason).replace(r#""reason""#, r#""tokens":{"total":5},"reason""#);
        run.out(&[START, &used, &finish(2, reason), &finish(3, reason)]);
        assert_eq!(run.ends().exit(Exit::Code(0)).outcome().end, RunEnd::Endless, "{reason}");
    }
}

#[test]
fn a_tool_call_or_a_reason_ends_the_row_of_unfinished_calls() {
    let mut run = run_with(|settings| settings.unfinished_max = 2);
    run.out(&[START]);
    for round in 0..5 {
        let number = |at: usize| round * 10 + at;
        run.out(&[&finish(number(1), "unknown"), &finish(number(2), "unknown")]);
        if round % 2 == 0 {
            run.out(&[&finish(number(3), "stop")]);
        } else {
            run.out(&[&call(number(3), "bash", "x"), &finish(number(4), "tool-calls")]);
        }
    }
    assert!(run.signals.is_empty());
}

#[test]
fn repetitions_before_the_session_is_known_count_for_it_alone() {
    const OVERFLOW: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"ContextOverflowError","data":{"message":"too long"}}}
"#;
    let mut run = run_with(|settings| settings.overflows_max = 1);
    let other = OVERFLOW.replace("ses_1", "ses_2");
    run.out(&[OVERFLOW, &other, START]);
    assert!(run.signals.is_empty());
    run.out(&[OVERFLOW]);
    assert_eq!(run.signals, [Signal::Terminate]);
}
