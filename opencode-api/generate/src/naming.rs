//! Names of ours for names of OpenCode.

/// Splits a name into words: `sessionID`, `prompt_async`, `MCPStatus`, `step-start`.
pub(crate) fn words(name: &str) -> Vec<String> {
    // One word, whatever the capitals.
    let name = name.replace("OAuth", "Oauth").replace("AISDK", "AiSdk").replace("iOS", "Ios");
    let mut words: Vec<String> = Vec::new();
    let chars: Vec<char> = name.chars().collect();
    let mut is_new = true;
    for (index, &char) in chars.iter().enumerate() {
        if !char.is_alphanumeric() {
            is_new = true;
            continue;
        }
        let before = index.checked_sub(1).map(|before| chars[before]);
        let after = chars.get(index + 1);
        let starts = char.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase())
                    // The plural of an abbreviation: `IDs`.
                    && !(after == Some(&'s') && chars.get(index + 2).is_none()));
        if is_new || starts || words.is_empty() {
            words.push(String::new());
        }
        is_new = false;
        if let Some(word) = words.last_mut() {
            word.extend(char.to_lowercase());
        }
    }
    words
}

/// `AssistantMessage`.
pub(crate) fn pascal(name: &str) -> String {
    let capital = |word: String| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_uppercase().to_string());
        first.unwrap_or_default() + chars.as_str()
    };
    words(name).into_iter().map(capital).collect()
}

/// `session_id`, as the name of a field or parameter.
pub(crate) fn field(name: &str) -> String {
    match &*words(name).join("_") {
        "type" => "kind".to_owned(),
        "ref" => "reference".to_owned(),
        "match" => "matched".to_owned(),
        // A keyword, or the name of the field for all others.
        word @ ("enum" | "move" | "override" | "self" | "unknown") => format!("{word}_value"),
        other => other.to_owned(),
    }
}

/// Types whose names in the document are taken, misleading, or unlike the others of their kind.
const TYPES: [(&str, &str); 18] = [
    ("APIError", "ProviderApiError"),
    ("File", "FileChange"),
    ("FileDiff", "RevertedFile"),
    ("Path", "ServerPaths"),
    ("ProviderAISDK", "ProviderAiSdk"),
    ("ProviderNative", "ProviderNative"),
    ("ProviderApi", "NextProviderApi"),
    ("ModelApi", "NextModelApi"),
    ("ModelCost", "NextModelCost"),
    ("ModelCapabilities", "NextModelCapabilities"),
    ("SessionNextRetry_error", "RetryError"),
    ("SessionMessagesResponse", "NextMessagePage"),
    ("SessionsResponse", "NextSessionPage"),
    ("SessionHistory", "NextHistory"),
    ("SessionActive", "ActiveSession"),
    ("Range", "SymbolRange"),
    ("PtyTicketConnectToken", "PtyTicket"),
    ("SessionErrorUnknown", "StepError"),
];

/// Returns the name of a type for a schema.
pub(crate) fn type_name(schema: &str) -> String {
    if let Some((_, name)) = TYPES.iter().find(|(known, _)| *known == schema) {
        return (*name).to_owned();
    }
    // The second generation of the API has a word of its own, in place of a number.
    if let Some(rest) = schema.strip_prefix("SessionMessage").filter(|rest| !rest.is_empty()) {
        return pascal(&format!("NextMessage{rest}"));
    }
    if schema == "SessionMessage" {
        return "NextMessage".to_owned();
    }
    match schema.split_once("V2") {
        Some((before, "Info")) => format!("Next{}", pascal(before)),
        Some((before, after)) if before != "Config" => {
            format!("Next{}{}", pascal(before), pascal(after))
        }
        Some((before, after)) => format!("{}{}", pascal(before), pascal(after)),
        None => pascal(schema),
    }
}

