//! Deadlines, the ladder of signals, and everything else that time does to a run.

use super::*;

const NEVER: Duration = Duration::MAX;

/// A run without deadlines.
fn patient() -> Play {
    run_with(|settings| settings.deadlines = Deadlines::NONE)
}

fn run_within(deadlines: Deadlines) -> Play {
    run_with(|settings| settings.deadlines = deadlines)
}

#[test]
fn a_run_that_is_not_done_in_time_is_ended() {
    let mut run = run_within(Deadlines::NONE.with_overall(seconds(60)));
    assert_eq!(run.wakes(), Some(60));
    run.out(&[START]).pass(59);
    assert_eq!(run.wakes(), Some(1), "events do not move it");
    assert!(run.signals.is_empty());
    run.pass(1);
    assert_eq!(run.signals, [Signal::Terminate]);
    run.exit(Exit::Signal(15)).ends();
    assert_eq!(run.outcome().end.deadline(), Some(Deadline::Overall));
    assert_eq!(run.outcome().exit, Some(Exit::Signal(15)));
}

#[test]
fn the_first_event_is_waited_for_so_long() {
    let deadlines = Deadlines::NONE.with_first_event(seconds(20)).with_idle(seconds(30));
    let mut silent = run_within(deadlines);
    silent.err("timestamp=1 level=INFO\n").out(&["junk\n", "\n"]).pass(20);
    assert_eq!(silent.signals, [Signal::Terminate], "diagnostics are no events");
    assert_eq!(silent.end().end.deadline(), Some(Deadline::FirstEvent));

    let mut talking = run_within(deadlines);
    talking.pass(19).out(&[START]);
    assert_eq!(talking.wakes(), Some(30));
}

#[test]
fn the_next_event_is_waited_for_so_long() {
    let mut run = run_within(Deadlines::NONE.with_idle(seconds(30)));
    assert_eq!(run.wakes(), None, "not before the first one");
    run.pass(1000).out(&[START]).pass(29).out(&[TEXT]).pass(29).out(&["junk\n"]);
    assert_eq!(run.wakes(), Some(1), "diagnostics are no events");
    run.pass(1);
    assert_eq!(run.signals, [Signal::Terminate]);
    let outcome = run.end();
    assert_eq!(outcome.end.deadline(), Some(Deadline::Idle));
    assert_eq!(outcome.answer.text(), "Hello", "what was gathered is not lost");
}

#[test]
fn an_event_that_comes_with_the_deadline_is_in_time() {
    let mut run = run_within(Deadlines::NONE.with_first_event(seconds(20)));
    run.now += seconds(25);
    run.out(&[START]);
    assert_eq!((run.signals.len(), run.wakes()), (0, None));
}

#[test]
fn a_run_that_was_done_when_its_deadline_came_is_completed() {
    let mut run = run_within(Deadlines::NONE.with_overall(seconds(60)));
    run.out(&[START, TEXT, STOP]).pass(60);
    assert_eq!(run.signals, [Signal::Terminate]);
    assert_eq!(run.done(0).end, RunEnd::Completed);
}

#[test]
fn a_process_that_has_answered_may_linger_only_so_long() {
    let mut run = patient();
    run.out(&[START, TEXT]);
    assert_eq!(run.wakes(), None);
    run.out(&[STOP]);
    assert_eq!(run.wakes(), Some(120));
    run.pass(100).out(&["junk\n"]);
    assert_eq!(run.wakes(), Some(20), "diagnostics are no events");
    run.pass(20);
    assert_eq!(run.signals, [Signal::Terminate]);
    run.exit(Exit::Signal(15)).ends();
    assert_eq!(run.outcome().end, RunEnd::Completed, "the signal was ours");
}

#[test]
fn an_answer_that_goes_on_is_not_lingering() {
    let mut run = patient();
    run.out(&[START, STOP]).pass(100).out(&[START_2]);
    assert_eq!(run.wakes(), None);
}

#[test]
fn silence_after_a_complete_answer_is_no_failure() {
    let mut run = run_within(Deadlines::NONE.with_idle(seconds(30)));
    run.out(&[START, TEXT, STOP]).pass(30);
    assert_eq!(run.signals, [Signal::Terminate]);
    assert_eq!(run.end().end, RunEnd::Completed);
}

#[test]
fn a_process_that_closed_its_output_may_linger_only_so_long() {
    for (lines, end) in [
        (&[START, TEXT, STOP][..], "completed"),
        (&[START, TEXT], "torn"),
        (&[ERROR], "agent_error"),
        (&[], "torn"),
    ] {
        let mut run = patient();
        run.out(lines).pass(50).out_end();
        assert_eq!(run.wakes(), Some(120), "{end}");
        run.pass(120);
        assert_eq!(run.signals, [Signal::Terminate]);
        assert_eq!(run.exit(Exit::Signal(9)).end().end.name(), end);
    }
}

