//! Test support for the crates of this workspace: plain threads and blocking sockets, so that the
//! tests of any async runtime, and of none, can use it.
//!
//! - [`model`]: a scripted model behind the API that OpenCode speaks to its providers. With it the
//!   real program runs end to end without a key and without a network.
//! - [`opencode`]: the real program, installed once per machine at a pinned version.
//! - `fake` (Unix): a stand-in for the program, for faults that the real one does not show on demand.
//! - [`processes`]: what is left behind: processes, files, and conditions that come true late.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use serde_json::json;
//! use testkit::model::{ModelServer, Reply, Script};
//!
//! let model = ModelServer::start()?;
//! model.script(
//!     "greet",
//!     Script::new()
//!         .then(Reply::new().tool("bash", json!({ "command": "echo hi", "description": "greets" })))
//!         .then([
//!             Reply::error(429, "slow down").header("retry-after", "0"),
//!             Reply::new().text("It said hi."),
//!         ]),
//! );
//!
//! // Give `model.config()` to OpenCode as OPENCODE_CONFIG_CONTENT and prompt it with
//! // "[[greet]] run echo". Then look at what the model was asked:
//! # fn ask(model: &ModelServer) -> std::io::Result<()> {
//! #     use std::io::{Read, Write};
//! #     let body = json!({ "model": "m1", "stream": true, "messages": [
//! #         { "role": "user", "content": "[[greet]] run echo" } ] }).to_string();
//! #     let mut stream = std::net::TcpStream::connect(model.address())?;
//! #     write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
//! #         body.len())?;
//! #     stream.read_to_end(&mut Vec::new()).map(drop)
//! # }
//! # ask(&model)?;
//! let request = model.wait_for(Duration::from_secs(10), |request| request.script() == Some("greet"))?;
//! assert_eq!(request.prompt().as_deref(), Some("[[greet]] run echo"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(unix)]
pub mod fake;
pub mod model;
pub mod opencode;
pub mod processes;