/// Operations whose names do not end in a verb, by `operationId`: verb and object.
const OPERATIONS: [(&str, &str, &str); 54] = [
    ("app.agents", "List", "Agents"),
    ("app.log", "Write", "Log"),
    ("app.skills", "List", "Skills"),
    ("command.list", "List", "Commands"),
    ("config.providers", "List", "ConfigProviders"),
    ("event.subscribe", "Stream", "Events"),
    ("experimental.controlPlane.moveSession", "Move", "Session"),
    ("experimental.session.background", "Background", "Session"),
    ("experimental.session.list", "List", "GlobalSessions"),
    ("experimental.workspace.status", "Read", "WorkspaceStatuses"),
    ("experimental.workspace.syncList", "Sync", "Workspaces"),
    ("file.list", "List", "Files"),
    ("file.status", "List", "FileChanges"),
    ("find.files", "Find", "Files"),
    ("find.symbols", "Find", "Symbols"),
    ("find.text", "Find", "Text"),
    ("global.event", "Stream", "GlobalEvents"),
    ("global.health", "Read", "Health"),
    ("mcp.auth.authenticate", "Authenticate", "Mcp"),
    ("mcp.auth.callback", "Complete", "McpAuth"),
    ("path.get", "Read", "Paths"),
    ("permission.respond", "Respond", "Permission"),
    ("project.current", "Read", "CurrentProject"),
    ("project.directories", "List", "ProjectDirectories"),
    ("project.initGit", "Init", "ProjectGit"),
    ("provider.auth", "List", "ProviderAuthMethods"),
    ("provider.oauth.callback", "Complete", "ProviderOauth"),
    ("pty.connectToken", "Create", "PtyTicket"),
    ("pty.shells", "List", "PtyShells"),
    ("session.children", "List", "SessionChildren"),
    ("session.command", "Run", "SessionCommand"),
    ("session.deleteMessage", "Delete", "Message"),
    ("session.message", "Read", "Message"),
    ("session.messages", "List", "Messages"),
    ("session.prompt", "Prompt", "Session"),
    ("session.prompt_async", "Prompt", "SessionAsync"),
    ("session.shell", "Run", "SessionShell"),
    ("session.status", "Read", "SessionStatuses"),
    ("session.todo", "Read", "SessionTodos"),
    ("tui.control.next", "Take", "TuiControl"),
    ("tui.control.response", "Answer", "TuiControl"),
    ("v2.event.subscribe", "Stream", "NextEvents"),
    ("v2.fs.find", "Find", "NextFiles"),
    ("v2.fs.list", "List", "NextFiles"),
    ("v2.fs.read", "Read", "NextFile"),
    ("v2.integration.attempt.status", "Read", "NextIntegrationAttempt"),
    ("v2.integration.connect.key", "Connect", "NextIntegrationKey"),
    ("v2.integration.connect.oauth", "Connect", "NextIntegrationOauth"),
    ("v2.permission.saved.remove", "Remove", "NextPermissionSavedRule"),
    ("v2.pty.connectToken", "Create", "NextPtyTicket"),
    ("v2.session.active", "List", "NextActiveSessions"),
    ("v2.session.events", "Stream", "NextSessionEvents"),
    ("v2.session.message", "Read", "NextMessage"),
    ("v2.session.messages", "List", "NextMessages"),
];

/// Last words of operations that are verbs.
const VERBS: [&str; 55] = [
    "abort",
    "add",
    "append",
    "apply",
    "authorize",
    "cancel",
    "clear",
    "commit",
    "compact",
    "complete",
    "connect",
    "create",
    "delete",
    "disconnect",
    "dispose",
    "execute",
    "find",
    "fork",
    "generate",
    "init",
    "interrupt",
    "list",
    "open",
    "prompt",
    "publish",
    "read",
    "refresh",
    "reject",
    "remove",
    "replay",
    "reply",
    "reset",
    "revert",
    "select",
    "set",
    "share",
    "show",
    "stage",
    "start",
    "steal",
    "submit",
    "subscribe",
    "summarize",
    "switch",
    "unrevert",
    "unshare",
    "update",
    "upgrade",
    "wait",
    "warp",
    "write",
    "respond",
    "move",
    "sync",
    "answer",
];

