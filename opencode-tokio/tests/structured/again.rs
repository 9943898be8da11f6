//! Answers that do not fit their schema, and the prompts that follow them.
//!
//! Such a prompt quotes the answer. A script therefore selects the next script by a marker in its
//! answer.

use opencode_tokio::event::RawJson;
use opencode_tokio::session::{Misfit, StructuredError};
use opencode_tokio::{
    AnswerSchema, Ask, CreateSession, PermissionReply, Permissions, Prompt, TurnRequest,
};
use serde_json::json;
use testkit::model::{Gate, Reply, Script};

use crate::on;
use crate::types::{Licence, ends, failure, gives, licence, messages, tool};
use testkit::conformance::real::sessions::{SessionWorld, prompt};

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_again() {
    let world = SessionWorld::new(&on()).await;
    let wrong = Reply::new()
        .text("It is [[no-script]].")
        .tool("StructuredOutput", json!({ "name": 7, "stars": "[[again-right]]" }));
    world.model().script("again-wrong", wrong);
    world.model().script("again-right", gives(json!({ "name": "MIT", "stars": 5 })));
    let session = world.session().await;
    let request = prompt(Prompt::from("Which? [[again-wrong]]").with_agent("plan"));
    let schema = AnswerSchema::derived::<Licence>();

    let mut stream = session.send_structured(request, &schema);
    let (mut text, mut misfits) = (String::new(), Vec::new());
    while let Some(event) = stream.next_event().await {
        text.extend(event.text());
        misfits.push(stream.misfits().len());
    }
    let outcome = stream.outcome().await.unwrap();

    assert_eq!(outcome.parse::<Licence>().unwrap(), licence("MIT", 5));
    assert_eq!(ends(&outcome.turns), ["completed", "completed"]);
    assert_eq!((outcome.tokens().total, text.as_str()), (220, "It is [[no-script]]."));
    assert!(misfits.is_sorted());
    assert_eq!((misfits.first(), misfits.last()), (Some(&0), Some(&1)), "events of both attempts");
    let problems =
        ["`name`: 7 is not of type string", r#"`stars`: "[[again-right]]" is not of type integer"#];
    assert_eq!(messages(&outcome.misfits), [problems.join("; ")]);
    // Each prompt was posted once, the second with the agent and the tool of the first.
    let [first] = &*world.model_requests("again-wrong") else { panic!("more than one call") };
    let [second] = &*world.model_requests("again-right") else { panic!("more than one call") };
    let reminder = format!(
        "The answer that you gave with the StructuredOutput tool does not fit:\n- {}\n- {}\n\
         Call the StructuredOutput tool again, with a whole answer that fits its schema.",
        problems[0], problems[1]
    );
    assert!(second.prompt().unwrap().starts_with(&reminder), "{:?}", second.prompt());
    assert_eq!(second.session(), first.session());
    assert_eq!(tool(second), tool(first));
    let agents: Vec<_> = outcome
        .turns
        .iter()
        .flat_map(|turn| turn.answers())
        .map(|info| info.agent.clone())
        .collect();
    assert_eq!(agents, [Some("plan".into()), Some("plan".into())]);
}

#[tokio::test]
async fn a_limit_of_the_schema_alone_is_checked() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("again-six", gives(json!({ "name": "MIT", "stars": 6 })));
    let session = world.session().await;
    let schema = AnswerSchema::derived::<Licence>().with_asks_max(0);

    let error = failure(session.send_structured(prompt("Which? [[again-six]]"), &schema)).await;

    assert_eq!(messages(error.misfits()), ["`stars`: 6 is more than 5"]);
    assert_eq!(ends(error.turns()), ["completed"]);
    assert_eq!(error.to_string(), "no answer fits after 1 tries: `stars`: 6 is more than 5");
}

