//! Policies of sessions: the settings and judge of `opencode_proto`, driven on any runtime.

mod driver;
mod error;
mod files;
mod gate;
mod session;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::{PermissionAction, Permissions, RunConfig};
use opencode_proto::{Pending, PermissionKind, PermissionReply, PermissionRequest};

use crate::session::turn::handler::Handler;

pub use error::PolicyError;

pub use opencode_proto::policy::{PolicyReason, PolicySettings, PolicyVerdict, Unruled};

/// Rules, directories and limits of a session and all subagents. A policy decides each of their
/// permission requests in place of the server's rules. Commands that it allows run as the same user
/// as the server, and can read the server's password from the environment of the server's process
/// (`/proc/PID/environ`), and with the password reply to permission requests themselves. So allow
/// only commands whose effects you accept.
///
/// ```
/// use opencode_tokio::config::PermissionAction;
/// use opencode_tokio::{PermissionReply, Policy, RunConfig, ServeRequest};
///
/// let policy = Policy::new()
///     .within("/src/project")
///     .allow("read")
///     .allow("grep")
///     .allow("edit")
///     .pattern("bash", "cargo test *", PermissionAction::Allow)
///     .with_tool_calls_max(100)
///     .with_confirm(|ask| async move {
///         println!("{} {:?}?", ask.request.permission, ask.request.patterns);
///         PermissionReply::reject_with("Not today.")
///     });
/// let request = ServeRequest::new()
///     .with_directory("/src/project")
///     .with_config(policy.server_config(RunConfig::new()));
/// # drop(request);
/// // let server = opencode.serve(request).await?;
/// // let session = server.create_session(..).await?.with_policy(policy).await?;
/// ```
///
/// # Order of decision
///
/// A refusal carries a message that gives the reason to the model, so that the turn goes on.
///
/// 1. Tool calls after [the maximum](Self::with_tool_calls_max) are refused, counted over the whole
///    tree of sessions. A call that asks twice counts once.
/// 2. Files outside [the directories](Self::within) are refused, whatever the rules are.
/// 3. The rules decide: the last matching rule wins, with OpenCode's wildcards.
/// 4. Requests without a rule, and those with the action `ask`, go to
///    [the confirm function](Self::with_confirm), or are refused without one. A confirmation with
///    `Always` allows the same from then on in this session and all subagents. (OpenCode would
///    allow the same in all sessions of the directory, so the server gets `once`.)
///
/// Handlers of the session and of turns ([`on_permission`](crate::Session::on_permission)) get no
/// permission requests any more.
///
/// # Prevented
///
/// - Reads and writes outside the directories by `read`, `edit`, `write`, `apply_patch`, `glob`,
///   `grep`, `list` and `lsp`, also through links and `..`, and reads of files that the prompt of a
///   subagent mentions (`@file`), which OpenCode reads without asking. Paths are looked up on this
///   machine: the server has to see the same files.
/// - Within the directories, writes to files that programs run or follow without being asked to,
///   when the project is used next. [The settings](opencode_proto::policy#guarded-files) list them:
///   files of git, of agents (`AGENTS.md`, `.opencode`), of direnv, editors, package managers and
///   continuous integration. [`unguard`](Self::unguard) allows a name, and so does a directory of
///   the policy that is one of them.
/// - Subagents with more rights than the session, a subagent that resumes a session other than a
///   child of the one that asks (`task_id`), and a confirmation with `Always` that holds for
///   another session.
/// - Tools of the project and of plugins, which ask for no permission, unless a rule names them.
///
/// # Not prevented
///
/// - **Effects of commands.** A command can do anything that the user can. So a policy with
///   directories refuses `bash` unless a rule names `bash` or `*`. A rule for some commands (`git
///   *`) is a filter, not a wall: it allows lines of these commands with literal words, joined by
///   `;`, `&&`, `||` or `|`. Lines that expand, substitute, redirect, assign, or do more than
///   OpenCode shows have to be confirmed. But `git`, `cargo` and most other programs can run
///   anything.
/// - **Command lines on a server without a gate.** OpenCode asks for the commands that the parser
///   finds in a line, and finds none in `{touch,x}` or `[[ 'a[$(touch x)]' -eq 0 ]]`. So the shell
///   of a server with the [configuration](Self::server_config) of a policy that allows some
///   commands is a [gate](opencode_config::CommandGate), which runs only lines that the policy
///   allowed. Commands of sessions without a policy do not run on such a server, and commands do
///   not inherit the credentials of the server. Other servers are refused for such a policy, unless
///   the policy [accepts](Self::with_unasked_commands) that a model can run any command.
/// - **Code that runs by name:** scripts of `package.json`, `Makefile`, `build.rs`, tests, and
///   everything else that a person or a command starts. They are files like all others.
/// - **Changes in between.** A path is looked up when the request comes, and used later. A process
///   that can make links in between (a command, another program) can get out. Hard links cannot be
///   recognized. `edit` looks for the text in a file before asking, which reveals that much of a
///   file behind a link. Calls of one message that have the same id cannot be told apart; all but
///   one are refused, and the arguments of none of them count once the server lists both.
/// - **Code of the project.** OpenCode runs plugins, MCP servers, formatters and language servers
///   of the project's configuration when it starts, or when a file is written. Start servers for
///   untrusted projects with [`ProjectConfig::Ignore`](opencode_config::ProjectConfig::Ignore).
///   Tools of MCP servers and of the project are not confined once they are allowed. (A tool of an
///   MCP server is asked for as `SERVER_TOOL`, a resource as `read` of `mcp:SERVER:URI`, which is
///   not a file.)
/// - **Requests of the application itself:** files and subtasks of prompts, commands (whose
///   templates can run programs), [command lines](crate::turn::ShellRequest), and every other call
///   of the API. The same holds for files that OpenCode reads by itself: configuration,
///   instructions (`AGENTS.md`), skills.
/// - **Network traffic** of `webfetch`, `websearch` and MCP tools, where the rules allow them.
/// - **Uses without a request.** A server asks by the rules of the server, which
///   [`Session::with_policy`](crate::Session::with_policy) reads once; the call fails where they
///   would allow a use unasked. Later changes of the rules are not noticed.
#[derive(Clone, Default)]
pub struct Policy {
    settings: PolicySettings,
    confirm: Option<Handler<PermissionKind>>,
    observer: Option<PolicyObserver>,
}

