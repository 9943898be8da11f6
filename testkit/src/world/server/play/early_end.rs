//! Runs that end early: a refusal by the provider, or an abort.

use std::mem;

use serde_json::json;

use super::{TurnPlayer, end_prompts};
use crate::world::core::lock;
use crate::world::server::store::PromptEnd;

impl TurnPlayer {
    /// Ends the run with a refusal by the provider.
    pub(super) async fn fail_run(&mut self, message: &str) {
        let error = json!({ "name": "APIError", "data": { "message": message, "statusCode": 401,
            "isRetryable": false } });
        // The prompts end before the first event, so that a later abort changes nothing.
        let open = mem::take(&mut lock(&self.run).open);
        end_prompts(&self.server, &open, PromptEnd::Failed);
        self.publish("session.error", json!({ "error": error }));
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

    /// Completes the open message and publishes the end of an aborted session.
    pub(super) async fn finish_abort(&mut self) {
        self.count("agent: aborted");
        if mem::take(&mut self.is_retrying) {
            self.end_void_tools();
            let completed = self.server.now_ms();
            self.change_answer(|info| info["time"]["completed"] = json!(completed));
            return self.idle();
        }
        let error = json!({ "name": "MessageAbortedError", "data": { "message": "Aborted" } });
        if self.message.is_none() {
            return self.idle();
        }
        self.publish("session.error", json!({ "error": error }));
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
                    json!({ "status": "error", "input": {}, "error": "Tool execution aborted",
                        "time": time })
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
