//! Prompts in OpenCode's shape.

use std::collections::BTreeMap;

use opencode_config::{ModelRef, ToolSwitch};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{OutputFormat, Prompt, PromptFile, PromptPart, PromptReply};
use crate::MessageId;

/// The body of a prompt.
#[derive(Serialize)]
pub(in crate::api) struct WirePrompt<'a> {
    #[serde(rename = "messageID")]
    message_id: &'a MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<WireModel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(rename = "noReply", skip_serializing_if = "Option::is_none")]
    no_reply: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tools: BTreeMap<&'a str, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    parts: Vec<WirePromptPart<'a>>,
}

/// `{providerID, modelID}`. The server refuses a model without a provider before it stores
/// anything.
#[derive(Serialize)]
pub(in crate::api) struct WireModel<'a> {
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    provider_id: Option<&'a str>,
    #[serde(rename = "modelID")]
    model_id: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat<'a> {
    JsonSchema { schema: &'a RawValue },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(in crate::api) enum WirePromptPart<'a> {
    Agent {
        name: &'a str,
    },
    File {
        mime: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        url: String,
    },
    Subtask {
        prompt: &'a str,
        description: &'a str,
        agent: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<WireModel<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<&'a str>,
    },
    Text {
        text: &'a str,
    },
}

impl<'a> WirePrompt<'a> {
    pub(in crate::api) fn new(message_id: &'a MessageId, prompt: &'a Prompt) -> Self {
        let switch = |(name, switch): (&'a String, &ToolSwitch)| {
            (name.as_str(), matches!(switch, ToolSwitch::Enabled))
        };
        Self {
            message_id,
            model: prompt.model.as_ref().map(WireModel::from),
            agent: prompt.agent.as_deref(),
            no_reply: match prompt.reply {
                PromptReply::NoReply => Some(true),
                PromptReply::Reply => None,
            },
            tools: prompt.tools.iter().map(switch).collect(),
            format: match &prompt.format {
                OutputFormat::JsonSchema { schema } => {
                    Some(WireFormat::JsonSchema { schema: schema.as_value() })
                }
                OutputFormat::Text => None,
            },
            system: prompt.system.as_deref(),
            variant: prompt.variant.as_deref(),
            parts: prompt.parts.iter().map(WirePromptPart::from).collect(),
        }
    }
}

impl<'a> From<&'a ModelRef> for WireModel<'a> {
    fn from(model: &'a ModelRef) -> Self {
        Self { provider_id: model.provider(), model_id: model.model() }
    }
}

impl<'a> From<&'a PromptPart> for WirePromptPart<'a> {
    fn from(part: &'a PromptPart) -> Self {
        match part {
            PromptPart::Agent(name) => Self::Agent { name },
            PromptPart::File(file) => Self::from(file),
            PromptPart::Subtask(task) => Self::Subtask {
                prompt: &task.prompt,
                description: &task.description,
                agent: &task.agent,
                model: task.model.as_ref().map(WireModel::from),
                command: task.command.as_deref(),
            },
            PromptPart::Text(text) => Self::Text { text },
        }
    }
}

impl<'a> From<&'a PromptFile> for WirePromptPart<'a> {
    fn from(file: &'a PromptFile) -> Self {
        Self::File { mime: file.mime(), filename: file.filename(), url: file.url() }
    }
}
