//! Forks and reverts.

use opencode_tokio::Session;
use opencode_tokio::event::Part;
use opencode_tokio::session::MessageWithParts;
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::Reply;

use crate::on;

/// A session with two turns.
async fn session_of_two_turns(world: &SessionWorld) -> Session {
    world.model().script("history-one", Reply::new().text("First."));
    world.model().script("history-two", Reply::new().text("Second."));
    let session = world.session().await;
    play(session.send(prompt("One [[history-one]]"))).await;
    play(session.send(prompt("Two [[history-two]]"))).await;
    session
}

/// First text of every message.
fn texts(messages: &[MessageWithParts]) -> Vec<String> {
    let text = |part: &Part| match part {
        Part::Text(part) => Some(part.text.to_str().into_owned()),
        _ => None,
    };
    messages.iter().map(|message| message.parts.iter().find_map(text).unwrap_or_default()).collect()
}

const ALL: [&str; 4] = ["One [[history-one]]", "First.", "Two [[history-two]]", "Second."];

#[tokio::test]
async fn a_fork_has_all_messages_or_the_messages_before_another() {
    let world = SessionWorld::new(&on()).await;
    let session = session_of_two_turns(&world).await;
    let messages = session.messages().await.unwrap();
    assert_eq!(texts(&messages), ALL);

    let whole = session.fork(None).await.unwrap();
    let copied = whole.messages().await.unwrap();
    assert_eq!(texts(&copied), ALL);
    assert_ne!(whole.id(), session.id());
    assert_ne!(copied[0].info.id, messages[0].info.id);
    let info = whole.info().await.unwrap();
    assert_eq!((&*info.title, info.parent), ("a test (fork #1)", None));

    let half = session.fork(Some(messages[2].info.id.clone())).await.unwrap();
    assert_eq!(texts(&half.messages().await.unwrap()), ALL[..2]);
    world.model().script("history-fork", Reply::new().text("Forked."));
    let (text, _) = play(half.send(prompt("Three [[history-fork]]"))).await;
    assert_eq!(text, "Forked.");
    assert_eq!(session.messages().await.unwrap().len(), 4, "the fork changed its origin");
    assert_eq!(half.messages().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_revert_can_be_undone() {
    let world = SessionWorld::new(&on()).await;
    let session = session_of_two_turns(&world).await;
    let messages = session.messages().await.unwrap();
    let second = messages[2].info.id.clone();

    let info = session.revert(second.clone(), None).await.unwrap();
    assert_eq!(info.revert.map(|revert| (revert.message, revert.part)), Some((second, None)));
    let info = session.unrevert().await.unwrap();
    assert_eq!(info.revert, None);
    assert_eq!(texts(&session.messages().await.unwrap()), ALL);

    // The revert of an unknown message does nothing and is no error.
    let info = session.revert("msg_00000000000000000000000000".into(), None).await.unwrap();
    assert_eq!(info.revert, None);
}

#[tokio::test]
async fn reverted_messages_vanish_with_the_next_prompt() {
    let world = SessionWorld::new(&on()).await;
    let session = session_of_two_turns(&world).await;
    let messages = session.messages().await.unwrap();
    session.revert(messages[2].info.id.clone(), None).await.unwrap();

    world.model().script("history-instead", Reply::new().text("Third."));
    let (text, outcome) = play(session.send(prompt("Three [[history-instead]]"))).await;

    assert_eq!((&*text, &*outcome.text()), ("Third.", "Third."));
    let left = session.messages().await.unwrap();
    assert_eq!(texts(&left), [ALL[0], ALL[1], "Three [[history-instead]]", "Third."]);
    assert_eq!(left[2].info.id, outcome.message);
    let known = world.model_requests("history-instead")[0].messages().to_vec();
    assert!(known.iter().all(|message| !message.to_string().contains("Second.")));
    assert_eq!(session.info().await.unwrap().revert, None);
}

#[tokio::test]
async fn the_revert_of_a_part_covers_all_later_parts() {
    let world = SessionWorld::new(&on()).await;
    let session = session_of_two_turns(&world).await;
    let messages = session.messages().await.unwrap();
    let part = messages[3].parts.iter().find(|part| matches!(part, Part::Text(_))).unwrap();
    let info = session.revert(messages[3].info.id.clone(), part.key().part.clone()).await.unwrap();
    let revert = info.revert.unwrap();
    // No part of the answer would be left, so OpenCode reverts the prompt as well.
    assert_eq!((revert.message, revert.part), (messages[2].info.id.clone(), None));
}
