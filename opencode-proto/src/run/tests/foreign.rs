//! Output of plugins and other programs between the events of a run.

use super::*;

fn diagnostics(run: &Play) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for event in &run.events {
        if let RunEventKind::Diagnostic(diagnostic) = event.kind {
            diagnostics.push(diagnostic);
        }
    }
    diagnostics
}

#[test]
fn an_event_behind_an_unfinished_line_counts() {
    let dots = |line: &str| format!("...{line}");
    let mut run = run();
    let lines = [dots(START), dots(TEXT), format!("Loading... 42%{STOP}")];
    let outcome = run.out(&lines.each_ref().map(String::as_str)).done(0);
    assert_eq!(outcome.end, RunEnd::Completed);
    assert_eq!((outcome.answer.text(), outcome.answer.cost()), ("Hello".into(), 0.5));
    let counts = LineCounts { events: 3, diagnostics: 3, ..Default::default() };
    assert_eq!(outcome.lines, counts);
    let before: Vec<_> = run.events.iter().step_by(2).map(|event| event.raw.clone()).collect();
    assert_eq!(before, ["...", "...", "Loading... 42%"]);
    assert_eq!(diagnostics(&run), [Diagnostic::NotJson; 3]);
}

#[test]
fn a_failure_behind_an_unfinished_line_is_the_end() {
    let mut run = run();
    let outcome = run.out(&[START, ".", ERROR]).done(1);
    assert_eq!(outcome.end.name(), "agent_error");
}

#[test]
fn lines_of_another_session_or_of_none_do_not_count() {
    let other = TEXT.replace("ses_1", "ses_2").replace("t1", "t2");
    let forged = TEXT.replace(r#""sessionID":"ses_1","#, "").replace("t1", "t3");
    let telemetry = "{\"type\":\"error\",\"message\":\"telemetry upload failed\"}\n";
    let finish = STOP.replace("ses_1", "ses_2").replace("f1", "f2");
    let lines = [START, &other, &forged, TEXT, STOP, telemetry, &finish, NEW];
    let mut run = run();
    let outcome = run.out(&lines).done(0);
    assert_eq!((&outcome.end, outcome.answer.text()), (&RunEnd::Completed, "Hello".into()));
    assert_eq!(outcome.answer.cost(), 0.5);
    let counts = LineCounts { events: 4, diagnostics: 4, unknown: 1, ..Default::default() };
    assert_eq!(outcome.lines, counts);
    assert_eq!(diagnostics(&run), [Diagnostic::OtherSession; 4]);
    assert_eq!(run.events[1].raw, other.trim_end(), "the line is kept");
}

#[test]
fn the_first_step_decides_whose_run_it_is() {
    let other = |line: &str| line.replace("ses_1", "ses_2");
    let forged = TEXT.replace(r#""sessionID":"ses_1","#, "").replace("t1", "t3");
    for before in [&other(TEXT), &other(ERROR), &other(STOP), &forged, &other(NEW)] {
        let mut run = run();
        let outcome = run.out(&[before, START, TEXT, STOP]).done(0);
        assert_eq!(outcome.end, RunEnd::Completed, "{before}");
        assert_eq!(outcome.answer.text(), "Hello", "{before}");
        assert_eq!(outcome.answer.session().unwrap(), &"ses_1", "{before}");
        assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (3, 1), "{before}");
        assert!(outcome.answer.errors().is_empty(), "{before}");
    }
}

#[test]
fn errors_before_the_first_step_stay() {
    let mut run = run();
    let other = ERROR.replace("ses_1", "ses_2");
    let outcome = run.out(&[&other, ERROR, START]).done(1);
    assert_eq!(outcome.answer.errors().len(), 1);
    assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (2, 1));
    assert_eq!(outcome.answer.session().unwrap(), &"ses_1");
}

#[test]
fn without_a_step_the_first_session_is_that_of_the_run() {
    let mut run = run();
    let other = ERROR.replace("ses_1", "ses_2");
    let outcome = run.out(&[TEXT, &other, "{\"type\":\"new\"}\n", TEXT]).done(0);
    assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (2, 2));
    assert_eq!(outcome.answer.text(), "Hello");
}

#[test]
fn a_session_that_is_known_beforehand_needs_no_step() {
    let mut run = run_with(|settings| settings.session = Some("ses_1".into()));
    let other = |line: &str| line.replace("ses_1", "ses_2");
    let outcome = run.out(&[&other(START), &other(TEXT), ERROR]).done(1);
    assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (1, 2));
    assert_eq!(outcome.end.name(), "agent_error");
}

#[test]
fn sessions_without_a_step_are_kept_in_bounds() {
    let other = ERROR.replace("ses_1", "ses_2");
    let mut run = run();
    run.out(&[TEXT]).out(&[&*other; 100]).out(&[&other.replace("error", "step_start"), STOP]);
    let outcome = run.done(0);
    assert_eq!(outcome.answer.session().unwrap(), &"ses_1");
    assert_eq!((outcome.lines.events, outcome.lines.diagnostics), (2, 101));
}

#[test]
fn lines_of_others_are_no_sign_of_life() {
    let deadlines = Deadlines::NONE.with_first_event(seconds(20)).with_idle(seconds(30));
    let mut run = run_with(|settings| settings.deadlines = deadlines);
    run.out(&[START]).pass(29).out(&[&TEXT.replace("ses_1", "ses_2")]);
    assert_eq!(run.wakes(), Some(1));
}

#[test]
fn a_run_with_unreadable_events_is_not_complete() {
    let (head, tail) = TEXT.split_at(60);
    for broken in [format!("{head}plugin\n{tail}"), format!("{head}\n"), format!("x{head}\n")] {
        let mut run = run();
        let outcome = run.out(&[START, &broken, STOP]).done(0);
        let RunEnd::EventsLost { lines } = outcome.end else { panic!("{:?}", outcome.end) };
        assert_eq!(lines, outcome.lines.lost);
        assert!((1..=2).contains(&lines), "{broken}");
        assert_eq!(outcome.answer.cost(), 0.5, "what could be read counts");
    }
    let mut run = run();
    let outcome = run.out(&[START, &format!("{head}\n")]).done(1);
    assert_eq!(outcome.end.name(), "crashed", "an end that is known already is not replaced");
    let mut run = super::run();
    assert_eq!(run.out(&[&format!("{head}\n")]).done(0).end, RunEnd::EventsLost { lines: 1 });
}

#[test]
fn an_event_over_the_limit_is_lost_and_other_text_is_not() {
    let long = TEXT.replace("Hello", &"x".repeat(1000));
    let text = format!("{}\n", "x".repeat(1000));
    for (line, lost) in [(&long, 1), (&text, 0)] {
        let mut run = run_with(|settings| settings.line_size_max = 300);
        let outcome = run.out(&[START, line, TEXT, STOP]).done(0);
        assert_eq!(outcome.lines.lost, lost);
        assert_eq!(outcome.end.is_completed(), lost == 0);
    }
}

#[test]
fn an_event_cut_off_behind_an_unfinished_line_is_torn() {
    let mut run = run();
    let outcome = run.out(&[START, TEXT, STOP, "42%{\"type\":\"te"]).done(0);
    assert_eq!((&outcome.end, outcome.lines.lost), (&RunEnd::Torn, 0));
    assert_eq!(diagnostics(&run), [Diagnostic::Torn]);
}
