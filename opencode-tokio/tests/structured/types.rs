//! Types of answers.

use opencode_tokio::TurnOutcome;
use opencode_tokio::session::schemars::{self, JsonSchema};
use opencode_tokio::session::{Misfit, StructuredError, StructuredStream};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::model::{ModelRequest, Reply};

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
pub(crate) struct Licence {
    pub(crate) name: String,
    /// How well the licence is liked.
    #[schemars(range(min = 1, max = 5))]
    pub(crate) stars: u32,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The licence is acceptable.
    Accepted,
    /// The licence is not acceptable.
    Refused { reason: String },
}

/// A recursive type.
#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) folders: Vec<Self>,
}

pub(crate) fn licence(name: &str, stars: u32) -> Licence {
    Licence { name: name.to_owned(), stars }
}

/// A reply with this typed answer.
pub(crate) fn gives(answer: Value) -> Reply {
    Reply::new().tool("StructuredOutput", answer)
}

/// The tool for the typed answer, as the model receives it.
pub(crate) fn tool(request: &ModelRequest) -> &Value {
    assert_eq!(request.body()["tool_choice"], json!("required"));
    let tools = request.body()["tools"].as_array().unwrap();
    let mut tools = tools.iter().map(|tool| &tool["function"]);
    tools.find(|tool| tool["name"] == "StructuredOutput").unwrap()
}

pub(crate) fn messages(misfits: &[Misfit]) -> Vec<String> {
    misfits.iter().map(ToString::to_string).collect()
}

pub(crate) fn ends<'a>(turns: impl IntoIterator<Item = &'a TurnOutcome>) -> Vec<&'a str> {
    turns.into_iter().map(|turn| turn.end.name()).collect()
}

pub(crate) async fn failure(stream: StructuredStream) -> StructuredError {
    stream.outcome().await.unwrap_err()
}
