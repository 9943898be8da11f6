//! Command lines that a client has the session run.

use std::mem;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Aborted, PlayResult, TurnPlayer, end_prompts, user_info};
use crate::world::core::lock;
use crate::world::server::ServerInner;
use crate::world::server::store::{PromptEnd, PromptTruth, SessionRun, StoredMessage};

/// Runs a command line. Returns `None` when the session is busy.
pub(in crate::world::server) fn shell(
    server: &Arc<ServerInner>,
    session: &str,
    body: &Value,
) -> Option<Arc<Mutex<SessionRun>>> {
    let text = body["command"].as_str().unwrap_or_default().to_owned();
    let message = body["messageID"].as_str().unwrap_or_default().to_owned();
    let run = {
        let mut store = lock(&server.store);
        let live = store.live.as_mut()?;
        if live.runs.contains_key(session) {
            return None;
        }
        let (open, latest) = (vec![message.clone()], message.clone());
        let run = SessionRun { open, latest, ..SessionRun::default() };
        let run = Arc::new(Mutex::new(run));
        live.runs.insert(session.to_owned(), Arc::clone(&run));
        let truth = store.prompts.entry(message.clone()).or_default();
        let posts = truth.posts + 1;
        *truth = PromptTruth { session: session.to_owned(), text, posts, ..truth.clone() };
        run
    };
    let core = &server.shared().core;
    core.trace(format_args!("server {} runs the command line of {message}", server.port));
    core.count("agent: command line");
    let player = TurnPlayer::new(server, session, Arc::clone(&run));
    server.spawn(Box::pin(player.play_shell(message)));
    Some(run)
}

impl TurnPlayer {
    async fn play_shell(mut self, message: String) {
        self.status(json!({ "type": "busy" }));
        self.insert_shell_prompt(&message);
        let id = self.server.id("msg");
        let info = self.answer_info(&id, &message);
        self.begin_answer(&id, info);
        let started = self.server.now_ms();
        let input = json!({ "command": "true" });
        let running = |output: &str| {
            json!({ "status": "running", "input": input, "time": { "start": started },
                "metadata": { "output": output, "description": "" } })
        };
        let call = json!({ "tool": "bash", "callID": self.server.id("call"),
            "state": running("") });
        let mut part = self.set_part(&id, "tool", call);
        let worked = self.work_on_shell(&mut part, &running).await;
        let (end, output) = match worked {
            Ok(()) => (PromptEnd::Completed, "line\n"),
            Err(Aborted) => {
                (PromptEnd::Aborted, "line\n\n<metadata>\nUser aborted the command\n</metadata>")
            }
        };
        // The end counts from here on: a later abort changes nothing.
        let rest = {
            let mut run = lock(&self.run);
            run.open.retain(|open| *open != message);
            mem::take(&mut run.open)
        };
        end_prompts(&self.server, &[message], end);
        let completed = self.server.now_ms();
        self.change_answer(|info| info["time"]["completed"] = json!(completed));
        part["state"] = json!({ "status": "completed", "input": input, "title": "",
            "output": output, "metadata": { "output": output, "description": "" },
            "time": { "start": started, "end": completed } });
        self.store_part(&part);
        self.end_run();
        self.idle();
        {
            let mut run = lock(&self.run);
            run.is_over = true;
            mem::take(&mut run.wakers).into_iter().for_each(Waker::wake);
        }
        self.answer_rest(rest).await;
    }

    /// Works on the prompts that waited for the end of the command line.
    async fn answer_rest(&self, open: Vec<String>) {
        let Some(latest) = open.last().cloned() else { return };
        let run = SessionRun { open, latest, ..SessionRun::default() };
        let run = Arc::new(Mutex::new(run));
        if let Some(live) = &mut lock(&self.server.store).live {
            live.runs.insert(self.session.clone(), Arc::clone(&run));
        }
        Self::new(&self.server, &self.session, run).play(None).await;
    }

    async fn work_on_shell(
        &self,
        part: &mut Value,
        running: &(impl Fn(&str) -> Value + Send + Sync),
    ) -> PlayResult<()> {
        let time = self.server.shared().core.random(|random| match random.below(6) {
            0 => random.milliseconds(1_000, 200_000),
            1 => Duration::ZERO,
            _ => random.milliseconds(0, 900),
        });
        self.pause(time).await?;
        part["state"] = running("line\n");
        self.store_part(part);
        self.pause(time / 2).await
    }

    fn insert_shell_prompt(&self, message: &str) {
        let info = user_info(&self.server, &self.session, message);
        if let Some(session) = lock(&self.server.store).sessions.get_mut(&self.session) {
            session.messages.push(StoredMessage::new(message, info.clone()));
        }
        self.publish("message.updated", json!({ "info": info }));
        let text = "The following tool was executed by the user";
        self.set_part(message, "text", json!({ "text": text, "synthetic": true }));
    }
}
