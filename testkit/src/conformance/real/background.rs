//! Work that goes on after a turn: subagents in the background, and a plugin that prompts.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::model::{Gate, ModelServer, Reply, Script};

/// Variable and value with which OpenCode lets subagents work in the background.
pub const BACKGROUND_SUBAGENTS: (&str, &str) =
    ("OPENCODE_EXPERIMENTAL_BACKGROUND_SUBAGENTS", "true");

/// A plugin that prompts each session once, when the session is idle.
const PROMPTER: &str = r#"
export const Prompter = async ({ client }) => {
  const prompted = new Set()
  return {
    event: async ({ event }) => {
      const id = event.properties?.sessionID
      if (event.type !== "session.idle" || prompted.has(id)) return
      prompted.add(id)
      const parts = [{ type: "text", text: PROMPT }]
      await client.session.prompt({ path: { id }, body: { parts } })
    },
  }
}
"#;

/// Gives a project a plugin that posts this prompt once to each session that is idle.
pub fn add_prompter(project: &Path, prompt: &str) {
    let plugins = project.join(".opencode/plugin");
    fs::create_dir_all(&plugins).unwrap();
    let plugin = PROMPTER.replace("PROMPT", &json!(prompt).to_string());
    fs::write(plugins.join("prompter.js"), plugin).unwrap();
}

/// The agent `asker`: a subagent that asks before each command.
pub fn asker() -> Value {
    json!({ "mode": "subagent", "description": "asks", "permission": { "bash": "ask" } })
}

/// Scripts a prompt that starts a subagent in the background. The subagent runs the command line
/// after the gate has opened.
pub fn script_subagent(model: &ModelServer, parent: &str, child: &str, gate: &Gate, line: &str) {
    let task = json!({
        "description": "a task",
        "prompt": format!("Look [[{child}]]"),
        "subagent_type": "asker",
        "background": true,
    });
    let begun = Reply::new().text("It has begun.");
    model.script(parent, Script::new().then(Reply::new().tool("task", task)).then(begun));
    let command = json!({ "command": line, "description": "d" });
    let ask = Reply::new().text("I look.").pause_until(gate).tool("bash", command);
    model.script(child, Script::new().then(ask).then(Reply::new().text("Found.")));
}