type PolicyObserver = Arc<dyn Fn(&PolicyVerdict) + Send + Sync>;

impl Policy {
    /// Creates a policy without rules and without a confirm function, which refuses everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the rules. Keys are OpenCode's: see [`Permissions`].
    ///
    /// Paths in patterns are relative to the root of the repository (to `/` outside a repository),
    /// and are compared as text, before any link is followed. Name directories to confine a
    /// session.
    #[must_use]
    pub fn with_rules(self, rules: Permissions) -> Self {
        self.map(|settings| settings.with_rules(rules))
    }

    /// Allows every use of `key` that the directories of the policy allow.
    #[must_use]
    pub fn allow(self, key: impl Into<String>) -> Self {
        self.map(|settings| settings.allow(key))
    }

    /// Requires a confirmation of every use of `key`.
    #[must_use]
    pub fn ask(self, key: impl Into<String>) -> Self {
        self.map(|settings| settings.ask(key))
    }

    /// Refuses every use of `key`.
    #[must_use]
    pub fn deny(self, key: impl Into<String>) -> Self {
        self.map(|settings| settings.deny(key))
    }

    /// Adds a rule for uses of `key` on subjects that match `pattern`. The last matching rule wins.
    #[must_use]
    pub fn pattern(
        self,
        key: impl Into<String>,
        pattern: impl Into<String>,
        action: PermissionAction,
    ) -> Self {
        self.map(|settings| settings.pattern(key, pattern, action))
    }

