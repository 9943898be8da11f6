//! Prompts that wait until they may be posted.

use super::*;
use crate::api::CommandRequest;
use crate::session::TurnNo;

fn session() -> Session {
    Session::new("s".into(), None)
}

fn waiting(session: Session, settings: TurnSettings) -> Stage {
    Stage::waiting("Go.", settings, session)
}

/// Turns that the session names.
fn woken(stage: &mut Stage) -> Vec<TurnNo> {
    let woken: Vec<_> = std::iter::from_fn(|| stage.session.poll_woken()).collect();
    if woken.contains(&stage.turn.number()) {
        stage.does(Turn::handle_timeout);
    }
    woken
}

#[test]
fn a_prompt_is_posted_when_the_event_stream_is_open() {
    let mut stage = waiting(session(), TurnSettings::default());
    assert!(stage.turn.is_waiting());
    stage.wait(SECOND);
    assert_eq!(stage.did, [""; 0]);
    stage.reopen();
    assert_eq!(stage.did, ["post"]);
    assert!(!stage.turn.is_waiting());
    assert_eq!(stage.turn.message(), "m1");
}

#[test]
fn a_prompt_waits_for_aborts_and_for_a_stream_that_broke_meanwhile() {
    let mut session = session();
    let (first, second) = (session.begin_abort(), session.begin_abort());
    let mut stage = waiting(session, TurnSettings::default());
    stage.reopen();
    stage.session.end_abort(first);
    let number = stage.turn.number();
    assert_eq!(woken(&mut stage), [number]);
    assert_eq!(stage.did, [""; 0], "the second is still on its way");

    stage.interrupt();
    stage.session.end_abort(second);
    woken(&mut stage);
    assert_eq!(stage.did, [""; 0]);
    stage.reopen();
    assert_eq!(stage.did, ["post"]);
}

#[test]
fn a_prompt_that_may_not_be_posted_any_more_is_ready_once_more_later() {
    let (mut session, now) = (session(), waiting(session(), TurnSettings::default()).now);
    let settings = TurnSettings::default();
    let mut turn = Turn::new("Go.", settings, "m0".into(), &mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Wait(_)));
    turn.handle_opened(&mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Ready));
    // An abort begins before the driver has handed over the events.
    let abort = session.begin_abort();
    turn.post("m1".into(), &mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Wait(_)));
    turn.post("m2".into(), &mut session, now);
    session.end_abort(abort);
    assert_eq!(session.poll_woken(), Some(turn.number()));
    turn.handle_timeout(&mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Ready));
    // Nor when the stream breaks.
    turn.handle_interrupted(&Interruption::Closed, &mut session, now);
    turn.post("m3".into(), &mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Wait(_)));
    turn.handle_opened(&mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Ready));
    turn.post("m4".into(), &mut session, now);
    assert!(matches!(turn.poll_action(), TurnAction::Call(_)));
    assert_eq!(turn.message(), "m4");
}

#[test]
fn deadlines_count_while_the_prompt_waits() {
    for (deadlines, deadline) in [
        (Deadlines::NONE.with_first_event(SECOND), Deadline::FirstEvent),
        (Deadlines::NONE.with_overall(SECOND), Deadline::Overall),
    ] {
        let mut stage = waiting(session(), TurnSettings::default().with_deadlines(deadlines));
        let at = stage.now + SECOND;
        assert!(matches!(stage.turn.poll_action(), TurnAction::Wait(Some(wake)) if wake == at));
        stage.wait(SECOND / 2);
        assert_eq!(stage.end(), None);
        stage.wait(SECOND / 2);
        let outcome = stage.outcome.unwrap();
        assert!(
            matches!(outcome.end, TurnEnd::TimedOut { deadline: passed, .. } if passed == deadline)
        );
        assert_eq!((outcome.elapsed, &*stage.did), (SECOND, &[""; 0][..]));
    }
}

#[test]
fn the_time_before_the_post_counts_for_the_deadlines_of_the_turn() {
    let deadlines = Deadlines::NONE.with_overall(3 * SECOND);
    let mut stage = waiting(session(), TurnSettings::default().with_deadlines(deadlines));
    stage.wait(2 * SECOND);
    stage.reopen();
    stage = stage.told();
    stage.wait(SECOND);
    assert_eq!(stage.did, ["post", "abort"]);
}