/// Returns verb and object of an operation.
pub(crate) fn operation(id: &str, method: &str) -> (String, String) {
    let known = OPERATIONS.iter().find(|(known, _, _)| *known == id);
    if let Some((_, verb, object)) = known {
        return ((*verb).to_owned(), (*object).to_owned());
    }
    let (next, rest) = match id.strip_prefix("v2.") {
        Some(rest) => ("Next", rest),
        None => ("", id),
    };
    let rest = rest.strip_prefix("experimental.").unwrap_or(rest);
    let (nouns, last) = rest.rsplit_once('.').unwrap_or(("", rest));
    let noun = pascal(nouns);
    let last = words(last);
    match &last[..] {
        [verb] if verb == "get" => ("Read".to_owned(), format!("{next}{noun}")),
        [verb] if verb == "list" => ("List".to_owned(), format!("{next}{}", plural(&noun))),
        [verb, rest @ ..] if VERBS.contains(&&**verb) => {
            (pascal(verb), format!("{next}{noun}{}", pascal(&rest.join("_"))))
        }
        _ => {
            let verb = if method == "GET" { "Read" } else { "Create" };
            (verb.to_owned(), format!("{next}{noun}{}", pascal(&last.join("_"))))
        }
    }
}

fn plural(noun: &str) -> String {
    match noun {
        "SyncHistory" => noun.to_owned(),
        _ if noun.ends_with("Saved") => format!("{noun}Rules"),
        _ => format!("{noun}s"),
    }
}

/// `Lists`, of `List`.
pub(crate) fn third_person(verb: &str) -> String {
    match verb {
        _ if ["ss", "sh", "ch", "x"].iter().any(|end| verb.ends_with(end)) => format!("{verb}es"),
        _ if verb.ends_with('y') && !verb.ends_with("ay") => {
            format!("{}ies", &verb[..verb.len() - 1])
        }
        _ => format!("{verb}s"),
    }
}

/// The words of a name in running text, with abbreviations in capitals.
pub(crate) fn prose(name: &str) -> String {
    let known = |word: String| match &*word {
        "api" | "fs" | "id" | "json" | "lsp" | "mcp" | "pty" | "tui" | "url" | "vcs" | "llm" => {
            word.to_uppercase()
        }
        "oauth" => "OAuth".to_owned(),
        "git" => "Git".to_owned(),
        _ => word,
    };
    words(name).into_iter().map(known).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{field, operation, pascal, type_name, words};

    #[test]
    fn names_are_split_at_capitals_and_marks() {
        assert_eq!(words("sessionID"), ["session", "id"]);
        assert_eq!(words("MCPStatusNeedsAuth"), ["mcp", "status", "needs", "auth"]);
        assert_eq!(words("EventInstallationUpdate-available").len(), 4);
        assert_eq!(words("ToolIDs"), ["tool", "ids"]);
        assert_eq!(pascal("OAuth"), "Oauth");
        assert_eq!(field("type"), "kind");
        assert_eq!(field("location[directory]"), "location_directory");
    }

    #[test]
    fn types_of_the_second_generation_are_called_next() {
        assert_eq!(type_name("SessionV2Info"), "NextSession");
        assert_eq!(type_name("PermissionV2Request"), "NextPermissionRequest");
        assert_eq!(type_name("SessionMessageUser"), "NextMessageUser");
    }

    #[test]
    fn operations_begin_with_a_verb() {
        let name = |id, method| {
            let (verb, object) = operation(id, method);
            verb + &object
        };
        assert_eq!(name("session.list", "GET"), "ListSessions");
        assert_eq!(name("session.todo", "GET"), "ReadSessionTodos");
        assert_eq!(name("tui.appendPrompt", "POST"), "AppendTuiPrompt");
        assert_eq!(name("v2.session.switchAgent", "POST"), "SwitchNextSessionAgent");
    }
}
