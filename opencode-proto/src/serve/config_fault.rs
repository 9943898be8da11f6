use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::ApiError;
use crate::json::string;

impl ApiError {
    /// Returns the fault of the configuration in OpenCode's words, when the server refused because
    /// of the configuration (`ConfigInvalidError`, `ConfigJsonError` and the like).
    ///
    /// A server starts with any configuration. OpenCode reads the configuration of a directory with
    /// the first request about the directory, and then refuses every request about it.
    pub fn config_fault(&self) -> Option<String> {
        if !self.name()?.starts_with("Config") {
            return None;
        }
        let WireError { data } = serde_json::from_slice(self.body()).ok()?;
        let mut fault = format!("Configuration is invalid at {}", data.path);
        if let Some(message) = data.message {
            fault.push_str(": ");
            fault.push_str(message.trim());
        }
        for Issue { message, path } in data.issues {
            let path: Vec<_> = path.iter().map(|part| plain(part)).collect();
            fault.push_str(&format!("\n↳ {message} {}", path.join(".")));
        }
        Some(fault)
    }
}

/// Returns a step of a path as text. Keys are strings, indices are numbers.
fn plain(part: &RawValue) -> String {
    string(part).unwrap_or_else(|| part.get().to_owned())
}

#[derive(Deserialize)]
struct WireError {
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    #[serde(default)]
    path: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    issues: Vec<Issue>,
}

#[derive(Deserialize)]
struct Issue {
    message: String,
    #[serde(default)]
    path: Vec<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use http::Response;

    use crate::api::{ConfiguredModel, Operation};

    fn fault(body: &str) -> Option<String> {
        let response = Response::builder().status(400).body(body.to_owned().into()).unwrap();
        ConfiguredModel.decode(response).unwrap_err().config_fault()
    }

    #[test]
    fn a_refused_configuration_reads_as_in_opencode() {
        let invalid = r#"{"name":"ConfigInvalidError","data":{"path":"/p/opencode.json","issues":[{"path":["mcp","x",0],"message":"Expected object, got 12"}]}}"#;
        let expected =
            "Configuration is invalid at /p/opencode.json\n↳ Expected object, got 12 mcp.x.0";
        assert_eq!(fault(invalid).as_deref(), Some(expected));
        let broken = r#"{"name":"ConfigJsonError","data":{"path":"OPENCODE_CONFIG_CONTENT","message":"\n--- JSONC Input ---\n{\n"}}"#;
        let expected =
            "Configuration is invalid at OPENCODE_CONFIG_CONTENT: --- JSONC Input ---\n{";
        assert_eq!(fault(broken).as_deref(), Some(expected));
    }

    #[test]
    fn other_refusals_are_not_faults_of_the_configuration() {
        assert_eq!(fault(r#"{"name":"BadRequest","data":{"message":"Missing key"}}"#), None);
        assert_eq!(fault(""), None);
    }
}
