use std::borrow::Cow;

use serde_json::Value;

/// Purpose of a request to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// Summary of a conversation that has grown too long.
    Compaction,
    /// Title of a new session; sent to the small model, in parallel to the first call of the turn.
    Title,
    /// Answer to a prompt: one call of a turn.
    Turn,
}

const TITLE_PROMPT: &str = "Generate a title for this conversation:";
const COMPACTION_AGENT: &str = "You are a context summarization agent.";
const COMPACTION_PROMPT: &str = "Here is the conversation so far:";
/// Beginning of the message that replaces the messages before a compaction; the summary follows.
const COMPACTED: &str = "What did we do so far?";
/// Beginnings of messages that OpenCode writes in the role of the user.
const SYNTHETIC: [&str; 6] = [
    COMPACTED,
    "Continue if you have next steps, or stop and ask",
    "The previous request exceeded the provider's size limit",
    "Attached media from tool result:",
    "The following tool was executed by the user",
    "Summarize the task tool output above and continue",
];

/// Beginning of the system prompt for a title. OpenCode 1.1 has it without the prompt above.
const TITLE_AGENT: &str = "You are a title generator.";

/// `messages` of a request, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation<'a> {
    messages: &'a [Value],
}

/// Prompt of a turn, and the number of answers so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prompt<'a> {
    pub(super) text: Cow<'a, str>,
    /// Number of assistant messages since the prompt.
    pub(super) answered: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(messages: &'a [Value]) -> Self {
        Self { messages }
    }

    pub(super) fn kind(self) -> RequestKind {
        let first = self.user_texts().next().unwrap_or_default();
        if first.trim_end() == TITLE_PROMPT || self.system().starts_with(TITLE_AGENT) {
            RequestKind::Title
        } else if self.system().starts_with(COMPACTION_AGENT)
            || first.starts_with(COMPACTION_PROMPT)
        {
            RequestKind::Compaction
        } else {
            RequestKind::Turn
        }
    }

    /// Returns the last prompt, or `None` when a compaction has removed it.
    pub(super) fn prompt(self) -> Option<Prompt<'a>> {
        // A request ends with the message to answer. An assistant message at the end is OpenCode's
        // own (the reminder that the steps of the agent are used up).
        let end = self.messages.iter().rposition(|message| role(message) != "assistant")? + 1;
        let messages = &self.messages[..end];
        let (at, text) = messages.iter().enumerate().rev().find_map(|(at, message)| {
            let text = (role(message) == "user").then(|| text(message))?;
            (!is_synthetic(&text)).then_some((at, text))
        })?;
        let since = &messages[at..];
        let answered = since
            .windows(2)
            .filter(|pair| role(&pair[1]) == "assistant" && !is_compacted(&pair[0]))
            .count();
        Some(Prompt { text, answered })
    }

    /// All system messages, joined by line breaks.
    pub(super) fn system(self) -> String {
        let texts: Vec<_> = self.texts("system").collect();
        texts.join("\n")
    }

    pub(super) fn user_texts(self) -> impl DoubleEndedIterator<Item = Cow<'a, str>> {
        self.texts("user")
    }

    fn texts(self, wanted: &'static str) -> impl DoubleEndedIterator<Item = Cow<'a, str>> {
        self.messages.iter().filter(move |message| role(message) == wanted).map(text)
    }
}

/// Names of the markers `[[name]]` in a text, in order.
pub(super) fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("[[").filter_map(|(at, opening)| {
        let rest = text[at + opening.len()..].trim_start_matches('[');
        let (name, rest) = rest.split_at(rest.find(|c| !is_of_name(c))?);
        (is_name(name) && rest.starts_with("]]")).then_some(name)
    })
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Text of a message: `content`, or the text parts joined by line breaks.
pub(super) fn text(message: &Value) -> Cow<'_, str> {
    match &message["content"] {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            Cow::Owned(texts.join("\n"))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object(_) => Cow::Borrowed(""),
    }
}

pub(super) fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

fn is_synthetic(text: &str) -> bool {
    SYNTHETIC.iter().any(|beginning| text.starts_with(beginning))
}

