//! Typed answers of attempts that the provider broke off.

use opencode_tokio::{AnswerSchema, TurnEventKind};
use serde_json::json;
use testkit::conformance::real::sessions::{SessionWorld, prompt};
use testkit::model::{Gate, Reply, Script};

use crate::on;
use crate::types::{Licence, ends, gives, licence, messages};

/// The provider breaks off after words, and OpenCode tries again.
#[tokio::test]
async fn words_of_an_abandoned_attempt_are_no_part_of_a_typed_answer() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    let half = Reply::new().text(r#"{"name":"Wrong","stars":1}"#).pause_until(&gate).hang_up();
    let attempts = [half, gives(json!({ "name": "MIT", "stars": 5 }))];
    world.model().script("attempts-words", Script::new().then(attempts));
    let session = world.session().await;
    let schema = AnswerSchema::derived::<Licence>();

    let mut stream = session.send_structured(prompt("Which? [[attempts-words]]"), &schema);
    let mut abandoned = 0;
    while let Some(event) = stream.next_event().await {
        if event.text().is_some() {
            gate.open();
        }
        abandoned += usize::from(matches!(event.kind, TurnEventKind::AttemptAbandoned(_)));
    }
    let outcome = stream.outcome().await.unwrap();

    assert_eq!(abandoned, 1);
    assert_eq!(outcome.parse::<Licence>().unwrap(), licence("MIT", 5));
    assert_eq!(ends(&outcome.turns), ["completed"]);
    assert_eq!(messages(&outcome.misfits), [""; 0]);
    assert_eq!(outcome.turns[0].full_text(), "");
}

/// The provider breaks off within the arguments of the typed answer.
#[tokio::test]
async fn half_a_typed_answer_does_not_count() {
    let world = SessionWorld::new(&on()).await;
    let half = Reply::new().tool_raw("StructuredOutput", r#"{"name":"Wrong","#).hang_up();
    let attempts = [half, gives(json!({ "name": "MIT", "stars": 5 }))];
    world.model().script("attempts-half", Script::new().then(attempts));
    let session = world.session().await;

    let answer: Licence = session.answer(prompt("Which? [[attempts-half]]")).await.unwrap();

    assert_eq!(answer, licence("MIT", 5));
    assert_eq!(world.model_requests("attempts-half").len(), 2);
}
