//! The real program against the scripted model, end to end.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::model::{ModelServer, Outcome, Reply, RequestKind, Script, Usage};
use testkit::opencode;
use testkit::processes::{eventually, with_env};

/// Limit on the duration of a run, long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn a_text_and_a_title_are_requested() {
    let model = ModelServer::start().unwrap();
    let usage = Usage { input: 1000, output: 50, cached: 200, reasoning: 0 };
    model.script("greet", Reply::new().deltas(["Hel", "lo."]).usage(usage));
    let prompt = "say \"hello\"\n  [[greet]] $HOME 'ü'";
    let run = run(&model, &[], prompt);

    assert_eq!((run.code, run.types()), (Some(0), vec!["step_start", "text", "step_finish"]));
    assert_eq!(run.part("text")["text"], "Hello.");
    let finish = run.part("step_finish");
    assert_eq!(finish["reason"], "stop");
    assert_eq!(finish["tokens"]["output"], 50);
    assert_eq!(finish["tokens"]["cache"]["read"], 200);
    assert!(finish["cost"].as_f64().unwrap() > 0.0);

    let requests = model.requests();
    let turn = requests.iter().find(|request| request.kind() == RequestKind::Turn).unwrap();
    assert_eq!(turn.prompt().as_deref(), Some(prompt));
    assert_eq!(turn.model(), "m1");
    assert_eq!(turn.outcome(), Some(Outcome::Answered));
    assert!(turn.system().contains("opencode"), "{}", turn.system());
    assert!(turn.tools().contains(&"bash"), "{:?}", turn.tools());
    assert_eq!(turn.session(), run.events[0]["sessionID"].as_str());
    let title = requests.iter().find(|request| request.kind() == RequestKind::Title).unwrap();
    assert_eq!((title.model(), title.script()), ("small", None));
}

#[test]
fn a_tool_call_precedes_the_text() {
    let model = ModelServer::start().unwrap();
    let tool = json!({ "command": "echo from-the-tool", "description": "echoes" });
    let script =
        Script::new().then(Reply::new().tool("bash", tool)).then(Reply::new().text("It echoed."));
    model.script("echo", script);
    let run = run(&model, &["--title", "t"], "[[echo]]");

    let step = ["step_start", "tool_use", "step_finish"];
    let types = [&step[..], &["step_start", "text", "step_finish"]].concat();
    assert_eq!((run.code, run.types()), (Some(0), types));
    let tool = run.part("tool_use");
    assert_eq!((&tool["tool"], &tool["state"]["status"]), (&json!("bash"), &json!("completed")));
    assert_eq!(tool["state"]["output"], "from-the-tool\n");
    assert_eq!(run.part("text")["text"], "It echoed.");

    let requests = model.requests();
    let steps: Vec<_> = requests.iter().map(|request| (request.kind(), request.step())).collect();
    assert_eq!(steps, [(RequestKind::Turn, 0), (RequestKind::Turn, 1)]);
    let results = requests[1].tool_results();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].text, "from-the-tool\n");
    assert_eq!(results[0].call_id, tool["callID"]);
}

#[test]
fn a_refused_call_is_retried() {
    let model = ModelServer::start().unwrap();
    let refusal = Reply::error(429, "slow down").header("retry-after", 1);
    model.script("retry", Script::new().then([refusal, Reply::new().text("At last.")]));
    let run = run(&model, &["--title", "t"], "[[retry]]");

    assert_eq!((run.code, run.types()), (Some(0), vec!["step_start", "text", "step_finish"]));
    assert_eq!(run.part("text")["text"], "At last.");
    let attempts: Vec<_> =
        model.requests().iter().map(|request| (request.step(), request.attempt())).collect();
    assert_eq!(attempts, [(0, 0), (0, 1)]);
}

#[test]
fn reasoning_precedes_the_text() {
    let model = ModelServer::start().unwrap();
    model.script("think", Reply::new().reasoning("Let me ").reasoning("see.").text("Seen."));
    let run = run(&model, &["--title", "t", "--thinking"], "[[think]]");

    let types = vec!["step_start", "reasoning", "text", "step_finish"];
    assert_eq!((run.code, run.types()), (Some(0), types));
    assert_eq!(run.part("reasoning")["text"], "Let me see.");
    assert_eq!(run.part("text")["text"], "Seen.");
}

struct FinishedRun {
    code: Option<i32>,
    events: Vec<Value>,
}

impl FinishedRun {
    fn types(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    /// Part of the first event of this type.
    fn part(&self, kind: &str) -> &Value {
        &self.events.iter().find(|event| event["type"] == kind).unwrap()["part"]
    }
}

/// Runs the program in private directories, with the prompt on stdin.
fn run(model: &ModelServer, args: &[&str], prompt: &str) -> FinishedRun {
    let program = opencode::binary().unwrap();
    let home = Home::new();
    let mut command = Command::new(program);
    command.args(["run", "--format", "json"]).args(args);
    command.envs(home.env()).current_dir(home.project()).env("PWD", home.project());
    command.env("OPENCODE_CONFIG_CONTENT", model.config().to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn().unwrap();
    child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();

    let deadline = Instant::now() + DEADLINE;
    let [stdout, stderr] = [read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap())]
        .map(|output| {
            let left = deadline.saturating_duration_since(Instant::now());
            output.recv_timeout(left).unwrap_or_else(|_| end(&mut child))
        });
    let status = child.wait().unwrap();
    eventually(DEADLINE, || match with_env("OPENCODE_TEST_HOME", home.path("home")) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
    let events = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(stderr, "", "{status}; stdout: {stdout}");
    FinishedRun { code: status.code(), events }
}

/// Reads to the end on a separate thread.
fn read(mut output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        // Without a receiver, the test has failed already.
        let _ = sender.send(text);
    });
    receiver
}

fn end(child: &mut Child) -> ! {
    let group = Pid::from_child(child);
    kill_process_group(group, Signal::KILL).unwrap();
    child.wait().unwrap();
    panic!("the run did not end within {DEADLINE:?}");
}

/// A directory with all files that the program reads or writes.
struct Home {
    root: TempDir,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["cache", "config", "data", "home", "project", "state", "tmp"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        let home = Self { root };
        home.suppress_install();
        home
    }

    /// Writes a lock file that keeps OpenCode from installing the plugin package.
    fn suppress_install(&self) {
        let config = self.path("config").join("opencode");
        fs::create_dir_all(config.join("node_modules")).unwrap();
        let plugin = json!({ "@opencode-ai/plugin": opencode::VERSION });
        let lock = json!({ "packages": { "": { "dependencies": plugin } } });
        fs::write(config.join("package-lock.json"), lock.to_string()).unwrap();
    }

    fn env(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("XDG_CACHE_HOME", self.path("cache")),
            ("XDG_CONFIG_HOME", self.path("config")),
            ("XDG_DATA_HOME", self.path("data")),
            ("XDG_STATE_HOME", self.path("state")),
            ("TMPDIR", self.path("tmp")),
            ("OPENCODE_TEST_HOME", self.path("home")),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1".into()),
        ]
    }

    fn project(&self) -> PathBuf {
        self.path("project")
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.root.path()).join(name)
    }
}
