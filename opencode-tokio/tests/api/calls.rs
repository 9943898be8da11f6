//! Every operation that can be called without an account, an editor or a terminal: the reply is
//! read, and writing the value gives the reply again.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Request, Response};
use opencode_api::Route;
use opencode_api::auth::ApiAuth;
use opencode_api::contract::{OPERATIONS, recode_reply};
use opencode_api::event::{Event, EventData, TuiToastShowEvent};
use opencode_api::message::{Part, TextPart};
use opencode_api::next::common::NextPermissionEffect;
use opencode_api::next::session::PromptInput;
use opencode_api::opencode_config::Json;
use opencode_api::session::TextPartInput;
use opencode_api::shared::{ModelRef, ToastVariant};
use opencode_api::vcs::VcsDiffMode;
use opencode_api::{
    agent, auth, command, config, experimental, file, find, formatter, global, instance, log, lsp,
    mcp, message, next, path, permission, project, provider, pty, question, session, skill, sync,
    tool, tui, vcs, workspace, worktree,
};
use opencode_tokio::CallError;
use opencode_tokio::api::{ApiError, Operation, Pace, Repeat};
use serde_json::Value;
use testkit::conformance::real::sessions::SessionWorld;
use testkit::model::Reply;

use crate::on;

/// Operations that the test does not call, by reason.
const NOT_CALLED: [(&str, &[&str]); 9] = [
    (
        "the reply has no end, or is a socket",
        &[
            "event.subscribe",
            "global.event",
            "pty.connect",
            "v2.event.subscribe",
            "v2.pty.connect",
            "v2.session.events",
        ],
    ),
    (
        "an account or a page of a provider is needed",
        &[
            "experimental.console.switchOrg",
            "mcp.auth.authenticate",
            "mcp.auth.callback",
            "mcp.auth.remove",
            "mcp.auth.start",
            "provider.oauth.authorize",
            "provider.oauth.callback",
            "session.share",
            "session.unshare",
            "v2.credential.remove",
            "v2.credential.update",
            "v2.integration.attempt.cancel",
            "v2.integration.attempt.complete",
            "v2.integration.attempt.status",
            "v2.integration.connect.key",
            "v2.integration.connect.oauth",
        ],
    ),
    ("a model of OpenCode's own is needed", &["experimental.projectCopy.generateName"]),
    (
        "the server's other tests would notice",
        &["config.update", "global.config.update", "global.dispose", "global.upgrade"],
    ),
    (
        "a workspace or a copy of the project is needed",
        &[
            "experimental.controlPlane.moveSession",
            "experimental.workspace.create",
            "experimental.workspace.remove",
            "experimental.workspace.warp",
            "sync.replay",
            "sync.steal",
            "v2.projectCopy.create",
            "v2.projectCopy.refresh",
            "v2.projectCopy.remove",
            "worktree.create",
            "worktree.remove",
            "worktree.reset",
        ],
    ),
    (
        "a turn has to ask; the operations of the core call the endpoints",
        &[
            "permission.reply",
            "permission.respond",
            "question.reject",
            "question.reply",
            "session.init",
            "v2.permission.saved.remove",
            "v2.session.permission.get",
            "v2.session.permission.reply",
            "v2.session.question.reject",
            "v2.session.question.reply",
        ],
    ),
    ("a terminal has to answer first", &["tui.control.next"]),
    ("the search program is downloaded at the first use", &["find.text"]),
    (
        "not available in this version, or only for a turn of the second generation",
        &[
            "v2.session.compact",
            "v2.session.message",
            "v2.session.revert.commit",
            "v2.session.revert.stage",
            "v2.session.wait",
        ],
    ),
];

macro_rules! call {
    ($calls:ident, $module:ident $(:: $inner:ident)? / $name:ident($($argument:expr),*) $($rest:tt)*) => {
        $calls
            .call(
                $module$(::$inner)?::$name::ROUTE,
                $module$(::$inner)?::$name::new($($argument),*) $($rest)*,
            )
            .await
    };
}

