//! Tool calls: asks, execution, and subagents.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Aborted, PlayResult, ToolEnd, TurnPlayer, store_prompt};
use crate::world::core::lock;
use crate::world::script::{AgentScript, AgentTool, AskKind};
use crate::world::server::store::{AskReply, AskTruth, PendingAsk, SessionRun, StoredSession};

const REJECTED: &str = "The user rejected permission to use this specific tool call";
const DISMISSED: &str = "The user dismissed this question";

impl TurnPlayer {
    pub(super) async fn use_tool(&mut self, message: &str, tool: AgentTool) -> PlayResult<ToolEnd> {
        let name = match (&tool.subagent, tool.ask) {
            (Some(_), _) => "task",
            (None, Some(AskKind::Question)) => "question",
            (None, Some(AskKind::Permission) | None) => "bash",
        };
        let call = self.server.id("call");
        let pending = json!({ "tool": name, "callID": call,
            "state": { "status": "pending", "input": {}, "raw": "" } });
        let mut part = self.set_part(message, "tool", pending);
        self.tool = Some(part.clone());
        self.pause(self.event_delay()).await?;
        let started = self.server.now_ms();
        let input = json!({ "command": "true", "description": "d" });
        let running = json!({ "status": "running", "input": input, "time": { "start": started } });
        if let Some(kind) = tool.ask {
            let is_late = self.server.shared().core.weather().disordered > 0 && self.happens(200);
            if is_late {
                self.change_tool(&mut part, running.clone());
            }
            let ask = self.ask(kind, message, &call);
            if !is_late {
                self.change_tool(&mut part, running.clone());
            }
            self.finish_text();
            let (text, end) = match self.wait_for(&ask).await? {
                AskReply::Granted => (String::new(), ToolEnd::Done),
                AskReply::Refused => match kind {
                    AskKind::Permission => (format!("{REJECTED}."), ToolEnd::Rejected),
                    AskKind::Question => (DISMISSED.to_owned(), ToolEnd::Rejected),
                },
                AskReply::RefusedWith(word) => {
                    (format!("{REJECTED} with the following feedback: {word}"), ToolEnd::Done)
                }
            };
            if !text.is_empty() {
                let ended = self.server.now_ms();
                self.change_tool(
                    &mut part,
                    json!({ "status": "error", "input": input,
                    "error": text, "time": { "start": started, "end": ended } }),
                );
                self.tool = None;
                return Ok(end);
            }
            if kind == AskKind::Permission {
                self.change_tool(&mut part, running.clone());
            }
        } else if tool.subagent.is_none() {
            self.change_tool(&mut part, running.clone());
            self.finish_text();
        }
        let mut output = String::new();
        if let Some(script) = tool.subagent {
            output = self.delegate(&mut part, running.clone(), *script).await?;
        }
        for piece in &tool.output {
            self.pause(tool.time / 4).await?;
            output.push_str(piece);
            let mut state = running.clone();
            state["metadata"] = json!({ "output": output });
            self.change_tool(&mut part, state);
        }
        self.pause(tool.time).await?;
        let time = json!({ "start": started, "end": self.server.now_ms() });
        let state = match tool.fails {
            true => {
                json!({ "status": "error", "input": input, "error": "File not found",
                    "time": time })
            }
            false => json!({ "status": "completed", "input": input, "output": output,
                "metadata": { "output": output, "exit": 0 }, "title": "true", "time": time }),
        };
        self.change_tool(&mut part, state);
        self.tool = None;
        Ok(ToolEnd::Done)
    }

