//! Messages of sessions.

use opencode_tokio::api::{ListMessages, PromptReply};
use opencode_tokio::event::{ApiErrorKind, Part};
use opencode_tokio::session::{Role, SessionStatus};
use opencode_tokio::{Prompt, TurnEventKind};
use testkit::conformance::real::live::until_idle;
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Gate, Reply};

use super::refusal;
use crate::on;

#[tokio::test]
async fn messages_of_several_pages_are_in_order() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let notes: Vec<_> = (0..103).map(|number| format!("Number {number}.")).collect();
    for text in &notes {
        let note = Prompt::from(&**text).with_reply(PromptReply::NoReply);
        let outcome = session.send(prompt(note)).outcome().await.unwrap();
        assert_eq!(outcome.text(), "");
    }

    let messages = session.messages().await.unwrap();
    let texts: Vec<_> = messages
        .iter()
        .map(|message| match &message.parts[..] {
            [Part::Text(part)] => part.text.to_str().into_owned(),
            parts => panic!("{parts:?}"),
        })
        .collect();
    assert_eq!(texts, notes);
    assert!(messages.iter().all(|message| message.info.role == Role::User));

    let list = ListMessages::new(session.id().clone()).with_limit(2);
    let page = world.server.call(&list).await.unwrap();
    let ids = |from: usize| messages[from..from + 2].iter().map(|message| &message.info.id);
    assert!(page.messages.iter().map(|message| &message.info.id).eq(ids(101)));
    let older = world.server.call(&list.with_before(page.next.unwrap())).await.unwrap();
    assert!(older.messages.iter().map(|message| &message.info.id).eq(ids(99)));
}

#[tokio::test]
async fn a_message_can_be_read_and_deleted() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let reply = Reply::new().reasoning("Hm.").text("Hello.");
    world.model().script("messages-read", reply);
    let (_, outcome) = play(session.send(prompt("Hi [[messages-read]]"))).await;

    let question = session.message(outcome.message.clone()).await.unwrap();
    assert_eq!((&question.info.id, &question.info.role), (&outcome.message, &Role::User));
    let answer = outcome.answers().last().unwrap().id.clone();
    let read = session.message(answer.clone()).await.unwrap();
    assert_eq!((&read.info.parent, &read.info.role), (&Some(outcome.message), &Role::Assistant));
    let kinds = |parts: &[Part]| -> Vec<&str> {
        parts
            .iter()
            .map(|part| match part {
                Part::Reasoning(_) => "reasoning",
                Part::StepFinish(_) => "finish",
                Part::StepStart(_) => "start",
                Part::Text(_) => "text",
                Part::Tool(_) => "tool",
                _ => "other",
            })
            .collect()
    };
    assert_eq!(kinds(&read.parts), ["start", "reasoning", "text", "finish"]);

    session.delete_part(answer.clone(), read.parts[1].key().part.clone().unwrap()).await.unwrap();
    let read = session.message(answer.clone()).await.unwrap();
    assert_eq!(kinds(&read.parts), ["start", "text", "finish"]);

    session.delete_message(answer.clone()).await.unwrap();
    let kind = refusal(session.message(answer).await);
    assert!(matches!(kind, ApiErrorKind::NotFound { .. }), "{kind:?}");
    assert_eq!(session.messages().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_is_busy_during_a_turn() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    assert_eq!(session.status().await.unwrap(), SessionStatus::Idle);
    let gate = Gate::new();
    world.model().script("messages-busy", Reply::new().text("I").pause_until(&gate));

    let mut turn = session.send(prompt("Go [[messages-busy]]"));
    while let Some(event) = turn.next_event().await {
        if event.text().is_some_and(|text| text == "I") {
            assert_eq!(session.status().await.unwrap(), SessionStatus::Busy);
            let message = turn.message().unwrap().clone();
            for kind in [
                refusal(session.revert(message.clone(), None).await),
                refusal(session.unrevert().await),
                refusal(session.delete_message(message).await),
            ] {
                assert!(matches!(kind, ApiErrorKind::Busy { .. }), "{kind:?}");
            }
            gate.open();
        }
        // OpenCode reports the session as idle before the turn ends.
        if let TurnEventKind::StatusChanged(SessionStatus::Idle) = event.kind {
            until_idle(&session).await;
        }
    }
    turn.outcome().await.unwrap();
    until_idle(&session).await;
}
