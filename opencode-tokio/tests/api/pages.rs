//! Lists in pages, on the real OpenCode.

use opencode_api::event::EventData;
use opencode_api::experimental::ListGlobalSessions;
use opencode_api::message;
use opencode_api::next::message::ListNextMessages;
use opencode_api::next::session::{
    CreateNextSession, ListNextSessions, ReadNextSessionHistory, SwitchNextSessionAgent,
};
use opencode_api::shared::LocationRef;
use opencode_tokio::api::{self, Paged};
use opencode_tokio::server::PageStream;
use opencode_tokio::turn::PromptReply;
use opencode_tokio::{AttachRequest, Prompt, blocking};
use testkit::conformance::real::sessions::{SessionWorld, credentials, play, prompt};

use crate::on;

async fn all<O>(mut pages: PageStream<O>) -> Vec<O::Item>
where
    O: Paged<Item: Send> + Send + Sync + 'static,
{
    let mut items = Vec::new();
    while let Some(item) = pages.next_item().await {
        items.push(item.unwrap());
    }
    items
}

#[tokio::test]
async fn messages_come_page_by_page() {
    let world = SessionWorld::in_directory(&on(), "message-pages").await;
    let session = world.session().await;
    for text in ["one", "two", "three", "four", "five"] {
        let note = Prompt::from(text).with_reply(PromptReply::NoReply);
        play(session.send(prompt(note))).await;
    }
    let whole = session.messages().await.unwrap();
    let newest_first: Vec<_> = whole.iter().rev().map(|message| message.info.id.clone()).collect();
    assert_eq!(newest_first.len(), 5);

    let list = api::ListMessages::new(session.id().clone()).with_limit(2);
    let paged = all(world.server.pages(list)).await;
    let ids: Vec<_> = paged.iter().map(|message| message.info.id.clone()).collect();
    assert_eq!(ids, newest_first);
    let list = message::ListMessages::new(session.id().clone()).with_limit(2);
    assert_eq!(all(world.server.pages(list)).await.len(), 5);

    let request = AttachRequest::new(world.server.url())
        .with_credentials(credentials())
        .with_directory(world.project().to_str().unwrap());
    let list = api::ListMessages::new(session.id().clone()).with_limit(3);
    let blocked = tokio::task::spawn_blocking(move || {
        let server = blocking::opencode().unwrap().attach(request).unwrap();
        server.pages(list).map(|message| message.unwrap().info.id).collect::<Vec<_>>()
    });
    assert_eq!(blocked.await.unwrap(), newest_first);
}

#[tokio::test]
async fn sessions_and_their_histories_come_page_by_page() {
    let world = SessionWorld::in_directory(&on(), "session-pages").await;
    let directory = world.project().to_str().unwrap().to_owned();
    let mut made = Vec::new();
    for _ in 0..3 {
        let create = CreateNextSession::new().with_location(LocationRef::new(&*directory));
        let session = world.server.call(&create).await.unwrap().data;
        made.push(session.id);
    }
    made.sort();

    let list = ListNextSessions::new().with_directory(&*directory).with_limit(2);
    let mut listed: Vec<_> =
        all(world.server.pages(list)).await.into_iter().map(|session| session.id).collect();
    listed.sort();
    assert_eq!(listed, made);
    let list = ListGlobalSessions::new().with_directory(&*directory).with_limit(2);
    assert_eq!(all(world.server.pages(list)).await.len(), 3);

    for agent in ["plan", "build", "plan"] {
        let switch = SwitchNextSessionAgent::new(made[0].clone(), agent);
        world.server.call(&switch).await.unwrap();
    }
    let history = ReadNextSessionHistory::new(made[0].clone()).with_limit("1");
    let events = all(world.server.pages(history)).await;
    let switches =
        events.iter().filter(|event| matches!(event.data, EventData::SessionNextAgentSwitched(_)));
    assert_eq!(switches.count(), 3);
    let messages = ListNextMessages::new(made[0].clone()).with_limit(1);
    assert_eq!(all(world.server.pages(messages)).await.len(), 3);
}
