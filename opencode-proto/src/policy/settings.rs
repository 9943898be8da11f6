use std::path::{Path, PathBuf};

use opencode_config::{PermissionAction, Permissions};

use super::guard::Guard;
use crate::SessionId;
use crate::api::ServerPaths;

/// Rules, directories and limits of a policy.
///
/// A default policy has no rules and no confirmation: it refuses every permission request.
///
/// ```
/// use opencode_config::PermissionAction;
/// use opencode_proto::policy::PolicySettings;
///
/// let settings = PolicySettings::new()
///     .within("/src/project")
///     .allow("read")
///     .allow("edit")
///     .pattern("bash", "cargo test *", PermissionAction::Allow)
///     .with_tool_calls_max(100);
/// assert_eq!(settings.rules().decide("bash", "cargo test --doc"), Some(PermissionAction::Allow));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    rules: Permissions,
    reads: Option<Vec<PathBuf>>,
    writes: Option<Vec<PathBuf>>,
    tool_calls_max: Option<usize>,
    subagents: Subagents,
    unruled: Unruled,
    guard: Guard,
    unasked_commands: UnaskedCommands,
}

/// Decision about permission requests that the rules of a policy leave open.
///
/// ```
/// use opencode_config::PermissionAction;
/// use opencode_proto::policy::{PolicySettings, Unruled};
///
/// let settings = PolicySettings::new().ask("webfetch");
/// let hidden = settings.server_permissions().decide("webfetch", "*");
/// assert_eq!(hidden, Some(PermissionAction::Deny));
/// let asked = settings.with_unruled(Unruled::Confirm).server_permissions();
/// assert_eq!(asked.decide("webfetch", "*"), Some(PermissionAction::Ask));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unruled {
    /// The application confirms or refuses each request.
    Confirm,
    /// Every request is refused.
    #[default]
    Refuse,
}

/// Permission of the session to start subagents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Subagents {
    /// Subagents are under the same policy as the session.
    #[default]
    Allowed,
    Forbidden,
}

/// Treatment of servers that run some command lines without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum UnaskedCommands {
    Accepted,
    #[default]
    Refused,
}

impl PolicySettings {
    /// Creates a policy that refuses every permission request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the rules. Keys are those of [`Permissions`].
    ///
    /// Paths in patterns are relative to the root of the repository (to `/` outside a repository),
    /// and are compared as text, before any link is followed. Name directories to confine a
    /// session.
    #[must_use]
    pub fn with_rules(self, rules: Permissions) -> Self {
        Self { rules, ..self }
    }

    /// Allows every use of `key` that the directories of the policy allow.
    #[must_use]
    pub fn allow(self, key: impl Into<String>) -> Self {
        let rules = self.rules.allow(key);
        Self { rules, ..self }
    }

    /// Requires a confirmation of every use of `key`.
    #[must_use]
    pub fn ask(self, key: impl Into<String>) -> Self {
        let rules = self.rules.ask(key);
        Self { rules, ..self }
    }

    /// Refuses every use of `key`.
    #[must_use]
    pub fn deny(self, key: impl Into<String>) -> Self {
        let rules = self.rules.deny(key);
        Self { rules, ..self }
    }

    /// Adds a rule for uses of `key` on subjects that match `pattern`. The last matching rule wins.
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

    /// Confines reads and writes to `directory` and the directories named before.
    ///
    /// A relative path is relative to the directory of the session. The directory has to exist when
    /// the session is put under the policy.
    #[must_use]
    pub fn within(self, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        self.with_reads_in(directory.clone()).with_writes_in(directory)
    }

