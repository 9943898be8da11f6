//! What can be written can be read, and is the same; what is sent says what was asked for.

#![allow(clippy::disallowed_types, reason = "what is sent is compared as JSON")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use opencode_config::{ModelRef, ToolSwitch};
use opencode_proto::api::{Operation, PromptAsync};
use opencode_proto::{
    CallId, Line, LineFramer, MessageId, PartId, PermissionId, Prompt, PromptPart, PromptReply,
    QuestionId, RunEvent, SessionId, Spend, Subtask, Tokens,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap()
}

fn check_id<T>(text: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + ToString + for<'a> From<&'a str>,
{
    let id = T::from(text);
    assert_eq!(id.to_string(), text);
    assert_eq!(serde_json::to_value(&id).unwrap(), Value::from(text));
    assert_eq!(again(&id), id);
}

fn tokens() -> impl Strategy<Value = Tokens> {
    let count = || prop_oneof![any::<u64>(), 0..2000_u64];
    (count(), count(), count(), count(), count(), count()).prop_map(
        |(total, input, output, reasoning, cache_read, cache_write)| {
            let mut tokens = Tokens::default();
            (tokens.total, tokens.input, tokens.output) = (total, input, output);
            (tokens.reasoning, tokens.cache_read, tokens.cache_write) =
                (reasoning, cache_read, cache_write);
            tokens
        },
    )
}

/// A part, and what is sent of it.
fn part() -> impl Strategy<Value = (PromptPart, Value)> {
    let text = any::<String>().prop_map(|text| {
        let sent = json!({ "type": "text", "text": text });
        (PromptPart::Text(text), sent)
    });
    let agent = any::<String>().prop_map(|name| {
        let sent = json!({ "type": "agent", "name": name });
        (PromptPart::Agent(name), sent)
    });
    let task = (any::<String>(), any::<String>(), any::<String>(), prop::option::of(model()));
    let task = task.prop_map(|(agent, prompt, description, model)| {
        let mut sent = json!({ "type": "subtask", "prompt": prompt, "description": description, "agent": agent });
        let mut task = Subtask::new(agent, prompt, description);
        if let Some(model) = model {
            sent["model"] = sent_model(&model);
            task = task.with_model(model);
        }
        (task.into(), sent)
    });
    prop_oneof![text, agent, task]
}

fn model() -> impl Strategy<Value = ModelRef> {
    "[^/]{1,5}/.{1,8}".prop_map(|text| text.parse().unwrap())
}

fn sent_model(model: &ModelRef) -> Value {
    json!({ "providerID": model.provider(), "modelID": model.model() })
}

/// Lines that are events, nearly events, and none.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let kind =
        "(text|reasoning|tool_use|step_start|step_finish|error|diagnostic|notice|[a-z]{1,6})";
    let part = (any::<String>(), any::<String>(), any::<i64>());
    let event = (kind, part, any::<bool>()).prop_map(|(kind, (id, text, number), is_whole)| {
        let part = json!({ "id": id, "messageID": "msg_1", "text": text, "tool": text, "cost": number,
            "reason": text, "state": { "status": "completed", "output": text } });
        let event = json!({ "type": kind, "timestamp": number, "sessionID": id, "part": part, "raw": text });
        let line = event.to_string().into_bytes();
        let size = if is_whole { line.len() } else { line.len() / 2 };
        line[..size].to_vec()
    });
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![3 => event, 1 => garbage].prop_map(|mut line| {
        line.retain(|byte| *byte != b'\n' && *byte != b'\r');
        line
    })
}

proptest! {
    #[test]
    fn ids(text in any::<String>()) {
        check_id::<CallId>(&text);
        check_id::<MessageId>(&text);
        check_id::<PartId>(&text);
        check_id::<PermissionId>(&text);
        check_id::<QuestionId>(&text);
        check_id::<SessionId>(&text);
    }

    #[test]
    fn what_was_used(tokens in tokens(), cost in prop::num::f64::POSITIVE | prop::num::f64::ZERO) {
        prop_assert_eq!(again(&tokens), tokens);
        let spend = Spend::new(tokens, cost);
        prop_assert_eq!(again(&spend), spend);
    }

    /// A log is what was told: each event is a line of it, and reads as that event.
    #[test]
    fn events_of_a_log(lines in prop::collection::vec(line(), 0..8)) {
        let events: Vec<_> = lines.into_iter().map(|line| RunEvent::decode(line.into())).collect();
        let log: Vec<u8> = events.iter().flat_map(|event| [&event.to_json_line()[..], b"\n"].concat()).collect();
        let mut framer = LineFramer::new(1 << 20);
        framer.push(Bytes::from(log));
        let mut again = Vec::new();
        while let Some(line) = framer.next_line() {
            let Line::Whole(line) = line else { panic!("{line:?}") };
            again.push(RunEvent::decode(line));
        }
        prop_assert_eq!(framer.finish(), None);
        let told = |events: &[RunEvent]| {
            events.iter().map(|event| (event.kind.clone(), event.session.clone(), event.to_json_line())).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(&again), told(&events));
    }

    #[test]
    fn prompts_as_they_are_sent(
        parts in prop::collection::vec(part(), 0..4),
        model in prop::option::of(model()),
        (agent, system, variant) in (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>()),
        tools in prop::collection::btree_map("[a-z*]{1,4}", any::<bool>(), 0..3),
        is_answered in any::<bool>(),
        message in "[a-z_0-9]{1,10}",
    ) {
        let mut prompt = Prompt::new();
        let mut expected = BTreeMap::from([("messageID", Value::from(message.as_str()))]);
        expected.insert("parts", parts.iter().map(|(_, sent)| sent.clone()).collect());
        for (part, _) in parts {
            prompt = prompt.with_part(part);
        }
        if let Some(model) = model {
            expected.insert("model", sent_model(&model));
            prompt = prompt.with_model(model);
        }
        if let Some(agent) = agent {
            expected.insert("agent", agent.as_str().into());
            prompt = prompt.with_agent(agent);
        }
        if let Some(system) = system {
            expected.insert("system", system.as_str().into());
            prompt = prompt.with_system(system);
        }
        if let Some(variant) = variant {
            expected.insert("variant", variant.as_str().into());
            prompt = prompt.with_variant(variant);
        }
        if !is_answered {
            expected.insert("noReply", true.into());
            prompt = prompt.with_reply(PromptReply::NoReply);
        }
        if !tools.is_empty() {
            expected.insert("tools", json!(tools));
        }
        for (tool, is_on) in tools {
            let switch = if is_on { ToolSwitch::Enabled } else { ToolSwitch::Disabled };
            prompt = prompt.with_tool(tool, switch);
        }
        let operation = PromptAsync::new("ses_1", message.as_str(), prompt);
        let sent: Value = serde_json::from_slice(operation.request().body()).unwrap();
        prop_assert_eq!(sent, json!(expected));
    }
}