#[test]
fn the_ladder_terminates_kills_and_gives_up() {
    let mut run = patient();
    run.out(&[START]).cancel();
    assert_eq!(run.signals, [Signal::Terminate]);
    assert_eq!(run.wakes(), Some(5));
    run.pass(4);
    assert_eq!(run.signals.len(), 1);
    run.pass(1);
    assert_eq!(run.signals, [Signal::Terminate, Signal::Kill]);
    assert_eq!(run.wakes(), Some(5));
    run.pass(4);
    assert!(!run.is_over());
    run.pass(1);
    assert_eq!((&run.outcome().end, run.outcome().exit), (&RunEnd::Cancelled, None));
}

#[test]
fn an_exit_ends_the_ladder_at_any_rung() {
    for (rungs, signals) in [(0, 1), (1, 2)] {
        let mut run = patient();
        run.cancel();
        for _ in 0..rungs {
            run.step(ScriptStep::Wake);
        }
        run.exit(Exit::Signal(9));
        assert_eq!(run.wakes(), Some(5));
        run.pass(5);
        assert_eq!((run.outcome().end.name(), run.signals.len()), ("cancelled", signals));
    }
}

#[test]
fn a_late_wake_takes_one_rung_at_a_time() {
    let mut run = run_within(Deadlines::NONE.with_overall(seconds(60)));
    run.pass(3600);
    assert_eq!((&run.signals[..], run.wakes()), (&[Signal::Terminate][..], Some(0)));
    run.pass(3600);
    assert_eq!((run.signals.len(), run.wakes()), (2, Some(5)));
}

#[test]
fn a_run_can_be_cancelled_in_every_phase() {
    let mut fresh = run();
    assert_eq!(fresh.cancel().end().end, RunEnd::Cancelled);

    let mut answered = run();
    answered.out(&[START, TEXT, STOP]).cancel();
    assert_eq!(answered.exit(Exit::Signal(15)).end().end, RunEnd::Cancelled);

    let mut finished_by_itself = run();
    finished_by_itself.out(&[START, TEXT, STOP]).cancel();
    assert_eq!(finished_by_itself.done(0).end, RunEnd::Completed);

    let mut timed_out = run_within(Deadlines::NONE.with_overall(seconds(1)));
    timed_out.pass(1).cancel();
    assert_eq!(timed_out.signals, [Signal::Terminate], "it is being ended already");
    assert_eq!(timed_out.end().end.deadline(), Some(Deadline::Overall));

    let mut twice = run();
    twice.cancel().pass(5).cancel();
    assert_eq!(twice.wakes(), Some(5));

    let mut draining = run();
    draining.out(&[START, TEXT, STOP]).exit(Exit::Code(0)).cancel();
    assert_eq!((draining.signals.len(), draining.is_over()), (0, false));
    assert_eq!(draining.end().end, RunEnd::Completed, "it is judged by what it did");

    let mut over = run();
    over.done(1);
    over.cancel();
    assert_eq!((over.signals.len(), over.outcome().end.name()), (0, "startup_error"));
}

#[test]
fn output_that_is_held_open_is_read_only_so_long() {
    let mut run = run();
    run.exit(Exit::Code(0));
    assert_eq!(run.wakes(), Some(5));
    run.pass(4).out(&[START, TEXT]).pass(0).out(&[STOP]);
    assert_eq!(run.wakes(), Some(1), "more output does not move it");
    run.pass(1);
    assert_eq!(run.outcome().end, RunEnd::Completed);
}

#[test]
fn no_deadline_passes_for_a_process_that_is_gone() {
    let mut run = run_with(|settings| {
        settings.deadlines = Deadlines::NONE.with_overall(seconds(1)).with_first_event(seconds(1));
    });
    run.exit(Exit::Code(1)).pass(2);
    assert_eq!(run.wakes(), Some(3));
    assert_eq!(run.end().end.name(), "startup_error");
}

#[test]
fn early_and_repeated_timeouts_do_nothing() {
    let mut run = run_within(Deadlines::NONE.with_overall(seconds(60)));
    for _ in 0..59 {
        run.pass(1).pass(0);
    }
    assert_eq!((run.events.len(), run.signals.len()), (0, 0));
    assert_eq!(run.wakes(), Some(1));
    run.pass(1).pass(0).pass(0);
    assert_eq!(run.signals, [Signal::Terminate]);
}

