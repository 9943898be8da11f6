//! Attempts in virtual time, with servers that answer as each test asks.

#![allow(clippy::disallowed_methods, reason = "a test needs an instant to start from")]

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::*;
use crate::api::ApiError;
use crate::call::{CallFailure, Delivery};
use crate::error::AgentError;
use crate::json::RawJson;
use crate::watchdog::Deadline;

const CREATED: &str = r#"{"id":"ses_1"}"#;
const MISSING: &str = r#"{"name":"NotFoundError","data":{"message":"no such message"}}"#;
const LIMIT: Duration = Duration::from_secs(10);

/// An attempt in virtual time, and everything that it asked for.
struct Stage {
    attempt: JobAttempt,
    now: Instant,
    call: Option<ApiCallId>,
    did: Vec<String>,
    wake: Option<Instant>,
    end: Option<AttemptEnd>,
}

impl Stage {
    fn new(owner: ServerOwner) -> Self {
        let mut stage = Self {
            attempt: JobAttempt::new(CreateSession::new(), owner),
            now: Instant::now(),
            call: None,
            did: Vec::new(),
            wake: None,
            end: None,
        };
        stage.drain();
        stage
    }

    /// An attempt whose turn has begun.
    fn working() -> Self {
        let mut stage = Self::new(ServerOwner::Ours);
        stage.answers(200, CREATED).does(JobAttempt::handle_prepared);
        stage.did.clear();
        stage
    }

    /// An attempt whose prompt may have arrived.
    fn doubtful() -> Self {
        let mut stage = Self::working();
        stage.turn_ends(not_posted(false));
        assert_eq!(stage.did, ["follow ses_1"]);
        stage.did.clear();
        stage
    }

    fn does(&mut self, input: impl FnOnce(&mut JobAttempt, Instant)) -> &mut Self {
        input(&mut self.attempt, self.now);
        self.drain();
        self
    }

    fn turn_ends(&mut self, end: TurnEnd) -> &mut Self {
        self.nth_turn_ends(end, 1)
    }

    fn nth_turn_ends(&mut self, end: TurnEnd, number: usize) -> &mut Self {
        let turn = AttemptTurn::Ended { end, prompt: "msg_1".into(), number };
        self.does(|attempt, now| attempt.handle_turn_end(turn, now))
    }

