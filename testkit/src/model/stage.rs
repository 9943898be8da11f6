use std::collections::BTreeMap;

use super::conversation::{Conversation, Prompt, RequestKind, markers};
use super::script::{Reply, Script};

/// All scripts, and the position of every session.
pub(super) struct Stage {
    pub(super) scripts: BTreeMap<String, Script>,
    pub(super) default: Script,
    pub(super) title: Reply,
    pub(super) summary: Reply,
    sessions: BTreeMap<String, SessionProgress>,
}

/// Position of a session after the last call.
struct SessionProgress {
    script: Option<String>,
    /// Step that the next call should ask for.
    step: usize,
    /// Number of consecutive failures at that step.
    failures: usize,
    /// Number of all calls in turns.
    calls: usize,
}

/// Reply to one request, and the origin.
pub(super) struct Cue {
    /// `None` for the default script and for replies without a script.
    pub(super) script: Option<String>,
    pub(super) step: usize,
    pub(super) attempt: usize,
    /// Number of the call in the session, from 0.
    pub(super) call: usize,
    pub(super) reply: Reply,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            scripts: BTreeMap::new(),
            default: Reply::new().text("Hello from the scripted model.").into(),
            title: Reply::new().text("Scripted title"),
            summary: Reply::new().text("Scripted summary."),
            sessions: BTreeMap::new(),
        }
    }
}

impl Stage {
    /// Selects the reply to a request. `session` identifies the conversation, if the client sends
    /// it.
    pub(super) fn cue(&mut self, conversation: Conversation<'_>, session: Option<&str>) -> Cue {
        match conversation.kind() {
            RequestKind::Compaction => Cue::aside(self.summary.clone()),
            RequestKind::Title => Cue::aside(self.title.clone()),
            RequestKind::Turn => self.turn(conversation, session),
        }
    }

    fn turn(&mut self, conversation: Conversation<'_>, session: Option<&str>) -> Cue {
        let session = match session {
            Some(session) => session.to_owned(),
            None => conversation.user_texts().next().unwrap_or_default().into_owned(),
        };
        let progress = self.sessions.get(&session);
        let (script, step) = match (conversation.prompt(), progress) {
            (Some(Prompt { text, answered }), _) => match self.script_of(&text) {
                Ok(script) => (script, answered),
                Err(missing) => {
                    return Cue::refusal(format!("there is no script called `{missing}`"));
                }
            },
            (None, Some(progress)) => (progress.script.clone(), progress.step),
            (None, None) => (None, 0),
        };
        let failures = match progress {
            Some(progress) if progress.script == script && progress.step == step => {
                progress.failures
            }
            Some(_) | None => 0,
        };
        let name = script.as_deref();
        let played = name.map_or(&self.default, |name| &self.scripts[name]);
        let Some(found) = played.step(step) else {
            let name = name.unwrap_or("(default)");
            return Cue::refusal(format!(
                "the script `{name}` has no step {step} (counted from 0)"
            ));
        };
        let reply = found.attempt(failures).clone();
        let call = progress.map_or(0, |progress| progress.calls);
        let (next_step, next_failures) =
            if reply.completes() { (step + 1, 0) } else { (step, failures + 1) };
        let progress = SessionProgress {
            script: script.clone(),
            step: next_step,
            failures: next_failures,
            calls: call + 1,
        };
        self.sessions.insert(session, progress);
        Cue { script, step, attempt: failures, call, reply }
    }

    /// Returns the first marker that has a script, or `None` for a prompt without markers. Markers
    /// without any script are an error.
    fn script_of(&self, prompt: &str) -> Result<Option<String>, String> {
        let Some(first) = markers(prompt).next() else { return Ok(None) };
        match markers(prompt).find(|name| self.scripts.contains_key(*name)) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(first.to_owned()),
        }
    }
}

impl Cue {
    /// A reply outside a turn.
    fn aside(reply: Reply) -> Self {
        Self { script: None, step: 0, attempt: 0, call: 0, reply }
    }

