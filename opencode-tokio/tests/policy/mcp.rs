//! Tools and resources of MCP servers.

use opencode_tokio::Policy;
use opencode_tokio::config::PermissionAction;
use serde_json::{Value, json};

use crate::world::{PolicyWorld, Verdicts, tools};

/// An MCP server with one tool and one resource.
const NOTES: &str = r"
const lines = require('readline').createInterface({ input: process.stdin });
const results = {
    initialize: ({ protocolVersion }) => ({
        protocolVersion,
        capabilities: { tools: {}, resources: {} },
        serverInfo: { name: 'notes', version: '1' },
    }),
    'tools/list': () => ({
        tools: [{
            name: 'add', description: 'adds a note',
            inputSchema: { type: 'object', properties: {} },
        }],
    }),
    'tools/call': () => ({ content: [{ type: 'text', text: 'It is noted.' }] }),
    'resources/list': () => ({ resources: [{ uri: 'note:1', name: 'first' }] }),
    'resources/templates/list': () => ({ resourceTemplates: [] }),
    'resources/read': ({ uri }) => ({ contents: [{ uri, text: 'The first note.' }] }),
};
lines.on('line', line => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    const reply = results[method]
        ? { result: results[method](params) }
        : { error: { code: -32601, message: method } };
    process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...reply }) + '\n');
});
";

/// Creates a world whose project has this MCP server, and whose agent has these permissions.
async fn with_notes(name: &str, permission: Value) -> PolicyWorld {
    let config = json!({
        "mcp": { "notes": { "type": "local", "command": ["node", "notes.cjs"] } },
        "agent": { "build": { "permission": permission } },
    });
    let files = [("notes.cjs", NOTES), ("opencode.json", &config.to_string())];
    PolicyWorld::with_files(name, &files).await
}

#[tokio::test]
async fn a_tool_without_a_rule_is_hidden() {
    let world = with_notes("mcp-hidden", json!({})).await;
    let session = world.session().await.with_policy(Policy::new()).await.unwrap();
    world.play(&session, "mcp-hidden", [("notes_add", json!({}))]).await;
    let requests = world.model_requests("mcp-hidden");
    assert!(!requests[0].tools().contains(&"notes_add"), "{:?}", requests[0].tools());
    assert!(!requests[1].tool_results()[0].text.contains("It is noted."));
}

#[tokio::test]
async fn a_tool_needs_permission_under_its_name() {
    let world = with_notes("mcp-tools", json!({ "notes_*": "ask" })).await;
    for (policy, status, verdict) in [
        (Policy::new(), "error", "reject: a confirmation is required and not available"),
        (Policy::new().allow("notes_*"), "completed", "once: decided by a rule"),
    ] {
        let verdicts = Verdicts::default();
        let session = world.session().await.with_policy(verdicts.of(policy)).await.unwrap();

        let outcome = world.play(&session, "mcp-tools", [("notes_add", json!({}))]).await;

        assert_eq!(tools(&outcome), [("notes_add".to_owned(), status.to_owned())]);
        assert_eq!(verdicts.texts(), [format!("notes_add {verdict}")]);
        let result = &world.model_requests("mcp-tools").last().unwrap().tool_results()[0].text;
        assert_eq!(result.contains("It is noted."), status == "completed", "{result}");
    }
}

#[tokio::test]
async fn a_resource_counts_as_read_and_not_as_a_file() {
    let world = with_notes("mcp-resources", json!({})).await;
    let read = || [("read_mcp_resource", json!({ "server": "notes", "uri": "note:1" }))];
    let policy = Policy::new().within(world.project()).allow("read");
    let closed = policy.clone().pattern("read", "mcp:*", PermissionAction::Deny);
    for (policy, is_readable) in [(policy, true), (closed, false)] {
        let session = world.session().await.with_policy(policy).await.unwrap();
        world.play(&session, "mcp-resources", read()).await;
        let result = &world.model_requests("mcp-resources").last().unwrap().tool_results()[0].text;
        assert_eq!(result.contains("The first note."), is_readable, "{result}");
    }
}
