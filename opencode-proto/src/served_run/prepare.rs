//! Finds the agent and the session of a run, and puts the turn together, as `opencode run` does.

use std::mem;
use std::time::Instant;

use opencode_config::{Permissions, Resume, Sharing};

use super::action::ServedTurn;
use super::request::{ServedFile, ServedFileKind, ServedRunRequest};
use crate::api::{
    AgentInfo, ApiErrorKind, CommandRequest, CreateSession, DeleteSession, ForkSession, ListAgents,
    ListMcpServers, ListSessions, McpServer, Operation, Prompt, PromptFile, ReadSession,
    ShareSession,
};
use crate::call::{ApiCall, ApiCallId, ApiReply, CallFault, CallScope, OpenCalls, read_reply};
use crate::directory::DirectoryError;
use crate::run::{AgentFallback, RunEnd};
use crate::run_event::Notice;
use crate::server_event::SessionInfo;
use crate::turn::{TurnPost, TurnSettings};
use crate::watchdog::{Deadline, Watchdog};

/// A run between the start of the server and the turn.
#[derive(Debug)]
pub(super) struct Preparation {
    request: ServedRunRequest,
    deadlines: Watchdog,
    /// The agent of the turn, once the server is known to have the agent.
    agent: Option<String>,
    calls: OpenCalls<PrepareCall>,
    notices: Vec<Notice>,
}

/// Call that a preparation waits for. There is one at a time.
#[derive(Debug)]
enum PrepareCall {
    Agents {
        name: String,
    },
    /// The agent of the session to continue is looked for.
    AgentOf {
        session: Box<SessionInfo>,
        name: String,
    },
    Create(CreateSession),
    /// The session that was created elsewhere is being deleted.
    Discard(DirectoryError),
    Fork(ForkSession),
    Latest(ListSessions),
    Mcp,
    Read(ReadSession),
    Share(ShareSession, Box<SessionInfo>),
}

/// Next step of a preparation.
#[derive(Debug)]
pub(super) enum Prepared {
    /// The preparation waits for the reply to this call.
    Call(Box<ApiCall>),
    /// The turn can begin.
    Turn(Box<ServedTurn>),
}

impl Preparation {
    /// Creates a preparation, of which the deadlines count from `since`.
    pub(super) fn new(request: ServedRunRequest, since: Instant) -> Self {
        Self {
            deadlines: Watchdog::new(request.settings.deadlines, since),
            agent: None,
            calls: OpenCalls::default(),
            notices: Vec::new(),
            request,
        }
    }

    /// Returns the first step, or the end of a run that cannot have a turn.
    pub(super) fn begin(&mut self) -> Result<Prepared, RunEnd> {
        let mut files = self.request.files.iter();
        if let Some(missing) = files.find(|file| file.kind == ServedFileKind::Missing) {
            return Err(failed(format!("File not found: {}", missing.given.display())));
        }
        if let Some(error) = self.request.files.iter().find_map(ServedFile::error) {
            return Err(RunEnd::Attachment(error));
        }
        if self.request.settings.required_mcp.is_empty() {
            return Ok(self.find_agent());
        }
        Ok(self.call(&ListMcpServers::new(), CallScope::Directory, PrepareCall::Mcp))
    }

    fn find_agent(&mut self) -> Prepared {
        match self.request.agent.clone() {
            Some(name) => {
                let purpose = PrepareCall::Agents { name };
                self.call(&ListAgents::new(), CallScope::Directory, purpose)
            }
            None => self.find_session(),
        }
    }

    /// Takes a reply, and returns the next step; `None` for a reply that is not waited for.
    pub(super) fn handle_reply(
        &mut self,
        id: ApiCallId,
        reply: ApiReply,
        now: Instant,
    ) -> Option<Result<Prepared, RunEnd>> {
        let call = self.calls.end(id)?;
        Some(self.next_step(call, reply, now))
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        mem::take(&mut self.notices)
    }

