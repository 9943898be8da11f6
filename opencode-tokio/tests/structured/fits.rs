//! Answers of various types that fit their schema.

use opencode_tokio::AnswerSchema;
use serde_json::json;
use testkit::model::Reply;

use crate::on;
use crate::types::{Folder, Licence, Verdict, ends, gives, licence, tool};
use testkit::conformance::real::sessions::{SessionWorld, prompt};

#[tokio::test]
async fn an_answer_that_fits_needs_one_turn() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("fits-once", gives(json!({ "name": "MIT", "stars": 5 })));
    let session = world.session().await;
    let schema = AnswerSchema::derived::<Licence>();

    let outcome = session.send_structured(prompt("Which? [[fits-once]]"), &schema).outcome().await;
    let outcome = outcome.unwrap();

    assert_eq!(outcome.parse::<Licence>().unwrap(), licence("MIT", 5));
    assert_eq!(outcome.value.as_str(), r#"{"name":"MIT","stars":5}"#);
    assert_eq!(ends(&outcome.turns), ["completed"]);
    assert!(outcome.misfits.is_empty());
    assert_eq!(outcome.tokens().total, 110);
    let [request] = &*world.model_requests("fits-once") else { panic!("more than one call") };
    // The model receives the complete schema, unchanged.
    let sent = schema.schema().unwrap().as_str();
    assert_eq!(tool(request)["parameters"].to_string(), sent);
    assert!(sent.contains("How well the licence is liked."), "{sent}");
}

#[tokio::test]
async fn lists_and_enums_are_wrapped_in_an_object() {
    let world = SessionWorld::new(&on()).await;
    let list = json!({ "answer": [{ "name": "MIT", "stars": 5 }, { "name": "ISC", "stars": 4 }] });
    world.model().script("fits-list", gives(list));
    world.model().script("fits-unit", gives(json!({ "answer": "accepted" })));
    world
        .model()
        .script("fits-data", gives(json!({ "answer": { "refused": { "reason": "old" } } })));
    let session = world.session().await;

    let list: Vec<Licence> = session.answer(prompt("Which? [[fits-list]]")).await.unwrap();
    assert_eq!(list, [licence("MIT", 5), licence("ISC", 4)]);
    let verdict: Verdict = session.answer(prompt("Well? [[fits-unit]]")).await.unwrap();
    assert_eq!(verdict, Verdict::Accepted);
    let verdict: Verdict = session.answer(prompt("Well? [[fits-data]]")).await.unwrap();
    assert_eq!(verdict, Verdict::Refused { reason: "old".to_owned() });

    let requests = world.model_requests("fits-list");
    let parameters = &tool(&requests[0])["parameters"];
    assert_eq!(parameters["type"], "object");
    assert_eq!(parameters["properties"]["answer"]["type"], "array");
}

#[tokio::test]
async fn a_recursive_type_has_a_recursive_schema() {
    let world = SessionWorld::new(&on()).await;
    let leaf = json!({ "name": "a", "folders": [] });
    let answer = json!({ "answer": [{ "name": "b", "folders": [leaf] }] });
    world.model().script("fits-folders", gives(answer));
    let session = world.session().await;

    let found: Vec<Folder> = session.answer(prompt("Which? [[fits-folders]]")).await.unwrap();

    let leaf = Folder { name: "a".to_owned(), folders: Vec::new() };
    assert_eq!(found, [Folder { name: "b".to_owned(), folders: vec![leaf] }]);
    let requests = world.model_requests("fits-folders");
    let parameters = &tool(&requests[0])["parameters"];
    let reference = &parameters["properties"]["answer"]["items"]["properties"]["folders"]["items"];
    assert_eq!(*reference, json!({ "$ref": "#/$defs/Folder" }));
    let definition = &parameters["$defs"]["Folder"]["properties"]["folders"]["items"];
    assert_eq!(definition, reference);
}

#[tokio::test]
async fn a_session_continues_with_other_types_and_with_words() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("fits-first", gives(json!({ "name": "MIT", "stars": 5 })));
    world.model().script("fits-second", gives(json!({ "answer": 42 })));
    world.model().script("fits-words", Reply::new().text("You are welcome."));
    let session = world.session().await;

    let first: Licence = session.answer(prompt("Which? [[fits-first]]")).await.unwrap();
    let second: u8 = session.answer(prompt("How many? [[fits-second]]")).await.unwrap();
    let words = session.send(prompt("Thanks. [[fits-words]]")).outcome().await.unwrap();

    assert_eq!((first, second), (licence("MIT", 5), 42));
    assert_eq!((&*words.text(), words.structured()), ("You are welcome.", None));
    session.messages().await.expect_err("OpenCode 1.18.33 cannot list these");
}
