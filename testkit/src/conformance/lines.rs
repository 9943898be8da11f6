//! Lines as OpenCode prints them.

use serde_json::json;

/// A call of the model begins.
pub const START: &str = r#"{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{"id":"prt_1","messageID":"msg_1","sessionID":"ses_1","type":"step-start"}}"#;

/// The answer is complete.
pub const FINISH: &str = r#"{"type":"step_finish","timestamp":9,"sessionID":"ses_1","part":{"id":"prt_9","messageID":"msg_1","sessionID":"ses_1","type":"step-finish","reason":"stop","tokens":{"total":5,"input":3,"output":2,"reasoning":0,"cache":{"read":0,"write":0}},"cost":0.5}}"#;

/// What it says when another process uses the database.
pub const DATABASE_LOCKED: &str = "Error: database is locked";

/// A piece of the answer; pieces of different ids follow one another.
pub fn text(id: &str, text: &str) -> String {
    let part = json!({ "id": id, "messageID": "msg_1", "sessionID": "ses_1", "type": "text", "text": text });
    json!({ "type": "text", "timestamp": 2, "sessionID": "ses_1", "part": part }).to_string()
}

/// A whole answer, with the end of its last line.
pub fn answer(said: &str) -> String {
    format!("{START}\n{}\n{FINISH}\n", text("prt_2", said))
}

/// So many pieces of an answer, a line each.
pub fn texts(count: usize) -> String {
    (0..count).map(|number| text(&format!("prt_{number}"), &number.to_string()) + "\n").collect()
}
