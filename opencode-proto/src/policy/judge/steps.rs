//! Steps of one permission request, from the request to the decision.

use std::time::Instant;

use opencode_config::PermissionAction;

use super::{JudgeCall, OpenRequest, PolicyJudge, RequestStage};
use crate::api::{ApiErrorKind, Pending, ReadMessage, ReadSession, ServerRule};
use crate::call::{ApiCallId, CallFault};
use crate::policy::action::PolicyAction;
use crate::policy::arguments::{ArgumentStart, MessageKey};
use crate::policy::command;
use crate::policy::files::{FileLookup, FileQuestion, FileQuestionId};
use crate::policy::footprint::{CallArguments, Footprint, Needs};
use crate::policy::rules::{decide, decide_patterns};
use crate::policy::settings::Unruled;
use crate::policy::verdict::{PolicyReason, allowed, refused};
use crate::{PermissionId, PermissionRequest, SessionInfo};

impl PolicyJudge {
    /// Judges by the request alone.
    pub(super) fn judge_first(
        &mut self,
        ask: &Pending<PermissionRequest>,
    ) -> Result<Needs, PolicyReason> {
        if !self.settings.may_have_subagents() && ask.session != self.session {
            return Err(PolicyReason::Subagent);
        }
        if let Some(max) = self.settings.tool_calls_max()
            && !self.counts(ask, max)
        {
            return Err(PolicyReason::ToolCalls { max });
        }
        if self.needs_command_line(&ask.request) {
            return Ok(Needs::Arguments);
        }
        // A `task` call may name a session to resume, wherever reads are confined to.
        let is_task = ask.request.permission == "task";
        Ok(if is_task || self.is_confined(&ask.request) {
            Needs::of(&ask.request)
        } else {
            Needs::RequestOnly
        })
    }

    /// Counts the call of a request, and returns whether it is one of the first `max` calls. A call
    /// that asks twice counts once.
    fn counts(&mut self, ask: &Pending<PermissionRequest>, max: usize) -> bool {
        let Some(tool) = &ask.request.tool else { return true };
        let call = (ask.session.clone(), tool.message.clone(), tool.call.clone());
        let counted = &mut self.tool_calls;
        counted.contains(&call) || (counted.len() < max && counted.insert(call))
    }

    fn is_confined(&self, request: &PermissionRequest) -> bool {
        match &*request.permission {
            "edit" => self.limits.writes.is_some(),
            "glob" | "grep" | "list" | "lsp" | "read" | "task" => self.limits.reads.is_some(),
            _ => self.settings.is_confined(),
        }
    }

    /// Returns whether the command line decides and is not in the request, as in OpenCode before
    /// 1.17.0.
    fn needs_command_line(&self, request: &PermissionRequest) -> bool {
        if !is_command(request) || command::line(request).is_some() {
            return false;
        }
        match decide_patterns(self.settings.rules(), request) {
            Some(PermissionAction::Allow) => !command::allows_everything(self.settings.rules()),
            None if self.settings.is_confined() => false,
            Some(PermissionAction::Ask) | None => self.settings.unruled() == Unruled::Confirm,
            Some(_) => false,
        }
    }

    pub(super) fn read_arguments(&mut self, id: &PermissionId, now: Instant) {
        let Some(OpenRequest { ask, .. }) = self.requests.get(id) else { return };
        match self.arguments.start(&ask.session, &ask.request, now) {
            ArgumentStart::Read(key) => self.read_message(key),
            ArgumentStart::Unknown => self.take_arguments(id, None, now),
            ArgumentStart::Waiting => {}
        }
    }

    pub(super) fn read_message(&mut self, key: MessageKey) {
        let (session, message) = key.clone();
        self.call(&ReadMessage::new(session, message), JudgeCall::Message(key));
    }

    pub(super) fn take_arguments(
        &mut self,
        id: &PermissionId,
        arguments: Option<CallArguments>,
        now: Instant,
    ) {
        let Some(OpenRequest { ask, .. }) = self.requests.get_mut(id) else { return };
        let arguments = match arguments {
            Some(arguments) => arguments,
            // The rules decide about a command without a line.
            None if is_command(&ask.request) => CallArguments::default(),
            None => return self.decide(id, refused(PolicyReason::Unclear), now),
        };
        if let Some(line) = &arguments.command
            && is_command(&ask.request)
        {
            command::add_line(&mut ask.request, line);
        }
        let Some(session) = arguments.resumed_session() else {
            return self.find_files(id, &arguments, now);
        };
        let Some(open) = self.requests.get(id) else { return };
        let footprint = Footprint::of(&open.ask.request, &arguments, &self.paths);
        let operation = ReadSession::new(session.clone());
        let call = self.call(&operation, JudgeCall::Session(id.clone(), session));
        self.enter(id, RequestStage::Resumed { call, footprint });
    }

