//! Lines in the format of `opencode run --format json`.

use serde_json::json;

/// Beginning of a model call.
pub const START: &str = concat!(
    r#"{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{"id":"prt_1","#,
    r#""messageID":"msg_1","sessionID":"ses_1","type":"step-start"}}"#,
);

/// End of a complete answer.
pub const FINISH: &str = concat!(
    r#"{"type":"step_finish","timestamp":9,"sessionID":"ses_1","part":{"id":"prt_9","#,
    r#""messageID":"msg_1","sessionID":"ses_1","type":"step-finish","reason":"stop","#,
    r#""tokens":{"total":5,"input":3,"output":2,"reasoning":0,"cache":{"read":0,"write":0}},"#,
    r#""cost":0.5}}"#,
);

/// Error of OpenCode when another process uses the database.
pub const DATABASE_LOCKED: &str = "Error: database is locked";

/// A text event of the answer; texts with different ids follow one another.
pub fn text(id: &str, text: &str) -> String {
    let part = json!({ "id": id, "messageID": "msg_1", "sessionID": "ses_1", "type": "text",
        "text": text });
    json!({ "type": "text", "timestamp": 2, "sessionID": "ses_1", "part": part }).to_string()
}

/// A complete answer, with the end of the last line.
pub fn answer(said: &str) -> String {
    format!("{START}\n{}\n{FINISH}\n", text("prt_2", said))
}

/// `count` text events, one line each.
pub fn texts(count: usize) -> String {
    (0..count).map(|number| text(&format!("prt_{number}"), &number.to_string()) + "\n").collect()
}