    /// Runs a subagent in a child session.
    pub(super) async fn delegate(
        &mut self,
        part: &mut Value,
        running: Value,
        script: AgentScript,
    ) -> PlayResult<String> {
        self.count("agent: subagent");
        let child = self.server.id("ses");
        let now = self.server.now_ms();
        let (info, run, message) = {
            let message = self.server.id("msg");
            let mut store = lock(&self.server.store);
            let directory = store.sessions[&self.session].directory.clone();
            let session = StoredSession {
                id: child.clone(),
                directory,
                parent: Some(self.session.clone()),
                title: "sub (@general subagent)".to_owned(),
                created: now,
                messages: Vec::new(),
                has_structured: false,
            };
            let info = session.info(now);
            store.sessions.insert(child.clone(), session);
            let run = SessionRun {
                latest: message.clone(),
                open: vec![message.clone()],
                ..SessionRun::default()
            };
            let run = Arc::new(Mutex::new(run));
            if let Some(live) = &mut store.live {
                live.runs.insert(child.clone(), Arc::clone(&run));
            }
            (info, run, message)
        };
        self.server.publish(&child, "session.created", json!({ "info": info }));
        self.change_tool(part, running.clone());
        store_prompt(&self.server, &child, &message, "do", &Value::Null);
        let mut state = running;
        state["metadata"] = json!({ "parentSessionId": self.session, "sessionId": child });
        self.change_tool(part, state);
        Self::new(&self.server, &child, run).play_boxed(script).await;
        self.pause(Duration::ZERO).await?;
        Ok(format!("<task id=\"{child}\">done</task>"))
    }

    pub(super) fn ask(&self, kind: AskKind, message: &str, call: &str) -> String {
        self.count(match kind {
            AskKind::Permission => "agent: permission request",
            AskKind::Question => "agent: question",
        });
        let tool = json!({ "messageID": message, "callID": call });
        let (id, event, mut body) = match kind {
            AskKind::Permission => (
                self.server.id("per"),
                "permission.asked",
                json!({ "permission": "bash", "patterns": ["true"], "always": ["true *"],
                    "metadata": { "command": "true" }, "tool": tool }),
            ),
            AskKind::Question => (
                self.server.id("que"),
                "question.asked",
                json!({ "questions": [{ "question": "Which?", "header": "H", "options": [
                    { "label": "A", "description": "a" }, { "label": "B", "description": "b" }] }],
                    "tool": tool }),
            ),
        };
        body["id"] = json!(id);
        body["sessionID"] = json!(self.session);
        {
            let mut store = lock(&self.server.store);
            let root = store.root(&self.session);
            let live = store.live.as_ref();
            let prompts = live
                .and_then(|live| live.runs.get(&root))
                .map(|run| lock(run).open.clone())
                .unwrap_or_default();
            let now = self.server.shared().core.now();
            store.asks.insert(
                id.clone(),
                AskTruth {
                    id: id.clone(),
                    session: self.session.clone(),
                    prompts,
                    accepted: Vec::new(),
                    is_waiting: true,
                    asked_ms: u64::try_from(now.as_millis()).unwrap_or(0),
                },
            );
            if let Some(live) = &mut store.live {
                let session = self.session.clone();
                let body = body.clone();
                live.pending.push(PendingAsk {
                    id: id.clone(),
                    kind,
                    session,
                    body,
                    reply: None,
                    waker: None,
                });
            }
        }
        self.publish(event, body);
        id
    }

    pub(super) async fn wait_for(&self, ask: &str) -> PlayResult<AskReply> {
        let reply = poll_fn(|cx| {
            let mut store = lock(&self.server.store);
            let Some(live) = &mut store.live else { return Poll::Pending };
            let Some(pending) = live.pending.iter_mut().find(|pending| pending.id == ask) else {
                return Poll::Pending;
            };
            if let Some(reply) = &pending.reply {
                return Poll::Ready(Ok(reply.clone()));
            }
            pending.waker = Some(cx.waker().clone());
            drop(store);
            let mut run = lock(&self.run);
            if run.is_aborted {
                return Poll::Ready(Err(Aborted));
            }
            run.wakers.push(cx.waker().clone());
            Poll::Pending
        });
        let reply = reply.await?;
        if let Some(truth) = lock(&self.server.store).asks.get_mut(ask) {
            truth.is_waiting = false;
        }
        Ok(reply)
    }
}
