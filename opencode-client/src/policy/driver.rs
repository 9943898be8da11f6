//! Driver of a policy's judge.
//!
//! The judge is shared by all turns of a session, and each turn runs only while the stream is
//! polled. So every waiting request drives the judge for all of them, and no task is spawned.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::{FutureExt, Shared};
use futures_util::stream::{FuturesUnordered, StreamExt};
use opencode_proto::policy::{
    FileFinding, FileQuestion, FileQuestionId, PolicyAction, PolicyJudge, PolicyVerdict,
};
use opencode_proto::{
    ApiCallId, ApiReply, Pending, PermissionId, PermissionKind, PermissionReply, PermissionRequest,
};

use super::files::find;
use super::gate::Gate;
use super::{Policy, PolicyObserver};
use crate::http::{Calls, Http};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::{BoxFuture, First, poll_timer, race};
use crate::runtime::{Runtime, Timer};
use crate::session::turn::handler::Handler;

#[cfg(test)]
mod tests;

/// A session's policy at work.
pub(super) struct PolicyDriver {
    confirm: Option<Handler<PermissionKind>>,
    observer: Option<PolicyObserver>,
    gate: Option<Gate>,
    inbox: UnboundedSender<JudgeInput>,
    running: Shared<BoxFuture<()>>,
}

/// Input of the judge that comes from a request's own future.
enum JudgeInput {
    Ask(Pending<PermissionRequest>, UnboundedSender<RequestOutput>),
    Confirm(PermissionId, PermissionReply),
    Withdrawn(PermissionId),
}

/// Output of the judge for one request.
enum RequestOutput {
    Confirm(Pending<PermissionRequest>),
    Decided(PolicyVerdict),
}

impl PolicyDriver {
    pub(super) fn new(
        policy: Policy,
        judge: PolicyJudge,
        gate: Option<Gate>,
        http: Http,
        directory: Option<String>,
    ) -> Self {
        let (inbox, inputs) = unbounded();
        let running = JudgeLoop {
            judge,
            runtime: Arc::clone(http.runtime()),
            calls: Calls::new(http, directory),
            inputs,
            looks: FuturesUnordered::new(),
            requests: BTreeMap::new(),
            timer: None,
        };
        Self {
            confirm: policy.confirm,
            observer: policy.observer,
            gate,
            inbox,
            running: running.run().boxed().shared(),
        }
    }

    /// Decides a request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws the request.
    pub(super) async fn decide(&self, ask: Pending<PermissionRequest>) -> PermissionReply {
        let mut withdrawal = Withdrawal { inbox: &self.inbox, id: Some(ask.request.id.clone()) };
        let (give, mut outputs) = unbounded();
        self.tell(JudgeInput::Ask(ask, give));
        loop {
            match self.drive(outputs.next()).await {
                Some(RequestOutput::Confirm(ask)) => {
                    let id = ask.request.id.clone();
                    let reply = self.drive(self.confirm(ask)).await;
                    self.tell(JudgeInput::Confirm(id, reply));
                }
                Some(RequestOutput::Decided(verdict)) => {
                    withdrawal.id = None;
                    let PolicyVerdict { request, reply, reason, .. } = &verdict;
                    let (permission, reply) = (&*request.permission, reply.as_str());
                    tracing::debug!(permission, reply, %reason, "policy decided");
                    if let Some(observer) = &self.observer {
                        observer(&verdict);
                    }
                    // The approval has to be there before the server gets the reply.
                    if let (Some(gate), Some(line)) = (&self.gate, verdict.allowed_command_line()) {
                        gate.approve(line).await;
                    }
                    return verdict.reply;
                }
                // Another turn of the session took the request over.
                None => pending().await,
            }
        }
    }

    /// Waits for `future`, and drives the judge meanwhile.
    async fn drive<F: Future>(&self, future: F) -> F::Output {
        match race(future, self.running.clone()).await {
            First::One(output) => output,
            First::Other(()) => unreachable!("the judge runs as long as its inbox is open"),
        }
    }

    async fn confirm(&self, ask: Pending<PermissionRequest>) -> PermissionReply {
        let Some(confirm) = &self.confirm else { return PermissionReply::reject() };
        // The future is made here too, since the function itself may panic.
        let confirmed = AssertUnwindSafe(async { confirm(ask).await }).catch_unwind().await;
        confirmed.unwrap_or_else(|_| {
            tracing::error!("the confirm function of a policy panicked");
            PermissionReply::reject()
        })
    }

