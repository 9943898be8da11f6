//! Asks for a value of a Rust type: a model whose answer does not fit gets the reason and a second
//! try.
//!
//! ```text
//! cargo run -p opencode-tokio --example structured
//! cargo run -p opencode-tokio --example structured -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine answers: no key, no account, no internet. Its
//! first answer is wrong. Programs of your own need the feature `schema` of `opencode-tokio`.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]
#![allow(dead_code, reason = "not all examples use all of what they share")]

#[path = "common/backend.rs"]
mod backend;

use backend::{Backend, Result, show};
use opencode_tokio::session::schemars::{self, JsonSchema};
use opencode_tokio::{AnswerSchema, CreateSession, RunConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::model::Reply;

/// The model sees names, types, limits and comments.
#[derive(Debug, Deserialize, JsonSchema)]
struct Review {
    /// One sentence.
    summary: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Finding {
    file: String,
    #[schemars(range(min = 1))]
    line: u32,
    severity: Severity,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Low,
    High,
}

#[tokio::main]
async fn main() -> Result<()> {
    let backend = Backend::start(scripted(1, "high").into(), RunConfig::new()).await?;
    let first = backend.script("first", scripted(0, "urgent"));
    let session = backend.server.create_session(CreateSession::new().with_title("review")).await?;

    let schema = AnswerSchema::derived::<Review>().with_asks_max(3);
    let prompt = format!("Review src/main.rs.{first}");
    let mut stream = session.send_structured(prompt, &schema);
    let mut told = 0;
    while let Some(event) = stream.next_event().await {
        for misfit in &stream.misfits()[told..] {
            println!("[does not fit: {misfit}]");
            told += 1;
        }
        show(&event);
    }
    let outcome = stream.outcome().await?;
    println!("{:#?}", outcome.parse::<Review>()?);
    let (tries, tokens) = (outcome.turns.len(), outcome.tokens().total);
    println!("{tries} tries, {tokens} tokens, {:.6} USD", outcome.cost());

    backend.server.stop().await?;
    Ok(())
}

/// A model that finds something.
fn scripted(line: u32, severity: &str) -> Reply {
    let finding: Value = json!({ "file": "src/main.rs", "line": line, "severity": severity });
    let review = json!({ "summary": "One thing to look at.", "findings": [finding] });
    Reply::new().tool("StructuredOutput", review)
}