fn is_compacted(message: &Value) -> bool {
    role(message) == "user" && text(message).starts_with(COMPACTED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prompt(messages: &Value) -> Option<(String, usize)> {
        let messages = messages.as_array().unwrap();
        Conversation::new(messages)
            .prompt()
            .map(|Prompt { text, answered }| (text.into(), answered))
    }

    fn user(text: &str) -> Value {
        json!({ "role": "user", "content": text })
    }

    fn assistant(text: &str) -> Value {
        json!({ "role": "assistant", "content": text })
    }

    fn result(text: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": "call", "content": text })
    }

    #[test]
    fn answers_are_counted_since_the_last_prompt() {
        let mut messages = vec![user("one")];
        assert_eq!(prompt(&json!(messages)), Some(("one".into(), 0)));
        // Two parallel tool calls are one answer.
        messages.extend([assistant(""), result("a"), result("b")]);
        assert_eq!(prompt(&json!(messages)), Some(("one".into(), 1)));
        messages.extend([assistant("done"), user("two")]);
        assert_eq!(prompt(&json!(messages)), Some(("two".into(), 0)));
    }

    #[test]
    fn parts_of_a_prompt_are_joined() {
        let parts = json!([
            { "type": "text", "text": "a" },
            { "type": "image_url", "image_url": { "url": "data:," } },
            { "type": "text", "text": "b" },
        ]);
        let messages = json!([{ "role": "user", "content": parts }]);
        assert_eq!(prompt(&messages), Some(("a\nb".into(), 0)));
    }

    #[test]
    fn messages_that_opencode_writes_as_the_user_are_no_prompts() {
        let continued = "Continue if you have next steps, or stop and ask for clarification";
        let compacted = json!([user(COMPACTED), assistant("a summary"), user(continued)]);
        assert_eq!(prompt(&compacted), None);

        let tail = json!([
            user(COMPACTED),
            assistant("a summary"),
            user("one"),
            assistant(""),
            result("a"),
            user(continued)
        ]);
        assert_eq!(prompt(&tail), Some(("one".into(), 1)));

        let summary_last = json!([
            user("one"),
            assistant(""),
            result("a"),
            user(COMPACTED),
            assistant("a summary"),
            user(continued)
        ]);
        assert_eq!(prompt(&summary_last), Some(("one".into(), 1)));
    }

    #[test]
    fn a_reminder_at_the_end_is_not_counted() {
        let messages = json!([user("one"), assistant(""), result("a"), assistant("no more steps")]);
        assert_eq!(prompt(&messages), Some(("one".into(), 1)));
        assert_eq!(prompt(&json!([])), None);
    }

    #[test]
    fn titles_and_compactions_are_recognised() {
        let kind = |messages: Value| Conversation::new(messages.as_array().unwrap()).kind();
        let title = "Generate a title for this conversation:\n";
        assert_eq!(kind(json!([user(title), user("one")])), RequestKind::Title);
        assert_eq!(
            kind(json!([user("Generate a title for this conversation: no")])),
            RequestKind::Turn
        );
        let transcript = "Here is the conversation so far:\n\n<conversation>\n[User]: one";
        assert_eq!(kind(json!([user(transcript)])), RequestKind::Compaction);
        let agent = json!({ "role": "system", "content": format!("{COMPACTION_AGENT} You are") });
        assert_eq!(kind(json!([agent, user("a plugin's own prompt")])), RequestKind::Compaction);
        assert_eq!(kind(json!([])), RequestKind::Turn);
    }

    #[test]
    fn markers_are_found() {
        let found = |text| markers(text).collect::<Vec<_>>();
        assert_eq!(found("[[a]] x [[b-1_2.c]]"), ["a", "b-1_2.c"]);
        assert_eq!(found("[[[a]]]"), ["a"]);
        assert_eq!(found("if [[ -f x ]]; [[]] [[a b]] [[a] [["), [""; 0]);
        assert_eq!(found("[[ä]][[z]]"), ["z"]);
    }
}
