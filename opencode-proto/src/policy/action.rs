use std::time::Instant;

use super::files::FileQuestion;
use super::verdict::PolicyVerdict;
use crate::PermissionRequest;
use crate::api::Pending;
use crate::call::ApiCall;

/// Next step of the driver of a [`PolicyJudge`](super::PolicyJudge).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
///
/// ```
/// use std::time::Instant;
/// use opencode_proto::policy::{PolicyAction, PolicyJudge, PolicyVerdict};
///
/// /// Takes the verdicts that need nothing from outside.
/// fn verdicts(judge: &mut PolicyJudge) -> (Vec<PolicyVerdict>, Option<Instant>) {
///     let mut verdicts = Vec::new();
///     loop {
///         match judge.poll_action() {
///             PolicyAction::Decided(verdict) => verdicts.push(*verdict),
///             PolicyAction::Wait(wake) => return (verdicts, wake),
///             PolicyAction::Call(_) | PolicyAction::Confirm(_) | PolicyAction::LookAtFiles(_) => {
///                 unimplemented!("see the page of the module")
///             }
///         }
///     }
/// }
/// # let _ = verdicts;
/// ```
#[derive(Debug)]
#[must_use]
pub enum PolicyAction {
    /// Make the call, and answer with [`handle_reply`](super::PolicyJudge::handle_reply).
    Call(Box<ApiCall>),
    /// Let the application confirm or refuse the request, and answer with
    /// [`handle_confirm`](super::PolicyJudge::handle_confirm).
    Confirm(Box<Pending<PermissionRequest>>),
    /// Reply to the permission request. Nothing follows for this request.
    Decided(Box<PolicyVerdict>),
    /// Look up the paths, and answer with [`handle_files`](super::PolicyJudge::handle_files).
    LookAtFiles(FileQuestion),
    /// Wait for the next input, or until this time: then call
    /// [`handle_timeout`](super::PolicyJudge::handle_timeout).
    Wait(Option<Instant>),
}
