//! Policies: decisions about the permission requests of a session and its subagents.
//!
//! [`PolicySettings`] holds rules, directories and limits. [`PolicyJudge`] decides each request by
//! them, without I/O: the driver makes its API calls, looks up its paths, and shows requests to the
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
//! A policy decides only what the server asks for. [`PolicySettings::server_permissions`] are the
//! rules that a server needs, and [`PolicySettings::unasked`] checks a server that runs already.

mod action;
mod arguments;
mod command;
mod files;
#[cfg(test)]
mod fixture;
mod footprint;
mod judge;
mod refusals;
mod rules;
mod server;
mod settings;
mod verdict;

pub use action::PolicyAction;
pub use files::{FileFinding, FileQuestion, FileQuestionId, Presence};
pub use judge::PolicyJudge;
pub use rules::Approvals;
pub use server::{ServerRights, Unasked};
pub use settings::{Confinement, PolicyScope, PolicySettings, Unruled};
pub use verdict::{PolicyReason, PolicyVerdict};
