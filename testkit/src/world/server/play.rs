//! The work on prompts, with the events of the real server in their order.

mod compact;
mod early_end;
mod publish;
mod retry;
mod shell;
mod step;
mod structured;
mod tool;

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use super::ServerInner;
use super::store::{PromptEnd, PromptTruth, SessionRun, StoredMessage};
use crate::world::core::{BoxFuture, lock};
use crate::world::script::{AgentScript, AgentStep, OutputPlan};
use compact::CompactionCause;

pub(super) use compact::summarize;
pub(super) use shell::shell;

/// Posts a prompt that no turn of the client knows.
pub(super) fn foreign_prompt(server: &Arc<ServerInner>, session: &str, text: &str) {
    let message = server.id("msg");
    {
        let mut store = lock(&server.store);
        if store.deleted.contains(session) {
            return;
        }
        store.scripts.insert(text.to_owned(), AgentScript::text(["Answer to ", text, "."]));
    }
    let parts = json!([{ "type": "text", "text": text }]);
    prompt(server, session, &json!({ "messageID": message, "parts": parts }));
}

/// Accepts a prompt.
pub(super) fn prompt(server: &Arc<ServerInner>, session: &str, body: &Value) {
    let text: String = body["parts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"].as_str())
        .collect();
    let message = body["messageID"].as_str().unwrap_or_default().to_owned();
    {
        let mut store = lock(&server.store);
        let truth = store.prompts.entry(message.clone()).or_default();
        truth.posts += 1;
        if truth.posts > 1 {
            return;
        }
        *truth = PromptTruth { session: session.to_owned(), text: text.clone(), ..truth.clone() };
    }
    let core = &server.shared().core;
    core.trace(format_args!("server {} accepts {message}: {text:?}", server.port));
    let format = match body["format"]["type"].as_str() {
        Some("json_schema") => body["format"].clone(),
        _ => Value::Null,
    };
    store_prompt(server, session, &message, &text, &format);
    if body["noReply"] == true {
        end_prompts(server, &[message], PromptEnd::Completed);
        return;
    }
    let mut store = lock(&server.store);
    let Some(live) = &mut store.live else { return };
    if let Some(run) = live.runs.get(session) {
        let mut run = lock(run);
        run.open.push(message.clone());
        run.latest = message;
        return;
    }
    let run = SessionRun { open: vec![message.clone()], latest: message, ..SessionRun::default() };
    let run = Arc::new(Mutex::new(run));
    live.runs.insert(session.to_owned(), Arc::clone(&run));
    drop(store);
    let player = TurnPlayer::new(server, session, run);
    server.spawn(Box::pin(async move {
        player.play(None).await;
    }));
}

/// Aborts the session and the descendants. The abort is complete when
/// all returned runs are over.
pub(super) fn abort(server: &ServerInner, session: &str) -> Vec<Arc<Mutex<SessionRun>>> {
    stop(server, session, PromptEnd::Aborted)
}

/// Aborts the session and the descendants for this reason.
pub(super) fn stop(
    server: &ServerInner,
    session: &str,
    end: PromptEnd,
) -> Vec<Arc<Mutex<SessionRun>>> {
    let mut store = lock(&server.store);
    let family = store.family(session);
    let (mut stopped, mut runs) = (Vec::new(), Vec::new());
    for session in &family {
        let Some(live) = &mut store.live else { return Vec::new() };
        let Some(shared) = live.runs.remove(session) else { continue };
        let mut run = lock(&shared);
        run.is_aborted = true;
        stopped.append(&mut run.open);
        mem::take(&mut run.wakers).into_iter().for_each(Waker::wake);
        drop(run);
        runs.push(shared);
    }
    for ask in store.asks.values_mut() {
        ask.is_waiting &= !family.contains(&ask.session);
    }
    let is_idle = runs.is_empty() && store.sessions.contains_key(session);
    if is_idle && let Some(live) = &mut store.live {
        live.statuses.remove(session);
    }
    drop(store);
    end_prompts(server, &stopped, end);
    if is_idle {
        publish_idle(server, session);
    }
    runs
}

