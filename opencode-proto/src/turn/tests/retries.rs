//! Retries of the provider's failures, and deadlines.

use super::*;

/// The time of the server at the prompt.
const SERVER_MS: u64 = 1_796_057_000_000;

fn settings() -> TurnSettings {
    let deadlines = Deadlines::NONE.with_idle(60 * SECOND).with_overall(600 * SECOND);
    TurnSettings::default().with_deadlines(deadlines)
}

/// A turn whose answer has begun at the server's time.
fn begun(settings: TurnSettings) -> Stage {
    let mut stage = Stage::posted(settings);
    stage.answer(&format!(r#","time":{{"created":{SERVER_MS}}}"#));
    let begun = r#""part":{"id":"p1","messageID":"m2","type":"step-start"}"#;
    stage.tell("message.part.updated", begun);
    stage
}

/// Returns the actions without looks.
fn did(stage: &Stage) -> Vec<&'static str> {
    stage.did.iter().copied().filter(|did| *did != "look").collect()
}

/// Returns a retry that is due so many seconds after [`SERVER_MS`].
fn retry(attempt: u32, due: u64) -> String {
    let next = SERVER_MS + due * 1000;
    format!(
        r#""status":{{"type":"retry","attempt":{attempt},"message":"quota exceeded","next":{next}}}"#
    )
}

fn failure_of(stage: &Stage) -> &crate::ProviderFailure {
    let end = &stage.outcome.as_ref().expect("the turn is over").end;
    end.provider_failure().unwrap_or_else(|| panic!("{end}"))
}

#[test]
fn a_retry_that_is_due_after_the_deadlines_ends_the_turn_at_once() {
    let mut stage = begun(settings());
    stage.wait(5 * SECOND);
    stage.tell("session.status", &retry(1, 5 + 72_000));
    assert_eq!(did(&stage), ["post", "abort"]);
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("retry_too_late"));
    let failure = failure_of(&stage);
    assert_eq!((&*failure.message, failure.attempt), ("quota exceeded", Some(1)));
    assert_eq!(failure.next_ms, Some(SERVER_MS + 72_005_000));
    let end = stage.outcome.unwrap().end.to_string();
    assert!(end.contains("quota exceeded") && end.contains("2026-12-01T12:"), "{end}");
}

#[test]
fn a_retry_that_is_due_in_time_is_waited_for() {
    let mut stage = begun(settings());
    stage.wait(5 * SECOND);
    // The idle deadline counts from the retry.
    stage.tell("session.status", &retry(1, 5 + 59));
    stage.wait(59 * SECOND);
    stage.tell("session.status", BUSY);
    assert_eq!(did(&stage), ["post"]);
    stage.tell("session.status", &retry(2, 64 + 61));
    assert_eq!(did(&stage), ["post", "abort"]);
}

#[test]
fn the_overall_deadline_counts_for_a_retry_too() {
    let deadlines = Deadlines::NONE.with_overall(100 * SECOND);
    let mut stage = begun(TurnSettings::default().with_deadlines(deadlines));
    stage.wait(90 * SECOND);
    stage.tell("session.status", &retry(1, 99));
    assert_eq!(did(&stage), ["post"]);
    stage.tell("session.status", &retry(2, 101));
    assert_eq!(did(&stage), ["post", "abort"]);
}

#[test]
fn without_a_deadline_and_on_request_any_retry_is_waited_for() {
    let wait = settings().deadlines.with_late_retry(crate::LateRetry::Wait);
    for deadlines in [Deadlines::NONE, wait] {
        let mut stage = begun(TurnSettings::default().with_deadlines(deadlines));
        stage.tell("session.status", &retry(1, 72_000));
        assert_eq!(did(&stage), ["post"]);
        if deadlines == wait {
            stage.wait(60 * SECOND);
            assert_eq!(did(&stage), ["post", "abort"]);
            stage.wait(SECOND);
            let end = stage.outcome.as_ref().unwrap().end.clone();
            assert_eq!(end.deadline(), Some(Deadline::Idle));
            assert_eq!(failure_of(&stage).message, "quota exceeded");
        }
    }
}

