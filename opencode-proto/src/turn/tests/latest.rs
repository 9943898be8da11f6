//! The latest turn of a session, which has ended or runs.

use super::*;
use crate::BackgroundWork;

/// Follows the latest turn of the session `s`, with the event stream open.
fn latest(settings: TurnSettings) -> Stage {
    let dropped = DroppedFollow::LeaveRunning;
    let mut stage = Stage::joining(FollowTarget::Latest, dropped, settings);
    stage.does(Turn::handle_opened);
    stage
}

fn quiet() -> TurnSettings {
    TurnSettings::default().with_background(BackgroundWork::AwaitQuiet(5 * SECOND))
}

fn answered(answer: &str, prompt: &str, text: &str) -> WrittenMessage {
    said(reply_to(answer, prompt, DONE), text)
}

#[test]
fn the_latest_turn_of_an_idle_session_has_its_outcome() {
    let server = idle()
        .with("s", [user("m_0", "Hi."), answered("m_00", "m_0", "Ho.")])
        .with("s", [user("m1", "Go."), answered("m2", "m1", "Done.")]);
    let mut stage = latest(TurnSettings::default());
    stage.find(&server);
    stage.wait(Duration::ZERO);
    assert_eq!(stage.end(), Some("completed"));
    let outcome = stage.outcome.unwrap();
    assert_eq!((outcome.message.as_str(), &*outcome.text()), ("m1", "Done."));
}

/// A message without a reply is no turn.
#[test]
fn the_latest_turn_is_one_with_an_answer() {
    let server =
        idle().with("s", [user("m1", "Go."), answered("m2", "m1", "Done."), user("m3", "A note.")]);
    let mut stage = latest(TurnSettings::default());
    stage.find(&server);
    stage.wait(Duration::ZERO);
    assert_eq!(stage.turn.message().as_str(), "m1");

    let mut stage = latest(TurnSettings::default());
    stage.find(&idle().with("s", [user("m3", "A note.")]));
    let end = stage.outcome.map(|outcome| outcome.end);
    assert!(matches!(end, Some(TurnEnd::NothingToFollow(NothingToFollow::Idle))), "{end:?}");
}

#[test]
fn the_latest_turn_of_a_working_session_is_the_running_one() {
    let server = busy()
        .with("s", [user("m_0", "Hi."), answered("m_00", "m_0", "Ho.")])
        .with("s", [user("m1", "Go."), reply_to("m2", "m1", "")]);
    let mut stage = latest(TurnSettings::default());
    stage.find(&server);
    assert_eq!((stage.turn.message().as_str(), stage.end()), ("m1", None));
}

/// The answer is old, and a subagent works.
#[test]
fn the_latest_turn_waits_for_the_work_that_was_left() {
    let server = |child: Option<&str>| {
        let mut server = idle().with("s", [user("m1", "Go."), answered("m2", "m1", "Begun.")]);
        server.children.insert("s".to_owned(), vec!["c".to_owned()]);
        server.permissions.extend(child.map(|_| {
            r#"{"id":"per_1","sessionID":"c","permission":"bash","patterns":["ls"]}"#.to_owned()
        }));
        server.statuses.extend(child.map(|status| ("c".to_owned(), status.to_owned())));
        server
    };
    for settings in [TurnSettings::default(), quiet()] {
        let mut stage = latest(settings);
        stage.find(&server(Some(r#"{"type":"busy"}"#)));
        stage.wait(30 * SECOND);
        assert_eq!(stage.end(), None);
        let answer = stage.asked.pop().expect("an ask from before").reply(PermissionReply::Once);
        stage.does(|turn, session, now| turn.answer(answer, session, now));
        stage.hear(event_of_child("session.status", IDLE));
        stage.find(&server(None));
        stage.wait(10 * SECOND);
        assert_eq!(stage.end(), Some("completed"));
    }
}

/// A plugin prompts the idle session.
#[test]
fn a_latest_turn_that_waits_for_quiet_has_later_prompts() {
    let mut stage = latest(quiet());
    stage.find(&idle().with("s", [user("m1", "Go."), answered("m2", "m1", "First.")]));
    stage.wait(4 * SECOND);
    stage.tell("message.updated", r#""info":{"id":"m3","role":"user"}"#);
    stage.tell("session.status", BUSY);
    let reply = format!(r#""info":{{"id":"m4","role":"assistant","parentID":"m3"{DONE}}}"#);
    stage.tell("message.updated", &reply);
    stage.tell("session.status", IDLE);
    stage.wait(4 * SECOND);
    assert_eq!(stage.end(), None);
    stage.wait(SECOND);
    assert_eq!(stage.end(), Some("completed"));
    assert_eq!(stage.outcome.unwrap().answers().count(), 2);
}

#[test]
fn messages_that_cannot_be_listed_leave_nothing_to_follow() {
    let mut stage = latest(TurnSettings::default());
    stage.replied_by(&idle(), "/session/status");
    let refusal = http::Response::builder().status(400).header("content-type", "application/json");
    let body = r#"{"name":"BadRequest","data":{"message":"odd"}}"#;
    stage.reply(
        "/session/s/message",
        Ok(refusal.body(bytes::Bytes::from_static(body.as_bytes())).unwrap()),
    );
    let end = stage.outcome.map(|outcome| outcome.end);
    assert!(matches!(end, Some(TurnEnd::NothingToFollow(NothingToFollow::Unlisted))), "{end:?}");
}
