//! Operations on sessions besides prompts.

mod changes;
mod history;
mod messages;
mod work;

use bytes::Bytes;
use http::{Request, Response};
use opencode_tokio::api::{ApiError, ListSessions, Operation, SessionRoots};
use opencode_tokio::event::{ApiErrorKind, RawJson};
use opencode_tokio::{
    CallError, CreateSession, ModelRef, PermissionReply, Permissions, SessionId, TurnEventKind,
};
use serde_json::{Value, json};
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Gate, Reply};

use crate::on;

/// Kind of the error that the server returned.
fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> ApiErrorKind {
    match result.unwrap_err() {
        CallError::Api(error) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_has_the_requested_settings() {
    let world = SessionWorld::new(&on()).await;
    let parent = world.session().await;
    let create = CreateSession::new()
        .with_title("a \"title\" \u{1f980}")
        .with_parent(parent.id().clone())
        .with_agent("plan")
        .with_model(ModelRef::new("scripted/small").unwrap())
        .with_variant("high")
        .with_permission(Permissions::new().ask("bash"))
        .with_metadata(RawJson::parse(r#"{"ticket":7}"#).unwrap());
    let session = world.server.create_session(create).await.unwrap();

    let info = session.info().await.unwrap();
    assert_eq!(info.title, "a \"title\" \u{1f980}");
    assert_eq!(info.parent.as_ref(), Some(parent.id()));
    assert_eq!(info.agent.as_deref(), Some("plan"));
    assert_eq!(info.directory.as_deref(), world.project().to_str());
    assert_eq!(session.directory(), world.project().to_str());
    assert_eq!(info.version.as_deref(), Some("1.18.33"));
    assert!(info.created_ms.is_some() && info.archived_ms.is_none());
    let raw: Value = info.raw.decode().unwrap();
    assert_eq!(raw["model"], json!({ "id": "small", "providerID": "scripted", "variant": "high" }));
    let rule = json!({ "permission": "bash", "pattern": "*", "action": "ask" });
    assert_eq!(raw["permission"], json!([rule]));
    assert_eq!(raw["metadata"], json!({ "ticket": 7 }));

    // A prompt that names no model uses the model of the session.
    world.model().script("operations-made", Reply::new().text("Made."));
    play(session.send(prompt("Go [[operations-made]]"))).await;
    let request = &world.model_requests("operations-made")[0];
    assert_eq!((request.model(), request.session()), ("small", Some(session.id().as_str())));

    let children = parent.children().await.unwrap();
    assert_eq!(children.into_iter().map(|child| child.id).collect::<Vec<_>>(), [info.id]);
}

#[tokio::test]
async fn a_session_without_a_title_gets_one() {
    let world = SessionWorld::new(&on()).await;
    let session = world.server.create_session(CreateSession::new()).await.unwrap();
    let gate = Gate::new();
    let reply = Reply::new().text("I").pause_until(&gate).text(" wait.");
    world.model().script("operations-titled", reply);
    let mut turn = session.send(prompt("Go [[operations-titled]]"));
    let mut titles = Vec::new();
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::TitleChanged(title) = event.kind {
            titles.push(title);
            gate.open();
        }
    }
    turn.outcome().await.unwrap();
    assert_eq!(titles, ["Scripted title"]);
    assert_eq!(session.info().await.unwrap().title, "Scripted title");
}

#[tokio::test]
async fn a_session_can_be_resumed_by_its_id() {
    let world = SessionWorld::new(&on()).await;
    let id = {
        let session = world.session().await;
        play(session.send(prompt("My name is Ann."))).await;
        session.id().to_string()
    };
    world.model().script("operations-resumed", Reply::new().text("Ann."));

    // By another client, in another directory.
    let elsewhere = SessionWorld::in_directory(&on(), "resumed").await;
    let session = elsewhere.server.session(&*id).await.unwrap();

    assert_eq!(session.id().as_str(), id);
    assert_eq!(session.directory(), world.project().to_str());
    let (text, _) = play(session.send(prompt("Who? [[operations-resumed]]"))).await;
    assert_eq!(text, "Ann.");
    let known = world.model_requests("operations-resumed")[0].messages().to_vec();
    assert!(known.iter().any(|message| message.to_string().contains("My name is Ann.")));
}

#[tokio::test]
async fn a_missing_session_is_not_found() {
    let world = SessionWorld::new(&on()).await;
    let missing = refusal(world.server.session("ses_0000000000ffffffffffffffff").await);
    assert!(matches!(missing, ApiErrorKind::NotFound { .. }), "{missing:?}");
    let malformed = refusal(world.server.session("../config").await);
    assert!(
        matches!(malformed, ApiErrorKind::BadRequest { .. } | ApiErrorKind::Server { .. }),
        "{malformed:?}"
    );
}

#[tokio::test]
async fn sessions_are_listed() {
    let world = SessionWorld::in_directory(&on(), "listed 100% & more").await;
    let first = world.session().await;
    let child = world.session_with(CreateSession::new().with_parent(first.id().clone())).await;
    let second = world.session().await;
    second.update(|change| change.with_title("the 100% one")).await.unwrap();
    let directory = world.project().to_str().unwrap().to_owned();
    let here = || ListSessions::new().with_directory(&*directory);
    let list = async |list: ListSessions| -> Vec<SessionId> {
        let listed = world.server.call(&list).await.unwrap();
        listed.into_iter().map(|info| info.id).collect()
    };

    let mut all = list(here()).await;
    all.sort();
    let mut made = [first.id(), child.id(), second.id()].map(SessionId::clone);
    made.sort();
    assert_eq!(all, made);
    assert_eq!(list(here().with_search("100%")).await, [second.id().clone()]);
    assert_eq!(
        list(here().with_limit(1)).await,
        [second.id().clone()],
        "the session that changed last"
    );
    let mut roots = list(here().with_roots(SessionRoots::Only)).await;
    roots.sort();
    let mut expected = [first.id().clone(), second.id().clone()];
    expected.sort();
    assert_eq!(roots, expected);
    let changed = second.info().await.unwrap().updated_ms.unwrap();
    assert!(!list(here().with_start_ms(changed)).await.contains(first.id()));
}

#[tokio::test]
async fn a_session_can_be_changed_and_deleted() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let changed = session
        .update(|change| {
            let permission = Permissions::new().ask("bash");
            change.with_title("another").with_permission(permission).with_archived_ms(1_000)
        })
        .await
        .unwrap();
    assert_eq!((&*changed.title, changed.archived_ms), ("another", Some(1_000)));
    assert_eq!(session.info().await.unwrap().title, "another");
    let command = json!({ "command": "echo one", "description": "d" });
    world.model().script("operations-rules", Reply::new().tool("bash", command));
    let turn =
        prompt("Go [[operations-rules]]").on_permission(|_| async { PermissionReply::reject() });
    let error = session.send(turn).outcome().await.unwrap_err();
    assert_eq!(error.end().unwrap().name(), "rejected", "the new rules apply");

    let child = world.session_with(CreateSession::new().with_parent(session.id().clone())).await;
    session.delete().await.unwrap();
    for gone in [&session, &child] {
        let kind = refusal(gone.info().await);
        assert!(matches!(kind, ApiErrorKind::NotFound { .. }), "{kind:?}");
    }
    let kind = refusal(session.delete().await);
    assert!(matches!(kind, ApiErrorKind::NotFound { .. }), "{kind:?}");
}

#[tokio::test]
async fn a_changed_title_is_an_event_of_the_turn() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let gate = Gate::new();
    let reply = Reply::new().text("I").pause_until(&gate).text(" wait.");
    world.model().script("operations-title", reply);
    let mut turn = session.send(prompt("Go [[operations-title]]"));
    let mut titles = Vec::new();
    while let Some(event) = turn.next_event().await {
        if event.text().is_some_and(|text| text == "I") {
            session.update(|change| change.with_title("renamed")).await.unwrap();
        }
        if let TurnEventKind::TitleChanged(title) = event.kind {
            titles.push(title);
            gate.open();
        }
    }
    assert_eq!(turn.outcome().await.unwrap().text(), "I wait.");
    assert_eq!(titles, ["renamed"]);
}

/// An endpoint that OpenCode does not have.
struct Weather;

impl Operation for Weather {
    type Output = ();

    fn request(&self) -> Request<Bytes> {
        Request::get("/weather").body(Bytes::new()).unwrap()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<(), ApiError> {
        // Only an existing operation creates an `ApiError`.
        opencode_tokio::api::Health::new().decode(response).map(drop)
    }
}

#[tokio::test]
async fn an_unknown_endpoint_has_an_error_kind() {
    let world = SessionWorld::new(&on()).await;
    assert_eq!(refusal(world.server.call(&Weather).await), ApiErrorKind::UnknownRoute);
}
