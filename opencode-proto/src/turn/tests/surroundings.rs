//! MCP servers that are lost during a turn.

use super::*;

fn list(body: &str) -> ApiReply {
    Ok(http::Response::new(bytes::Bytes::copy_from_slice(body.as_bytes())))
}

fn lost(stage: &Stage) -> Vec<String> {
    let lost = stage.events.iter().filter_map(|event| {
        let TurnEventKind::McpLost(server) = &event.kind else { return None };
        Some(server.to_string())
    });
    lost.collect()
}

#[test]
fn a_lost_mcp_server_is_an_event_with_the_reason() {
    let mut stage = Stage::posted(TurnSettings::default());
    stage.tell("session.status", BUSY);
    stage.tell("mcp.tools.changed", r#""server":"notes""#);
    let body = r#"{"notes":{"status":"failed","error":"Connection closed"},
        "gone":{"status":"failed","error":"ENOENT"}}"#;
    stage.reply("/mcp", list(body));
    assert_eq!(lost(&stage), ["MCP server `notes`: failed: Connection closed"]);

    // New tools are no loss, and a call that fails shows nothing.
    stage.tell("mcp.tools.changed", r#""server":"notes""#);
    stage.reply("/mcp", list(r#"{"notes":{"status":"connected"}}"#));
    stage.tell("mcp.tools.changed", r#""server":"notes""#);
    stage.reply("/mcp", Err(CallFailure::new(Delivery::Unknown, "reset")));
    assert_eq!(lost(&stage).len(), 1);
    stage.answer(DONE);
    stage.tell("session.status", IDLE);
    assert_eq!(stage.end(), Some("completed"));
}