#[tokio::test]
async fn an_answer_that_never_fits_is_an_error_with_all_misfits() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("again-one", gives(json!({ "name": "[[again-two]]", "stars": 1 })));
    world.model().script("again-two", gives(json!({ "name": "[[again-none]]", "stars": 2 })));
    let session = world.session().await;
    let schema = RawJson::parse(
        json!({ "type": "object", "properties": { "name": {}, "stars": {} } }).to_string(),
    );
    let schema = AnswerSchema::of::<Licence>(schema.unwrap())
        .with_check(|answer| match answer.decode::<Licence>() {
            Ok(licence) => Err(format!("{} is none", licence.name)),
            Err(error) => Err(error.to_string()),
        })
        .with_asks_max(1);

    let error = failure(session.send_structured(prompt("Which? [[again-one]]"), &schema)).await;

    let StructuredError::Misfit { misfits, turns, .. } = &error else { panic!("{error:?}") };
    assert_eq!(messages(misfits), ["[[again-two]] is none", "[[again-none]] is none"]);
    assert_eq!(ends(turns), ["completed", "completed"]);
    assert_eq!(error.tokens().total, 220);
    assert_eq!(error.to_string(), "no answer fits after 2 tries: [[again-none]] is none");
    // The session continues.
    world.model().script("again-on", Reply::new().text("Yes?"));
    let next = session.send(prompt("Hello? [[again-on]]")).outcome().await.unwrap();
    assert_eq!(next.text(), "Yes?");
}

#[tokio::test]
async fn an_answer_in_words_is_asked_for_again() {
    let world = SessionWorld::new(&on()).await;
    world.model().script("again-words", Reply::new().text("The MIT licence, five stars."));
    // An answer in words is not quoted.
    world.model().default_script(gives(json!({ "name": "MIT", "stars": 5 })));
    let session = world.session().await;
    let schema = AnswerSchema::derived::<Licence>();

    let stream = session.send_structured(prompt("Which? [[again-words]]"), &schema);
    let outcome = stream.outcome().await.unwrap();

    assert_eq!(outcome.parse::<Licence>().unwrap(), licence("MIT", 5));
    assert_eq!(ends(&outcome.turns), ["agent_error", "completed"]);
    let [Misfit::Missing] = &*outcome.misfits else { panic!("{:?}", outcome.misfits) };
    assert_eq!(outcome.tokens().total, 220);
}

#[tokio::test]
async fn the_second_attempt_can_be_cancelled() {
    let world = SessionWorld::new(&on()).await;
    let gate = Gate::new();
    world.model().script("again-bad", gives(json!({ "name": "MIT", "stars": "[[again-held]]" })));
    let held = Reply::new().text("Let me").pause_until(&gate).text(" see.");
    world.model().script("again-held", held);
    let session = world.session().await;
    let schema = AnswerSchema::derived::<Licence>();

    let mut stream = session.send_structured(prompt("Which? [[again-bad]]"), &schema);
    while let Some(event) = stream.next_event().await {
        if event.text().is_some_and(|text| text.contains("Let me")) {
            assert_eq!(stream.transcript().unwrap().text(), "Let me");
            stream.cancel();
        }
    }
    let error = failure(stream).await;

    let StructuredError::Turn { source, misfits, turns, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.end().unwrap().name(), "cancelled");
    assert_eq!((misfits.len(), turns.len()), (1, 1));
    assert_eq!(ends(error.turns()), ["completed", "cancelled"]);
    assert_eq!(error.to_string(), "try 2 failed");
    gate.open();
    world.model().script("again-after", gives(json!({ "name": "MIT", "stars": 5 })));
    let after: Licence = session.answer(prompt("Now? [[again-after]]")).await.unwrap();
    assert_eq!(after, licence("MIT", 5));
}

#[tokio::test]
async fn permission_requests_of_all_attempts_are_in_the_stream() {
    let world = SessionWorld::new(&on()).await;
    let bash =
        |text: &str| Reply::new().tool("bash", json!({ "command": text, "description": "d" }));
    let first = Script::new()
        .then(bash("echo one"))
        .then(gives(json!({ "name": "MIT", "stars": "[[again-asks-on]]" })));
    let second =
        Script::new().then(bash("echo two")).then(gives(json!({ "name": "MIT", "stars": 5 })));
    world.model().script("again-asks", first);
    world.model().script("again-asks-on", second);
    let permissions = Permissions::new().ask("bash");
    let session = world.session_with(CreateSession::new().with_permission(permissions)).await;
    let request = prompt(TurnRequest::new("Which? [[again-asks]]").with_asks_in_stream());

    let mut stream = session.send_structured(request, &AnswerSchema::derived::<Licence>());
    let mut asked = Vec::new();
    while stream.next_event().await.is_some() {
        if let Some(Ask::Permission(token)) = stream.take_ask() {
            asked.extend(token.request().patterns.clone());
            token.reply(PermissionReply::Once);
        }
    }
    let outcome = stream.outcome().await.unwrap();

    assert_eq!(asked, ["echo one", "echo two"]);
    assert_eq!(outcome.parse::<Licence>().unwrap(), licence("MIT", 5));
    assert_eq!(outcome.tokens().total, 440);
}
