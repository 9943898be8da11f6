//! What a session and its subagents may do, decided by us.

mod command;
mod error;
#[cfg(test)]
mod fixture;
mod footprint;
mod memory;
mod order;
mod place;
mod rules;
mod server;
mod session;
mod tree;
mod verdict;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::{PermissionAction, Permissions};
use opencode_proto::{Pending, PermissionReply, PermissionRequest};

use crate::session::turn::handler::Handler;

pub use error::PolicyError;
pub(crate) use memory::Memory;
pub use verdict::{PolicyReason, Verdict};

/// What a session and its subagents may do. Each permission that they ask for is decided here, not by the server's rules.
///
/// ```
/// use opencode_client::{PermissionAction, PermissionReply, Policy, RunConfig, ServeRequest};
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
/// # How it decides
///
/// In this order. What is refused is refused with a message that tells the model why, so that the turn goes on.
///
/// 1. More calls than [`with_tool_calls_max`](Self::with_tool_calls_max), counted over the whole tree of sessions, are
///    refused. A call that asks twice counts once.
/// 2. What leads out of the directories ([`within`](Self::within)) is refused, whatever the rules say.
/// 3. The rules: the last that matches wins, with OpenCode's wildcards.
/// 4. What they do not decide, or say `ask` to, is confirmed by [`with_confirm`](Self::with_confirm), or refused without
///    one. When that answers `Always`, the same is allowed from then on in this session and its subagents. (OpenCode would
///    allow it in all sessions of the directory, so it is told `once`.)
///
/// Handlers of the session and its turns ([`on_permission`](crate::Session::on_permission)) are not asked any more.
///
/// # What it prevents
///
/// - Reads and writes outside the directories by `read`, `edit`, `write`, `apply_patch`, `glob`, `grep`, `list` and `lsp`,
///   through links and `..` too, and of files that the prompt of a subagent mentions (`@file`), which OpenCode reads without
///   asking. Paths are looked at on this machine: the server has to see the same files.
/// - Within the directories, writes to what OpenCode and git run or follow when the project is used next: `.git`,
///   `.opencode`, `opencode.json`, `opencode.jsonc`; unless such a directory is named itself.
/// - That subagents do more than the session, that one goes on with a session that is no child of the one that asks
///   (`task_id`), and that an `Always` for one session opens another.
/// - Tools of the project and of plugins, which ask for nothing, where no rule names them.
///
/// # What it does not prevent
///
/// - **What commands do.** A command that runs can do anything that its user can. So with directories, `bash` is refused
///   unless a rule names it, or `*`. A rule for some commands (`git *`) is a filter and no wall. It lets nothing pass that
///   redirects, substitutes commands or does more than OpenCode shows, which is to be confirmed; but `git`, `cargo` and most
///   others have ways to run anything. And where `bash` is not hidden, OpenCode runs some lines without asking: those of
///   nothing but `cd` and redirections, which can read any file (`cd "$(<file)"`) and truncate any (`> file`). A server
///   that was told by [`server_config`](Self::server_config) of a policy that can allow no command hides `bash`.
/// - **What changes meanwhile.** A path is looked at when it is asked for, and used later. Who can make links in between (a
///   command, another program) can get out. Hard links cannot be seen. `edit` looks whether a text is in a file before it
///   asks: that much of a file behind a link can be learnt. Two calls of one message that have the same id cannot be told
///   apart; one of them is refused, and a provider that makes such ids could have the other read more.
/// - **Code of the project.** OpenCode runs what its configuration says, when it starts or when a file is written: plugins,
///   MCP servers, formatters, language servers. For projects that are not trusted, start servers with
///   [`ProjectConfig::Ignore`](opencode_config::ProjectConfig::Ignore). What MCP servers and tools of the project do, once
///   they may, is not confined. (A tool of an MCP server is asked for as `SERVER_TOOL`, a resource as `read` of
///   `mcp:SERVER:URI`, which is no file.)
/// - **What the application asks for itself:** files and subtasks of its prompts, commands (whose templates can run
///   programs), [`TurnRequest::shell`](crate::TurnRequest::shell), and every other call of the API. And what OpenCode reads
///   by itself: configuration, instructions (`AGENTS.md`), skills.
/// - **What leaves by the network** with `webfetch`, `websearch` and MCP tools, where the rules allow them.
/// - **What is not asked.** A server asks by its own rules. [`Session::with_policy`](crate::Session::with_policy) reads them
///   once and fails where they would allow something unasked; who changes them later, changes that.
#[derive(Clone, Default)]
pub struct Policy {
    rules: Permissions,
    reads: Option<Vec<PathBuf>>,
    writes: Option<Vec<PathBuf>>,
    tool_calls_max: Option<usize>,
    subagents: Subagents,
    confirm: Option<Handler<PermissionRequest, PermissionReply>>,
    observer: Option<Observer>,
}