#[test]
fn a_prompt_that_waits_is_cancelled_at_once() {
    let mut stage = waiting(session(), TurnSettings::default());
    stage.does(Turn::cancel);
    assert_eq!((stage.end(), &*stage.did), (Some("cancelled"), &[""; 0][..]));
    assert!(stage.turn.is_over());
}

#[test]
fn a_stream_that_cannot_be_opened_leaves_nothing_posted() {
    let mut stage = waiting(session(), TurnSettings::default());
    let exited = HubEnd::Exited;
    stage.does(|turn, session, now| turn.handle_lost(&exited, session, now));
    let end = stage.outcome.unwrap().end;
    assert!(matches!(end, TurnEnd::NotPosted { is_certain: true, .. }), "{end}");
}

/// The session's model does not exist.
fn poisoned(good: Option<&str>) -> Session {
    let mut session = Session::new("s".into(), good.map(|model| model.parse().unwrap()));
    let error = r#"{"name":"UnknownError","data":{"message":"Model not found: p/none."}}"#;
    let error = crate::AgentError::decode(crate::RawJson::parse(error).unwrap());
    session.learn_model(Some(&"p/none".parse().unwrap()), None, Some(&error));
    session
}

fn body(stage: &Stage) -> &str {
    str::from_utf8(stage.calls.last().unwrap().request.body()).unwrap()
}

#[test]
fn a_prompt_names_the_model_that_is_known_to_exist() {
    let mut stage = waiting(poisoned(Some("p/some")), TurnSettings::default());
    stage.reopen();
    assert!(body(&stage).contains(r#""modelID":"some""#));

    let post = CommandRequest::new("review");
    let mut stage = Stage::waiting(post, TurnSettings::default(), poisoned(Some("p/some")));
    stage.reopen();
    assert!(body(&stage).contains(r#""model":"p/some""#));

    let post = Prompt::from("Go.").with_model("p/own".parse().unwrap());
    let mut stage = Stage::waiting(post, TurnSettings::default(), poisoned(Some("p/some")));
    stage.reopen();
    assert!(body(&stage).contains(r#""modelID":"own""#));
}

#[test]
fn a_prompt_names_the_configured_model_where_no_other_is_known() {
    let mut stage = waiting(poisoned(None), TurnSettings::default());
    stage.reopen();
    stage.wait(SECOND);
    assert_eq!(stage.did, ["configured model"], "and no post yet");
    stage.replied("/config");
    assert_eq!(stage.did, ["configured model", "post"]);
    assert!(body(&stage).contains(r#""modelID":"model""#));

    // Without an answer, the prompt is posted as it is.
    let mut stage = waiting(poisoned(None), TurnSettings::default());
    stage.reopen();
    stage.reply("/config", lost());
    assert_eq!(stage.did, ["configured model", "post"]);
    assert!(!body(&stage).contains("model"));
}

#[test]
fn a_turn_tells_its_session_about_the_model() {
    let prompt = || Prompt::from("Go.").with_model("p/none".parse().unwrap());
    let mut stage = Stage::sent(prompt(), TurnSettings::default()).told();
    let error = r#""error":{"name":"UnknownError","data":{"message":"Model not found: p/none."}}"#;
    stage.tell("session.error", error);
    stage.tell("session.status", IDLE);
    for _ in 0..5 {
        stage.wait(SECOND);
        stage.find(&idle().with("s", [super::prompt()]));
    }
    assert_eq!(stage.end(), Some("agent_error"));
    assert_ne!(stage.session.model_advice(), crate::session::ModelAdvice::Unneeded);

    let mut stage = Stage::sent(prompt(), TurnSettings::default()).told();
    stage.answer(&format!(r#","providerID":"p","modelID":"good"{DONE}"#));
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.session.model_advice(), crate::session::ModelAdvice::Unneeded);
}

#[test]
fn an_old_server_gets_the_prompt_at_its_own_endpoint() {
    let mut stage = Stage::new(TurnSettings::default());
    let mut unknown = http::Response::new(bytes::Bytes::new());
    *unknown.status_mut() = http::StatusCode::NOT_FOUND;
    stage.reply("/prompt_async", Ok(unknown));
    assert!(stage.is_calling("/session/s/message"));
    assert_eq!(stage.did, ["post", "post"]);

    let mut stage = Stage::new(TurnSettings::default());
    stage.reply("/prompt_async", Ok(not_found()));
    assert_eq!(stage.end(), Some("refused"));
}
