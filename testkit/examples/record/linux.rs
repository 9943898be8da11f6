//! A real server, and the recording of the events.

mod scenes;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::model::{ModelServer, Reply, Script};
use testkit::opencode;

use scenes::{SCENES, Scene};

/// Time without an event after which a recording is complete.
const QUIET: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);
const PORT: u16 = 4917;

pub(crate) fn main() {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder for the recordings"));
    let names: Vec<String> = arguments.collect();
    let server = RecordedServer::start();
    for (name, scene) in SCENES {
        if names.is_empty() || names.iter().any(|chosen| chosen == name) {
            println!("{name}");
            let recording = server.record(scene);
            fs::write(folder.join(format!("{name}.sse")), &recording).unwrap();
            println!("  {} bytes", recording.len());
        }
    }
}

/// Prompts every session with the title `plugin` once more when the session is idle.
const PLUGIN: &str = "
    const prompted = new Set()
    export const Again = async ({ client }) => ({
        event: async ({ event }) => {
            if (event.type !== 'session.idle') return
            const id = event.properties.sessionID
            const session = await client.session.get({ path: { id } })
            if (session.data?.title !== 'plugin' || prompted.has(id)) return
            prompted.add(id)
            const parts = [{ type: 'text', text: 'Again. [[again]]' }]
            await client.session.promptAsync({ path: { id }, body: { parts } })
        },
    })";

/// A real server with a scripted model.
struct RecordedServer {
    model: ModelServer,
    process: Child,
    root: TempDir,
}

impl RecordedServer {
    fn start() -> Self {
        let model = ModelServer::start().unwrap();
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["cache", "config/opencode/node_modules", "data", "home", "project", "tmp"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        // OpenCode installs the plugin package unless this file names the package.
        let plugin = json!({ "@opencode-ai/plugin": opencode::VERSION });
        let lock = json!({ "packages": { "": { "dependencies": plugin } } });
        fs::write(path("config/opencode/package-lock.json"), lock.to_string()).unwrap();
        fs::write(path("again.js"), PLUGIN).unwrap();
        let mut config = model.config();
        config["plugin"] = json!([format!("file://{}", path("again.js").display())]);
        let mut command = Command::new(opencode::binary().unwrap());
        command.args(["serve", "--port", &PORT.to_string()]).current_dir(path("project"));
        command.env("PWD", path("project")).stdout(Stdio::piped()).stderr(Stdio::null());
        for (name, value) in [
            ("XDG_CACHE_HOME", path("cache")),
            ("XDG_CONFIG_HOME", path("config")),
            ("XDG_DATA_HOME", path("data")),
            ("XDG_STATE_HOME", path("data")),
            ("TMPDIR", path("tmp")),
            ("OPENCODE_TEST_HOME", path("home")),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".into()),
            ("OPENCODE_CONFIG_CONTENT", config.to_string().into()),
        ] {
            command.env(name, value);
        }
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the server ends");
        }
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let server = Self { model, process, root };
        // The first turn waits until the server has started completely.
        server.model.script("warm", Reply::new().text("Warm."));
        server.record(|stage| {
            stage.prompt("Go. [[warm]]");
            stage.until("session.idle");
        });
        server
    }

    fn record(&self, scene: Scene) -> String {
        let mut stream = send("GET", "/event", &Value::Null);
        let (sender, events) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|size| size > 0) {
                if line.starts_with("data: ") && sender.send(line.clone()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        events.recv_timeout(PATIENCE).unwrap();
        let session = call("POST", "/session", &json!({ "title": "recording" }));
        let session = session["id"].as_str().unwrap().to_owned();
        let stage =
            RecordingStage { model: &self.model, session, events, seen: RefCell::default() };
        scene(&stage);
        stage.until_quiet();
        let seen = stage.seen.into_inner().into_iter();
        let recording: String = seen
            .filter(|event| event.contains("sessionID") || event.contains("disposed"))
            .collect();
        let recording = recording.replace('\n', "\n\n");
        recording.replace(&self.root.path().display().to_string(), "/workspace")
    }
}

impl Drop for RecordedServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A session whose events are recorded.
struct RecordingStage<'a> {
    model: &'a ModelServer,
    session: String,
    events: Receiver<String>,
    seen: RefCell<Vec<String>>,
}

impl RecordingStage<'_> {
    fn script(&self, name: &str, script: impl Into<Script>) {
        self.model.script(name, script);
    }

    fn prompt(&self, text: &str) {
        self.call("POST", "/prompt_async", scenes::prompt(text));
    }

    fn call(&self, method: &str, path: &str, body: Value) {
        self.later(method, path, body).join().unwrap();
    }

    /// Sends a request to the session on another thread.
    fn later(&self, method: &str, path: &str, body: Value) -> JoinHandle<Value> {
        let (method, path) = (method.to_owned(), format!("/session/{}{path}", self.session));
        thread::spawn(move || call(&method, &path, &body))
    }

    /// Records events until one of them contains this text.
    fn until(&self, text: &str) {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap();
            let is_found = event.contains(text);
            self.seen.borrow_mut().push(event);
            if is_found {
                return;
            }
        }
    }

    fn until_quiet(&self) {
        while let Ok(event) = self.events.recv_timeout(QUIET) {
            if !event.contains("server.heartbeat") {
                self.seen.borrow_mut().push(event);
            }
        }
    }
}

fn send(method: &str, path: &str, body: &Value) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let size = body.len();
    let head = "host: localhost\r\ncontent-type: application/json\r\nconnection: close";
    let head = format!("{method} {path} HTTP/1.1\r\n{head}\r\ncontent-length: {size}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    BufReader::new(stream)
}

/// Sends a request and returns the body of the reply.
fn call(method: &str, path: &str, body: &Value) -> Value {
    let mut reply = send(method, path, body);
    let mut status = String::new();
    reply.read_line(&mut status).unwrap();
    println!("  {method} {path}: {}", status.trim_end());
    let mut size = 0;
    loop {
        let mut line = String::new();
        reply.read_line(&mut line).unwrap();
        let line = line.to_lowercase();
        if let Some(length) = line.strip_prefix("content-length:") {
            size = length.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    // OpenCode does not always close the connection after the reply.
    let mut body = vec![0; size];
    reply.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap_or_default()
}
