//! Structured output at the end of an answer.

use serde_json::json;

use super::step::{COST, SNAPSHOT};
use super::{PlayResult, StepEnd, TurnPlayer};
use crate::world::script::OutputPlan;
use crate::world::server::tokens;

impl TurnPlayer {
    pub(super) async fn end_structured(
        &mut self,
        message: &str,
        output: OutputPlan,
    ) -> PlayResult<StepEnd> {
        let reason = match output {
            OutputPlan::Missing => "stop",
            OutputPlan::Number(number) => {
                self.output_tool(message, number).await?;
                "tool-calls"
            }
        };
        self.set_part(
            message,
            "step-finish",
            json!({ "reason": reason, "snapshot": SNAPSHOT, "cost": COST,
            "tokens": tokens(true) }),
        );
        self.pause(self.event_delay()).await?;
        self.end_void_tools();
        let completed = self.server.now_ms();
        let error = "Model did not produce structured output";
        let error = json!({ "name": "StructuredOutputError", "data": { "message": error,
            "retries": 0 } });
        if let OutputPlan::Number(number) = output {
            self.count("agent: structured output");
            self.count_for_prompts(|truth| truth.structured = Some(number));
        } else {
            self.count("agent: structured output missing");
        }
        for update in 0..3 {
            self.change_answer(|info| {
                info["finish"] = json!(reason);
                info["cost"] = json!(COST);
                info["tokens"] = tokens(true);
                match output {
                    OutputPlan::Missing => {
                        info["error"] = error.clone();
                        info["time"]["completed"] = json!(completed);
                    }
                    OutputPlan::Number(_) if update == 0 => {}
                    OutputPlan::Number(number) => {
                        info["structured"] = json!({ "x": number });
                        info["time"]["completed"] = json!(completed);
                    }
                }
            });
        }
        self.message = None;
        Ok(StepEnd::Structured(output))
    }

    async fn output_tool(&mut self, message: &str, number: u64) -> PlayResult<()> {
        let pending = json!({ "tool": "StructuredOutput", "callID": self.server.id("call"),
            "state": { "status": "pending", "input": {}, "raw": "" } });
        let mut part = self.set_part(message, "tool", pending);
        self.tool = Some(part.clone());
        self.pause(self.event_delay()).await?;
        let (input, start) = (json!({ "x": number }), self.server.now_ms());
        let running = json!({ "status": "running", "input": input, "time": { "start": start } });
        self.change_tool(&mut part, running);
        self.pause(self.event_delay()).await?;
        let time = json!({ "start": start, "end": self.server.now_ms() });
        let completed = json!({ "status": "completed", "input": input, "metadata": {},
            "output": "Structured output captured successfully.", "title": "Structured Output",
            "time": time });
        self.change_tool(&mut part, completed);
        self.tool = None;
        Ok(())
    }
}
