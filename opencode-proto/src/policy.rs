//! Policies: decisions about the permission requests of a session and all subagents.
//!
//! [`PolicySettings`] holds rules, directories and limits. [`PolicyJudge`] decides each request by
//! them, without I/O: the driver makes the API calls, looks up the paths, and shows requests to the
//! application.
//!
//! # The loop
//!
//! ```
//! use std::time::Instant;
//! use opencode_proto::api::{Pending, ServerPaths};
//! use opencode_proto::policy::{PolicyAction, PolicyJudge, PolicyScope, PolicySettings};
//! use opencode_proto::{ServerEvent, ServerEventKind};
//!
//! let settings = PolicySettings::new().allow("webfetch");
//! let scope = PolicyScope::new("ses_1", ServerPaths::new("/src/project", "/src"));
//! let mut judge = PolicyJudge::new(settings, scope);
//!
//! // 1. Hand over each permission request of the session's turns.
//! let event = r#"{"type":"permission.asked","properties":{"id":"per_1","sessionID":"ses_1",
//!     "permission":"webfetch","patterns":["https://example.org"],"always":["*"],"metadata":{}}}"#;
//! let ServerEventKind::PermissionAsked(request) = ServerEvent::decode(event.into()).kind else {
//!     panic!("a permission request");
//! };
//! judge.handle_ask(Pending::new("ses_1".into(), *request), Instant::now());
//!
//! // 2. Carry out the actions until the judge waits.
//! let verdict = loop {
//!     match judge.poll_action() {
//!         PolicyAction::Call(_call) => { /* later: judge.handle_reply(call.id, reply, now) */ }
//!         PolicyAction::LookAtFiles(_question) => { /* judge.handle_files(question.id, ..) */ }
//!         PolicyAction::Confirm(_ask) => { /* judge.handle_confirm(&ask.request.id, reply, now) */ }
//!         PolicyAction::Decided(verdict) => break verdict,
//!         // 3. Wait for one of these inputs, or until `wake`.
//!         PolicyAction::Wait(_wake) => judge.handle_timeout(Instant::now()),
//!     }
//! };
//!
//! // 4. Send the verdict to the server: `ReplyPermission` has the request's id and the reply.
//! assert_eq!(verdict.reply.as_str(), "once");
//! assert_eq!(verdict.reason.to_string(), "decided by a rule");
//! ```
//!
//! # Order of decision
//!
//! 1. Requests of subagents are refused where the policy has no subagents, and so are tool calls
//!    after the maximum.
//! 2. Files outside the directories are refused. The arguments of a call are read from the server
//!    where the request does not name the files (`read`, `task`).
//! 3. The rules decide; the last matching rule wins, with OpenCode's wildcards.
//! 4. The application confirms the rest, or the rest is refused.
//!
//! OpenCode refuses all pending requests of a session with one of them, so a refusal is held back
//! until no other request of the session can still be allowed.
//!
//! # Commands
//!
//! A rule for some commands (`git *`) allows a command line whose words every shell takes
//! literally, and which is nothing but commands of such rules, joined by `;`, `&&`, `||` or `|`.
//! Quotes do not count: a rule for `git push *` is also about `git 'push'`. All other lines have to
//! be confirmed: those with variables, substitutions, arithmetic, redirections (but those to
//! `/dev/null`), here-documents, braces, tildes, escapes, line breaks, assignments, `cd`, builtins
//! that evaluate their words, and patterns of files without a directory in front. A rule for all
//! commands (`*`) allows every line, unless a later rule is stricter.
//!
//! OpenCode 1.18.33 asks for the commands that the parser finds in a line, and runs lines in which
//! it finds none without asking. So a policy that allows some commands needs a server whose shell
//! runs approved lines only: see [`PolicySettings::needs_command_gate`] and
//! [`PolicyVerdict::allowed_command_line`].
//!
//! # Guarded files
//!
//! Where writes are confined, these files and directories may not be written within the directories
//! either, since programs run or follow them without being asked to. Case does not count.
//!
//! - Agents: `.opencode*`, `opencode.json*`, `AGENTS.md`, `AGENT.md`, `CLAUDE.md`,
//!   `CLAUDE.local.md`, `CONTEXT.md`, `GEMINI.md`, `SKILL.md`, `.agents`, `.aider*`, `.claude`,
//!   `.clinerules`, `.codex`, `.continue`, `.cursor*`, `.gemini`, `.goosehints`, `.kilocode`,
//!   `.mcp.json`, `.openhands`, `.roo`, `.roorules`, `.rules`, `.windsurf*`, `.zed`.
//! - Version control: `.git`, `.gitattributes`, `.gitconfig`, `.gitmodules`, `.lfsconfig`, `.hg`,
//!   `.hgrc`, `.jj`, `.svn`, `.husky`, `lefthook.yml`, `.pre-commit-config.yaml`, files with the
//!   name of a git hook wherever they are (`core.hooksPath`), a file named `HEAD`, and everything
//!   in a directory that has one: git takes such a directory for a repository.
//! - Continuous integration: `.github`, `.gitlab`, `.gitlab-ci.yml`, `.circleci`, `.buildkite`,
//!   `.drone.yml`, `.forgejo`, `.gitea`, `.teamcity`, `.travis.yml`, `.woodpecker`,
//!   `.woodpecker.yml`, `.appveyor.yml`, `appveyor.yml`, `azure-pipelines.yml`,
//!   `bitbucket-pipelines.yml`, `Jenkinsfile`.
//! - Shells and environments: `.envrc`, `.direnv`, `.config`, `.devcontainer`, `mise.toml`,
//!   `.mise.toml`, `.tool-versions`, `.profile`, `.bashrc`, `.bash_profile`, `.bash_login`,
//!   `.bash_logout`, `.zshrc`, `.zshenv`, `.zprofile`, `.zlogin`, `.zlogout`, `.ssh`, `.gnupg`.
//! - Package managers and build tools: `.npmrc`, `.yarnrc`, `.yarnrc.yml`, `.yarn`,
//!   `.pnpmfile.cjs`, `bunfig.toml`, `.bunfig.toml`, `.cargo`, `.pip`, `.bazelrc`.
//! - Editors and debuggers: `.vscode`, `.idea`, `.exrc`, `.vimrc`, `.nvimrc`, `.nvim.lua`,
//!   `.lvimrc`, `.dir-locals.el`, `.gdbinit`, `.lldbinit`.
//!
//! Not guarded is code that runs when it is started by name: scripts of `package.json`, `Makefile`,
//! `build.rs`, tests, and programs of the project.
//!
//! A policy decides only about requests of the server. [`PolicySettings::server_permissions`] are
//! the rules that a server needs, and [`PolicySettings::unasked`] checks a server that runs
//! already.

mod action;
mod arguments;
mod command;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod footprint;
mod guard;
mod judge;
mod rules;
mod server;
mod settings;
pub(crate) mod shell;
mod verdict;

pub use action::PolicyAction;
pub use files::{FileFinding, FileQuestion, FileQuestionId, Presence};
pub use judge::PolicyJudge;
pub use rules::Approvals;
pub use server::{ServerRights, Unasked};
pub use settings::{Confinement, PolicyScope, PolicySettings, Unruled};
pub use verdict::{PolicyReason, PolicyVerdict};
