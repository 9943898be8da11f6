//! Ends before the end: the provider refuses, or somebody aborts.

use std::mem;

use serde_json::json;

use super::{Player, end_prompts};
use crate::world::core::lock;
use crate::world::server::store::PromptEnd;

impl Player {
    /// The provider refuses.
    pub(super) async fn fail(&mut self, message: &str) {
        let error = json!({ "name": "APIError", "data": { "message": message, "statusCode": 401,
            "isRetryable": false } });
        // Before anything is told, the prompts are over: an abort changes nothing any more.
        let open = mem::take(&mut lock(&self.run).open);
        end_prompts(&self.server, &open, PromptEnd::Failed);
        self.tell("session.error", json!({ "error": error }));
        self.idle();
        let time = self.server.shared().core.random(|random| random.milliseconds(0, 20));
        self.server.sleep(time).await;
        let completed = self.server.now_ms();
        self.change_answer(|info| {
            info["error"] = error;
            info["time"]["completed"] = json!(completed);
        });
        self.idle();
    }

    /// What is told when a session was aborted.
    pub(super) async fn wind_up(&mut self) {
        if mem::take(&mut self.is_retrying) {
            let completed = self.server.now_ms();
            self.change_answer(|info| info["time"]["completed"] = json!(completed));
            return self.idle();
        }
        let error = json!({ "name": "MessageAbortedError", "data": { "message": "Aborted" } });
        if self.message.is_none() {
            return self.idle();
        }
        self.tell("session.error", json!({ "error": error }));
        self.idle();
        let time = self.server.shared().core.random(|random| match random.below(8) {
            0 => random.milliseconds(0, 300),
            _ => random.milliseconds(0, 10),
        });
        self.server.sleep(time).await;
        self.finish_text();
        if let Some(mut part) = self.tool.take() {
            let time = json!({ "start": self.server.now_ms(), "end": self.server.now_ms() });
            let is_waiting = part["state"]["metadata"].is_null();
            let state = match is_waiting {
                true => {
                    json!({ "status": "error", "input": {}, "error": "Tool execution aborted", "time": time })
                }
                false => json!({ "status": "completed", "input": {}, "title": "true", "time": time,
                    "output": "<shell_metadata>User aborted the command", "metadata": {} }),
            };
            self.change_tool(&mut part, state);
        }
        let completed = self.server.now_ms();
        self.change_answer(|info| {
            info["error"] = error;
            info["time"]["completed"] = json!(completed);
        });
        self.idle();
    }
}
