//! All operations of a session, on the real program.

use opencode_tokio::event::RawJson;
use opencode_tokio::session::SessionStatus;
use opencode_tokio::{AnswerSchema, CreateSession, ServeRequest, blocking};
use serde_json::json;
use testkit::conformance::real::runs::RunWorld;
use testkit::model::Reply;

use crate::on;

#[test]
fn the_operations_of_a_session_wait() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Hello."));
    let number = || Reply::new().tool("StructuredOutput", json!({ "answer": 4 }));
    world.model.script("typed", number());
    world.model.script("derived", number());
    let opencode = blocking::OpenCode::new(world.opencode.clone()).unwrap();
    let request = ServeRequest::new().with_directory(world.project()).with_config(world.config());
    let server = opencode.serve(request).unwrap();
    assert!(server.version().is_some() && server.process_id().is_some());
    assert!(server.command().unwrap().contains("serve"));
    assert_eq!(server.directory(), world.project().to_str());
    assert!(server.mcp_servers().unwrap().is_empty());
    let session = server.create_session(CreateSession::new().with_title("a test")).unwrap();
    assert_eq!(session.directory(), world.project().to_str());

    let mut text = session.send("Hello?").text_stream();
    let pieces: Result<String, _> = text.by_ref().collect();
    assert_eq!(pieces.unwrap(), "Hello.");
    let outcome = text.into_outcome().unwrap();
    let renamed = session.update(|update| update.with_title("renamed")).unwrap();
    assert_eq!(renamed.title, "renamed");
    assert_eq!(session.info().unwrap().title, renamed.title);
    assert!(matches!(session.status().unwrap(), SessionStatus::Idle | SessionStatus::Busy));
    let messages = session.messages().unwrap();
    assert_eq!(messages.len(), 2);
    let answer = session.message(messages[1].info.id.clone()).unwrap();
    assert_eq!(answer.info.id, messages[1].info.id);
    assert!(session.children().unwrap().is_empty() && session.todos().unwrap().is_empty());
    assert!(session.diff(None).unwrap().is_empty());
    let fork = session.fork(None).unwrap();
    assert_eq!(fork.messages().unwrap().len(), 2);
    fork.delete_message(fork.messages().unwrap()[1].info.id.clone()).unwrap();
    fork.delete().unwrap();
    session.revert(outcome.answers().next().unwrap().id.clone(), None).unwrap();
    session.unrevert().unwrap();
    session.abort().unwrap();

    let schema = AnswerSchema::of::<u32>(RawJson::parse(r#"{"type":"integer"}"#).unwrap());
    let mut stream = session.send_structured("How many? [[typed]]", &schema);
    assert!(stream.by_ref().count() > 0);
    assert!(stream.misfits().is_empty(), "{:?}", stream.misfits());
    assert_eq!(stream.outcome().unwrap().parse::<u32>().unwrap(), 4);
    assert_eq!(session.answer::<u32>("How many? [[derived]]").unwrap(), 4);
    drop((fork, session, server, opencode));
    world.assert_nothing_left();
}