#[tokio::test]
async fn every_callable_operation_answers_as_typed() {
    let world = SessionWorld::in_directory(&on(), "api").await;
    world.model().script("api-prompt", Reply::new().text("Typed."));
    world.model().script("api-command", Reply::new().text("Done."));
    std::fs::write(world.project().join("found.txt"), "a needle\n").unwrap();
    let mut calls = Calls { world: &world, problems: Vec::new(), called: BTreeSet::new() };
    read_the_server(&mut calls).await;
    work_in_the_directory(&mut calls).await;
    work_on_a_session(&mut calls).await;
    use_terminals(&mut calls).await;
    use_the_next_generation(&mut calls).await;

    println!("{} of {} operations", calls.called.len(), OPERATIONS.len());
    assert!(calls.problems.is_empty(), "{}", calls.problems.join("\n"));
    let listed: BTreeSet<_> = NOT_CALLED.iter().flat_map(|(_, ids)| *ids).copied().collect();
    let all = OPERATIONS.iter().map(|route| route.operation_id);
    let left: BTreeSet<_> = all.filter(|id| !calls.called.contains(id)).collect();
    assert_eq!(left, listed);
}

async fn read_the_server(calls: &mut Calls<'_>) {
    let health = call!(calls, global / ReadHealth()).unwrap();
    assert_eq!(health.version, "1.18.33");
    call!(calls, global / ReadGlobalConfig());
    call!(calls, config / ReadConfig());
    let providers = call!(calls, config / ListConfigProviders()).unwrap();
    assert!(providers.providers.iter().any(|provider| provider.id == "scripted"));
    call!(calls, provider / ListProviders());
    call!(calls, provider / ListProviderAuthMethods());
    let agents = call!(calls, agent / ListAgents()).unwrap();
    assert!(agents.iter().any(|agent| agent.name == "build"));
    call!(calls, command / ListCommands());
    call!(calls, skill / ListSkills());
    call!(calls, lsp / ReadLspStatus());
    call!(calls, formatter / ReadFormatterStatus());
    call!(calls, mcp / ReadMcpStatus());
    let paths = call!(calls, path / ReadPaths()).unwrap();
    assert_eq!(Some(&*paths.directory), calls.world.project().to_str());
    let elsewhere = call!(calls, path / ReadPaths().with_directory("/")).unwrap();
    assert_eq!(elsewhere.directory, "/");
    call!(calls, tool / ReadToolIds());
    call!(calls, tool / ListTools("scripted", "m1"));
    let config = mcp::McpLocalConfig::new(vec!["false".into()]).into();
    call!(calls, mcp / AddMcp("typed", config));
    call!(calls, mcp / ConnectMcp("typed"));
    call!(calls, mcp / DisconnectMcp("typed"));
    call!(calls, permission / ListPermissions());
    call!(calls, question / ListQuestions());
    call!(calls, experimental / ReadCapabilities());
    call!(calls, experimental / ReadConsole());
    call!(calls, experimental / ListConsoleOrgs());
    call!(calls, experimental / ListGlobalSessions().with_limit(3));
    call!(calls, experimental / ListResources());
    call!(calls, workspace / ListWorkspaces());
    call!(calls, workspace / ListWorkspaceAdapters());
    call!(calls, workspace / ReadWorkspaceStatuses());
    call!(calls, workspace / SyncWorkspaces());
    let entry = log::WriteLog::new("test", log::WriteLogLevel::Info, "called");
    calls.call(log::WriteLog::ROUTE, entry).await;
    call!(calls, auth / SetAuth("acme", ApiAuth::new("no-key").into()));
    call!(calls, auth / RemoveAuth("acme"));
}

async fn work_in_the_directory(calls: &mut Calls<'_>) {
    call!(calls, project / InitProjectGit());
    // The directory learns at the next start that it has become a repository.
    call!(calls, instance / DisposeInstance());
    call!(calls, project / ListProjects());
    let project = call!(calls, project / ReadCurrentProject()).unwrap();
    call!(calls, project / ListProjectDirectories(&*project.id));
    call!(calls, project / UpdateProject(&*project.id).with_name("typed"));
    call!(calls, vcs / ReadVcs());
    call!(calls, vcs / ReadVcsStatus());
    let diff = call!(calls, vcs / ReadVcsDiff(VcsDiffMode::Git)).unwrap();
    assert!(diff.iter().all(|file| !file.file.is_empty()), "{diff:?}");
    call!(calls, vcs / ReadVcsDiffRaw());
    let patch = "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n\
                 +++ b/new.txt\n@@ -0,0 +1 @@\n+new\n";
    call!(calls, vcs / ApplyVcs(patch));
    let files = call!(calls, find / FindFiles("found").with_limit(10)).unwrap();
    assert!(files.iter().all(|file| file.contains("found")), "{files:?}");
    call!(calls, find / FindSymbols("main"));
    call!(calls, file / ListFiles(""));
    let read = call!(calls, file / ReadFile("found.txt")).unwrap();
    assert_eq!(read.content, "a needle");
    call!(calls, file / ListFileChanges());
    call!(calls, worktree / ListWorktrees());
    call!(calls, sync / StartSync());
    call!(calls, sync / ListSyncHistory(opencode_api::OrderedMap::new()));
    call!(calls, tui / AppendTuiPrompt("text"));
    call!(calls, tui / ClearTuiPrompt());
    call!(calls, tui / SubmitTuiPrompt());
    call!(calls, tui / OpenTuiHelp());
    call!(calls, tui / OpenTuiModels());
    call!(calls, tui / OpenTuiSessions());
    call!(calls, tui / OpenTuiThemes());
    call!(calls, tui / ExecuteTuiCommand("agent_cycle"));
    call!(calls, tui / ShowTuiToast("text", ToastVariant::Info));
    let toast = TuiToastShowEvent::new("text", ToastVariant::Info);
    call!(calls, tui / PublishTui(Event::new(EventData::TuiToastShow(toast))));
    call!(calls, tui / AnswerTuiControl(Json::Null));
}