    /// A `task` call may resume only a subagent of the session that asks, without rules of its own
    /// that allow anything. When there is no such session, OpenCode creates a new one.
    pub(super) fn take_resumed(
        &mut self,
        id: &PermissionId,
        of: ApiCallId,
        read: Result<SessionInfo, CallFault>,
        now: Instant,
    ) {
        let Some(open) = self.requests.get_mut(id) else { return };
        let RequestStage::Resumed { call, footprint } = &mut open.stage else { return };
        if *call != of {
            return;
        }
        let may_resume = match read {
            Ok(info) => {
                let grants = |rules: Vec<ServerRule>| {
                    rules.iter().any(|rule| rule.action == PermissionAction::Allow)
                };
                let may_grant = ServerRule::of_session(&info).is_none_or(grants);
                info.parent.as_ref() == Some(&open.ask.session) && !may_grant
            }
            Err(fault) => is_missing(&fault),
        };
        match (may_resume, footprint.take()) {
            (true, footprint) => self.look_up(&id.clone(), footprint, now),
            (false, _) => self.decide(id, refused(PolicyReason::Unclear), now),
        }
    }

    pub(super) fn find_files(
        &mut self,
        id: &PermissionId,
        arguments: &CallArguments,
        now: Instant,
    ) {
        let Some(OpenRequest { ask, .. }) = self.requests.get(id) else { return };
        let footprint = if self.is_confined(&ask.request) || ask.request.permission == "task" {
            Footprint::of(&ask.request, arguments, &self.paths)
        } else {
            Some(Footprint::default())
        };
        self.look_up(id, footprint, now);
    }

    fn look_up(&mut self, id: &PermissionId, footprint: Option<Footprint>, now: Instant) {
        let Some(footprint) = footprint else {
            return self.decide(id, refused(PolicyReason::Unclear), now);
        };
        let Some(OpenRequest { ask, .. }) = self.requests.get(id) else { return };
        if footprint.is_empty() || !self.is_confined(&ask.request) {
            return self.judge_by_rules(id, now);
        }
        let (question, lookup) = (FileQuestionId(self.file_questions), FileLookup::new(footprint));
        self.file_questions += 1;
        let paths = lookup.paths().to_vec();
        self.actions.push_back(PolicyAction::LookAtFiles(FileQuestion { id: question, paths }));
        self.enter(id, RequestStage::Files { question, lookup });
    }

    pub(super) fn judge_by_rules(&mut self, id: &PermissionId, now: Instant) {
        let Some(OpenRequest { ask, .. }) = self.requests.get(id) else { return };
        let (request, is_confined) = (&ask.request, self.settings.is_confined());
        let unruled = self.settings.unruled();
        let decision = match (decide(self.settings.rules(), request), &*request.permission) {
            (Some(PermissionAction::Allow), _) => allowed(PolicyReason::Rule),
            (Some(PermissionAction::Deny), _) => refused(PolicyReason::Rule),
            (None, "external_directory") if is_confined => allowed(PolicyReason::Inside),
            (None, "bash") if is_confined => refused(PolicyReason::Unconfined),
            // A refusal would end the turn, and each of the calls is decided by itself.
            (None, "doom_loop") if unruled == Unruled::Refuse => allowed(PolicyReason::Repeated),
            (Some(PermissionAction::Ask) | None, _) if self.approvals.allows(request) => {
                allowed(PolicyReason::Remembered)
            }
            (Some(PermissionAction::Ask) | None, _) => match unruled {
                Unruled::Confirm => {
                    self.actions.push_back(PolicyAction::Confirm(Box::new(ask.clone())));
                    return self.enter(id, RequestStage::Confirm);
                }
                Unruled::Refuse => refused(PolicyReason::NoConfirm),
            },
            // An action that this machine does not know allows nothing.
            (Some(_), _) => refused(PolicyReason::Rule),
        };
        self.decide(id, decision, now);
    }
}

fn is_command(request: &PermissionRequest) -> bool {
    request.permission == "bash"
}

/// Returns whether the server has no such session. Any other failure may hide a session.
fn is_missing(fault: &CallFault) -> bool {
    fault.api().is_some_and(|error| {
        matches!(
            error.kind,
            ApiErrorKind::BadRequest { .. }
                | ApiErrorKind::NotFound { .. }
                | ApiErrorKind::Server { .. }
        )
    })
}
