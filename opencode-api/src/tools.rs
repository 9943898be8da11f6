//! Data of tools and permission requests, in the types of the core.

use opencode_config::JsonObject;
use opencode_proto::{DecodeError, RawJson, ToolInput, ToolMetadata};

use crate::message::{ToolPart, ToolState};

impl ToolPart {
    /// Decodes the arguments of the call.
    ///
    /// # Errors
    ///
    /// The errors of [`ToolInput::decode`].
    pub fn decode_input(&self) -> Result<ToolInput, DecodeError> {
        match &self.state {
            ToolState::Pending(state) if state.input.is_empty() => Ok(ToolInput::Unwritten),
            ToolState::Pending(state) => ToolInput::decode(&self.tool, &raw(&state.input)),
            ToolState::Running(state) => ToolInput::decode(&self.tool, &raw(&state.input)),
            ToolState::Completed(state) => ToolInput::decode(&self.tool, &raw(&state.input)),
            ToolState::Error(state) if state.input.is_empty() => Ok(ToolInput::Unwritten),
            ToolState::Error(state) => ToolInput::decode(&self.tool, &raw(&state.input)),
            ToolState::Unknown(json) => Ok(ToolInput::Other(parse(json.to_string()))),
        }
    }

    /// Decodes the data about the call for programs.
    ///
    /// # Errors
    ///
    /// The errors of [`ToolMetadata::decode`].
    pub fn decode_metadata(&self) -> Result<ToolMetadata, DecodeError> {
        let metadata = match &self.state {
            ToolState::Completed(state) => Some(&state.metadata),
            ToolState::Error(state) => state.metadata.as_ref(),
            ToolState::Running(state) => state.metadata.as_ref(),
            ToolState::Pending(_) | ToolState::Unknown(_) => None,
        };
        ToolMetadata::decode(&self.tool, &metadata.map_or_else(|| parse("{}".to_owned()), raw))
    }
}

fn raw(object: &JsonObject) -> RawJson {
    parse(object.to_string())
}

fn parse(json: String) -> RawJson {
    RawJson::parse(json).expect("a value is written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_types_of_the_core() {
        let part: ToolPart = serde_json::from_str(
            r#"{"type":"tool","id":"prt_1","sessionID":"ses_1","messageID":"msg_1","callID":"c",
            "tool":"bash","state":{"status":"completed","input":{"command":"false"},"output":"",
            "title":"","metadata":{"exit":1},"time":{"start":1,"end":2}}}"#,
        )
        .unwrap();
        let Ok(ToolInput::Bash(input)) = part.decode_input() else { panic!("{part:?}") };
        assert_eq!(input.command, "false");
        let Ok(ToolMetadata::Bash(bash)) = part.decode_metadata() else { panic!("{part:?}") };
        assert_eq!(bash.exit, Some(1));
    }
}