async fn work_on_a_session(calls: &mut Calls<'_>) {
    let made = call!(calls, session / CreateSession().with_title("typed")).unwrap();
    let id = || made.id.clone();
    call!(calls, session / ListSessions().with_limit(5));
    call!(calls, session / ReadSession(id()));
    call!(calls, session / UpdateSession(id()).with_title("renamed"));
    call!(calls, session / ListSessionChildren(id()));
    call!(calls, session / ReadSessionStatuses());
    call!(calls, session / ReadSessionTodos(id()));
    call!(calls, session / ReadSessionDiff(id()));
    let text = |text: &str| vec![TextPartInput::new(text).into()];
    let answer = call!(calls, session / PromptSession(id(), text("Go [[api-prompt]]"))).unwrap();
    let is_text = |part: &Part| matches!(part, Part::Text(text) if text.text == "Typed.");
    assert!(answer.parts.iter().any(is_text), "{answer:?}");
    call!(calls, session / PromptSessionAsync(id(), text("Again")).with_no_reply(true));
    call!(calls, session / RunSessionShell(id(), "build", "echo typed"));
    let messages = call!(calls, message / ListMessages(id())).unwrap();
    assert!(messages.len() > 2, "{messages:?}");
    call!(calls, message / ReadMessage(id(), answer.info.id.clone()));
    if let Some(Part::Text(part)) = answer.parts.iter().find(|part| is_text(part)) {
        let mut changed: TextPart = (**part).clone();
        changed.text = "Changed.".to_owned();
        let (message, part) = (changed.message_id.clone(), changed.id.clone());
        let body = Part::from(changed);
        call!(calls, message / UpdatePart(id(), message.clone(), part.clone(), body));
        call!(calls, message / DeletePart(id(), message, part));
    }
    call!(calls, session / RunSessionCommand(id(), "[[api-command]]", "init"));
    call!(calls, session / SummarizeSession(id(), "scripted", "m1"));
    call!(calls, session / RevertSession(id(), answer.info.parent_id.clone()));
    call!(calls, session / UnrevertSession(id()));
    call!(calls, session / ForkSession(id()));
    call!(calls, session / AbortSession(id()));
    call!(calls, tui / SelectTuiSession(id()));
    call!(calls, experimental / BackgroundSession(id()));
    call!(calls, message / DeleteMessage(id(), answer.info.id.clone()));
    call!(calls, session / DeleteSession(id()));
}

async fn use_terminals(calls: &mut Calls<'_>) {
    call!(calls, pty / ListPtyShells());
    let made = call!(calls, pty / CreatePty().with_command("cat").with_title("typed")).unwrap();
    call!(calls, pty / ListPtys());
    call!(calls, pty / ReadPty(&*made.id));
    call!(calls, pty / UpdatePty(&*made.id).with_title("renamed"));
    call!(calls, pty / CreatePtyTicket(&*made.id));
    call!(calls, pty / RemovePty(&*made.id));
}