    fn tell(&self, input: JudgeInput) {
        let sent = self.inbox.unbounded_send(input);
        debug_assert!(sent.is_ok(), "the judge runs as long as its inbox is open");
    }
}

/// Withdraws a request when the future is dropped before the verdict.
struct Withdrawal<'a> {
    inbox: &'a UnboundedSender<JudgeInput>,
    id: Option<PermissionId>,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // A closed inbox has no request to withdraw.
            let _ = self.inbox.unbounded_send(JudgeInput::Withdrawn(id));
        }
    }
}

/// The judge with everything that it waits for.
struct JudgeLoop {
    judge: PolicyJudge,
    runtime: Arc<dyn Runtime>,
    calls: Calls,
    inputs: UnboundedReceiver<JudgeInput>,
    looks: FuturesUnordered<BoxFuture<Look>>,
    requests: BTreeMap<PermissionId, UnboundedSender<RequestOutput>>,
    timer: Option<Pin<Box<dyn Timer>>>,
}

/// A question about files, with the findings.
type Look = (FileQuestionId, Vec<FileFinding>);

/// Reason to go on.
enum JudgeEvent {
    Input(JudgeInput),
    Look(Look),
    Reply(ApiCallId, ApiReply),
    Timeout,
}

impl JudgeLoop {
    /// Runs until the inbox is closed.
    async fn run(mut self) {
        loop {
            let wake = self.carry_out();
            let Some(next) = poll_fn(|cx| self.poll_next(wake, cx)).await else { return };
            let now = self.runtime.now();
            match next {
                JudgeEvent::Reply(id, reply) => self.judge.handle_reply(id, reply, now),
                JudgeEvent::Look((id, found)) => self.judge.handle_files(id, &found, now),
                JudgeEvent::Input(JudgeInput::Ask(ask, outputs)) => {
                    self.requests.insert(ask.request.id.clone(), outputs);
                    self.judge.handle_ask(ask, now);
                }
                JudgeEvent::Input(JudgeInput::Confirm(id, reply)) => {
                    self.judge.handle_confirm(&id, reply, now);
                }
                JudgeEvent::Input(JudgeInput::Withdrawn(id)) => {
                    self.requests.remove(&id);
                    self.judge.handle_withdrawn(&id, now);
                }
                JudgeEvent::Timeout => self.judge.handle_timeout(now),
            }
        }
    }

    fn carry_out(&mut self) -> Option<Instant> {
        loop {
            match self.judge.poll_action() {
                PolicyAction::Call(call) => self.calls.begin(*call),
                PolicyAction::Confirm(ask) => {
                    let id = ask.request.id.clone();
                    self.tell(&id, RequestOutput::Confirm(*ask));
                }
                PolicyAction::Decided(verdict) => {
                    let id = verdict.request.id.clone();
                    self.tell(&id, RequestOutput::Decided(*verdict));
                    self.requests.remove(&id);
                }
                PolicyAction::LookAtFiles(FileQuestion { id, paths, .. }) => {
                    let runtime = Arc::clone(&self.runtime);
                    let found = async move {
                        let find_all = move || paths.iter().map(|path| find(path)).collect();
                        (id, unblock(&runtime, find_all).await)
                    };
                    self.looks.push(found.boxed());
                }
                PolicyAction::Wait(wake) => return wake,
            }
        }
    }

    fn tell(&self, id: &PermissionId, output: RequestOutput) {
        if let Some(outputs) = self.requests.get(id) {
            // A request whose future is gone is withdrawn by the next input.
            let _ = outputs.unbounded_send(output);
        }
    }

    /// Returns the next input; `None` when the inbox is closed.
    fn poll_next(
        &mut self,
        wake: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<JudgeEvent>> {
        if let Poll::Ready(input) = self.inputs.poll_next_unpin(cx) {
            return Poll::Ready(input.map(JudgeEvent::Input));
        }
        if let Poll::Ready((id, reply)) = self.calls.poll_reply(cx) {
            return Poll::Ready(Some(JudgeEvent::Reply(id, reply)));
        }
        if let Poll::Ready(Some(look)) = self.looks.poll_next_unpin(cx) {
            return Poll::Ready(Some(JudgeEvent::Look(look)));
        }
        match wake {
            Some(at) => {
                let timeout = poll_timer(&*self.runtime, &mut self.timer, at, cx);
                timeout.map(|()| Some(JudgeEvent::Timeout))
            }
            None => Poll::Pending,
        }
    }
}
