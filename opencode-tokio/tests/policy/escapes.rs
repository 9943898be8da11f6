//! Ways out of a policy, tried on the real program.
//!
//! The corpus has a tool call, the permission requests of OpenCode 1.18.33 and the verdict in each
//! line. `opencode-proto` runs the requests through the judge; here the calls are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use opencode_tokio::config::PermissionAction::{Allow, Deny};
use opencode_tokio::event::ToolPart;
use opencode_tokio::policy::PolicyVerdict;
use opencode_tokio::{Policy, Prompt, Session, TurnOutcome};
use serde_json::{Map, Value, json};
use testkit::model::{Reply, Script};

use crate::world::{PolicyWorld, SECRET, prompt};

/// Calls of one turn. The turns of a group run at once.
const CALLS_MAX: usize = 60;

/// A group of escapes on one server.
struct EscapeWorld {
    world: PolicyWorld,
    name: &'static str,
    /// Ids of sessions that a call can name.
    sessions: BTreeMap<&'static str, String>,
}

impl EscapeWorld {
    async fn new(name: &'static str) -> Self {
        let world = PolicyWorld::with_files(
            &format!("escapes-{name}"),
            &[("src/x", ""), ("bare/HEAD", "ref: refs/heads/main\n")],
        )
        .await;
        let absolute = world.outside("");
        let links = [
            ("abs", absolute.trim_end_matches('/')),
            ("dangling", "../outside/new.txt"),
            ("inner", "."),
            ("l\u{85}x", "../outside/secret.txt"),
            ("loop", "loop"),
            ("secret", "../outside/secret.txt"),
            ("up", ".."),
        ];
        for (link, target) in links {
            std::os::unix::fs::symlink(target, world.project().join(link)).unwrap();
        }
        Self { world, name, sessions: BTreeMap::new() }
    }

    /// Fills the names of this world into a line of the corpus.
    fn fill(&self, text: &str) -> String {
        let [project, outside, root] = self.directories();
        let text = text.replace("{pwn}", &format!("{outside}/pwn")).replace("{root}", &root);
        let text = text.replace("{project}", &project).replace("{outside}", &outside);
        let text = text.replace("{/project}", &project[1..]).replace("{/outside}", &outside[1..]);
        self.sessions.iter().fold(text, |text, (name, id)| text.replace(name, id))
    }

    /// Replaces the names of this world by those of the corpus.
    fn redact(&self, text: &str) -> String {
        let [project, outside, root] = self.directories();
        let text = text.replace(&format!("{outside}/pwn"), "{pwn}");
        let text = text.replace(&project, "{project}").replace(&outside, "{outside}");
        let text = text.replace(&project[1..], "{/project}").replace(&outside[1..], "{/outside}");
        let text = text.replace(&root, "{root}");
        self.sessions.iter().fold(text, |text, (name, id)| text.replace(id, name))
    }

    /// The project, the directory beside it, and the directory of both.
    fn directories(&self) -> [String; 3] {
        let project = self.world.project();
        let root = project.parent().unwrap();
        [&*project, &root.join("outside"), root].map(|path| path.to_str().unwrap().to_owned())
    }

    /// Makes the calls of the corpus, and compares requests and verdicts with the corpus.
    async fn play(&self, policy: impl Fn() -> Policy) {
        // OpenCode offers `apply_patch` to other models than the other tools that write.
        let (patches, others): (Vec<_>, Vec<_>) =
            corpus(self.name).into_iter().partition(|line| line.contains("apply_patch"));
        let turns = patches.chunks(CALLS_MAX).chain(others.chunks(CALLS_MAX)).enumerate();
        let turns = turns.map(|(number, lines)| self.play_turn(number, lines, policy()));
        let differences: Vec<String> =
            futures_util::future::join_all(turns).await.into_iter().flatten().collect();
        assert_eq!(differences, Vec::<String>::new());
    }
}

impl EscapeWorld {
    /// Makes some calls in one turn. Returns the lines of the corpus that differ, as they should
    /// be.
    async fn play_turn(&self, number: usize, lines: &[String], policy: Policy) -> Vec<String> {
        let verdicts: Arc<Mutex<Vec<PolicyVerdict>>> = Arc::default();
        let seen = Arc::clone(&verdicts);
        let policy = policy.on_verdict(move |verdict| seen.lock().unwrap().push(verdict.clone()));
        let session = self.world.session().await.with_policy(policy).await.unwrap();

        let filled: Vec<Value> = lines
            .iter()
            .map(|line| {
                let line = self.fill(line).replace("{session}", session.id().as_str());
                serde_json::from_str(&line).unwrap()
            })
            .collect();
        let script = format!("escapes-{}-{number}", self.name);
        let outcome = self.play_calls(&session, &script, &filled).await;

        let tools: Vec<&ToolPart> = outcome.tools().collect();
        assert_eq!(tools.len(), lines.len(), "a call for each line");
        let verdicts = verdicts.lock().unwrap();
        let found = tools.iter().zip(&filled).map(|(tool, line)| {
            let of_call = verdicts.iter().filter(|verdict| is_of(verdict, tool));
            let line = played(line, tool, &of_call.collect::<Vec<_>>());
            self.redact(&line.to_string()).replace(session.id().as_str(), "{session}")
        });
        let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let is_different = |(found, line): &(String, &String)| value(found) != value(line);
        found.zip(lines).filter(is_different).map(|(found, _)| found).collect()
    }

