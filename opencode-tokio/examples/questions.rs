//! Answers questions that the agent asks in the middle of the work.
//!
//! ```text
//! cargo run -p opencode-tokio --example questions
//! cargo run -p opencode-tokio --example questions -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine answers: no key, no account, no internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]

#[path = "common/backend.rs"]
mod backend;

use std::io::{self, Write};

use backend::{Backend, Result, line, show};
use opencode_tokio::turn::{Question, QuestionAnswer};
use opencode_tokio::{Ask, CreateSession, QuestionReply, RunConfig, TurnRequest};
use serde_json::json;
use testkit::model::{Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let question = json!({ "questions": [{
        "question": "Which language shall I write it in?",
        "header": "Language",
        "options": [
            { "label": "Rust", "description": "Fast and safe" },
            { "label": "Python", "description": "Quickly written" },
        ],
    }] });
    let script = Script::new()
        .then(Reply::new().tool("question", question))
        .then(Reply::new().text("So be it."));
    let backend = Backend::start(script, RunConfig::new()).await?;
    let session = backend.server.create_session(CreateSession::new().with_title("q")).await?;

    // Asks come with the events, instead of to a handler.
    let request =
        TurnRequest::new("Write a parser. Ask me in which language.").with_asks_in_stream();
    let mut turn = session.send(request);
    while let Some(event) = turn.next_event().await {
        show(&event);
        if let Some(Ask::Question(token)) = turn.take_ask() {
            let reply = answer(&token.request().questions).await?;
            token.reply(reply);
        }
    }
    match turn.outcome().await {
        Ok(_) => println!(),
        Err(error) => println!("\n[{error}]"),
    }
    backend.server.stop().await?;
    Ok(())
}

async fn answer(questions: &[Question]) -> Result<QuestionReply> {
    let mut answers = Vec::new();
    for question in questions {
        println!("{}", question.question);
        for (number, option) in (1..).zip(&question.options) {
            println!("  {number}. {}: {}", option.label, option.description);
        }
        print!("A number, or other words, or nothing to dismiss: ");
        io::stdout().flush()?;
        let Some(line) = line().await.filter(|line| !line.is_empty()) else {
            return Ok(QuestionReply::Dismiss);
        };
        let chosen = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let chosen = chosen.and_then(|index| question.options.get(index));
        answers.push(QuestionAnswer::from(chosen.map_or(line, |option| option.label.clone())));
    }
    Ok(QuestionReply::Answer(answers))
}
