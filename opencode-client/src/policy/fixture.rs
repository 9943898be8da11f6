//! For tests.

use opencode_proto::PermissionRequest;
use opencode_proto::api::{ListPermissions, Operation};
use serde_json::{Value, json};

/// An ask as a server lists it.
pub(super) fn asked(
    permission: &str,
    patterns: &[&str],
    always: &[&str],
    metadata: &Value,
) -> PermissionRequest {
    let listed = json!([{
        "id": "per_1",
        "sessionID": "ses_1",
        "permission": permission,
        "patterns": patterns,
        "always": always,
        "metadata": metadata,
    }]);
    let reply = http::Response::new(listed.to_string().into());
    ListPermissions::new().decode(reply).unwrap().remove(0).request
}
