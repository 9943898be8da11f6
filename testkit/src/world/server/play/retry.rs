//! Attempts at a model call that fail, and the time until the next one.

use std::mem;
use std::time::Duration;

use serde_json::json;

use super::step::SNAPSHOT;
use super::{PlayResult, TurnPlayer};
use crate::world::core::lock;
use crate::world::script::{AgentAttempt, AgentStep};

impl TurnPlayer {
    /// Plays the failed attempts of a call.
    pub(super) async fn retry(&mut self, message: &str, step: &AgentStep) -> PlayResult<()> {
        let mut attempt = 0;
        for delay in &step.retries {
            attempt += 1;
            self.wait_for_attempt(attempt, "slow down", *delay).await?;
        }
        for broken in &step.broken_attempts {
            attempt += 1;
            self.break_off(message, broken).await?;
            self.wait_for_attempt(attempt, "Connection reset by server", broken.delay).await?;
        }
        Ok(())
    }

    async fn wait_for_attempt(
        &mut self,
        attempt: u64,
        message: &str,
        delay: Duration,
    ) -> PlayResult<()> {
        self.is_retrying = true;
        self.count("agent: retry");
        self.count_for_prompts(|truth| truth.retries += 1);
        let next = self.server.now_ms() + u64::try_from(delay.as_millis()).unwrap_or(0);
        self.status(json!({ "type": "retry", "attempt": attempt, "message": message,
            "next": next }));
        self.pause(delay).await?;
        self.status(json!({ "type": "busy" }));
        self.is_retrying = false;
        Ok(())
    }

    /// Streams a part of an answer. The parts that are not complete stay as they are.
    async fn break_off(&mut self, message: &str, attempt: &AgentAttempt) -> PlayResult<()> {
        self.count("agent: attempt broken off");
        let start = self.set_part(message, "step-start", json!({ "snapshot": SNAPSHOT }));
        let mut void = vec![start["id"].clone()];
        self.stream_part(message, "reasoning", &attempt.reasoning).await?;
        if let Some(part) = &self.text {
            void.push(part["id"].clone());
        }
        if !attempt.text.is_empty() {
            self.finish_text();
        }
        self.stream_part(message, "text", &attempt.text).await?;
        if let Some(part) = self.text.take() {
            void.push(part["id"].clone());
        }
        if attempt.has_tool {
            let pending = json!({ "tool": "bash", "callID": self.server.id("call"),
                "state": { "status": "pending", "input": {}, "raw": "" } });
            let part = self.set_part(message, "tool", pending);
            self.void_tools.push(part);
            self.pause(self.event_delay()).await?;
        }
        if let Some(session) = lock(&self.server.store).sessions.get_mut(&self.session)
            && let Some(message) = session.message(message)
        {
            message.void.extend(void.iter().filter_map(|id| id.as_str()).map(str::to_owned));
        }
        Ok(())
    }

    /// Ends the tool calls in whose arguments the provider broke off.
    pub(super) fn end_void_tools(&mut self) {
        for mut part in mem::take(&mut self.void_tools) {
            let now = self.server.now_ms();
            part["state"] = json!({ "status": "error", "input": {}, "time": { "start": now,
                "end": now }, "error": "Tool execution aborted" });
            self.store_part(&part);
        }
    }
}