#[test]
fn a_clock_that_is_ahead_or_behind_makes_no_retry_late() {
    // The server's time is known from the messages only, at any time of this machine.
    let mut stage = Stage::posted(settings());
    stage.tell("session.status", &retry(1, 72_000));
    assert_eq!(did(&stage), ["post"], "the server's clock is unknown");
    stage.answer(&format!(r#","time":{{"created":{}}}"#, SERVER_MS + 71_990_000));
    stage.tell("session.status", &retry(2, 72_000));
    assert_eq!(did(&stage), ["post"], "due in ten seconds");
    // An older message that comes late does not set the clock back.
    let info = format!(
        r#""info":{{"id":"m3","role":"assistant","parentID":"m1","time":{{"created":{SERVER_MS}}}}}"#
    );
    stage.tell("message.updated", &info);
    stage.tell("session.status", &retry(3, 72_000));
    assert_eq!(did(&stage), ["post"]);
}

#[test]
fn a_late_retry_of_a_subagent_ends_the_turn() {
    let mut stage = begun(settings());
    stage.hear(event_of_child("session.created", r#""info":{"id":"c","parentID":"s"}"#));
    stage.hear(event_of_child("session.status", &retry(1, 72_000)));
    assert_eq!(did(&stage), ["post", "abort"]);
}

#[test]
fn a_late_retry_that_a_look_finds_ends_the_turn() {
    let mut stage = begun(settings());
    stage.gap();
    stage.wait(SECOND);
    let mut server = busy().with("s", [prompt(), message("m2", &answer(""))]);
    server.statuses.insert("s".to_owned(), retry(1, 72_000).replacen(r#""status":"#, "", 1));
    stage.find(&server);
    assert_eq!(did(&stage), ["post", "abort"]);
}

#[test]
fn a_deadline_carries_the_last_failure_until_a_call_succeeds() {
    let mut stage = begun(settings());
    stage.tell("session.status", &retry(3, 2));
    stage.tell("session.status", BUSY);
    stage.wait(60 * SECOND);
    stage.wait(SECOND);
    let end = stage.outcome.as_ref().unwrap().end.to_string();
    assert!(end.contains("idle") && end.contains("quota exceeded (attempt 3"), "{end}");

    let mut stage = begun(settings());
    stage.tell("session.status", &retry(3, 2));
    let completed = SERVER_MS + 3_000;
    stage.answer(&format!(r#","finish":"tool-calls","time":{{"completed":{completed}}}"#));
    stage.wait(60 * SECOND);
    stage.wait(SECOND);
    assert!(stage.outcome.as_ref().unwrap().end.provider_failure().is_none());
}

#[test]
fn a_retry_that_has_succeeded_is_not_waited_for_any_more() {
    let deadlines = settings().deadlines.with_overall(100 * SECOND);
    let mut stage = begun(settings().with_deadlines(deadlines));
    // In time by the idle deadline, which an ask suspends.
    stage.tell("permission.asked", ASK);
    stage.tell("session.status", &retry(1, 72_000));
    assert_eq!(did(&stage), ["post", "ask permission"]);
    let later = SERVER_MS + 5000;
    stage.answer(&format!(r#","finish":"tool-calls","time":{{"completed":{later}}}"#));
    let reply = r#""requestID":"per_1","reply":"once""#;
    stage.tell("permission.replied", reply);
    stage.wait(SECOND);
    assert_eq!(did(&stage), ["post", "ask permission"]);
}

#[test]
fn the_outcome_comes_within_a_second_after_a_deadline() {
    let mut stage = begun(settings());
    stage.wait(60 * SECOND);
    assert_eq!((did(&stage), stage.end()), (vec!["post", "abort"], None));
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("timed_out"));
    // The abort goes on, and holds the next prompt back.
    assert!(!stage.turn.is_over() && !stage.session.may_post());
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}

#[test]
fn a_prompt_on_its_way_at_a_deadline_is_aborted_behind_the_outcome() {
    let mut stage = Stage::new(settings());
    stage.wait(600 * SECOND);
    stage.aborted();
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("timed_out"));
    assert!(!stage.turn.is_over() && !stage.session.may_post());
    stage.accept();
    assert_eq!(stage.did.iter().filter(|did| **did == "abort").count(), 2);
    stage.aborted();
    assert!(stage.turn.is_over() && stage.session.may_post());
}

/// The look that follows the abort reads the first call again.
#[test]
fn a_call_before_the_failure_does_not_clear_it() {
    let first = format!(
        r#","finish":"tool-calls","time":{{"created":{SERVER_MS},"completed":{SERVER_MS}}}"#
    );
    let mut stage = Stage::posted(settings());
    stage.answer(&first);
    let second = format!(
        r#"{{"id":"m3","role":"assistant","parentID":"m1","time":{{"created":{}}}}}"#,
        SERVER_MS + 1
    );
    stage.tell("message.updated", &format!(r#""info":{second}"#));
    stage.tell("session.status", &retry(1, 72_000));
    stage.aborted();
    stage.wait(Duration::ZERO);
    let messages = [prompt(), message("m2", &answer(&first)), message("m3", &second)];
    stage.find(&idle().with("s", messages));
    stage.wait(20 * SECOND);
    assert_eq!(stage.end(), Some("retry_too_late"));
    assert_eq!(failure_of(&stage).message, "quota exceeded");
}