/// Waits until the run has published all events.
pub(super) async fn wait_until_over(run: Arc<Mutex<SessionRun>>) {
    poll_fn(|cx| {
        let mut run = lock(&run);
        if run.is_over {
            return Poll::Ready(());
        }
        run.wakers.push(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

fn publish_idle(server: &ServerInner, session: &str) {
    server.publish(session, "session.status", json!({ "status": { "type": "idle" } }));
    server.publish(session, "session.idle", json!({}));
}

fn end_prompts(server: &ServerInner, prompts: &[String], end: PromptEnd) {
    let mut store = lock(&server.store);
    for prompt in prompts {
        if let Some(truth) = store.prompts.get_mut(prompt)
            && truth.end == PromptEnd::Running
        {
            truth.end = end;
        }
    }
}

/// Notes that one answer was for all of these prompts. The answer names the last one.
fn note_group(server: &ServerInner, prompts: &[String]) {
    let mut store = lock(&server.store);
    for prompt in prompts {
        if let Some(truth) = store.prompts.get_mut(prompt) {
            truth.group = prompts.to_vec();
        }
    }
}

fn user_info(server: &ServerInner, session: &str, message: &str) -> Value {
    json!({ "id": message, "role": "user", "sessionID": session,
        "time": { "created": server.now_ms() }, "agent": "build",
        "model": { "providerID": "scripted", "modelID": "m1" } })
}

fn store_prompt(server: &ServerInner, session: &str, message: &str, text: &str, format: &Value) {
    let mut info = user_info(server, session, message);
    if !format.is_null() {
        info["format"] = format.clone();
    }
    let part = json!({ "id": server.id("prt"), "messageID": message, "sessionID": session,
        "type": "text", "text": text });
    {
        let mut store = lock(&server.store);
        let Some(session) = store.sessions.get_mut(session) else { return };
        session.has_structured |= !format.is_null();
        let mut stored = StoredMessage::new(message, info.clone());
        stored.parts.push(part.clone());
        session.messages.push(stored);
    }
    server.publish(session, "message.updated", json!({ "info": info }));
    server.publish(
        session,
        "message.part.updated",
        json!({ "part": part, "time": server.now_ms() }),
    );
}

/// The session was aborted.
struct Aborted;

type PlayResult<T> = Result<T, Aborted>;

/// End of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepEnd {
    Failed,
    /// The input exceeded the context of the model.
    Overflowed,
    Rejected,
    Stop,
    /// The answer is the structured output, or lacks it.
    Structured(OutputPlan),
    Tools,
}

/// End of a tool call.
enum ToolEnd {
    Rejected,
    Done,
}

struct TurnPlayer {
    server: Arc<ServerInner>,
    session: String,
    run: Arc<Mutex<SessionRun>>,
    /// Unfinished message, text part and tool part, to complete when the session is aborted.
    message: Option<Value>,
    text: Option<Value>,
    tool: Option<Value>,
    /// Tool calls in whose arguments the provider broke off.
    void_tools: Vec<Value>,
    is_retrying: bool,
}

impl TurnPlayer {
    fn new(server: &Arc<ServerInner>, session: &str, run: Arc<Mutex<SessionRun>>) -> Self {
        Self {
            server: Arc::clone(server),
            session: session.to_owned(),
            run,
            message: None,
            text: None,
            tool: None,
            void_tools: Vec::new(),
            is_retrying: false,
        }
    }

    /// Works until every prompt is answered. `script` replaces the script of the first prompt.
    async fn play(mut self, script: Option<AgentScript>) {
        self.publish("session.updated", self.session_info());
        match self.work(script).await {
            Ok(StepEnd::Stop | StepEnd::Tools) => {
                self.end_run();
                self.status(json!({ "type": "busy" }));
                self.idle();
                self.publish_final_updates();
                self.plugin_prompt();
            }
            Ok(StepEnd::Overflowed) => unreachable!("the session was compacted"),
            Ok(StepEnd::Rejected | StepEnd::Structured(_)) => {
                self.end_run();
                self.idle();
                self.publish_final_updates();
            }
            Ok(StepEnd::Failed) => self.end_run(),
            Err(Aborted) => self.finish_abort().await,
        }
        let mut run = lock(&self.run);
        run.is_over = true;
        mem::take(&mut run.wakers).into_iter().for_each(Waker::wake);
    }

    /// Has a plugin prompt the session a moment later, now and then.
    fn plugin_prompt(&self) {
        let rate = self.server.shared().core.activity().plugin_prompts;
        let is_root = lock(&self.server.store).root(&self.session) == self.session;
        if !is_root || !self.happens(rate) {
            return;
        }
        self.count("plugin: prompt");
        let (server, session) = (Arc::clone(&self.server), self.session.clone());
        let time = server.shared().core.random(|random| match random.below(3) {
            0 => random.milliseconds(0, 5_000),
            _ => random.milliseconds(0, 30),
        });
        self.server.spawn(Box::pin(async move {
            server.sleep(time).await;
            let text = format!("plugin {}", server.id("prompt"));
            foreign_prompt(&server, &session, &text);
        }));
    }

    /// Boxed form of [`Self::play`], because subagents start subagents.
    fn play_boxed(self, script: AgentScript) -> BoxFuture<()> {
        Box::pin(self.play(Some(script)))
    }

    async fn work(&mut self, script: Option<AgentScript>) -> PlayResult<StepEnd> {
        if let Some(end) = self.serve_summary().await? {
            return Ok(end);
        }
        let mut prompt = lock(&self.run).latest.clone();
        let mut script = script.unwrap_or_else(|| self.script(&prompt));
        let mut number = 0;
        let mut is_first = true;
        loop {
            if let Some(end) = self.serve_summary().await? {
                return Ok(end);
            }
            let latest = lock(&self.run).latest.clone();
            if latest != prompt {
                prompt = latest;
                script = self.script(&prompt);
                number = 0;
            }
            let Some(step) = script.steps.get(number).cloned() else { return Ok(StepEnd::Tools) };
            number += 1;
            let fills_context = step.fills_context;
            let mut end = self.step(&prompt, step, is_first).await?;
            is_first = false;
            let cause = match end {
                StepEnd::Overflowed => Some(CompactionCause::Overflow),
                StepEnd::Stop | StepEnd::Tools if fills_context => Some(CompactionCause::Full),
                StepEnd::Failed
                | StepEnd::Rejected
                | StepEnd::Stop
                | StepEnd::Structured(_)
                | StepEnd::Tools => None,
            };
            if let Some(cause) = cause {
                if let Some(inserted) = self.compact(cause).await? {
                    prompt = inserted;
                    if end == StepEnd::Overflowed {
                        // The same call again, with the summary as input.
                        number -= 1;
                        script.steps[number].overflows = false;
                    } else if number == script.steps.len() {
                        script.steps.push(AgentStep::text(["Nothing is left to do."]));
                    }
                    continue;
                }
                end = StepEnd::Failed;
            }
            let end_of_prompts = match end {
                StepEnd::Stop | StepEnd::Structured(OutputPlan::Number(_)) => PromptEnd::Completed,
                StepEnd::Rejected => PromptEnd::Rejected,
                StepEnd::Failed
                | StepEnd::Overflowed
                | StepEnd::Structured(OutputPlan::Missing) => PromptEnd::Failed,
                StepEnd::Tools => continue,
            };
            // Prompts that arrived in the meantime are next.
            let answered = {
                let mut run = lock(&self.run);
                let answered = run.up_to(&prompt);
                run.open.drain(..answered).collect::<Vec<_>>()
            };
            note_group(&self.server, &answered);
            end_prompts(&self.server, &answered, end_of_prompts);
            let is_idle = {
                let run = lock(&self.run);
                run.open.is_empty() && run.summary.is_none()
            };
            if end != StepEnd::Stop || is_idle {
                return Ok(end);
            }
        }
    }

    fn script(&self, prompt: &str) -> AgentScript {
        let (text, script, is_structured) = {
            let mut store = lock(&self.server.store);
            let text =
                store.prompts.get(prompt).map(|prompt| prompt.text.clone()).unwrap_or_default();
            let script = store.scripts.get(&text).cloned();
            let session = store.sessions.get_mut(&self.session);
            let message = session.and_then(|session| session.message(prompt));
            let is_structured = message.is_some_and(|message| !message.info["format"].is_null());
            (text, script, is_structured)
        };
        script.unwrap_or_else(|| {
            let core = &self.server.shared().core;
            let activity = core.activity();
            core.random(|random| {
                let script = AgentScript::any(random, &activity, &text);
                if is_structured { script.with_output(OutputPlan::any(random)) } else { script }
            })
        })
    }

    /// Waits for `time`. Fails when the session is aborted.
    async fn pause(&self, time: Duration) -> PlayResult<()> {
        if lock(&self.run).is_aborted {
            return Err(Aborted);
        }
        if time.is_zero() {
            return Ok(());
        }
        let mut sleep = pin!(self.server.sleep(time));
        poll_fn(|cx| {
            let mut run = lock(&self.run);
            if run.is_aborted {
                return Poll::Ready(Err(Aborted));
            }
            run.wakers.push(cx.waker().clone());
            drop(run);
            sleep.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Draws the time between two events.
    fn event_delay(&self) -> Duration {
        self.server.shared().core.random(|random| match random.below(40) {
            0 => random.milliseconds(1_000, 15_000),
            1..=4 => random.milliseconds(10, 300),
            5..=15 => random.milliseconds(0, 4),
            _ => Duration::ZERO,
        })
    }

    fn count(&self, kind: &'static str) {
        self.server.shared().core.count(kind);
    }

    fn happens(&self, per_mille: u64) -> bool {
        self.server.shared().core.random(|random| random.happens(per_mille))
    }

    /// Ends the run: the next prompt starts a new one.
    fn end_run(&self) {
        let mut store = lock(&self.server.store);
        let Some(live) = &mut store.live else { return };
        let is_ours = live.runs.get(&self.session).is_some_and(|run| Arc::ptr_eq(run, &self.run));
        let run = if is_ours { live.runs.remove(&self.session) } else { None };
        drop(store);
        drop(run);
        // A prompt that arrived after the last look at the queue is never worked on.
        let lost = mem::take(&mut lock(&self.run).open);
        end_prompts(&self.server, &lost, PromptEnd::Torn);
    }
}