    /// Returns when the next deadline passes.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.deadlines.wake()
    }

    /// Returns the deadline that has passed.
    pub(super) fn passed(&self, now: Instant) -> Option<Deadline> {
        self.deadlines.passed(now)
    }

    fn next_step(
        &mut self,
        call: PrepareCall,
        reply: ApiReply,
        now: Instant,
    ) -> Result<Prepared, RunEnd> {
        match call {
            PrepareCall::Agents { name } => {
                let agents =
                    read_reply(&ListAgents::new(), reply).map_err(|fault| call_failed(&fault))?;
                self.agent = self.choose_agent(name, &agents)?;
                Ok(self.find_session())
            }
            PrepareCall::AgentOf { session, name } => {
                let agents =
                    read_reply(&ListAgents::new(), reply).map_err(|fault| call_failed(&fault))?;
                self.agent = self.choose_agent(name, &agents)?;
                Ok(self.go_on(*session, now))
            }
            PrepareCall::Mcp => {
                let servers = read_reply(&ListMcpServers::new(), reply);
                let servers = servers.map_err(|fault| call_failed(&fault))?;
                match McpServer::missing(&servers, &self.request.settings.required_mcp) {
                    Some(missing) => Err(RunEnd::McpUnavailable(Box::new(missing))),
                    None => Ok(self.find_agent()),
                }
            }
            PrepareCall::Create(create) => {
                let session = read_reply(&create, reply).map_err(|fault| call_failed(&fault))?;
                Ok(self.created(session, now))
            }
            PrepareCall::Discard(error) => Err(RunEnd::Directory(error)),
            PrepareCall::Fork(fork) => {
                let session = read_reply(&fork, reply).map_err(|fault| call_failed(&fault))?;
                Ok(self.created(session, now))
            }
            PrepareCall::Latest(list) => {
                let sessions = read_reply(&list, reply).map_err(|fault| call_failed(&fault))?;
                // Without a directory in the request, the sessions of the whole project are listed.
                let directory = &self.request.directory;
                let is_candidate = |session: &SessionInfo| {
                    let reported = session.directory.as_deref();
                    session.parent.is_none() && reported.is_none_or(|name| directory.is_named(name))
                };
                match sessions.into_iter().find(is_candidate) {
                    Some(session) => self.resume(session, now),
                    None => Ok(self.create_session()),
                }
            }
            PrepareCall::Read(read) => {
                let session = read_reply(&read, reply).map_err(|fault| not_found(&fault))?;
                self.resume(session, now)
            }
            PrepareCall::Share(share, session) => {
                // OpenCode goes on without a public page as well.
                if let Ok(SessionInfo { share_url: Some(url), .. }) = read_reply(&share, reply) {
                    self.notices.push(Notice::shared(&*url));
                }
                Ok(self.turn(*session, now))
            }
        }
    }

    /// Returns the agent of the turn, where the server has the agent and a prompt may name the
    /// agent.
    fn choose_agent(
        &mut self,
        name: String,
        agents: &[AgentInfo],
    ) -> Result<Option<String>, RunEnd> {
        let reason = match agents.iter().find(|agent| agent.name == name) {
            None => format!("agent \"{name}\" not found"),
            Some(agent) if &*agent.mode == "subagent" => {
                format!("agent \"{name}\" is a subagent, not a primary agent")
            }
            Some(_) => return Ok(Some(name)),
        };
        self.notices.push(Notice::agent_replaced(&*reason));
        match self.request.settings.agent_fallback {
            AgentFallback::Accept => Ok(None),
            AgentFallback::Refuse => Err(RunEnd::AgentReplaced { reason }),
        }
    }

    fn find_session(&mut self) -> Prepared {
        let Some(resume) = self.request.flags.resume() else { return self.create_session() };
        match resume.session_id() {
            Some(id) => {
                let read = ReadSession::new(id);
                self.call(&read.clone(), CallScope::Session, PrepareCall::Read(read))
            }
            None => {
                let list = match self.request.directory.real_name() {
                    Some(directory) => ListSessions::new().with_directory(directory),
                    None => ListSessions::new(),
                };
                self.call(&list.clone(), CallScope::Directory, PrepareCall::Latest(list))
            }
        }
    }

    /// Creates a session as `opencode run` does: no one can answer questions or leave a plan.
    fn create_session(&mut self) -> Prepared {
        let rules = ["question", "plan_enter", "plan_exit"]
            .into_iter()
            .fold(Permissions::new(), Permissions::deny);
        let mut create = CreateSession::new().with_permission(rules);
        if let Some(title) = self.request.flags.session_title(&self.request.prompt) {
            create = create.with_title(title);
        }
        self.call(&create.clone(), CallScope::Directory, PrepareCall::Create(create))
    }

    fn resume(&mut self, session: SessionInfo, now: Instant) -> Result<Prepared, RunEnd> {
        self.request.directory.check_resumed(&session).map_err(RunEnd::Directory)?;
        self.keep_model(&session);
        self.note_changes(&session);
        // Without an agent, OpenCode would go on with the default one. A command has its own.
        let is_open = self.request.agent.is_none() && self.request.flags.command().is_none();
        if let Some(name) = session.agent.as_deref().filter(|_| is_open) {
            let (session, name) = (Box::new(session.clone()), name.to_owned());
            let purpose = PrepareCall::AgentOf { session, name };
            return Ok(self.call(&ListAgents::new(), CallScope::Directory, purpose));
        }
        Ok(self.go_on(session, now))
    }

    /// Keeps the model of the session for a run without one: OpenCode would prefer that of the
    /// agent. A command has its own.
    fn keep_model(&mut self, session: &SessionInfo) {
        let request = &mut self.request;
        if request.model.is_some() || request.flags.command().is_some() || session.model.is_none() {
            return;
        }
        request.model.clone_from(&session.model);
        if let (None, Some(variant)) = (request.flags.variant(), &session.variant) {
            request.flags = request.flags.clone().with_variant(&**variant);
        }
    }

    fn note_changes(&mut self, session: &SessionInfo) {
        let request = &self.request;
        let models = (session.model.as_ref(), request.model.as_ref());
        if let (Some(from), Some(to)) = models
            && from != to
        {
            self.notices.push(Notice::setting_changed("model", from.to_string(), to.to_string()));
        }
        if let (Some(from), Some(to)) = (&session.agent, &self.request.agent)
            && **from != **to
        {
            self.notices.push(Notice::setting_changed("agent", &**from, to.as_str()));
        }
    }

    /// Goes on with the session to continue, or with a copy.
    fn go_on(&mut self, session: SessionInfo, now: Instant) -> Prepared {
        if self.request.flags.resume().is_some_and(Resume::is_forked) {
            let fork = ForkSession::new(session.id);
            return self.call(&fork.clone(), CallScope::Session, PrepareCall::Fork(fork));
        }
        self.share(session, now)
    }

    /// Takes a new session, and discards one that works in another directory.
    fn created(&mut self, session: SessionInfo, now: Instant) -> Prepared {
        match self.request.directory.check_created(&session) {
            Ok(()) => self.share(session, now),
            Err(error) => {
                let delete = DeleteSession::new(session.id);
                self.call(&delete, CallScope::Session, PrepareCall::Discard(error))
            }
        }
    }

    fn share(&mut self, session: SessionInfo, now: Instant) -> Prepared {
        if self.request.flags.sharing() != Sharing::Share {
            return self.turn(session, now);
        }
        let share = ShareSession::new(session.id.clone());
        let purpose = PrepareCall::Share(share.clone(), Box::new(session));
        self.call(&share, CallScope::Session, purpose)
    }

    fn turn(&mut self, session: SessionInfo, now: Instant) -> Prepared {
        let run = &self.request.settings;
        let settings = TurnSettings::default()
            .with_deadlines(self.deadlines.remaining(now))
            .with_overflows_max(run.overflows_max)
            .with_unfinished_max(run.unfinished_max)
            .with_repeated_calls_max(run.repeated_calls_max);
        let (post, approval) = (self.post(), self.request.flags.approval());
        Prepared::Turn(Box::new(ServedTurn { session, post, settings, approval }))
    }

    fn post(&mut self) -> TurnPost {
        let agent = self.agent.take().into_iter();
        let model = self.request.model.take().into_iter();
        let text = mem::take(&mut self.request.prompt);
        let variant = self.request.flags.variant().into_iter();
        if let Some(command) = self.request.flags.command() {
            let command = CommandRequest::new(command).with_arguments(text);
            let command = agent.fold(command, CommandRequest::with_agent);
            let command = model.fold(command, CommandRequest::with_model);
            return variant.fold(command, CommandRequest::with_variant).into();
        }
        let files = self.request.files.iter().map(PromptFile::from);
        let prompt = files.fold(Prompt::new(), Prompt::with_part).with_part(text);
        let prompt = agent.fold(prompt, Prompt::with_agent);
        let prompt = model.fold(prompt, Prompt::with_model);
        variant.fold(prompt, Prompt::with_variant).into()
    }

    fn call<O: Operation>(
        &mut self,
        operation: &O,
        scope: CallScope,
        purpose: PrepareCall,
    ) -> Prepared {
        Prepared::Call(Box::new(self.calls.begin(operation, scope, purpose)))
    }
}

fn not_found(fault: &CallFault) -> RunEnd {
    match fault.api().map(|error| &error.kind) {
        Some(ApiErrorKind::NotFound { .. }) => failed("Session not found".to_owned()),
        Some(_) | None => call_failed(fault),
    }
}

/// Returns the end of a run whose preparation the server refused, or could not answer.
fn call_failed(fault: &CallFault) -> RunEnd {
    match fault {
        CallFault::Api(_) => failed(fault.describe()),
        CallFault::Failed(_) => RunEnd::ServerLost { reason: fault.describe() },
    }
}

fn failed(message: String) -> RunEnd {
    RunEnd::StartupError { message }
}
