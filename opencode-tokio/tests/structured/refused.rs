//! Requests for typed answers that are refused before the post.

use opencode_tokio::event::RawJson;
use opencode_tokio::session::StructuredError;
use opencode_tokio::turn::{CommandRequest, PromptReply, ShellRequest};
use opencode_tokio::{AnswerSchema, Prompt, TurnRequest};
use serde_json::{Value, json};

use crate::on;
use crate::types::failure;
use testkit::conformance::real::sessions::SessionWorld;

#[tokio::test]
async fn only_prompts_have_typed_answers() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let schema = AnswerSchema::derived::<String>();
    let requests = [
        ShellRequest::new("build", "echo one").into(),
        CommandRequest::new("greet").with_arguments("me").into(),
        TurnRequest::new(Prompt::from("Note this.").with_reply(PromptReply::NoReply)),
    ];
    for request in requests {
        let error = failure(session.send_structured(request, &schema)).await;
        assert!(matches!(error, StructuredError::Unsuitable), "{error:?}");
    }
    assert!(session.messages().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_schema_that_cannot_be_validated_is_not_sent() {
    let world = SessionWorld::new(&on()).await;
    let session = world.session().await;
    let schema = json!({ "type": "object", "properties": { "name": { "pattern": "(?=a)" } } });
    let schema = RawJson::parse(schema.to_string()).unwrap();
    let schema = AnswerSchema::of::<Value>(schema).with_validation();

    let error = failure(session.send_structured("Which?", &schema)).await;

    assert!(matches!(error, StructuredError::Schema(_)), "{error:?}");
    let begin =
        "the schema cannot be used: `properties.name`: the pattern \"(?=a)\" cannot be read";
    assert!(error.to_string().starts_with(begin), "{error}");
    assert!(session.messages().await.unwrap().is_empty());
}

/// Checks at compile time that a stream can move to a task.
#[expect(dead_code, reason = "compiling the function is the check")]
fn streams_are_send_and_static(
    stream: opencode_tokio::session::StructuredStream,
) -> impl Send + 'static {
    stream
}
