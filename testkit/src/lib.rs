//! Test support for the crates of this workspace, on plain threads and blocking sockets, so that
//! the tests of every async runtime, and tests without one, can use it.
//!
//! - [`model`]: a scripted model behind the API that OpenCode uses for the providers. With this
//!   model the real program runs end to end without a key and without a network.
//! - [`proxy`]: a proxy in front of a real server, which loses connections, events and replies on
//!   demand.
//! - [`server`]: a scripted fake of an OpenCode server, whose events the test sends.
//! - `world` (Unix): an imagined machine for a client, with servers and processes in virtual time,
//!   made from one seed.
//! - `scenario` (Unix): users of the client in such worlds, and the checks of everything that the
//!   client reports to them.
//! - `conformance` (Linux): the required behaviour of every adapter, as one list of cases.
//! - [`opencode`]: the real program, installed once per machine at a pinned version.
//! - `fake` (Unix): a stand-in for the program, for faults that the real program does not show on
//!   demand.
//! - `tls` (feature `tls`): TLS in front of a server.
//! - [`processes`]: leftovers of a test: processes, files, and conditions that become true late.
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
//!         .then(Reply::new().tool("bash", json!({ "command": "echo hi", "description": "x" })))
//!         .then([
//!             Reply::error(429, "slow down").header("retry-after", "0"),
//!             Reply::new().text("The command printed hi."),
//!         ]),
//! );
//!
//! // Give `model.config()` to OpenCode as OPENCODE_CONFIG_CONTENT and prompt OpenCode with
//! // "[[greet]] run echo". Then check the requests of the model:
//! # fn ask(model: &ModelServer) -> std::io::Result<()> {
//! #     use std::io::{Read, Write};
//! #     let body = json!({ "model": "m1", "stream": true, "messages": [
//! #         { "role": "user", "content": "[[greet]] run echo" } ] }).to_string();
//! #     let mut stream = std::net::TcpStream::connect(model.address())?;
//! #     let head = "POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\ncontent-length";
//! #     write!(stream, "{head}: {}\r\n\r\n{body}", body.len())?;
//! #     stream.read_to_end(&mut Vec::new()).map(drop)
//! # }
//! # ask(&model)?;
//! let request = model
//!     .wait_for(Duration::from_secs(10), |request| request.script() == Some("greet"))?;
//! assert_eq!(request.prompt().as_deref(), Some("[[greet]] run echo"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Example: a client of the server
//!
//! ```
//! use testkit::proxy::{CutAt, Proxy};
//! use testkit::server::{FakeServer, ServerScript, turn_events};
//!
//! let server = FakeServer::start(ServerScript::new())?;
//! // The proxy sits between the client and the server, which may also be a real one.
//! let proxy = Proxy::start(server.address().port())?;
//! proxy.cut_events_after("message.part.delta", 1);
//! proxy.cut_request("POST", "/session/{id}/prompt_async", CutAt::AfterRequest);
//!
//! // Give `proxy.url()` to the client, which subscribes and then prompts:
//! # let ask = |request: &str| {
//! #     let mut stream = std::net::TcpStream::connect(proxy.address())?;
//! #     std::io::Write::write_all(&mut stream, request.as_bytes()).map(|()| stream)
//! # };
//! # let mut events = ask("GET /event HTTP/1.1\r\n\r\n")?;
//! # let mut prompt =
//! #     ask("POST /session/ses_1/prompt_async HTTP/1.1\r\ncontent-length: 0\r\n\r\n")?;
//! server.wait_for_events(1);
//! server.wait_for_request("POST", "/session/{id}/prompt_async");
//! for event in turn_events("ses_1", "msg_1", "Hello.") {
//!     server.send_event(&event);
//! }
//! // The server accepted the prompt and sent the whole turn; the client saw neither the reply nor
//! // the end.
//! # let mut seen = String::new();
//! # std::io::Read::read_to_string(&mut prompt, &mut seen)?;
//! # assert_eq!(seen, "");
//! # std::io::Read::read_to_string(&mut events, &mut seen)?;
//! # assert!(seen.contains("message.part.delta") && !seen.contains("session.idle"), "{seen}");
//! server.wait_for_open_events(0);
//! assert_eq!(proxy.requests_to("POST", "/session/{id}/prompt_async").len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod client;
#[cfg(target_os = "linux")]
pub mod conformance;
#[cfg(unix)]
pub mod fake;
mod http;
mod listener;
pub mod model;
pub mod opencode;
pub mod processes;
pub mod proxy;
mod request;
#[cfg(unix)]
pub mod scenario;
pub mod server;
#[cfg(feature = "tls")]
pub mod tls;
mod traffic;
mod watched;
#[cfg(unix)]
pub mod world;