    fn refusal(problem: String) -> Self {
        Self::aside(Reply::error(400, &format!("scripted model: {problem}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::script::ReplyEnd;

    #[test]
    fn attempts_are_counted_per_session_and_restart_after_a_success() {
        let mut stage = stage();
        let first = json!([user("[[x]]")]);
        assert_eq!(cue(&mut stage, &first, "a"), (0, 0, "fail"));
        assert_eq!(cue(&mut stage, &first, "b"), (0, 0, "fail"));
        assert_eq!(cue(&mut stage, &first, "a"), (0, 1, "done"));
        assert_eq!(cue(&mut stage, &first, "b"), (0, 1, "done"));

        let again = json!([user("[[x]]"), assistant(), user("[[x]]")]);
        assert_eq!(cue(&mut stage, &again, "a"), (0, 0, "fail"));
        assert_eq!(cue(&mut stage, &again, "a"), (0, 1, "done"));
    }

    #[test]
    fn a_step_repeats_its_last_reply() {
        let mut stage = stage();
        let second = json!([user("[[x]]"), assistant(), { "role": "tool" }]);
        assert_eq!(cue(&mut stage, &second, "a"), (1, 0, "fail"));
        assert_eq!(cue(&mut stage, &second, "a"), (1, 1, "fail"));
    }

    #[test]
    fn a_new_prompt_does_not_inherit_the_failures_of_an_aborted_turn() {
        let mut stage = stage();
        let second = json!([user("[[x]]"), assistant(), { "role": "tool" }]);
        assert_eq!(cue(&mut stage, &second, "a"), (1, 0, "fail"));
        let again = json!([user("[[x]]"), assistant(), { "role": "tool" }, user("[[x]]")]);
        assert_eq!(cue(&mut stage, &again, "a"), (0, 0, "fail"));
    }

    #[test]
    fn a_session_continues_after_a_compaction_that_removed_its_prompt() {
        let mut stage = stage();
        let first = json!([user("[[x]]")]);
        cue(&mut stage, &first, "a");
        cue(&mut stage, &first, "a");
        let compaction = json!([user("Here is the conversation so far: [[x]]")]);
        assert_eq!(cue(&mut stage, &compaction, "a"), (0, 0, "done"));
        let compacted = json!([
            user("What did we do so far?"),
            assistant(),
            user("Continue if you have next steps, or stop and ask")
        ]);
        assert_eq!(cue(&mut stage, &compacted, "a"), (1, 0, "fail"));
        assert_eq!(cue(&mut stage, &compacted, "a"), (1, 1, "fail"));
        // An unknown session can only get the default script.
        assert_eq!(cue(&mut stage, &compacted, "z"), (0, 0, "done"));
    }

    #[test]
    fn mistakes_are_refused() {
        let mut stage = stage();
        let refusal = |stage: &mut Stage, messages: Value| {
            let cue = stage.cue(Conversation::new(messages.as_array().unwrap()), Some("a"));
            let ReplyEnd::Body(body) = cue.reply.end else { panic!("not refused") };
            (cue.reply.status, body)
        };
        let (status, body) = refusal(&mut stage, json!([user("[[y]]")]));
        assert_eq!(status, 400);
        assert!(body.contains("there is no script called `y`"), "{body}");
        let (status, body) = refusal(
            &mut stage,
            json!([
                user("[[x]]"),
                assistant(),
                assistant(),
                user("Continue if you have next steps, or stop and ask")
            ]),
        );
        assert_eq!(status, 400);
        assert!(body.contains("the script `x` has no step 2"), "{body}");
    }

    #[test]
    fn a_marker_with_a_script_wins_over_one_without() {
        let mut stage = stage();
        assert_eq!(cue(&mut stage, &json!([user("array[[0]] [[x]]")]), "a"), (0, 0, "fail"));
    }

    fn stage() -> Stage {
        let mut stage = Stage::default();
        let flaky = [Reply::error(500, "no"), Reply::new().text("yes")];
        let script = Script::new().then(flaky).then(Reply::new().reset());
        stage.scripts.insert("x".into(), script);
        stage
    }

    fn cue(stage: &mut Stage, messages: &Value, session: &str) -> (usize, usize, &'static str) {
        let conversation = Conversation::new(messages.as_array().unwrap());
        let cue = stage.cue(conversation, Some(session));
        (cue.step, cue.attempt, if cue.reply.completes() { "done" } else { "fail" })
    }

    fn user(text: &str) -> Value {
        json!({ "role": "user", "content": text })
    }

    fn assistant() -> Value {
        json!({ "role": "assistant", "content": "ok" })
    }
}