#[test]
fn nothing_happens_after_the_end() {
    let mut run = run();
    run.out(&[START]).done(0);
    let told = run.events.len();
    // `Play` lets no action pass after the end.
    run.out(&[TEXT, STOP, "torn"]).err(REPLACED).ends().exit(Exit::Code(1)).cancel().pass(9999);
    assert_eq!((run.events.len(), run.wakes()), (told, None));
    assert_eq!(run.outcome().end, RunEnd::Torn);
}

#[test]
fn a_second_exit_is_not_believed() {
    let mut run = run();
    run.out(&[START, TEXT, STOP]).exit(Exit::Code(0)).exit(Exit::Code(1)).ends();
    assert_eq!(run.outcome().exit, Some(Exit::Code(0)));
}

#[test]
fn a_second_end_of_an_output_is_not_believed() {
    let mut run = patient();
    run.out_end().pass(50).out_end();
    assert_eq!(run.wakes(), Some(70));
    run.step(ScriptStep::StderrEnd);
    run.err(REPLACED.trim_end()).step(ScriptStep::StderrEnd);
    assert!(run.events.is_empty(), "a line may still be going on");
    run.exit(Exit::Code(0));
    assert_eq!(run.events.len(), 1);
}

#[test]
fn what_was_gathered_can_be_seen_before_the_end() {
    let now = Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    run.handle_stdout(TEXT.into(), now);
    assert_eq!(run.answer().text(), "Hello");
}

#[test]
fn limits_that_no_clock_reaches_are_never_reached() {
    let mut run = run_with(|settings| {
        settings.deadlines =
            Deadlines::NONE.with_overall(NEVER).with_first_event(NEVER).with_idle(NEVER);
        settings.linger_limit = NEVER;
        settings.kill_grace = NEVER;
        settings.drain_limit = NEVER;
    });
    run.out(&[START, TEXT, STOP]).out_end();
    assert_eq!(run.wakes(), None);
    run.cancel();
    assert_eq!((run.wakes(), run.signals.len()), (None, 1));
    run.exit(Exit::Signal(15)).pass(999_999);
    assert_eq!((run.wakes(), run.is_over()), (None, false));
    run.ends();
    assert!(run.is_over());
}

#[test]
fn limits_of_nothing_end_a_run_at_once_and_without_a_busy_loop() {
    let now = Instant::now();
    let mut settings = RunSettings::default();
    settings.deadlines.overall = Some(Duration::ZERO);
    settings.kill_grace = Duration::ZERO;
    let mut run = Run::new(settings, now);
    let mut signals = Vec::new();
    for _ in 0..10 {
        match run.poll_action() {
            RunAction::Wait(Some(wake)) => run.handle_timeout(wake),
            RunAction::Signal(signal) => signals.push(signal),
            RunAction::Finished(outcome) => {
                assert_eq!(outcome.end.deadline(), Some(Deadline::Overall));
                assert_eq!(signals, [Signal::Terminate, Signal::Kill]);
                return;
            }
            action @ (RunAction::Event(_) | RunAction::Sweep | RunAction::Wait(None)) => {
                panic!("{action:?}")
            }
        }
    }
    panic!("not over");
}

#[test]
fn a_deadline_carries_the_last_failure_of_the_provider() {
    let failed = |error: &str, small: &str| {
        format!(
            "timestamp=1 level=ERROR message=\"stream error\" small={small} error.error=\"{error}\"\n"
        )
    };
    let end = |lines: &[&str], errors: &[String]| {
        let mut run = run_with(|settings| {
            settings.deadlines = Deadlines::NONE.with_idle(seconds(10));
        });
        for error in errors {
            run.err(error);
        }
        run.out(lines).pass(10);
        run.exit(Exit::Signal(15)).ends();
        run.outcome().end.clone()
    };
    let of_model = failed("AI_APICallError: quota exceeded", "false");
    let of_title = failed("AI_APICallError: no title", "true");
    let timed_out = end(&[START], &[of_model.clone(), of_title]);
    let failure = timed_out.provider_failure().map(|failure| &*failure.message);
    assert_eq!((timed_out.deadline(), failure), (Some(Deadline::Idle), Some("quota exceeded")));
    assert!(timed_out.to_string().contains("quota exceeded"), "{timed_out}");
    // A call has succeeded since.
    let timed_out = end(&[START, TOOL_CALLS], &[of_model]);
    assert_eq!((timed_out.deadline(), timed_out.provider_failure()), (Some(Deadline::Idle), None));
}

#[test]
fn a_process_that_does_not_exit_at_a_deadline_is_killed_within_a_second() {
    let mut run = run_with(|settings| {
        settings.deadlines = Deadlines::NONE.with_idle(seconds(10));
    });
    run.out(&[START]).pass(10);
    assert_eq!(run.signals, [Signal::Terminate]);
    run.pass(1);
    assert_eq!(run.signals, [Signal::Terminate, Signal::Kill]);
}
