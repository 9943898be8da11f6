//! Names of event types.

/// Types that are decoded. Apart from [`SESSIONLESS`], each belongs to a session.
pub(super) const TYPED: [&str; 21] = [
    "command.executed",
    "message.part.delta",
    "message.part.removed",
    "message.part.updated",
    "message.removed",
    "message.updated",
    "permission.asked",
    "permission.replied",
    "permission.updated",
    "question.asked",
    "question.rejected",
    "question.replied",
    "session.compacted",
    "session.created",
    "session.deleted",
    "session.diff",
    "session.error",
    "session.idle",
    "session.status",
    "session.updated",
    "todo.updated",
];

/// Decoded types that may come without a session.
pub(super) const SESSIONLESS: [&str; 2] = ["command.executed", "session.error"];

/// Types without relation to a turn: the rest of 1.18.33 and of older versions.
const OTHERS: [&str; 69] = [
    "catalog.updated",
    "file.edited",
    "file.watcher.updated",
    "ide.installed",
    "installation.update-available",
    "installation.updated",
    "integration.connection.updated",
    "integration.updated",
    "lsp.client.diagnostics",
    "lsp.updated",
    "mcp.browser.open.failed",
    "mcp.tools.changed",
    "models-dev.refreshed",
    "permission.v2.asked",
    "permission.v2.replied",
    "plugin.added",
    "project.directories.updated",
    "project.updated",
    "pty.created",
    "pty.deleted",
    "pty.exited",
    "pty.updated",
    "question.v2.asked",
    "question.v2.rejected",
    "question.v2.replied",
    "reference.updated",
    "session.next.agent.switched",
    "session.next.compaction.delta",
    "session.next.compaction.ended",
    "session.next.compaction.started",
    "session.next.context.updated",
    "session.next.model.switched",
    "session.next.moved",
    "session.next.prompt.admitted",
    "session.next.prompted",
    "session.next.reasoning.delta",
    "session.next.reasoning.ended",
    "session.next.reasoning.started",
    "session.next.retried",
    "session.next.revert.cleared",
    "session.next.revert.committed",
    "session.next.revert.staged",
    "session.next.shell.ended",
    "session.next.shell.started",
    "session.next.step.ended",
    "session.next.step.failed",
    "session.next.step.started",
    "session.next.synthetic",
    "session.next.text.delta",
    "session.next.text.ended",
    "session.next.text.started",
    "session.next.tool.called",
    "session.next.tool.failed",
    "session.next.tool.input.delta",
    "session.next.tool.input.ended",
    "session.next.tool.input.started",
    "session.next.tool.progress",
    "session.next.tool.success",
    "storage.write",
    "tui.command.execute",
    "tui.prompt.append",
    "tui.session.select",
    "tui.toast.show",
    "vcs.branch.updated",
    "workspace.failed",
    "workspace.ready",
    "workspace.status",
    "worktree.failed",
    "worktree.ready",
];

/// Returns whether a known version of OpenCode sends events of this type.
pub(super) fn is_known(event_type: &str) -> bool {
    OTHERS.binary_search(&event_type).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_types_can_be_searched() {
        assert!(OTHERS.is_sorted());
        assert!(is_known("plugin.added") && !is_known("session.idle"));
    }
}
