use opencode_proto::{AgentError, ToolPart};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Tool<'a> {
    tool: &'a str,
    status: &'a str,
    call: &'a str,
}

#[derive(Serialize)]
pub(crate) struct ReportedError<'a> {
    name: &'a str,
    message: &'a str,
}

impl<'a> From<&'a ToolPart> for Tool<'a> {
    fn from(part: &'a ToolPart) -> Self {
        Self { tool: &part.tool, status: part.state.status(), call: part.call.as_str() }
    }
}

impl<'a> From<&'a AgentError> for ReportedError<'a> {
    fn from(error: &'a AgentError) -> Self {
        Self { name: error.name.as_str(), message: &error.message }
    }
}