type Observer = Arc<dyn Fn(&Verdict) + Send + Sync>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Subagents {
    #[default]
    As,
    Off,
}

impl Policy {
    /// Everything is to be confirmed, and there is nobody to do it: nothing is allowed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these rules in place of those it has. Keys are OpenCode's: see [`Permissions`]. Paths in patterns are relative
    /// to the root of the repository (to `/` where there is none), and say nothing about links: to confine, name
    /// directories.
    #[must_use]
    pub fn with_rules(self, rules: Permissions) -> Self {
        Self { rules, ..self }
    }

    /// Allows all uses of `key` that the directories allow.
    #[must_use]
    pub fn allow(self, key: impl Into<String>) -> Self {
        let rules = self.rules.allow(key);
        Self { rules, ..self }
    }

    /// Has `key` confirmed.
    #[must_use]
    pub fn ask(self, key: impl Into<String>) -> Self {
        let rules = self.rules.ask(key);
        Self { rules, ..self }
    }

    /// Refuses `key`.
    #[must_use]
    pub fn deny(self, key: impl Into<String>) -> Self {
        let rules = self.rules.deny(key);
        Self { rules, ..self }
    }

    /// What happens when `key` is used on what `pattern` matches.
    #[must_use]
    pub fn pattern(
        self,
        key: impl Into<String>,
        pattern: impl Into<String>,
        action: PermissionAction,
    ) -> Self {
        let rules = self.rules.pattern(key, pattern, action);
        Self { rules, ..self }
    }

    /// Confines reads and writes to this directory, and to those named so before. It has to be there when the session is
    /// put under the policy; a relative one is relative to the session's.
    #[must_use]
    pub fn within(self, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        self.with_reads_in(directory.clone()).with_writes_in(directory)
    }

    /// Confines reads to this directory, and to those named so before.
    #[must_use]
    pub fn with_reads_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.reads.get_or_insert_default().push(directory.into());
        self
    }

    /// Confines writes to this directory, and to those named so before. With no directory for reads, reads are not confined.
    #[must_use]
    pub fn with_writes_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.writes.get_or_insert_default().push(directory.into());
        self
    }

    /// Refuses tool calls after this many, of the session and its subagents together, over all its turns. Refused ones
    /// count; what the server does not ask for does not: tools of a project, or a command line of nothing but `cd`.
    #[must_use]
    pub fn with_tool_calls_max(self, tool_calls_max: usize) -> Self {
        Self { tool_calls_max: Some(tool_calls_max), ..self }
    }

    /// Allows no subagents. Then a session can be put under the policy on any server: it gets rules of its own, which
    /// OpenCode would not hand down to subagents.
    #[must_use]
    pub fn without_subagents(self) -> Self {
        Self { subagents: Subagents::Off, ..self }
    }

    /// Lets `confirm` decide what the rules do not. No deadline of a turn counts while it thinks. When it panics, the answer
    /// is no. A refusal without a message ends the turn, unless the server was started with
    /// [`server_config`](Self::server_config).
    #[must_use]
    pub fn with_confirm<R>(
        self,
        confirm: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        Self { confirm: Some(Arc::new(move |ask| Box::pin(confirm(ask)))), ..self }
    }

    /// Tells `observer` what was decided, and why, as it is decided.
    #[must_use]
    pub fn on_verdict(self, observer: impl Fn(&Verdict) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("rules", &self.rules)
            .field("reads", &self.reads)
            .field("writes", &self.writes)
            .field("tool_calls_max", &self.tool_calls_max)
            .field("subagents", &self.subagents)
            .finish_non_exhaustive()
    }
}
