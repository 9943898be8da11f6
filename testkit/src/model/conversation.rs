use std::borrow::Cow;

use serde_json::Value;

/// Why OpenCode asks the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// To summarise a conversation that has grown too long.
    Compaction,
    /// To name a new session; goes to the small model, beside the first call of the turn.
    Title,
    /// To answer a prompt: one call of a turn.
    Turn,
}

const TITLE_PROMPT: &str = "Generate a title for this conversation:";
const COMPACTION_AGENT: &str = "You are a context summarization agent.";
const COMPACTION_PROMPT: &str = "Here is the conversation so far:";
/// Stands where the messages were that a compaction has replaced; the summary follows it.
const COMPACTED: &str = "What did we do so far?";
/// How messages begin that OpenCode writes in the role of the user.
const SYNTHETIC: [&str; 6] = [
    COMPACTED,
    "Continue if you have next steps, or stop and ask",
    "The previous request exceeded the provider's size limit",
    "Attached media from tool result:",
    "The following tool was executed by the user",
    "Summarize the task tool output above and continue",
];

/// The `messages` of a request, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation<'a> {
    messages: &'a [Value],
}

/// What a turn began with, and how far it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prompt<'a> {
    pub(super) text: Cow<'a, str>,
    /// Messages of the model since the prompt.
    pub(super) answered: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(messages: &'a [Value]) -> Self {
        Self { messages }
    }

    pub(super) fn kind(self) -> Kind {
        let first = self.user_texts().next().unwrap_or_default();
        if first.trim_end() == TITLE_PROMPT {
            Kind::Title
        } else if self.system().starts_with(COMPACTION_AGENT)
            || first.starts_with(COMPACTION_PROMPT)
        {
            Kind::Compaction
        } else {
            Kind::Turn
        }
    }

    /// The last prompt, or `None` when a compaction has removed it.
    pub(super) fn prompt(self) -> Option<Prompt<'a>> {
        // A request ends with what the model is to answer. If the last message is an assistant's all the
        // same, OpenCode wrote it (the reminder that the agent's steps are used up).
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

    /// All system messages, joined by a line break.
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

/// The names of the markers `[[name]]` in a text, in order.
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

/// The text of a message: its `content`, or the text parts of it joined by a line break.
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
    fn counts_answers_since_the_last_prompt() {
        let mut messages = vec![user("one")];
        assert_eq!(prompt(&json!(messages)), Some(("one".into(), 0)));
        // Two parallel tool calls are one answer.
        messages.extend([assistant(""), result("a"), result("b")]);
        assert_eq!(prompt(&json!(messages)), Some(("one".into(), 1)));
        messages.extend([assistant("done"), user("two")]);
        assert_eq!(prompt(&json!(messages)), Some(("two".into(), 0)));
    }

    #[test]
    fn joins_the_parts_of_a_prompt() {
        let parts = json!([
            { "type": "text", "text": "a" },
            { "type": "image_url", "image_url": { "url": "data:," } },
            { "type": "text", "text": "b" },
        ]);
        let messages = json!([{ "role": "user", "content": parts }]);
        assert_eq!(prompt(&messages), Some(("a\nb".into(), 0)));
    }

    #[test]
    fn looks_past_what_opencode_says_as_the_user() {
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
    fn does_not_count_a_reminder_at_the_end() {
        let messages = json!([user("one"), assistant(""), result("a"), assistant("no more steps")]);
        assert_eq!(prompt(&messages), Some(("one".into(), 1)));
        assert_eq!(prompt(&json!([])), None);
    }

    #[test]
    fn recognises_titles_and_compactions() {
        let kind = |messages: Value| Conversation::new(messages.as_array().unwrap()).kind();
        let title = "Generate a title for this conversation:\n";
        assert_eq!(kind(json!([user(title), user("one")])), Kind::Title);
        assert_eq!(kind(json!([user("Generate a title for this conversation: no")])), Kind::Turn);
        let transcript = "Here is the conversation so far:\n\n<conversation>\n[User]: one";
        assert_eq!(kind(json!([user(transcript)])), Kind::Compaction);
        let agent = json!({ "role": "system", "content": format!("{COMPACTION_AGENT} You are") });
        assert_eq!(kind(json!([agent, user("a plugin's own prompt")])), Kind::Compaction);
        assert_eq!(kind(json!([])), Kind::Turn);
    }

    #[test]
    fn finds_markers() {
        let found = |text| markers(text).collect::<Vec<_>>();
        assert_eq!(found("[[a]] x [[b-1_2.c]]"), ["a", "b-1_2.c"]);
        assert_eq!(found("[[[a]]]"), ["a"]);
        assert_eq!(found("if [[ -f x ]]; [[]] [[a b]] [[a] [["), [""; 0]);
        assert_eq!(found("[[ä]][[z]]"), ["z"]);
    }
}
