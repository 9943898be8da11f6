use std::sync::{Mutex, PoisonError};

use opencode_config::{PermissionAction, Permissions};
use opencode_proto::PermissionRequest;

use super::rules::is_plain_ask;

#[cfg(test)]
mod tests;

/// What was allowed for good, for one session and its subagents. OpenCode itself would remember it for all sessions of
/// the directory.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Permissions>);

impl Memory {
    /// Remembers what `always` allows.
    pub(crate) fn remember(&self, request: &PermissionRequest) {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for pattern in &request.always {
            let remembered = std::mem::take(&mut *rules);
            let (permission, allow) = (request.permission.clone(), PermissionAction::Allow);
            *rules = remembered.pattern(permission, pattern.clone(), allow);
        }
    }

    /// Whether all of it was allowed before. A command line that does more than its commands say never was.
    pub(crate) fn allows(&self, request: &PermissionRequest) -> bool {
        if request.permission == "bash" && !is_plain_ask(request) {
            return false;
        }
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = |pattern: &String| rules.decide(&request.permission, pattern).is_some();
        !request.patterns.is_empty() && request.patterns.iter().all(allowed)
    }
}
