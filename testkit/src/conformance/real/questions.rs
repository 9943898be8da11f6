//! Questions of the model, and their answers.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};

use opencode_client::api::ListQuestions;
use opencode_client::turn::{Choice, Origin, Pending, QuestionAnswer, QuestionRequest};
use opencode_client::{Ask, QuestionReply, TurnEnd, TurnEventKind, TurnOutcome};
use serde_json::{Value, json};

use super::sessions::{SessionWorld, failed_outcome, play, prompt};
use crate::conformance::Host;
use crate::model::{Reply, Script};

/// Questions that a handler received, in order.
#[derive(Clone, Default)]
struct QuestionLog(Arc<Mutex<Vec<Pending<QuestionRequest>>>>);

impl QuestionLog {
    /// Creates a handler that always gives this reply.
    fn reply(
        &self,
        reply: QuestionReply,
    ) -> impl Fn(Pending<QuestionRequest>) -> Ready<QuestionReply> + use<> {
        let asked = self.clone();
        move |ask| {
            asked.0.lock().unwrap().push(ask);
            ready(reply.clone())
        }
    }

    fn all(&self) -> Vec<Pending<QuestionRequest>> {
        self.0.lock().unwrap().clone()
    }
}

fn color() -> Value {
    json!({
        "question": "Which color?",
        "header": "Color",
        "options": [
            { "label": "Red", "description": "as blood" },
            { "label": "Blue", "description": "as the sky" },
        ],
    })
}

fn sizes() -> Value {
    json!({
        "question": "Which \"sizes\"?",
        "header": "Sizes",
        "options": [
            { "label": "S", "description": "small" },
            { "label": "L", "description": "large" },
        ],
        "multiple": true,
    })
}

/// A script that asks these questions at once, and then answers `Thanks.`
fn questions<const N: usize>(questions: [Value; N]) -> Script {
    let ask = Reply::new().tool("question", json!({ "questions": Vec::from(questions) }));
    Script::new().then(ask).then(Reply::new().text("Thanks."))
}

fn answers<const N: usize>(answers: [&[&str]; N]) -> QuestionReply {
    let answer = |texts: &[&str]| texts.iter().copied().collect::<QuestionAnswer>();
    QuestionReply::Answer(answers.into_iter().map(answer).collect())
}

fn refused(outcome: &TurnOutcome) -> &str {
    let TurnEnd::Rejected { refused, .. } = &outcome.end else { panic!("{:?}", outcome.end) };
    refused
}

/// Result of the first tool call, as the model received it.
fn first_tool_result(world: &SessionWorld, script: &str) -> String {
    world.model_requests(script)[1].tool_results()[0].text.clone()
}

pub(crate) async fn a_handler_chooses_an_option(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-option", questions([color()]));
    let asked = QuestionLog::default();
    let session = world.session().await.on_question(asked.reply(answers([&["Blue"]])));

    let mut turn = session.send(prompt("Go [[questions-option]]"));
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        match event.kind {
            TurnEventKind::QuestionAsked(request) => events.push(("asked", request.id)),
            TurnEventKind::QuestionReplied(id) => events.push(("replied", id)),
            TurnEventKind::QuestionRejected(id) => events.push(("rejected", id)),
            _ => {}
        }
    }
    let outcome = turn.outcome().await.unwrap();

    assert_eq!(outcome.text(), "Thanks.");
    let [ask] = &asked.all()[..] else { panic!("{:?}", asked.all()) };
    assert_eq!(ask.session, *session.id());
    let id = &ask.request.id;
    assert_eq!(events, [("asked", id.clone()), ("replied", id.clone())]);
    let [question] = &ask.request.questions[..] else { panic!("{ask:?}") };
    assert_eq!((&*question.question, &*question.header), ("Which color?", "Color"));
    assert_eq!(question.choice, Choice::One);
    let options: Vec<_> =
        question.options.iter().map(|option| (&*option.label, &*option.description)).collect();
    assert_eq!(options, [("Red", "as blood"), ("Blue", "as the sky")]);
    let call = outcome.tools().next().unwrap();
    assert_eq!(ask.request.tool.as_ref().map(|tool| &tool.call), Some(&call.call));
    let answer = "User has answered your questions: \"Which color?\"=\"Blue\". You can now \
                  continue with the user's answers in mind.";
    assert_eq!(first_tool_result(&world, "questions-option"), answer);
}

pub(crate) async fn several_questions_are_answered_in_order_and_with_any_text(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-several", questions([color(), sizes(), color()]));
    let asked = QuestionLog::default();
    let odd = "a \"mix\"\nof both, \u{1f980} \\ud800";
    let reply = answers([&[odd], &["S", "L"], &[]]);

    let turn = prompt("Go [[questions-several]]").on_question(asked.reply(reply));
    let (_, outcome) = play(world.session().await.send(turn)).await;

    assert_eq!(outcome.text(), "Thanks.");
    let choices: Vec<_> =
        asked.all()[0].request.questions.iter().map(|question| question.choice).collect();
    assert_eq!(choices, [Choice::One, Choice::Many, Choice::One]);
    let answer = format!(
        "User has answered your questions: \"Which color?\"=\"{odd}\", \
         \"Which \"sizes\"?\"=\"S, L\", \"Which color?\"=\"Unanswered\". You can now continue with \
         the user's answers in mind."
    );
    assert_eq!(first_tool_result(&world, "questions-several"), answer);
}

