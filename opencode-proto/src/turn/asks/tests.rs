use bytes::Bytes;
use http::Response;

use super::*;
use crate::PermissionReply;
use crate::ask::{PermissionKind, QuestionKind, QuestionReply};
use crate::call::{CallFailure, Delivery};

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

fn reply(status: u16, body: &'static str) -> ApiReply {
    let reply = Response::builder().status(status).header("content-type", "application/json");
    Ok(reply.body(Bytes::from_static(body.as_bytes())).unwrap())
}

fn lost() -> ApiReply {
    Err(CallFailure::new(Delivery::Unknown, "reset"))
}

fn path(operation: Option<Box<dyn Operation<Output = ()>>>) -> String {
    operation.unwrap().request().uri().path().to_owned()
}

/// A permission request whose answer is in flight.
fn replying() -> Asks<PermissionKind> {
    let mut asks = Asks::default();
    let raw = br#"{"id":"per_1","sessionID":"ses_1","permission":"bash","patterns":["ls"]}"#;
    let event = crate::ServerEvent::decode(
        [br#"{"type":"permission.asked","properties":"#.as_slice(), raw, b"}"].concat().into(),
    );
    let crate::ServerEventKind::PermissionAsked(request) = &event.kind else { panic!("{event:?}") };
    asks.open("ses_1".into(), &**request);
    let first = asks.answer("ses_1".into(), &"per_1".into(), PermissionReply::Once);
    assert_eq!(path(first), "/permission/per_1/reply");
    asks
}

#[test]
fn a_server_without_the_endpoint_has_the_older_one() {
    let (mut asks, id) = (replying(), "per_1".into());
    let unknown = || reply(404, "");
    assert_eq!(asks.handle_reply(&id, unknown(), now()), AskProgress::NextRoute);
    assert_eq!(path(asks.operation(&id)), "/session/ses_1/permissions/per_1");
    assert_eq!(asks.handle_reply(&id, unknown(), now()), AskProgress::Arrived);
    assert!(asks.operation(&id).is_none(), "there is no third one");
}

#[test]
fn a_request_that_the_server_does_not_know_any_more_has_its_answer() {
    let (mut asks, id) = (replying(), "per_1".into());
    let gone = reply(404, r#"{"name":"PermissionNotFoundError","data":{"message":"gone"}}"#);
    assert_eq!(asks.handle_reply(&id, gone, now()), AskProgress::Arrived);
    assert_eq!(asks.wake(), None);
}

#[test]
fn a_reply_that_may_be_lost_is_sent_again_later_and_not_for_ever() {
    let (mut asks, id, mut at) = (replying(), "per_1".into(), now());
    for send in 2..=SENDS_MAX {
        assert_eq!(asks.handle_reply(&id, lost(), at), AskProgress::Unknown);
        let wake = asks.wake().unwrap();
        assert!(wake >= at + Duration::from_millis(500));
        assert!(asks.due(at).is_empty(), "not yet");
        at = wake;
        assert_eq!(asks.due(at), ["per_1"], "{send}");
        assert_eq!(asks.wake(), None, "the reply is on its way");
    }
    assert_eq!(asks.handle_reply(&id, lost(), at), AskProgress::Arrived);
    assert_eq!(asks.wake(), None);
}

#[test]
fn a_look_closes_what_it_could_have_seen() {
    let (mut asks, id) = (replying(), "per_1".into());
    assert_eq!(asks.close_missing(&[]), [""; 0], "the look was older than the request");
    asks.look();
    assert_eq!(asks.close_missing(&[&id]), [""; 0], "the server has it");
    assert_eq!(asks.close_missing(&[]), ["per_1"]);
    assert!(!asks.is_waiting() && asks.operation(&id).is_none());
}

#[test]
fn questions_have_one_endpoint_for_answers_and_one_to_dismiss_them() {
    let operation = |reply: &QuestionReply, route| {
        QuestionKind::operation(&"ses_1".into(), &"que_1".into(), reply, route)
    };
    let answer = QuestionReply::Answer(vec!["A".into()]);
    assert_eq!(path(operation(&answer, 0)), "/question/que_1/reply");
    assert_eq!(path(operation(&QuestionReply::Dismiss, 0)), "/question/que_1/reject");
    assert!(operation(&answer, 1).is_none());
}