    async fn play_calls(&self, session: &Session, script: &str, lines: &[Value]) -> TurnOutcome {
        let steps = lines.iter().fold(Script::new(), |steps, line| {
            let mut input = line["input"].clone();
            match line["tool"].as_str().unwrap() {
                "bash" => input["description"] = json!("an escape"),
                "task" => {
                    let prompt = input["prompt"].as_str().unwrap();
                    input["prompt"] = json!(format!("{prompt} [[escapes-child]]"));
                }
                _ => {}
            }
            steps.then(Reply::new().tool(line["tool"].as_str().unwrap(), input))
        });
        let model = self.world.model();
        model.script("escapes-child", Script::from(Reply::new().text("Done.")));
        model.script(script, steps.then(Reply::new().text("Done.")));
        let model = if lines.iter().any(|line| line["tool"] == "apply_patch") {
            "scripted/gpt-patches"
        } else {
            "scripted/m1"
        };
        let request = Prompt::from(format!("Go [[{script}]]")).with_model(model.parse().unwrap());
        session.send(prompt(request)).outcome().await.unwrap()
    }
}

fn is_of(verdict: &PolicyVerdict, tool: &ToolPart) -> bool {
    let of = verdict.request.tool.as_ref().unwrap();
    of.call == tool.call && of.message == tool.key.message
}

/// A line of the corpus with the requests and the verdict of a call.
fn played(line: &Value, tool: &ToolPart, verdicts: &[&PolicyVerdict]) -> Value {
    let asks: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let request = &verdict.request;
            let mut ask = json!({ "permission": request.permission, "patterns": request.patterns });
            if tool.tool.as_ref() != "bash" {
                let metadata: Value = request.metadata.as_ref().unwrap().decode().unwrap();
                ask["metadata"] = paths(&metadata);
            }
            ask
        })
        .collect();
    let output = tool.state.output().unwrap().to_str();
    let verdict = if verdicts.iter().any(|verdict| verdict.reply.as_str() == "reject") {
        "refused"
    } else if !verdicts.is_empty() {
        "allowed"
    } else if output.contains("the policy of the session did not approve") {
        "blocked"
    } else {
        "unasked"
    };
    json!({
        "why": line["why"],
        "tool": line["tool"],
        "input": line["input"],
        "asks": asks,
        "verdict": verdict,
    })
}

/// The metadata of a request that name files.
fn paths(metadata: &Value) -> Value {
    let is_path = |name: &&String| {
        ["directories", "filepath", "filePath", "movePath", "operation", "path"]
            .contains(&name.as_str())
    };
    let of = |object: &Map<String, Value>| -> Map<String, Value> {
        let fields = object.iter().filter(|(name, value)| is_path(name) && !value.is_null());
        fields.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut found = of(metadata.as_object().unwrap());
    if let Some(files) = metadata.get("files").and_then(Value::as_array) {
        let files = files.iter().map(|file| Value::Object(of(file.as_object().unwrap())));
        found.insert("files".to_owned(), files.collect());
    }
    Value::Object(found)
}

fn corpus(name: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../opencode-proto/tests/corpus");
    let path = directory.join("escapes").join(name).with_extension("jsonl");
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn no_command_line_escapes_from_rules_for_some_commands() {
    let world = EscapeWorld::new("commands").await;

    world
        .play(|| {
            let allowed = ["echo *", "ls *", "git *", "printf *", "test *", "grep *"];
            let policy = allowed
                .into_iter()
                .fold(Policy::new(), |policy, command| policy.pattern("bash", command, Allow));
            policy.pattern("bash", "git push *", Deny)
        })
        .await;

    world.world.assert_outside_is_untouched();
}

#[tokio::test]
async fn no_file_escapes_from_directories() {
    let world = EscapeWorld::new("files").await;

    world.play(|| Policy::new().within(".").allow("*").deny("bash")).await;

    world.world.assert_outside_is_untouched();
    for path in ["/tmp/opencode-escape", "/dev/shm/opencode-escape"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    let requests = world.world.model().requests();
    let of_group = requests.iter().filter(|request| {
        request.script().is_some_and(|script| script.starts_with("escapes-files"))
    });
    // The arguments of a call name the secret.
    let leaked = of_group.flat_map(|request| request.tool_results());
    assert!(leaked.into_iter().all(|result| !result.text.contains(SECRET)));
}

#[tokio::test]
async fn no_prompt_of_a_subagent_escapes_from_directories() {
    let mut world = EscapeWorld::new("subagents").await;
    let other = world.world.session().await;
    world.sessions.insert("{other}", other.id().as_str().to_owned());

    world.play(|| Policy::new().within(".").allow("task").allow("read")).await;

    world.world.assert_outside_is_untouched();
    assert!(!world.world.has_leaked("escapes-child"));
    assert_eq!(other.messages().await.unwrap().len(), 0);
}
