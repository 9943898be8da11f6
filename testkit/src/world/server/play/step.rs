//! One call of the model.

use serde_json::{Value, json};

use super::{PlayResult, StepEnd, ToolEnd, TurnPlayer};
use crate::world::script::AgentStep;
use crate::world::server::tokens;

pub(super) const COST: f64 = 0.25;
pub(super) const SNAPSHOT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl TurnPlayer {
    pub(super) async fn step(
        &mut self,
        prompt: &str,
        step: AgentStep,
        is_first: bool,
    ) -> PlayResult<StepEnd> {
        self.status(json!({ "type": "busy" }));
        self.pause(self.event_delay()).await?;
        let id = self.server.id("msg");
        let has_tools = !step.tools.is_empty();
        self.begin_answer(&id, self.answer_info(&id, prompt));
        let is_late = self.happens(500);
        if is_first && !is_late {
            self.publish_session_updates(prompt);
        }
        self.status(json!({ "type": "busy" }));
        if is_first && is_late {
            self.publish_session_updates(prompt);
        }
        self.pause(step.delay).await?;
        self.retry(&id, &step).await?;
        if let Some(message) = &step.fails {
            self.count("agent: refused by the provider");
            self.fail_run(message).await;
            return Ok(StepEnd::Failed);
        }
        if step.overflows {
            self.overflow();
            return Ok(StepEnd::Overflowed);
        }
        self.set_part(&id, "step-start", json!({ "snapshot": SNAPSHOT }));
        self.stream_part(&id, "reasoning", &step.reasoning).await?;
        self.finish_text();
        self.stream_part(&id, "text", &step.text).await?;
        let mut end = if has_tools { StepEnd::Tools } else { StepEnd::Stop };
        for tool in step.tools {
            match self.use_tool(&id, tool).await? {
                ToolEnd::Done => {}
                ToolEnd::Rejected => {
                    end = StepEnd::Rejected;
                    break;
                }
            }
        }
        self.finish_text();
        if let Some(output) = step.structured {
            return self.end_structured(&id, output).await;
        }
        let reason = if has_tools { "tool-calls" } else { "stop" };
        self.set_part(
            &id,
            "step-finish",
            json!({ "reason": reason, "snapshot": SNAPSHOT,
            "cost": COST, "tokens": tokens(true) }),
        );
        self.pause(self.event_delay()).await?;
        let completed = self.server.now_ms();
        self.change_answer(|info| {
            info["finish"] = json!(reason);
            info["cost"] = json!(COST);
            info["tokens"] = tokens(true);
        });
        self.end_void_tools();
        self.change_answer(|info| info["time"]["completed"] = json!(completed));
        self.message = None;
        Ok(end)
    }

    pub(super) fn answer_info(&self, id: &str, parent: &str) -> Value {
        json!({
            "id": id, "parentID": parent, "role": "assistant", "mode": "build", "agent": "build",
            "path": { "cwd": self.server.directory, "root": self.server.directory }, "cost": 0,
            "tokens": tokens(false), "modelID": "m1", "providerID": "scripted",
            "time": { "created": self.server.now_ms() }, "sessionID": self.session,
        })
    }

    /// Streams a part piece by piece. [`Self::finish_text`] completes the part.
    pub(super) async fn stream_part(
        &mut self,
        message: &str,
        kind: &str,
        pieces: &[String],
    ) -> PlayResult<()> {
        if pieces.is_empty() {
            return Ok(());
        }
        let part = json!({ "text": "", "time": { "start": self.server.now_ms() } });
        let part = self.set_part(message, kind, part);
        let id = part["id"].clone();
        let mut text = String::new();
        self.text = Some(part);
        for piece in pieces {
            self.pause(self.event_delay()).await?;
            text.push_str(piece);
            if let Some(part) = &mut self.text {
                // The real database gets the text when the part is complete.
                part["text"] = json!(text);
            }
            self.publish(
                "message.part.delta",
                json!({ "messageID": message, "partID": id,
                "field": "text", "delta": piece }),
            );
        }
        self.pause(self.event_delay()).await
    }

    pub(super) fn finish_text(&mut self) {
        let Some(mut part) = self.text.take() else { return };
        part["time"]["end"] = json!(self.server.now_ms());
        self.store_part(&part);
    }
}