    /// Confines reads to `directory` and the directories named before.
    #[must_use]
    pub fn with_reads_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.reads.get_or_insert_default().push(directory.into());
        self
    }

    /// Confines writes to `directory` and the directories named before. Reads stay unconfined
    /// unless a directory is named for them.
    #[must_use]
    pub fn with_writes_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.writes.get_or_insert_default().push(directory.into());
        self
    }

    /// Allows writes to guarded files and directories of this name, for example `AGENTS.md` or
    /// `.github`, as far as the rules and directories allow them. Case does not count.
    ///
    /// A policy with directories guards files that programs run or follow without being asked to:
    /// see [the module](super).
    #[must_use]
    pub fn unguard(mut self, name: &str) -> Self {
        self.guard.remove(name);
        self
    }

    /// Accepts servers without a command gate.
    ///
    /// OpenCode runs command lines without asking in which the parser finds no command. So a policy
    /// that allows some commands needs a server whose shell runs approved lines only, as servers
    /// with the [configuration](Self::server_config) of the policy have. On other servers, a model
    /// can run any command.
    #[must_use]
    pub fn with_unasked_commands(self) -> Self {
        Self { unasked_commands: UnaskedCommands::Accepted, ..self }
    }

    /// Refuses tool calls after the first `tool_calls_max` calls of the session and all subagents
    /// together, over all turns.
    ///
    /// Refused calls count. Calls that the server makes without a permission request do not: tools
    /// of the project, or a command line of nothing but `cd`.
    #[must_use]
    pub fn with_tool_calls_max(self, tool_calls_max: usize) -> Self {
        Self { tool_calls_max: Some(tool_calls_max), ..self }
    }

    /// Refuses every subagent.
    ///
    /// Such a policy suits any server: the rules are added to the session itself. OpenCode does not
    /// hand rules of a session down to subagents.
    #[must_use]
    pub fn without_subagents(self) -> Self {
        Self { subagents: Subagents::Forbidden, ..self }
    }

    /// Sets the decision about requests that the rules leave open. Default: [`Unruled::Refuse`].
    #[must_use]
    pub fn with_unruled(self, unruled: Unruled) -> Self {
        Self { unruled, ..self }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Permissions {
        &self.rules
    }

    /// Returns the directories that reads are confined to, as they were named; `None` when reads
    /// are not confined.
    pub fn reads(&self) -> Option<&[PathBuf]> {
        self.reads.as_deref()
    }

    /// Returns the directories that writes are confined to, as they were named; `None` when writes
    /// are not confined.
    pub fn writes(&self) -> Option<&[PathBuf]> {
        self.writes.as_deref()
    }

    /// Returns the maximum number of tool calls, if there is one.
    pub fn tool_calls_max(&self) -> Option<usize> {
        self.tool_calls_max
    }

    /// Returns whether the session may start subagents.
    pub fn may_have_subagents(&self) -> bool {
        self.subagents == Subagents::Allowed
    }

    /// Returns the decision about requests that the rules leave open.
    pub fn unruled(&self) -> Unruled {
        self.unruled
    }

    pub(crate) fn accepts_unasked_commands(&self) -> bool {
        self.unasked_commands == UnaskedCommands::Accepted
    }

    /// Returns the names that the policy does not guard, in lower case and in order.
    pub fn unguarded(&self) -> impl Iterator<Item = &str> {
        self.guard.unguarded()
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(super) fn is_confined(&self) -> bool {
        self.reads.is_some() || self.writes.is_some()
    }
}

/// Directories that a session may use, by their real paths: absolute, without links and `..`.
///
/// The driver resolves the directories of [`PolicySettings::reads`] and
/// [`PolicySettings::writes`], since a machine does not look at files.
///
/// ```
/// use opencode_proto::policy::Confinement;
///
/// let named = std::env::temp_dir();
/// let real = named.canonicalize()?;
/// let confinement = Confinement::new([real.clone()]);
/// assert_eq!(confinement.directories(), [real]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement(Vec<PathBuf>);

impl Confinement {
    /// Creates a confinement to these real paths. Without any, nothing is inside.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(directories.into_iter().collect())
    }

    /// Returns the real paths of the directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.0
    }

    /// Returns the part of a real path below the nearest of the directories; `None` outside.
    pub(super) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = self.0.iter().filter_map(|directory| path.strip_prefix(directory).ok());
        below.min_by_key(|rest| rest.components().count())
    }
}

/// Session under a policy, with the directories.
///
/// ```
/// use opencode_proto::api::ServerPaths;
/// use opencode_proto::policy::{Confinement, PolicyScope};
///
/// // The reply to `GET /path`, and the real paths of the policy's directories.
/// let mut paths = ServerPaths::new("/src/project", "/src");
/// paths.home = Some("/home/me".to_owned());
/// let project = Confinement::new(["/src/project".into()]);
/// let scope = PolicyScope::new("ses_1", paths)
///     .with_reads(project.clone())
///     .with_writes(project);
/// assert_eq!(*scope.session(), "ses_1");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PolicyScope {
    pub(crate) session: SessionId,
    pub(crate) paths: ServerPaths,
    pub(crate) reads: Option<Confinement>,
    pub(crate) writes: Option<Confinement>,
}

impl PolicyScope {
    /// Creates a scope without confined directories.
    pub fn new(session: impl Into<SessionId>, paths: ServerPaths) -> Self {
        Self { session: session.into(), paths, reads: None, writes: None }
    }

    /// Sets the directories that reads are confined to.
    #[must_use]
    pub fn with_reads(self, reads: Confinement) -> Self {
        Self { reads: Some(reads), ..self }
    }

    /// Returns the real paths of the directories that reads are confined to; `None` when reads are
    /// not confined.
    #[must_use]
    pub fn reads(&self) -> Option<&Confinement> {
        self.reads.as_ref()
    }

    /// Sets the directories that writes are confined to.
    #[must_use]
    pub fn with_writes(self, writes: Confinement) -> Self {
        Self { writes: Some(writes), ..self }
    }

    /// Returns the real paths of the directories that writes are confined to; `None` when writes
    /// are not confined.
    #[must_use]
    pub fn writes(&self) -> Option<&Confinement> {
        self.writes.as_ref()
    }

    /// Returns the session. Other sessions that ask are subagents of this one.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Returns the directories of the session, as the server names them. `GET /path`.
    #[must_use]
    pub fn paths(&self) -> &ServerPaths {
        &self.paths
    }
}
