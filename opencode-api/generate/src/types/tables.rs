//! Names and ids that the document does not have.

/// Unions of events, by schema: their types are written by hand.
pub(super) const ENVELOPES: [(&str, &str); 4] = [
    ("Event", "Event"),
    ("GlobalEvent", "GlobalEvent"),
    ("SessionDurableEvent", "NextEvent"),
    ("V2Event", "NextEvent"),
];

/// Ids that the core has a type for, by the prefix in the pattern.
pub(super) const IDS: [(&str, &str); 5] = [
    ("^msg", "MessageId"),
    ("^per", "PermissionId"),
    ("^prt", "PartId"),
    ("^que", "QuestionId"),
    ("^ses", "SessionId"),
];

/// Fields that hold such an id, also where the document has no pattern.
pub(super) const ID_FIELDS: [(&str, &str); 4] = [
    ("callID", "CallId"),
    ("messageID", "MessageId"),
    ("partID", "PartId"),
    ("sessionID", "SessionId"),
];

/// Names of types for fields that several objects have in common, by the name that the place would
/// give: the first object in the document is a matter of chance.
pub(super) const INLINE: [(&str, &str); 40] = [
    ("ConsoleOrgsOrg", "ConsoleOrg"),
    ("FileWatcherUpdatedEventEvent", "FileWatcherChange"),
    ("FilesType", "EntryKind"),
    ("InterleavedFieldField", "InterleavedFieldName"),
    ("LspStatusStatus", "LspConnection"),
    ("ModelCapabilitiesInput", "ModelModalities"),
    ("ModelCapabilitiesInterleavedField", "InterleavedField"),
    ("ModelCapabilitiesInterleavedFieldField", "InterleavedFieldName"),
    ("ModelCapabilitiesOutput", "ModelModalities"),
    ("ModelCostThresholdType", "ModelCostThresholdKind"),
    ("ModelCostTierTier", "ModelCostThreshold"),
    ("NextMessageCompactionReason", "CompactionReason"),
    ("NextSessionPageCursor", "PageCursor"),
    ("NextSessionsOrder", "ListOrder"),
    ("PromptNextSessionDelivery", "PromptDelivery"),
    ("PromptSessionPart", "PromptPart"),
    ("ProviderConfigModelModalitiesInput", "Modality"),
    ("ProviderConfigModelModalitiesOutput", "Modality"),
    ("ProviderConfigOptionsChunkTimeout", "TimeoutSetting"),
    ("ProviderConfigOptionsHeaderTimeout", "TimeoutSetting"),
    ("ProviderConfigOptionsTimeout", "TimeoutSetting"),
    ("ReplyPermissionReply", "PermissionReply"),
    ("RespondPermissionResponse", "PermissionReply"),
    ("SessionTokensCache", "TokenCache"),
    ("ShowTuiToastVariant", "ToastVariant"),
    ("SnapshotFileDiffStatus", "ChangeStatus"),
    ("SymbolRangeEnd", "SymbolPosition"),
    ("SymbolRangeStart", "SymbolPosition"),
    ("TextMatchLines", "MatchText"),
    ("TextMatchPath", "MatchText"),
    ("TextMatchSubmatch", "TextSubmatch"),
    ("TextMatchSubmatchMatch", "MatchText"),
    ("TextSubmatchMatch", "MatchText"),
    ("TuiCommandExecuteEventCommand", "TuiCommand"),
    ("TuiToastShowEventVariant", "ToastVariant"),
    ("UpdatePtySize", "PtySize"),
    ("UpgradeResultError", "UpgradeFailure"),
    ("UpgradeResultVersion", "UpgradeSuccess"),
    ("WorkspaceEventConnectionStatusStatus", "WorkspaceConnection"),
    ("WorkspaceStatusEventStatus", "WorkspaceConnection"),
];

/// Schemas whose fields give their names to the same fields of others.
pub(super) const FIRST: [&str; 10] = [
    "Session",
    "Part",
    "Message",
    "TextPartInput",
    "Model",
    "Provider",
    "ProviderAuthMethod",
    "ModelRef",
    "SnapshotFileDiff",
    "Pty",
];

/// Names of types for replies without a schema of their own.
pub(super) const REPLIES: [(&str, &str); 26] = [
    ("app.skills", "Skill"),
    ("config.providers", "ConfigProviders"),
    ("experimental.console.listOrgs", "ConsoleOrgs"),
    ("experimental.projectCopy.generateName", "ProjectCopyName"),
    ("experimental.workspace.adapter.list", "WorkspaceAdapter"),
    ("find.text", "TextMatch"),
    ("global.health", "ServerHealth"),
    ("global.upgrade", "UpgradeResult"),
    ("mcp.auth.remove", "McpAuthRemoval"),
    ("mcp.auth.start", "McpAuthStart"),
    ("provider.list", "ProviderList"),
    ("pty.shells", "PtyShell"),
    ("session.command", "AnswerWithParts"),
    ("session.message", "MessageWithParts"),
    ("session.messages", "MessageWithParts"),
    ("session.prompt", "AnswerWithParts"),
    ("session.shell", "MessageWithParts"),
    ("sync.history.list", "SyncHistoryEvent"),
    ("sync.replay", "SyncReplayed"),
    ("sync.steal", "SyncStolen"),
    ("tui.control.next", "TuiControlRequest"),
    ("v2.health.get", "NextHealth"),
    ("v2.session.active", "NextActiveSessions"),
    ("v2.session.permission.create", "NextPermissionVerdict"),
    ("vcs.apply", "VcsApplied"),
    ("project.directories", "ProjectDirectory"),
];