    /// Confines reads and writes to `directory` and the directories named before.
    ///
    /// A relative path is relative to the directory of the session. The directory has to exist when
    /// the session is put under the policy.
    #[must_use]
    pub fn within(self, directory: impl Into<PathBuf>) -> Self {
        self.map(|settings| settings.within(directory))
    }

    /// Confines reads to `directory` and the directories named before.
    #[must_use]
    pub fn with_reads_in(self, directory: impl Into<PathBuf>) -> Self {
        self.map(|settings| settings.with_reads_in(directory))
    }

    /// Confines writes to `directory` and the directories named before. Reads stay unconfined
    /// unless a directory is named for them.
    #[must_use]
    pub fn with_writes_in(self, directory: impl Into<PathBuf>) -> Self {
        self.map(|settings| settings.with_writes_in(directory))
    }

    /// Allows writes to guarded files and directories of this name, for example `AGENTS.md` or
    /// `.github`, as far as the rules and directories allow them. Case does not count.
    #[must_use]
    pub fn unguard(self, name: &str) -> Self {
        self.map(|settings| settings.unguard(name))
    }

    /// Accepts servers that run some command lines without asking.
    ///
    /// See [`PolicyError::UnaskedCommands`]. On such a server, a model can run any command.
    #[must_use]
    pub fn with_unasked_commands(self) -> Self {
        self.map(PolicySettings::with_unasked_commands)
    }

    /// Refuses tool calls after the first `tool_calls_max` calls of the session and all subagents
    /// together, over all turns.
    ///
    /// Refused calls count. Calls that the server makes without a permission request do not: tools
    /// of the project, or a command line of nothing but `cd`.
    #[must_use]
    pub fn with_tool_calls_max(self, tool_calls_max: usize) -> Self {
        self.map(|settings| settings.with_tool_calls_max(tool_calls_max))
    }

    /// Refuses every subagent.
    ///
    /// Such a policy suits any server: the rules are added to the session itself. OpenCode does not
    /// hand rules of a session down to subagents.
    #[must_use]
    pub fn without_subagents(self) -> Self {
        self.map(PolicySettings::without_subagents)
    }

    /// Lets `confirm` decide the requests that the rules leave open. The deadlines of a turn are
    /// suspended meanwhile.
    ///
    /// When `confirm` panics, the request is refused. A refusal without a message ends the turn,
    /// unless the server was started with [`server_config`](Self::server_config).
    #[must_use]
    pub fn with_confirm<R>(
        self,
        confirm: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        let policy = self.map(|settings| settings.with_unruled(Unruled::Confirm));
        Self { confirm: Some(Arc::new(move |ask| Box::pin(confirm(ask)))), ..policy }
    }

    /// Calls `observer` with each decision and the reason.
    #[must_use]
    pub fn on_verdict(self, observer: impl Fn(&PolicyVerdict) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Returns the rules, directories and limits as values.
    pub fn settings(&self) -> &PolicySettings {
        &self.settings
    }

    /// Adds the configuration of a server that asks for everything the policy is about.
    ///
    /// Besides [`server_permissions`](Self::server_permissions), the configuration makes a turn go
    /// on when several calls are refused at once, which keeps the messages of all refusals but one
    /// from the model (`experimental.continue_loop_on_deny`).
    #[must_use]
    pub fn server_config(&self, config: RunConfig) -> RunConfig {
        self.settings.server_config(config)
    }

    /// Returns the rules for a server that is started for the policy: see
    /// [`PolicySettings::server_permissions`].
    #[must_use]
    pub fn server_permissions(&self) -> Permissions {
        self.settings.server_permissions()
    }

    fn map(self, change: impl FnOnce(PolicySettings) -> PolicySettings) -> Self {
        Self { settings: change(self.settings), ..self }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("settings", &self.settings).finish_non_exhaustive()
    }
}
