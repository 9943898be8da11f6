//! A session under a policy, with all its subagents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opencode_config::PermissionAction;
use opencode_proto::api::{ReadMessage, ReadSession, ServerRule};
use opencode_proto::{
    CallId, MessageId, Part, Pending, PermissionId, PermissionReply, PermissionRequest, SessionId,
    ToolRef, ToolState,
};
use serde_json::Value;

use super::footprint::{Base, Footprint, footprint, may_be_there, needs_input, resumed};
use super::order::Open;
use super::place::{Confinement, Place};
use super::rules::decide;
use super::{Memory, Policy, PolicyReason, Subagents, Verdict};
use crate::http::Http;
use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;

/// The arguments of a call are told after the ask, by some milliseconds.
const INPUT_TRIES: u32 = 100;
const INPUT_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Tree {
    pub(super) policy: Policy,
    pub(super) root: SessionId,
    pub(super) http: Http,
    pub(super) directory: Option<String>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) base: Base,
    pub(super) limits: Limits,
    pub(super) memory: Memory,
    pub(super) calls: Mutex<Calls>,
    pub(super) open: Open,
}

/// The calls that asked. The id alone is not enough: a model may give several the same.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: BTreeSet<Call>,
    /// Those whose arguments were looked at for a permission, and the ask they were looked at for.
    looked_at: BTreeMap<(Call, String), PermissionId>,
}

type Call = (SessionId, Option<MessageId>, CallId);

/// Where files may be used. `None`: anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) reads: Option<Confinement>,
    pub(super) writes: Option<Confinement>,
}

type Judged = (PermissionReply, PolicyReason);

impl Tree {
    pub(super) async fn decide(&self, ask: Pending<PermissionRequest>) -> PermissionReply {
        let held = self.open.hold(&ask.request.id);
        let (reply, reason) = self.judge(&ask).await;
        if matches!(reply, PermissionReply::Reject { .. }) {
            held.refuse(self, &ask.session).await;
        }
        drop(held);
        tracing::debug!(permission = %ask.request.permission, reply = reply.as_str(), %reason, "policy");
        let Some(observer) = &self.policy.observer else { return reply };
        let verdict = Verdict { session: ask.session, request: ask.request, reply, reason };
        observer(&verdict);
        verdict.reply
    }

    async fn judge(&self, ask: &Pending<PermissionRequest>) -> Judged {
        if self.policy.subagents == Subagents::Off && ask.session != self.root {
            return refused(PolicyReason::Subagent);
        }
        if let Some(max) = self.policy.tool_calls_max
            && !self.counts(ask, max)
        {
            return refused(PolicyReason::ToolCalls { max });
        }
        if let Err(reason) = self.confine(ask).await {
            return refused(reason);
        }
        self.judge_by_rules(ask).await
    }

    async fn judge_by_rules(&self, ask: &Pending<PermissionRequest>) -> Judged {
        let request = &ask.request;
        match (decide(&self.policy.rules, request), &*request.permission) {
            (Some(PermissionAction::Allow), _) => {
                return (PermissionReply::Once, PolicyReason::Rule);
            }
            (Some(PermissionAction::Deny), _) => return refused(PolicyReason::Rule),
            (None, "external_directory") if self.limits.is_some() => {
                return (PermissionReply::Once, PolicyReason::Inside);
            }
            (None, "bash") if self.limits.is_some() => return refused(PolicyReason::Unconfined),
            // A refusal would end the turn, and each of the calls is decided by itself.
            (None, "doom_loop") if self.policy.confirm.is_none() => {
                return (PermissionReply::Once, PolicyReason::Repeated);
            }
            (Some(PermissionAction::Ask) | None, _) => {}
        }
        if self.memory.allows(request) {
            return (PermissionReply::Once, PolicyReason::Remembered);
        }
        let Some(confirm) = &self.policy.confirm else { return refused(PolicyReason::NobodyToAsk) };
        let reply = match confirm(ask.clone()).await {
            PermissionReply::Always => {
                self.memory.remember(request);
                PermissionReply::Once
            }
            reply @ (PermissionReply::Once | PermissionReply::Reject { .. } | _) => reply,
        };
        (reply, PolicyReason::Confirm)
    }