async fn use_the_next_generation(calls: &mut Calls<'_>) {
    call!(calls, next::server / ReadNextHealth());
    call!(calls, next::server / ReadNextLocation());
    call!(calls, next::agent / ListNextAgents());
    call!(calls, next::model / ListNextModels());
    let providers = call!(calls, next::provider / ListNextProviders()).unwrap();
    if let Some(provider) = providers.data.first() {
        call!(calls, next::provider / ReadNextProvider(&*provider.id));
    }
    call!(calls, next::command / ListNextCommands());
    call!(calls, next::skill / ListNextSkills());
    call!(calls, next::reference / ListNextReferences());
    let integrations = call!(calls, next::integration / ListNextIntegrations()).unwrap();
    if let Some(found) = integrations.data.first() {
        call!(calls, next::integration / ReadNextIntegration(&*found.id));
    }
    call!(calls, next::fs / ListNextFiles());
    call!(calls, next::fs / FindNextFiles("found"));
    let read = call!(calls, next::fs / ReadNextFile("found.txt")).unwrap();
    assert_eq!(read, "a needle\n");
    call!(calls, next::permission / ListNextPermissionRequests());
    call!(calls, next::permission / ListNextPermissionSavedRules());
    call!(calls, next::question / ListNextQuestionRequests());
    let made = call!(calls, next::session / CreateNextSession()).unwrap().data;
    let id = || made.id.clone();
    call!(calls, next::session / ListNextSessions().with_limit(3));
    call!(calls, next::session / ListNextActiveSessions());
    call!(calls, next::session / ReadNextSession(id()));
    call!(calls, next::session / SwitchNextSessionAgent(id(), "build"));
    let model = ModelRef::new("m1", "scripted");
    call!(calls, next::session / SwitchNextSessionModel(id(), model));
    let prompt = PromptInput::new("Go [[api-prompt]]");
    call!(calls, next::session / PromptNextSession(id(), prompt).with_resume(false));
    call!(calls, next::session / ReadNextSessionHistory(id()));
    call!(calls, next::session / InterruptNextSession(id()));
    call!(calls, next::message / ReadNextSessionContext(id()));
    let messages = call!(calls, next::message / ListNextMessages(id())).unwrap();
    assert!(!messages.data.is_empty());
    let resources = vec!["*".to_owned()];
    let asked =
        call!(calls, next::permission / CreateNextSessionPermission(id(), "bash", resources));
    assert_eq!(asked.unwrap().data.effect, NextPermissionEffect::Allow);
    call!(calls, next::session / ClearNextSessionRevert(id()));
    call!(calls, next::permission / ListNextSessionPermissions(id()));
    call!(calls, next::question / ListNextSessionQuestions(id()));
    call!(calls, next::pty / ListNextPtys());
    let made = call!(calls, next::pty / CreateNextPty().with_command("cat")).unwrap().data;
    call!(calls, next::pty / ReadNextPty(&*made.id));
    call!(calls, next::pty / UpdateNextPty(&*made.id).with_title("renamed"));
    call!(calls, next::pty / CreateNextPtyTicket(&*made.id));
    call!(calls, next::pty / RemoveNextPty(&*made.id));
    call!(calls, instance / DisposeInstance());
}

/// Calls of one test, with all that was wrong about the replies.
struct Calls<'a> {
    world: &'a SessionWorld,
    problems: Vec<String>,
    called: BTreeSet<&'static str>,
}

impl Calls<'_> {
    async fn call<O: Operation>(&mut self, route: Route, operation: O) -> Option<O::Output> {
        self.called.insert(route.operation_id);
        let (output, body) = match self.world.server.call(&WithBody(operation)).await {
            Ok(reply) => reply,
            Err(CallError::Api(error)) => {
                let body = String::from_utf8_lossy(error.body());
                self.problems.push(format!("{}: {error:?} {body}", route.operation_id));
                return None;
            }
            Err(other) => {
                self.problems.push(format!("{}: {other:?}", route.operation_id));
                return None;
            }
        };
        if let Ok(reply) = serde_json::from_slice::<Value>(&body)
            && let Some(written) = recode_reply(route.operation_id, Json::from(reply.clone()))
        {
            let written = written.map(|json| serde_json::from_str(&json.to_string()).unwrap());
            if written != Ok(reply) {
                self.problems.push(format!("{}: {written:?}", route.operation_id));
            }
        }
        Some(output)
    }
}

/// An operation whose body is kept beside the value.
struct WithBody<O>(O);

impl<O: Operation> Operation for WithBody<O> {
    type Output = (O::Output, Bytes);

    fn request(&self) -> Request<Bytes> {
        self.0.request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError> {
        let body = response.body().clone();
        Ok((self.0.decode(response)?, body))
    }

    fn repeat(&self) -> Repeat {
        self.0.repeat()
    }

    fn pace(&self) -> Pace {
        self.0.pace()
    }
}
