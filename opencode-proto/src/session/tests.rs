use super::*;

fn session() -> Session {
    Session::new("ses_1".into(), None)
}

fn ask() -> AskId {
    AskId::Permission("per_1".into())
}

fn error(message: &str) -> AgentError {
    let raw = format!(r#"{{"name":"UnknownError","data":{{"message":"{message}"}}}}"#);
    AgentError::decode(crate::RawJson::parse(raw).unwrap())
}

fn woken(session: &mut Session) -> Vec<TurnNo> {
    std::iter::from_fn(|| session.poll_woken()).collect()
}

#[test]
fn aborts_go_one_after_another_and_prompts_after_all_of_them() {
    let mut session = session();
    assert!(session.may_post());
    let (first, second) = (session.begin_abort(), session.begin_abort());
    assert_eq!((session.may_abort(first), session.may_abort(second)), (true, false));
    session.end_abort(first);
    assert!(session.may_abort(second) && !session.may_post());
    session.end_abort(second);
    assert!(session.may_post());
}

#[test]
fn the_end_of_an_abort_wakes_turns_once() {
    let mut session = session();
    let (turn, abort) = (session.begin_turn(), session.begin_abort());
    session.wait(turn);
    session.wait(turn);
    assert_eq!(woken(&mut session), []);
    session.end_abort(abort);
    assert_eq!(woken(&mut session), [turn]);
    let abort = session.begin_abort();
    session.end_abort(abort);
    assert_eq!(woken(&mut session), [], "it does not wait any more");
}

#[test]
fn a_prompt_without_an_application_holds_prompts_back_while_in_flight() {
    let mut session = session();
    let (left, next) = (session.begin_turn(), session.begin_turn());
    session.leave(left);
    assert!(!session.may_post());
    session.wait(next);
    session.end_leave(next);
    assert!(!session.may_post(), "the prompt of another turn is in flight");
    woken(&mut session);
    session.wait(next);
    session.end_leave(left);
    assert!(session.may_post());
    assert_eq!(woken(&mut session), [next]);
}

#[test]
fn an_ask_is_claimed_by_one_turn_until_that_has_ended_without_an_answer() {
    let mut session = session();
    let (one, other) = (session.begin_turn(), session.begin_turn());
    assert!(session.claim(ask(), one) && session.claim(ask(), one));
    assert!(!session.claim(ask(), other));
    session.wait(other);
    session.end_turn(one, std::iter::empty());
    assert_eq!(woken(&mut session), [other]);
    assert!(session.claim(ask(), other));

    session.settle(ask());
    session.end_turn(other, std::iter::empty());
    let third = session.begin_turn();
    assert!(!session.claim(ask(), third), "the server has the answer");
}

#[test]
fn an_error_of_a_turn_that_has_ended_is_not_that_of_the_next() {
    let mut session = session();
    let turn = session.begin_turn();
    session.end_turn(turn, [error("refused")].into_iter());
    assert!(session.is_late_error(&error("refused")));
    assert!(!session.is_late_error(&error("another")));
    session.forget_late_errors();
    assert!(!session.is_late_error(&error("refused")));
}

#[test]
fn after_a_model_that_does_not_exist_prompts_name_one_that_does() {
    let model = |name: &str| name.parse::<ModelRef>().unwrap();
    let gone = error("Model not found: p/none. Did you mean: p/some?");
    let (none, some) = (model("p/none"), model("p/some"));

    let mut session = Session::new("ses_1".into(), Some(some.clone()));
    assert_eq!(session.model_advice(), ModelAdvice::Unneeded);
    session.learn_model(Some(&none), None, Some(&error("another error")));
    assert_eq!(session.model_advice(), ModelAdvice::Unneeded);
    session.learn_model(Some(&none), None, Some(&gone));
    assert_eq!(session.model_advice(), ModelAdvice::Name(some.clone()));
    session.learn_model(Some(&some), Some(&some), None);
    assert_eq!(session.model_advice(), ModelAdvice::Unneeded);

    // The session's own model may be the one that does not exist.
    let mut session = Session::new("ses_1".into(), Some(none.clone()));
    session.learn_model(Some(&none), None, Some(&gone));
    assert_eq!(session.model_advice(), ModelAdvice::Configured);
    // A prompt that named no model says nothing about one.
    let mut session = Session::new("ses_1".into(), None);
    session.learn_model(None, None, Some(&gone));
    assert_eq!(session.model_advice(), ModelAdvice::Unneeded);
}