    fn answers(&mut self, status: u16, body: &str) -> &mut Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.replies(Ok(Response::builder().status(status).body(body).unwrap()))
    }

    fn fails(&mut self) -> &mut Self {
        self.replies(Err(CallFailure::new(Delivery::Unknown, "connection refused")))
    }

    fn replies(&mut self, reply: ApiReply) -> &mut Self {
        let call = self.call.take().expect("a call waits for its reply");
        self.does(|attempt, now| attempt.handle_reply(call, reply, now))
    }

    /// The server answers that it works.
    fn is_healthy(&mut self) -> &AttemptEnd {
        assert_eq!(self.did.last().unwrap(), "GET /global/health");
        self.answers(200, r#"{"healthy":true,"version":"1.18.33"}"#);
        let end = self.end.as_ref().expect("the attempt is over");
        assert_eq!(end.fault, None);
        end
    }

    fn hears(&mut self, event_type: &str, properties: &str) -> &mut Self {
        let json = format!(r#"{{"type":"{event_type}","properties":{{{properties}}}}}"#);
        let event = ServerEvent::decode(json.into());
        self.does(|attempt, now| attempt.handle_event(&event, now))
    }

    fn hears_of_message(&mut self, message: &str) -> &mut Self {
        let info = format!(r#""info":{{"id":"{message}","sessionID":"ses_1","role":"user"}}"#);
        self.hears("message.updated", &info)
    }

    fn hears_of_deletion(&mut self, session: &str) -> &mut Self {
        self.hears("session.deleted", &format!(r#""info":{{"id":"{session}"}}"#))
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.does(JobAttempt::handle_timeout)
    }

    fn drain(&mut self) {
        loop {
            let action = self.attempt.poll_action();
            if let AttemptAction::Wait(wake) = action {
                self.wake = wake;
                return;
            }
            assert!(self.end.is_none(), "after the end: {action:?}");
            match action {
                AttemptAction::Call(call) => {
                    self.did.push(format!("{} {}", call.request.method(), call.request.uri()));
                    assert!(self.call.replace(call.id).is_none(), "one call at a time");
                }
                AttemptAction::CancelTurn => self.did.push("cancel".to_owned()),
                AttemptAction::Finished(end) => self.end = Some(*end),
                AttemptAction::Follow(session) => self.did.push(format!("follow {session}")),
                AttemptAction::Prepare(session) => self.did.push(format!("prepare {}", session.id)),
                AttemptAction::Send => self.did.push("send".to_owned()),
                AttemptAction::Wait(_) => unreachable!("handled above"),
            }
        }
    }

    fn stop(&self) -> JobStop {
        self.end.as_ref().expect("the attempt is over").stop
    }
}

fn not_posted(is_certain: bool) -> TurnEnd {
    TurnEnd::NotPosted { reason: "why".to_owned(), is_certain }
}

fn refusal() -> ApiError {
    let refused = Response::builder().status(400).body(Bytes::new()).unwrap();
    Health::new().decode(refused).unwrap_err()
}

#[test]
fn the_prompt_is_announced_before_it_is_sent() {
    let mut stage = Stage::new(ServerOwner::Theirs);
    assert_eq!(stage.did, ["POST /session"]);
    stage.answers(200, CREATED);
    assert_eq!(stage.did[1..], ["prepare ses_1"]);
    stage.does(JobAttempt::handle_prepared);
    assert_eq!(stage.did[2..], ["send"]);
    stage.does(|attempt, now| attempt.handle_turn_end(AttemptTurn::Answered, now));
    let end = stage.end.as_ref().unwrap();
    assert_eq!(end.stop, JobStop::Done);
    assert!(matches!(end.cause, AttemptCause::Turn));
    assert_eq!((&end.fault, stage.wake), (&None, None));
}

#[test]
fn a_session_that_cannot_be_created_is_final_when_the_server_says_so() {
    let mut refused = Stage::new(ServerOwner::Ours);
    refused.answers(500, "");
    assert_eq!(refused.stop(), JobStop::Failed);
    assert!(matches!(&refused.end.unwrap().cause, AttemptCause::Session(CallFault::Api(_))));

    let mut silent = Stage::new(ServerOwner::Ours);
    silent.fails();
    let end = silent.is_healthy();
    assert_eq!(end.stop, JobStop::NotAccepted);
    assert!(matches!(&end.cause, AttemptCause::Session(CallFault::Failed(_))));

    let mut dead = Stage::new(ServerOwner::Ours);
    dead.fails().fails();
    assert_eq!(dead.end.unwrap().fault.as_deref(), Some("connection refused"));
}

#[test]
fn a_server_that_answers_with_an_error_is_not_at_fault() {
    let mut stage = Stage::new(ServerOwner::Ours);
    stage.fails().answers(404, "");
    assert_eq!(stage.end.unwrap().fault, None);
}

#[test]
fn a_session_that_cannot_be_prepared_ends_the_job() {
    let mut stage = Stage::new(ServerOwner::Ours);
    stage.answers(200, CREATED).does(JobAttempt::handle_not_prepared);
    assert_eq!(stage.stop(), JobStop::Failed);
    assert!(matches!(stage.end.unwrap().cause, AttemptCause::NotPrepared));
}

#[test]
fn the_end_of_a_turn_is_judged() {
    let error = AgentError::decode(RawJson::parse(r#"{"name":"UnknownError"}"#).unwrap());
    let rejected = TurnEnd::Rejected { refused: "bash".to_owned() };
    for (end, stop) in [
        (TurnEnd::Aborted, JobStop::Failed),
        (TurnEnd::AgentError(Box::new(error)), JobStop::Done),
        (TurnEnd::Cancelled, JobStop::Failed),
        (TurnEnd::Endless, JobStop::Done),
        (TurnEnd::Refused(Box::new(refusal())), JobStop::Failed),
        (rejected, JobStop::Done),
        (TurnEnd::SessionDeleted, JobStop::Failed),
        (TurnEnd::TimedOut { deadline: Deadline::Idle, failure: None }, JobStop::Failed),
        (TurnEnd::Torn, JobStop::Broken),
    ] {
        let mut stage = Stage::working();
        stage.turn_ends(end.clone());
        assert_eq!(stage.stop(), stop, "{end:?}");
        assert_eq!(stage.did, [""; 0], "{end:?}: the server is not in doubt");
    }
    for (turn, stop) in [
        (AttemptTurn::Misfit, JobStop::Done),
        (AttemptTurn::Unusable, JobStop::Failed),
        (
            AttemptTurn::NoEvents { end: HubEnd::Refused(Box::new(refusal())), number: 1 },
            JobStop::Failed,
        ),
    ] {
        let mut stage = Stage::working();
        stage.does(|attempt, now| attempt.handle_turn_end(turn, now));
        assert_eq!(stage.stop(), stop);
    }
}

#[test]
fn a_lost_server_is_asked_whether_it_works() {
    let lost = || TurnEnd::server_lost("gone");
    let mut works = Stage::working();
    works.turn_ends(lost());
    assert_eq!(works.is_healthy().stop, JobStop::Broken);
    let mut dead = Stage::working();
    dead.turn_ends(lost()).fails();
    let end = dead.end.unwrap();
    assert_eq!((end.stop, end.fault.as_deref()), (JobStop::Broken, Some("connection refused")));
}

#[test]
fn a_turn_without_events_was_not_accepted() {
    for (number, stop) in [(1, JobStop::NotAccepted), (2, JobStop::Broken)] {
        let mut stage = Stage::working();
        let turn = AttemptTurn::NoEvents { end: HubEnd::Exited, number };
        stage.does(|attempt, now| attempt.handle_turn_end(turn, now));
        assert_eq!(stage.is_healthy().stop, stop);
    }
}

#[test]
fn a_given_up_server_is_to_blame_for_an_abort_of_its_own() {
    let blamed = |owner, reason: Option<&str>, end| {
        let mut stage = Stage::new(owner);
        stage.answers(200, CREATED).does(JobAttempt::handle_prepared);
        if let Some(reason) = reason {
            stage.does(|attempt, _| attempt.handle_server_lost(reason));
            stage.does(|attempt, _| attempt.handle_server_lost("a later reason"));
        }
        stage.turn_ends(end);
        if stage.call.is_some() {
            stage.is_healthy();
        }
        let AttemptEnd { stop, cause, .. } = stage.end.unwrap();
        let reason = if let AttemptCause::ServerLost(reason) = cause { Some(reason) } else { None };
        (stop, reason)
    };
    let ours = ServerOwner::Ours;
    let expected = (JobStop::Broken, Some("dead".to_owned()));
    assert_eq!(blamed(ours, Some("dead"), TurnEnd::Aborted), expected);
    assert_eq!(blamed(ours, None, TurnEnd::Aborted), (JobStop::Failed, None));
    assert_eq!(blamed(ours, Some("dead"), TurnEnd::Endless), (JobStop::Done, None));
    let theirs = ServerOwner::Theirs;
    assert_eq!(blamed(theirs, Some("dead"), TurnEnd::Aborted), (JobStop::Failed, None));
}

#[test]
fn a_prompt_that_was_certainly_not_sent_needs_no_look() {
    for (number, stop) in [(1, JobStop::NotAccepted), (2, JobStop::Broken)] {
        for reply in [200, 500] {
            let mut stage = Stage::working();
            stage.nth_turn_ends(not_posted(true), number);
            assert_eq!(stage.did, ["DELETE /session/ses_1"]);
            stage.answers(reply, "true");
            assert_eq!(stage.is_healthy().stop, stop);
        }
    }
}

#[test]
fn a_prompt_is_taken_back_when_its_session_ends_without_it() {
    let mut stage = Stage::doubtful();
    assert_eq!(stage.wake, Some(stage.now + LIMIT));
    stage.does(JobAttempt::handle_stream_open);
    assert_eq!(stage.did, ["GET /session/ses_1/message/msg_1"]);
    stage.answers(404, MISSING);
    assert_eq!(stage.did[1..], ["DELETE /session/ses_1"]);
    stage.answers(200, "true");
    assert_eq!(stage.wake, Some(stage.now + LIMIT));
    stage.hears_of_message("msg_2").hears_of_deletion("ses_2");
    assert_eq!(stage.did.len(), 2, "other messages and sessions show nothing");
    stage.hears_of_deletion("ses_1");
    assert_eq!(stage.is_healthy().stop, JobStop::NotAccepted);
}

#[test]
fn the_deletion_may_be_heard_before_its_reply() {
    let mut stage = Stage::doubtful();
    stage.does(JobAttempt::handle_stream_open).answers(404, MISSING).hears_of_deletion("ses_1");
    stage.does(JobAttempt::handle_stream_gap).hears_of_message("msg_1");
    stage.answers(500, "");
    assert_eq!(stage.is_healthy().stop, JobStop::NotAccepted);
}

#[test]
fn a_prompt_that_is_heard_of_or_found_was_accepted() {
    let mut heard = Stage::doubtful();
    heard.does(JobAttempt::handle_stream_open).hears_of_message("msg_1");
    heard.answers(404, MISSING).answers(200, "true");
    assert_eq!(heard.is_healthy().stop, JobStop::Broken);

    let mut late = Stage::doubtful();
    late.does(JobAttempt::handle_stream_open).answers(404, MISSING).answers(200, "true");
    late.hears_of_message("msg_1");
    assert_eq!(late.is_healthy().stop, JobStop::Broken);

    let mut found = Stage::doubtful();
    let message = r#"{"info":{"id":"msg_1","sessionID":"ses_1","role":"user"},"parts":[]}"#;
    found.does(JobAttempt::handle_stream_open).answers(200, message);
    assert_eq!(found.did[1..], ["POST /session/ses_1/abort"]);
    found.answers(200, "true");
    assert_eq!(found.is_healthy().stop, JobStop::Broken);
}

#[test]
fn without_a_whole_event_stream_nothing_is_certain() {
    let mut closed = Stage::doubtful();
    closed.pass(LIMIT).answers(404, MISSING).answers(200, "true");
    assert_eq!(closed.is_healthy().stop, JobStop::Broken);

    let mut refused = Stage::doubtful();
    refused.does(JobAttempt::handle_stream_gap);
    refused.does(JobAttempt::handle_stream_open).answers(404, MISSING).answers(200, "true");
    assert_eq!(refused.is_healthy().stop, JobStop::Broken);

    let mut gap = Stage::doubtful();
    gap.does(JobAttempt::handle_stream_open).answers(404, MISSING);
    gap.does(JobAttempt::handle_stream_gap).hears_of_deletion("ses_1").answers(200, "true");
    assert_eq!(gap.is_healthy().stop, JobStop::Broken);

    let mut late_gap = Stage::doubtful();
    late_gap.does(JobAttempt::handle_stream_open).answers(404, MISSING).answers(200, "true");
    late_gap.does(JobAttempt::handle_stream_gap);
    assert_eq!(late_gap.is_healthy().stop, JobStop::Broken);

    let mut silent = Stage::doubtful();
    silent.does(JobAttempt::handle_stream_open).answers(404, MISSING).answers(200, "true");
    silent.pass(LIMIT - Duration::from_secs(1));
    assert!(silent.end.is_none() && silent.call.is_none());
    silent.pass(Duration::from_secs(1));
    assert_eq!(silent.is_healthy().stop, JobStop::Broken);
}

#[test]
fn a_look_that_fails_shows_nothing() {
    let mut stage = Stage::doubtful();
    stage.does(JobAttempt::handle_stream_open).fails();
    assert_eq!(stage.did[1..], ["DELETE /session/ses_1"]);
    stage.hears_of_deletion("ses_1").answers(200, "true");
    assert_eq!(stage.is_healthy().stop, JobStop::Broken);
}

#[test]
fn a_job_can_be_cancelled_in_every_state() {
    let mut creating = Stage::new(ServerOwner::Ours);
    creating.does(JobAttempt::cancel);
    assert_eq!(creating.stop(), JobStop::Failed);
    creating.answers(200, CREATED);
    assert_eq!(creating.did, ["POST /session"], "a late reply changes nothing");
    assert!(matches!(creating.end.unwrap().cause, AttemptCause::Cancelled));

    let mut preparing = Stage::new(ServerOwner::Ours);
    preparing.answers(200, CREATED).does(JobAttempt::cancel).does(JobAttempt::handle_prepared);
    assert!(matches!(preparing.end.unwrap().cause, AttemptCause::Cancelled));

    let mut working = Stage::working();
    working.does(JobAttempt::cancel);
    assert_eq!(working.did, ["cancel"]);
    working.turn_ends(TurnEnd::Cancelled);
    assert_eq!(working.stop(), JobStop::Failed);

    let mut doubtful = Stage::doubtful();
    doubtful.does(JobAttempt::cancel);
    assert!(doubtful.end.is_none(), "a doubtful prompt is taken back first");
}

#[test]
fn inputs_that_do_not_fit_the_state_are_ignored() {
    let mut stage = Stage::new(ServerOwner::Ours);
    stage
        .does(JobAttempt::handle_prepared)
        .does(JobAttempt::handle_not_prepared)
        .does(JobAttempt::handle_stream_open)
        .does(JobAttempt::handle_stream_gap)
        .does(|attempt, now| attempt.handle_turn_end(AttemptTurn::Answered, now))
        .pass(LIMIT);
    assert_eq!((&stage.did[..], stage.end.is_none()), (&["POST /session".to_owned()][..], true));
    stage.answers(200, CREATED);
    let call = stage.attempt.calls.begin(&Health::new(), CallScope::Directory, ()).id;
    stage.does(|attempt, now| {
        attempt.handle_reply(call, Ok(Response::new(Bytes::new())), now);
        attempt.handle_reply(call, Ok(Response::new(Bytes::new())), now);
    });
    assert_eq!(stage.did[1..], ["prepare ses_1"]);
}

#[test]
fn a_session_in_another_directory_is_deleted_and_ends_the_job() {
    let mut stage = Stage::new(ServerOwner::Theirs);
    stage.attempt.handle_directory(RequestedDirectory::new("/a"));
    stage.answers(200, r#"{"id":"ses_1","directory":"/b"}"#);
    assert_eq!(stage.did.last().unwrap(), "DELETE /session/ses_1");
    let end = stage.answers(200, "true").is_healthy();
    assert_eq!((end.stop, &end.fault), (JobStop::Failed, &None));
    assert!(matches!(end.cause, AttemptCause::Directory(_)), "{:?}", end.cause);
}
