//! Messages, parts and statuses: stored, then published.

use serde_json::{Value, json};

use super::{TurnPlayer, publish_idle};
use crate::world::core::lock;
use crate::world::server::store::{PromptTruth, SessionRun, SessionStatus, StoredMessage};

impl TurnPlayer {
    pub(super) fn publish(&self, kind: &str, properties: Value) {
        self.server.publish(&self.session, kind, properties);
    }

    pub(super) fn session_info(&self) -> Value {
        let now = self.server.now_ms();
        let store = lock(&self.server.store);
        json!({ "info": store.sessions[&self.session].info(now) })
    }

    pub(super) fn status(&self, status: Value) {
        {
            let mut store = lock(&self.server.store);
            let Some(live) = &mut store.live else { return };
            let listed = SessionStatus { value: status.clone(), idle_from: None };
            live.statuses.insert(self.session.clone(), listed);
        }
        self.publish("session.status", json!({ "status": status }));
    }

    pub(super) fn idle(&self) {
        let idle_from = self.server.now_ms() + self.status_list_delay();
        {
            let mut store = lock(&self.server.store);
            let Some(live) = &mut store.live else { return };
            if let Some(status) = live.statuses.get_mut(&self.session) {
                status.idle_from = Some(idle_from);
            }
        }
        publish_idle(&self.server, &self.session);
    }

    /// Milliseconds between `session.idle` and the change of the status list.
    fn status_list_delay(&self) -> u64 {
        self.server.shared().core.random(|random| match random.happens(100) {
            true => 1 + random.below(20),
            false => 0,
        })
    }

    /// Publishes updates of the session that come at some time during the first step.
    pub(super) fn publish_session_updates(&self, prompt: &str) {
        self.publish("session.updated", self.session_info());
        self.publish("session.diff", json!({ "diff": [] }));
        self.publish_summary(prompt);
    }

    pub(super) fn publish_final_updates(&self) {
        self.publish("session.updated", self.session_info());
        self.publish("session.diff", json!({ "diff": [] }));
        let prompt = lock(&self.run).latest.clone();
        self.publish_summary(&prompt);
    }

    pub(super) fn publish_summary(&self, prompt: &str) {
        let info = {
            let mut store = lock(&self.server.store);
            let Some(session) = store.sessions.get_mut(&self.session) else { return };
            let Some(message) = session.message(prompt) else { return };
            message.info["summary"] = json!({ "diffs": [] });
            message.info.clone()
        };
        self.publish("message.updated", json!({ "info": info }));
    }

    /// Changes the records of the prompts that the last message of the model's answers.
    pub(super) fn count_for_prompts(&self, change: impl Fn(&mut PromptTruth)) {
        let mut store = lock(&self.server.store);
        let run = lock(&self.run);
        for open in &run.open[..self.answered(&run)] {
            if let Some(truth) = store.prompts.get_mut(open) {
                change(truth);
            }
        }
    }

    /// Number of open prompts that the last message of the model's answers.
    fn answered(&self, run: &SessionRun) -> usize {
        let message = self.message.as_ref();
        let parent = message.and_then(|message| message["parentID"].as_str());
        parent.map_or(run.open.len(), |parent| run.up_to(parent))
    }

    pub(super) fn begin_answer(&mut self, id: &str, info: Value) {
        self.store_answer(id, &info);
        self.publish("message.updated", json!({ "info": info }));
    }

    /// Stores a new answer, without an event.
    pub(super) fn store_answer(&mut self, id: &str, info: &Value) {
        {
            let mut store = lock(&self.server.store);
            let run = lock(&self.run);
            // Prompts that arrived after the parent are not answered by this message.
            for open in &run.open[..run.up_to(info["parentID"].as_str().unwrap_or_default())] {
                if let Some(truth) = store.prompts.get_mut(open) {
                    truth.answers.push(id.to_owned());
                }
            }
            drop(run);
            if let Some(session) = store.sessions.get_mut(&self.session) {
                session.messages.push(StoredMessage::new(id, info.clone()));
            }
        }
        self.message = Some(info.clone());
    }

    pub(super) fn change_answer(&mut self, change: impl FnOnce(&mut Value)) {
        let Some(info) = &mut self.message else { return };
        change(info);
        let info = info.clone();
        let id = info["id"].as_str().unwrap_or_default();
        if let Some(session) = lock(&self.server.store).sessions.get_mut(&self.session)
            && let Some(message) = session.message(id)
        {
            message.info = info.clone();
        }
        self.publish("message.updated", json!({ "info": info }));
    }

    /// Creates a part.
    pub(super) fn set_part(&self, message: &str, kind: &str, mut part: Value) -> Value {
        part["id"] = json!(self.server.id("prt"));
        part["messageID"] = json!(message);
        part["sessionID"] = json!(self.session);
        part["type"] = json!(kind);
        self.store_part(&part);
        part
    }

    pub(super) fn change_tool(&mut self, part: &mut Value, state: Value) {
        part["state"] = state;
        self.tool = Some(part.clone());
        self.store_part(part);
    }

    pub(super) fn store_part(&self, part: &Value) {
        let message = part["messageID"].as_str().unwrap_or_default();
        if let Some(session) = lock(&self.server.store).sessions.get_mut(&self.session)
            && let Some(message) = session.message(message)
        {
            message.set_part(part);
        }
        self.publish("message.part.updated", json!({ "part": part, "time": self.server.now_ms() }));
    }
}
