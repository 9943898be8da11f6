//! Aborts, summaries, todo lists and sharing.

use opencode_tokio::event::ApiErrorKind;
use opencode_tokio::session::Todo;
use opencode_tokio::{ModelRef, TurnEventKind};
use serde_json::json;
use testkit::conformance::real::sessions::{SessionWorld, play, prompt};
use testkit::model::{Reply, RequestKind, Script};

use super::refusal;
use crate::on;

#[tokio::test]
async fn an_abort_of_an_idle_session_does_nothing() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    session.abort().await.unwrap();
    world.model().script("work-abort", Reply::new().text("Still here."));
    let (text, outcome) = play(session.send(prompt("Go [[work-abort]]"))).await;
    assert_eq!((&*text, outcome.end.name()), ("Still here.", "completed"));
    session.abort().await.unwrap();
    assert_eq!(session.messages().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_summary_replaces_the_conversation() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    play(session.send(prompt("My name is Ann."))).await;

    session.summarize(ModelRef::new("scripted/small").unwrap()).await.unwrap();

    let requests = world.model().requests();
    let summaries: Vec<_> = requests
        .iter()
        .filter(|request| request.kind() == RequestKind::Compaction)
        .filter(|request| request.session() == Some(session.id().as_str()))
        .collect();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].model(), "small");
    // The next prompt is sent with the summary in place of the earlier messages.
    world.model().script("work-summary", Reply::new().text("Ann, I think."));
    let (text, outcome) = play(session.send(prompt("Who? [[work-summary]]"))).await;
    assert_eq!((&*text, &*outcome.text()), ("Ann, I think.", "Ann, I think."));
    let known = json!(world.model_requests("work-summary")[0].messages()).to_string();
    assert!(known.contains("Scripted summary."), "{known}");
}

#[tokio::test]
async fn todos_are_events_and_are_kept() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let todo = |content: &str, status: &str, priority: &str| json!({ "content": content, "status": status, "priority": priority });
    let first = [todo("Look", "in_progress", "high"), todo("Leap", "pending", "low")];
    let second = [todo("Look", "completed", "high"), todo("Leap", "in_progress", "low")];
    let write =
        |todos: &[serde_json::Value]| Reply::new().tool("todowrite", json!({ "todos": todos }));
    let script =
        Script::new().then(write(&first)).then(write(&second)).then(Reply::new().text("Done."));
    world.model().script("work-todos", script);

    let mut turn = session.send(prompt("Go [[work-todos]]"));
    let mut changes = Vec::new();
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::TodosChanged(todos) = event.kind {
            changes.push(statuses(&todos));
        }
    }
    let outcome = turn.outcome().await.unwrap();

    let expected = [("Look", "completed", "high"), ("Leap", "in_progress", "low")]
        .map(|(content, status, priority)| (content.into(), status.into(), priority.into()));
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0][0].1, "in_progress");
    assert_eq!(changes[1], expected);
    assert_eq!(statuses(outcome.todos()), expected);
    assert_eq!(statuses(&session.todos().await.unwrap()), expected);
    // The next turn has no todos.
    let (_, outcome) = play(session.send(prompt("Hello"))).await;
    assert_eq!(outcome.todos(), []);
}

fn statuses(todos: &[Todo]) -> Vec<(String, String, String)> {
    let fields =
        |todo: &Todo| (todo.content.clone(), todo.status.to_string(), todo.priority.to_string());
    todos.iter().map(fields).collect()
}

#[tokio::test]
async fn disabled_sharing_is_an_error_of_the_server() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let kind = refusal(session.share().await);
    assert!(matches!(kind, ApiErrorKind::Server { reference: Some(_), .. }), "{kind:?}");
    let info = session.unshare().await.unwrap();
    assert_eq!(info.share_url, None);
}