pub(crate) async fn dismissed_questions_end_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-dismiss", questions([color(), sizes()]));
    let asked = QuestionLog::default();
    let session = world.session().await.on_question(asked.reply(QuestionReply::Dismiss));

    let outcome = failed_outcome(session.send(prompt("Go [[questions-dismiss]]"))).await;

    assert_eq!(asked.all().len(), 1);
    assert_eq!(refused(&outcome), "Which color? Which \"sizes\"?");
    let tool = outcome.tools().next().unwrap();
    assert_eq!(tool.state.status(), "error");
    assert_eq!(tool.state.output().unwrap().to_str(), "The user dismissed this question");
    assert_eq!(world.model_requests("questions-dismiss").len(), 1, "the model was called again");
}

pub(crate) async fn questions_without_a_handler_are_dismissed(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-nobody", questions([color()]));
    let session = world.session().await;

    let outcome = failed_outcome(session.send(prompt("Go [[questions-nobody]]"))).await;

    assert_eq!(refused(&outcome), "Which color?");
    let pending = world.server.call(&ListQuestions::new()).await.unwrap();
    assert!(pending.iter().all(|ask| ask.session != *session.id()), "{pending:?}");
    let (_, outcome) = play(session.send(prompt("Hello"))).await;
    assert_eq!(outcome.text(), "Hello from the scripted model.");
}

pub(crate) async fn a_panicking_handler_dismisses(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-panic", questions([color()]));
    let turn = prompt("Go [[questions-panic]]")
        .on_question(|_| async { panic!("a handler panics on purpose") });
    let outcome = failed_outcome(world.session().await.send(turn)).await;
    assert_eq!(refused(&outcome), "Which color?");
}

pub(crate) async fn questions_in_the_stream_are_answered_or_dropped(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-stream", questions([color()]));
    let of_session = QuestionLog::default();
    let session = world.session().await.on_question(of_session.reply(answers([&["Red"]])));

    let mut turn = session.send(prompt("Go [[questions-stream]]").with_asks_in_stream());
    while let Some(event) = turn.next_event().await {
        if let Some(ask) = turn.take_ask() {
            let (TurnEventKind::QuestionAsked(request), Ask::Question(token)) = (event.kind, ask)
            else {
                panic!("another ask")
            };
            assert_eq!((token.session(), &token.request().id), (session.id(), &request.id));
            on.spawn(async move { token.reply(answers([&["Green"]])) });
        }
    }
    assert_eq!(turn.outcome().await.unwrap().text(), "Thanks.");
    assert!(first_tool_result(&world, "questions-stream").contains("\"Which color?\"=\"Green\""));

    let outcome =
        failed_outcome(session.send(prompt("Go [[questions-stream]]").with_asks_in_stream())).await;
    assert_eq!(refused(&outcome), "Which color?");
    assert_eq!(of_session.all().len(), 0);
}

pub(crate) async fn another_client_dismisses_while_a_handler_is_pending(on: &Host) {
    let world = SessionWorld::new(on).await;
    world.model().script("questions-else", questions([color()]));
    let session = world.session().await.on_question(|_| std::future::pending());

    let mut turn = session.send(prompt("Go [[questions-else]]"));
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::QuestionAsked(request) = event.kind {
            let reject = opencode_client::api::RejectQuestion::new(request.id);
            world.server.call(&reject).await.unwrap();
        }
    }
    assert_eq!(refused(&failed_outcome(turn).await), "Which color?");
}

pub(crate) async fn a_subagent_uses_the_handler_of_the_turn(on: &Host) {
    let world = SessionWorld::new(on).await;
    let task = json!({
        "description": "a task",
        "prompt": "Go [[questions-child]]",
        "subagent_type": "asker",
    });
    let parent =
        Script::new().then(Reply::new().tool("task", task)).then(Reply::new().text("All done."));
    world.model().script("questions-parent", parent);
    world.model().script("questions-child", questions([color()]));
    let asked = QuestionLog::default();

    let turn = prompt("Go [[questions-parent]]").on_question(asked.reply(answers([&["Red"]])));
    let mut turn = world.session().await.send(turn);
    let mut origins = Vec::new();
    while let Some(event) = turn.next_event().await {
        if let TurnEventKind::QuestionAsked(_) = event.kind {
            origins.push((event.origin, event.session));
        }
    }
    let outcome = turn.outcome().await.unwrap();

    let child = &outcome.children[0];
    assert_eq!(origins, [(Origin::Subagent, child.id().clone())]);
    assert_eq!(asked.all()[0].session, *child.id());
    assert_eq!((&*child.text(), &*outcome.text()), ("Thanks.", "All done."));
    assert!(first_tool_result(&world, "questions-child").contains("\"Which color?\"=\"Red\""));
}