    /// Whether the call is one of the first. A call that asks again is the same.
    fn counts(&self, ask: &Pending<PermissionRequest>, max: usize) -> bool {
        let Some(call) = call(ask) else { return true };
        let all = &mut self.calls().all;
        all.contains(&call) || (all.len() < max && all.insert(call))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what leads out of the directories.
    async fn confine(&self, ask: &Pending<PermissionRequest>) -> Result<(), PolicyReason> {
        let is_limited = match &*ask.request.permission {
            "edit" => self.limits.writes.is_some(),
            "glob" | "grep" | "list" | "lsp" | "read" => self.limits.reads.is_some(),
            // It may name a session to go on with.
            "task" => true,
            _ => self.limits.is_some(),
        };
        if !is_limited {
            return Ok(());
        }
        let input = if needs_input(&ask.request) { self.input(ask).await } else { None };
        if let Some(child) = input.as_ref().and_then(resumed) {
            self.check_child(child.into(), &ask.session).await?;
        }
        let used = footprint(&ask.request, input.as_ref(), &self.base);
        let used = used.ok_or(PolicyReason::Unclear)?;
        let limits = self.limits.clone();
        unblock(&self.runtime, move || limits.check(&used)).await
    }

    /// The arguments of the call that asks. An ask may come before them.
    async fn input(&self, ask: &Pending<PermissionRequest>) -> Option<Value> {
        // Two calls with one id cannot be told apart.
        let (of, id) = ((call(ask)?, ask.request.permission.clone()), &ask.request.id);
        if self.calls().looked_at.entry(of).or_insert_with(|| id.clone()) != id {
            return None;
        }
        let ToolRef { message, call, .. } = ask.request.tool.as_ref()?;
        let read = ReadMessage::new(ask.session.clone(), message.clone()?);
        for _ in 0..INPUT_TRIES {
            let message = self.http.call(&read, self.directory.as_deref()).await.ok()?;
            let of_call = |part| {
                let Part::Tool(tool) = part else { return None };
                (tool.call == *call).then_some(tool.state)
            };
            let state = message.parts.into_iter().find_map(of_call);
            match state {
                Some(ToolState::Pending { .. }) | None => {
                    self.runtime.timer(self.runtime.now() + INPUT_PAUSE).await;
                }
                Some(state) => return state.input()?.decode().ok(),
            }
        }
        None
    }

    /// A `task` may go on with a session only that is a subagent of the one that asks, and that has no rights of its own.
    async fn check_child(&self, child: SessionId, parent: &SessionId) -> Result<(), PolicyReason> {
        let read = ReadSession::new(child);
        let Ok(info) = self.http.call(&read, self.directory.as_deref()).await else {
            // OpenCode makes a new one then.
            return Ok(());
        };
        let rules = ServerRule::of_session(&info);
        let is_tame = rules
            .is_some_and(|rules| rules.iter().all(|rule| rule.action != PermissionAction::Allow));
        if info.parent.as_ref() == Some(parent) && is_tame {
            Ok(())
        } else {
            Err(PolicyReason::Unclear)
        }
    }
}

impl Limits {
    pub(super) fn is_some(&self) -> bool {
        self.reads.is_some() || self.writes.is_some()
    }

    /// Blocks.
    fn check(&self, used: &Footprint) -> Result<(), PolicyReason> {
        for path in &used.reads {
            self.check_read(path)?;
        }
        for path in used.mentions.iter().filter(|path| may_be_there(path)) {
            self.check_read(path)?;
        }
        for path in &used.writes {
            match self.writes.as_ref().map(|writes| writes.place(path)) {
                Some(Place::Outside) => return Err(outside(path)),
                Some(Place::Guarded) => {
                    return Err(PolicyReason::Guarded { path: path.clone() });
                }
                Some(Place::Inside) | None => {}
            }
        }
        for path in &used.either {
            let is_in = |limit: &Option<Confinement>| {
                limit.as_ref().is_none_or(|limit| limit.place(path) != Place::Outside)
            };
            if !is_in(&self.reads) && !is_in(&self.writes) {
                return Err(outside(path));
            }
        }
        Ok(())
    }

    fn check_read(&self, path: &Path) -> Result<(), PolicyReason> {
        match self.reads.as_ref().map(|reads| reads.place(path)) {
            Some(Place::Outside) => Err(outside(path)),
            Some(Place::Guarded | Place::Inside) | None => Ok(()),
        }
    }
}

fn call(ask: &Pending<PermissionRequest>) -> Option<Call> {
    let ToolRef { message, call, .. } = ask.request.tool.as_ref()?;
    Some((ask.session.clone(), message.clone(), call.clone()))
}

fn outside(path: &Path) -> PolicyReason {
    PolicyReason::Outside { path: path.to_path_buf() }
}

/// The model is told why, and the turn goes on.
fn refused(reason: PolicyReason) -> Judged {
    let message = format!("Refused by the policy of this session: {reason}.");
    (PermissionReply::reject_with(message), reason)
}
