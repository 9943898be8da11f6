use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::action::PolicyAction;
use super::arguments::{ArgumentReads, MessageKey, ToolCallKey};
use super::files::{FileFinding, FileLimits, FileLookup, FileQuestionId};
use super::footprint::{CallArguments, Footprint, Needs};
use super::rules::Approvals;
use super::settings::{PolicyScope, PolicySettings};
use super::verdict::{Decision, PolicyReason, PolicyVerdict, refused};
use crate::api::{
    ListPermissions, Operation, Pending, PermissionReply, ReadMessage, ReadSession, ServerPaths,
};
use crate::ask::refusals::{Deciding, ListingDemand, Refusals};
use crate::call::{ApiCallId, ApiReply, CallScope, OpenCalls, read_reply};
use crate::{PermissionId, PermissionRequest, SessionId};

mod steps;
#[cfg(test)]
mod tests;

/// Machine that decides the permission requests of a session and its subagents by a policy. Owns
/// no connection, clock or task, and touches no file.
///
/// Inputs never fail, and inputs that fit no open request are ignored. The only contract: take all
/// actions until [`PolicyAction::Wait`] before waiting. The page of [the module](super) shows the
/// loop.
///
/// ```
/// use opencode_proto::api::ServerPaths;
/// use opencode_proto::policy::{PolicyAction, PolicyJudge, PolicyScope, PolicySettings};
///
/// let scope = PolicyScope::new("ses_1", ServerPaths::new("/src/project", "/src"));
/// let mut judge = PolicyJudge::new(PolicySettings::new().allow("webfetch"), scope);
/// assert!(matches!(judge.poll_action(), PolicyAction::Wait(None)));
/// ```
#[derive(Debug)]
pub struct PolicyJudge {
    settings: PolicySettings,
    session: SessionId,
    paths: ServerPaths,
    limits: FileLimits,
    approvals: Approvals,
    tool_calls: BTreeSet<ToolCallKey>,
    requests: BTreeMap<PermissionId, OpenRequest>,
    arguments: ArgumentReads,
    refusals: Refusals,
    calls: OpenCalls<JudgeCall>,
    file_questions: u64,
    actions: VecDeque<PolicyAction>,
}

/// A permission request without a verdict.
#[derive(Debug)]
struct OpenRequest {
    ask: Pending<PermissionRequest>,
    stage: RequestStage,
}

#[derive(Debug)]
enum RequestStage {
    /// Reading the arguments of the tool call.
    Arguments,
    /// Reading the session that the call would resume.
    Resumed { call: ApiCallId, footprint: Option<Footprint> },
    /// Looking up the files that the call would use.
    Files { question: FileQuestionId, lookup: FileLookup },
    /// The application decides.
    Confirm,
    /// The refusal waits for other requests of the session.
    Refused(Decision),
}

/// Purpose of an API call.
#[derive(Debug)]
enum JudgeCall {
    Message(MessageKey),
    Permissions,
    Session(PermissionId, SessionId),
}

impl PolicyJudge {
    /// Creates the judge of a session.
    ///
    /// # Panics
    ///
    /// When the settings confine reads or writes and the scope has no directories for them.
    pub fn new(settings: PolicySettings, scope: PolicyScope) -> Self {
        let PolicyScope { session, paths, reads, writes } = scope;
        assert_eq!(settings.reads().is_some(), reads.is_some(), "directories of the reads");
        assert_eq!(settings.writes().is_some(), writes.is_some(), "directories of the writes");
        let guard = settings.guard().clone();
        Self {
            settings,
            session,
            paths,
            limits: FileLimits { reads, writes, guard },
            approvals: Approvals::new(),
            tool_calls: BTreeSet::new(),
            requests: BTreeMap::new(),
            arguments: ArgumentReads::default(),
            refusals: Refusals::default(),
            calls: OpenCalls::default(),
            file_questions: 0,
            actions: VecDeque::new(),
        }
    }

    /// Handles a permission request of the session or a subagent. A request that is being decided
    /// already is ignored.
    pub fn handle_ask(&mut self, ask: Pending<PermissionRequest>, now: Instant) {
        let id = ask.request.id.clone();
        if self.requests.contains_key(&id) {
            return;
        }
        self.refusals.forget(&id);
        let first = self.judge_first(&ask);
        self.requests.insert(id.clone(), OpenRequest { ask, stage: RequestStage::Arguments });
        match first {
            Err(reason) => self.decide(&id, refused(reason), now),
            Ok(Needs::Arguments) => self.read_arguments(&id, now),
            Ok(Needs::RequestOnly) => self.find_files(&id, &CallArguments::default(), now),
        }
        self.advance(now);
    }

    /// Handles the end of a request without a reply of the policy: the turn is over, or another
    /// client replied.
    pub fn handle_withdrawn(&mut self, id: &PermissionId, now: Instant) {
        self.requests.remove(id);
        self.arguments.leave(id);
        self.refusals.forget(id);
        self.actions.retain(|action| match action {
            PolicyAction::Confirm(ask) => ask.request.id != *id,
            PolicyAction::Decided(verdict) => verdict.request.id != *id,
            PolicyAction::Call(_) | PolicyAction::LookAtFiles(_) | PolicyAction::Wait(_) => true,
        });
        self.advance(now);
    }

