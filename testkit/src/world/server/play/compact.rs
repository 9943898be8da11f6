//! Compaction of a session: a summary takes the place of the conversation.

use std::mem;
use std::sync::Arc;

use serde_json::{Value, json};

use super::step::{COST, SNAPSHOT};
use super::{PlayResult, StepEnd, TurnPlayer, end_prompts, user_info};
use crate::world::core::lock;
use crate::world::server::ServerInner;
use crate::world::server::store::{PromptEnd, StoredMessage};
use crate::world::server::tokens;

/// Reason for which OpenCode compacts a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompactionCause {
    /// A call filled the context of the model.
    Full,
    /// The input of a call exceeded the context of the model.
    Overflow,
}

/// Stores the request of another client for a summary, which is made after the current step.
pub(in crate::world::server) fn summarize(server: &Arc<ServerInner>, session: &str) {
    if lock(&server.store).deleted.contains(session) {
        return;
    }
    let run = {
        let mut store = lock(&server.store);
        let Some(live) = &mut store.live else { return };
        live.runs.get(session).cloned()
    };
    let is_idle = run.is_none();
    let run = run.unwrap_or_default();
    let player = TurnPlayer::new(server, session, Arc::clone(&run));
    let request = player.insert("compaction", json!({ "auto": false }));
    {
        let mut run = lock(&run);
        run.summary = Some(request.clone());
        // The answer to the request counts for no prompt.
        run.inserted.remove(&request);
        if let Some(prompt) = run.open.last().cloned() {
            run.latest = prompt;
        }
    }
    if is_idle {
        if let Some(live) = &mut lock(&server.store).live {
            live.runs.insert(session.to_owned(), run);
        }
        server.spawn(Box::pin(player.play(None)));
    }
}

impl TurnPlayer {
    /// Makes the summary that another client asks for. Returns the end of the run, unless prompts
    /// arrived in the meantime.
    pub(super) async fn serve_summary(&mut self) -> PlayResult<Option<StepEnd>> {
        let Some(request) = mem::take(&mut lock(&self.run).summary) else { return Ok(None) };
        let replaced = mem::take(&mut lock(&self.run).open);
        end_prompts(&self.server, &replaced, PromptEnd::Replaced);
        if !self.summarize(&request).await? {
            return Ok(Some(StepEnd::Failed));
        }
        self.publish("session.compacted", json!({}));
        let is_idle = lock(&self.run).open.is_empty();
        Ok(is_idle.then_some(StepEnd::Stop))
    }

    /// Ends the call whose input exceeded the context: without an error, and without a reason.
    pub(super) fn overflow(&mut self) {
        let message = "the input exceeds the context window of this model";
        let error = json!({ "name": "ContextOverflowError", "data": { "message": message } });
        self.publish("session.error", json!({ "error": error }));
        let completed = self.server.now_ms();
        self.end_void_tools();
        self.change_answer(|info| info["time"]["completed"] = json!(completed));
        self.message = None;
    }

    /// Summarises the session. Returns the message of the user's that the agent goes on with;
    /// `None` when the provider refuses the summary.
    pub(super) async fn compact(&mut self, cause: CompactionCause) -> PlayResult<Option<String>> {
        let is_overflow = cause == CompactionCause::Overflow;
        let request = self.insert("compaction", json!({ "auto": true, "overflow": is_overflow }));
        self.count_for_prompts(|truth| truth.compactions += 1);
        if !self.summarize(&request).await? {
            return Ok(None);
        }
        let repeated = is_overflow.then(|| self.earlier_prompt()).flatten();
        let now = self.server.now_ms();
        let part = match repeated {
            Some(text) => json!({ "text": text }),
            None => {
                let metadata = json!({ "compaction_continue": true });
                let time = json!({ "start": now, "end": now });
                json!({ "text": "Continue if you have next steps.", "synthetic": true,
                    "metadata": metadata, "time": time })
            }
        };
        let inserted = self.insert("text", part);
        self.publish("session.compacted", json!({}));
        Ok(Some(inserted))
    }

    /// Writes the summary that this message asks for. Returns `false` when the provider refuses.
    async fn summarize(&mut self, request: &str) -> PlayResult<bool> {
        self.count("agent: compaction");
        self.status(json!({ "type": "busy" }));
        self.pause(self.event_delay()).await?;
        // Now and then all events of the summary are late, and describe the message as it is then.
        let refused = self.server.shared().core.activity().refused_summaries;
        let is_refused = self.happens(refused);
        let is_late = !is_refused && self.happens(300);
        let id = self.server.id("msg");
        let mut info = self.answer_info(&id, request);
        info["mode"] = json!("compaction");
        info["agent"] = json!("compaction");
        info["summary"] = json!(true);
        self.store_answer(&id, &info);
        if is_late {
            complete(&mut info, self.server.now_ms());
        }
        self.publish("message.updated", json!({ "info": info }));
        self.status(json!({ "type": "busy" }));
        if !is_late {
            self.pause(self.event_delay()).await?;
        }
        if is_refused {
            self.count("agent: summary refused");
            self.fail_run("no summaries").await;
            return Ok(false);
        }
        self.set_part(&id, "step-start", json!({ "snapshot": SNAPSHOT }));
        let text = ["Summary, ".to_owned(), "the end.".to_owned()];
        if is_late {
            self.set_text(&id, &text.concat());
        } else {
            self.stream_part(&id, "text", &text).await?;
        }
        self.finish_text();
        let finish = json!({ "reason": "stop", "snapshot": SNAPSHOT, "cost": COST,
            "tokens": tokens(true) });
        self.set_part(&id, "step-finish", finish);
        let completed = self.server.now_ms();
        for _ in 0..2 {
            self.change_answer(|info| complete(info, completed));
        }
        self.message = None;
        Ok(true)
    }

    /// Publishes a part with one delta, without a pause.
    fn set_text(&mut self, message: &str, text: &str) {
        let part = json!({ "text": "", "time": { "start": self.server.now_ms() } });
        let mut part = self.set_part(message, "text", part);
        self.publish(
            "message.part.delta",
            json!({ "messageID": message, "partID": part["id"], "field": "text", "delta": text }),
        );
        part["text"] = json!(text);
        self.text = Some(part);
    }

    /// Stores a message of the user's that OpenCode writes itself.
    fn insert(&self, kind: &str, part: Value) -> String {
        let id = self.server.id("msg");
        let info = user_info(&self.server, &self.session, &id);
        {
            let mut store = lock(&self.server.store);
            let mut run = lock(&self.run);
            let last = run.open.last().cloned().unwrap_or_default();
            run.inserted.insert(id.clone(), last);
            run.latest.clone_from(&id);
            drop(run);
            if let Some(session) = store.sessions.get_mut(&self.session) {
                session.messages.push(StoredMessage::new(&id, info.clone()));
            }
        }
        self.publish("message.updated", json!({ "info": info }));
        self.set_part(&id, kind, part);
        id
    }

    /// Text of the last prompt, unless it is the first message of the session.
    fn earlier_prompt(&self) -> Option<String> {
        let prompt = lock(&self.run).open.last().cloned()?;
        let store = lock(&self.server.store);
        let is_first = store.sessions.get(&self.session)?.messages.first()?.id == prompt;
        let text = store.prompts.get(&prompt)?.text.clone();
        (!is_first).then_some(text)
    }
}

fn complete(info: &mut Value, completed: u64) {
    info["finish"] = json!("stop");
    info["cost"] = json!(COST);
    info["tokens"] = tokens(true);
    info["time"]["completed"] = json!(completed);
}
