//! The event streams of the real server, as typed events.

use std::pin::pin;

use futures_util::StreamExt;
use opencode_api::event::{Event, EventData, GlobalEvent, GlobalPayload, NextEvent, StreamEvents};
use opencode_api::global::StreamGlobalEvents;
use opencode_api::next::event::StreamNextEvents;
use opencode_api::next::session::{
    CreateNextSession, PromptInput, PromptNextSession, StreamNextSessionEvents,
};
use opencode_api::session::CreateSession;
use opencode_tokio::CallError;
use opencode_tokio::server::{ApiEvent, ApiEvents};
use serde::de::DeserializeOwned;
use testkit::conformance::real::sessions::SessionWorld;

use crate::on;

/// Returns the first event that is `looked_for`. Every event before it can be decoded.
async fn find<T: DeserializeOwned>(
    events: &mut ApiEvents<T>,
    looked_for: impl Fn(&T) -> bool,
) -> Result<T, CallError> {
    loop {
        match events.next_event().await.expect("the stream goes on")? {
            ApiEvent::Event(event) if looked_for(&event) => return Ok(event),
            ApiEvent::Malformed(event) => panic!("{event:?}: {:?}", event.raw),
            ApiEvent::Event(_) | ApiEvent::Heartbeat | _ => {}
        }
    }
}

fn is_created(data: &EventData, title: &str) -> bool {
    matches!(data, EventData::SessionCreated(created) if created.info.title == title)
}

#[tokio::test]
async fn every_stream_gives_typed_events() {
    let world = SessionWorld::in_directory(&on(), "streams").await;
    let server = &world.server;
    let mut events = server.request_for(&StreamEvents::new()).events::<Event>().await.unwrap();
    let connected = find(&mut events, |_| true).await.unwrap();
    assert!(matches!(connected.data, EventData::ServerConnected(_)), "{connected:?}");
    let global = server.request_for(&StreamGlobalEvents::new());
    let mut global = global.events::<GlobalEvent>().await.unwrap();
    find(&mut global, |_| true).await.unwrap();
    let next = server.request_for(&StreamNextEvents::new());
    let mut next = next.events::<NextEvent>().await.unwrap();
    find(&mut next, |_| true).await.unwrap();

    server.call(&CreateSession::new().with_title("typed")).await.unwrap();
    find(&mut events, |event| is_created(&event.data, "typed")).await.unwrap();
    let in_project = find(
        &mut global,
        |event| matches!(&event.payload, GlobalPayload::Event(event) if is_created(&event.data, "typed")),
    );
    let in_project = in_project.await.unwrap();
    assert_eq!(in_project.directory.as_deref(), world.project().to_str());
    find(&mut next, |event| is_created(&event.data, "typed")).await.unwrap();
}

#[tokio::test]
async fn a_heartbeat_is_a_sign_of_life() {
    let world = SessionWorld::in_directory(&on(), "heartbeats").await;
    let events = world.server.request_for(&StreamEvents::new()).events::<Event>().await.unwrap();
    let mut beats = pin!(events.filter(|event| {
        let is_beat = matches!(event, Ok(ApiEvent::Heartbeat));
        async move { is_beat }
    }));
    beats.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn the_events_of_a_session_are_replayed_after_a_position() {
    let world = SessionWorld::in_directory(&on(), "replay").await;
    let server = &world.server;
    let session = server.call(&CreateNextSession::new()).await.unwrap().data.id;
    for text in ["One", "Two"] {
        let prompt = PromptNextSession::new(session.clone(), PromptInput::new(text));
        server.call(&prompt.with_resume(false)).await.unwrap();
    }
    let follow = StreamNextSessionEvents::new(session.clone());
    let mut all = server.request_for(&follow).events::<NextEvent>().await.unwrap();
    let has_position = |event: &NextEvent| event.durable.is_some();
    let first = find(&mut all, has_position).await.unwrap();
    let second = find(&mut all, has_position).await.unwrap();
    let position = first.durable.as_ref().unwrap();
    assert_eq!(position.aggregate_id, session.as_str());

    let rest = StreamNextSessionEvents::new(session).with_after(position.seq.to_string());
    let mut rest = server.request_for(&rest).events::<NextEvent>().await.unwrap();
    assert_eq!(find(&mut rest, has_position).await.unwrap(), second);
}