    /// Handles the reply to a [`PolicyAction::Call`].
    pub fn handle_reply(&mut self, id: ApiCallId, reply: ApiReply, now: Instant) {
        match self.calls.end(id) {
            Some(JudgeCall::Message((session, message))) => {
                let operation = ReadMessage::new(session.clone(), message.clone());
                let read = read_reply(&operation, reply).ok();
                let taken = self.arguments.take(&(session, message), read.as_ref(), now);
                for (id, arguments) in taken {
                    self.take_arguments(&id, arguments, now);
                }
            }
            Some(JudgeCall::Permissions) => {
                let listed = read_reply(&ListPermissions, reply).ok();
                let deciding = self.deciding();
                for id in self.refusals.take(listed.as_deref(), &deciding, now) {
                    self.refuse_now(&id);
                }
            }
            Some(JudgeCall::Session(request, session)) => {
                let read = read_reply(&ReadSession::new(session), reply);
                self.take_resumed(&request, id, read, now);
            }
            None => {}
        }
        self.advance(now);
    }

    /// Handles the answer to a [`PolicyAction::LookAtFiles`]: one finding for each path, in order.
    pub fn handle_files(&mut self, id: FileQuestionId, findings: &[FileFinding], now: Instant) {
        let judged = self.requests.iter().find_map(|(request, open)| {
            let RequestStage::Files { question, lookup } = &open.stage else { return None };
            (*question == id).then(|| (request.clone(), lookup.judge(findings, &self.limits)))
        });
        match judged {
            Some((request, Ok(()))) => self.judge_by_rules(&request, now),
            Some((request, Err(reason))) => self.decide(&request, refused(reason), now),
            None => {}
        }
        self.advance(now);
    }

    /// Handles the application's reply to a [`PolicyAction::Confirm`].
    ///
    /// [`PermissionReply::Always`] allows the same from now on, to the session and its subagents;
    /// the server gets `once`.
    pub fn handle_confirm(&mut self, id: &PermissionId, reply: PermissionReply, now: Instant) {
        let Some(OpenRequest { ask, stage: RequestStage::Confirm }) = self.requests.get(id) else {
            return;
        };
        let reply = match reply {
            PermissionReply::Always => {
                self.approvals.remember(&ask.request);
                PermissionReply::Once
            }
            PermissionReply::Once | PermissionReply::Reject { .. } => reply,
        };
        self.decide(id, (reply, PolicyReason::Confirm), now);
        self.advance(now);
    }

    /// Handles the passage of time. A call before the wake does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        for key in self.arguments.due(now) {
            self.read_message(key);
        }
        self.advance(now);
    }

    /// Returns the next action.
    pub fn poll_action(&mut self) -> PolicyAction {
        self.actions.pop_front().unwrap_or_else(|| PolicyAction::Wait(self.wake()))
    }

    fn wake(&self) -> Option<Instant> {
        [self.arguments.wake(), self.refusals.wake()].into_iter().flatten().min()
    }

    /// Decides a request: at once when it is allowed, and when the order of refusals permits
    /// otherwise.
    fn decide(&mut self, id: &PermissionId, decision: Decision, now: Instant) {
        match decision.0 {
            PermissionReply::Always | PermissionReply::Once => {
                let Some(open) = self.requests.remove(id) else { return };
                self.refusals.allow(id.clone(), now);
                self.conclude(open.ask, decision);
            }
            PermissionReply::Reject { .. } => {
                let Some(open) = self.requests.get_mut(id) else { return };
                open.stage = RequestStage::Refused(decision);
                self.refusals.hold(id.clone(), open.ask.session.clone());
            }
        }
    }

    fn refuse_now(&mut self, id: &PermissionId) {
        let Some(open) = self.requests.remove(id) else { return };
        if let RequestStage::Refused(decision) = open.stage {
            self.conclude(open.ask, decision);
        }
    }

    fn conclude(&mut self, ask: Pending<PermissionRequest>, (reply, reason): Decision) {
        let verdict = PolicyVerdict { session: ask.session, request: ask.request, reply, reason };
        self.actions.push_back(PolicyAction::Decided(Box::new(verdict)));
    }

    /// Lists the permissions when a refusal needs it.
    fn advance(&mut self, now: Instant) {
        let deciding = self.deciding();
        match self.refusals.demand(&deciding, now) {
            ListingDemand::List => {
                self.call(&ListPermissions, JudgeCall::Permissions);
            }
            ListingDemand::Nothing => {}
        }
    }

    fn deciding(&self) -> Deciding {
        let undecided = self
            .requests
            .iter()
            .filter(|(_, open)| !matches!(open.stage, RequestStage::Refused(_)));
        undecided.map(|(id, open)| (id.clone(), open.ask.session.clone())).collect()
    }

    fn enter(&mut self, id: &PermissionId, stage: RequestStage) {
        if let Some(open) = self.requests.get_mut(id) {
            open.stage = stage;
        }
    }

    fn call<O: Operation>(&mut self, operation: &O, purpose: JudgeCall) -> ApiCallId {
        let call = self.calls.begin(operation, CallScope::Directory, purpose);
        let id = call.id;
        self.actions.push_back(PolicyAction::Call(Box::new(call)));
        id
    }
}
