//! Every setting of a run or a job in every mode: the setting arrives where OpenCode reads it, or
//! is refused with a typed error before anything is sent. The settings of sessions' turns differ by
//! type: a request has no method for a setting that its endpoint does not know.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use opencode_tokio::batch::{BatchRequest, GivenServer, Job};
use opencode_tokio::config::{
    Approval, Attach, CommandGate, DataHome, ExtraFlags, FlagValue, Isolation, LogLevel, LogOutput,
    Plugins, ProjectConfig, Reasoning, Resume, RunFlags, Sharing, ToolSwitch,
};
use opencode_tokio::event::RawJson;
use opencode_tokio::run::Backend;
use opencode_tokio::turn::{OutputFormat, PromptFile, PromptReply};
use opencode_tokio::{
    AttachRequest, CreateSession, ModelRef, Permissions, Prompt, RunConfig, TokioRuntime,
};
use serde_json::json;
use testkit::conformance::Host;
use testkit::conformance::lines::answer;
use testkit::conformance::world::ProgramWorld;
use testkit::fake::Behavior;
use testkit::server::{FakeServer, ServerReply, ServerScript};

#[derive(Clone, Copy, Debug)]
enum Mode {
    Process,
    NewServer,
    SharedServer,
    BatchOnStartedServers,
    BatchOnGivenServers,
}

const MODES: [Mode; 5] = [
    Mode::Process,
    Mode::NewServer,
    Mode::SharedServer,
    Mode::BatchOnStartedServers,
    Mode::BatchOnGivenServers,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The events have everything, with or without the setting.
    Always,
    /// The setting arrives.
    Arrives,
    /// The setting is refused, and the error has this text.
    Refused(&'static str),
    /// The setting decides what this library does with events; this test of another file shows it.
    ShownBy(&'static str),
}

use Outcome::{Always, Arrives, Refused, ShownBy};

/// A setting, with a text that is sent if the setting arrives. Text after `!` is not sent then.
struct Setting {
    /// Name of the method, without `with_`.
    name: &'static str,
    config: RunConfig,
    text: &'static str,
    /// Outcomes in the order of [`MODES`].
    outcomes: [Outcome; 5],
}

fn of_config(
    name: &'static str,
    text: &'static str,
    config: RunConfig,
    outcomes: [Outcome; 5],
) -> Setting {
    Setting { name, config, text, outcomes }
}

fn of_flags(
    name: &'static str,
    text: &'static str,
    flags: RunFlags,
    outcomes: [Outcome; 5],
) -> Setting {
    of_config(name, text, RunConfig::new().with_flags(flags), outcomes)
}

/// The settings of `RunConfig`, apart from its flags.
fn config_settings() -> Vec<Setting> {
    let config = RunConfig::new;
    // A running server has these already.
    let fixed = |setting| [Arrives, Arrives, Refused(setting), Arrives, Refused(setting)];
    let ignored = Isolation::new().with_project_config(ProjectConfig::Ignore);
    let extra = ExtraFlags::new().with("setting", FlagValue::On);
    let gate = config().with_command_gate(CommandGate::Approved);
    let no_gate = Refused("command gate");
    vec![
        of_config("agent", "setting-agent", config().with_agent("setting-agent"), [Arrives; 5]),
        of_config(
            "command_gate",
            "command-gate",
            gate,
            [no_gate, no_gate, no_gate, Arrives, no_gate],
        ),
        of_config("env", "SETTING", config().with_env("SETTING", "1"), fixed("environment")),
        of_config(
            "extra_flags",
            "--setting",
            config().with_extra_flags(extra),
            [
                Arrives,
                Refused("--setting"),
                Refused("--setting"),
                Refused("--setting"),
                Refused("--setting"),
            ],
        ),
        of_config(
            "instructions",
            "/setting.md",
            config().with_instructions(["/setting.md"]),
            fixed("instructions"),
        ),
        of_config(
            "isolation",
            "OPENCODE_DISABLE_PROJECT_CONFIG",
            config().with_isolation(ignored),
            fixed("isolation"),
        ),
        of_config(
            "mcp",
            "setting-mcp",
            config().with_mcp("setting-mcp", json!({ "enabled": false })),
            fixed("MCP servers"),
        ),
        of_config(
            "model",
            "setting-model",
            config().with_model(ModelRef::new("scripted/setting-model").unwrap()),
            [Arrives; 5],
        ),
        of_config(
            "overrides",
            "setting-user",
            config().with_overrides(json!({ "username": "setting-user" })),
            fixed("overrides"),
        ),
        of_config(
            "permission",
            "setting-tool",
            config().with_permission(Permissions::new().deny("setting-tool")),
            fixed("permissions"),
        ),
        of_config(
            "required_mcp",
            "setting-mcp",
            config().with_required_mcp(["setting-mcp"]),
            [
                ShownBy("a_required_mcp_server_that_does_not_start_ends_a_run"),
                ShownBy("a_required_mcp_server_that_does_not_start_ends_a_run"),
                ShownBy("a_required_mcp_server_that_does_not_start_ends_a_run"),
                ShownBy("jobs_need_their_required_mcp_servers"),
                ShownBy("jobs_need_their_required_mcp_servers"),
            ],
        ),
        of_config(
            "tool",
            "setting-tool",
            config().with_tool("setting-tool", ToolSwitch::Disabled),
            fixed("tools"),
        ),
    ]
}

/// The settings of `RunFlags`.
fn flag_settings() -> Vec<Setting> {
    let flags = RunFlags::new;
    let fixed = |setting| [Arrives, Arrives, Refused(setting), Arrives, Refused(setting)];
    let of_runs = |flag| [Arrives, Arrives, Arrives, Refused(flag), Refused(flag)];
    let auto = ShownBy("flags_of_a_job_have_the_same_effect_as_in_a_run");
    let streamed = ShownBy("an_answer_is_streamed_and_counted_once");
    let resumed = ShownBy("runs_resume_and_fork_sessions");
    let attach = Attach::new("http://127.0.0.1:9");
    vec![
        of_flags(
            "approval",
            "--auto",
            flags().with_approval(Approval::Auto),
            [
                Arrives,
                ShownBy("permissions_are_rejected_or_granted_alike"),
                ShownBy("permissions_are_rejected_or_granted_alike"),
                auto,
                auto,
            ],
        ),
        of_flags(
            "attach",
            "--attach",
            flags().with_attach(attach),
            [
                Arrives,
                Refused("--attach"),
                Refused("--attach"),
                Refused("--attach"),
                Refused("--attach"),
            ],
        ),
        of_flags(
            "command",
            "setting-command",
            flags().with_command("setting-command"),
            [Arrives; 5],
        ),
        of_flags("file", "setting.txt", flags().with_file("setting.txt"), [Arrives; 5]),
        of_flags("log_level", "DEBUG", flags().with_log_level(LogLevel::Debug), fixed("log level")),
        of_flags("logs", "!--print-logs", flags().with_logs(LogOutput::File), fixed("log output")),
        of_flags("plugins", "--pure", flags().with_plugins(Plugins::BuiltIn), fixed("plugins")),
        of_flags(
            "reasoning",
            "--thinking",
            flags().with_reasoning(Reasoning::Show),
            [Arrives, streamed, streamed, Always, Always],
        ),
        of_config(
            "resume",
            "ses_setting",
            // A private data directory has no session to continue.
            RunConfig::new()
                .with_isolation(Isolation::new().with_data(DataHome::User))
                .with_flags(flags().with_resume(Resume::session("ses_setting"))),
            [Arrives, resumed, resumed, Refused("--session"), Refused("--session")],
        ),
        of_flags("sharing", "share\n", flags().with_sharing(Sharing::Share), of_runs("--share")),
        of_flags("title", "setting-title", flags().with_title("setting-title"), [Arrives; 5]),
        of_flags("variant", "setting-high", flags().with_variant("setting-high"), [Arrives; 5]),
    ]
}

/// A program, a server that the program pretends to be, and everything that was sent to either.
struct SettingWorld {
    world: ProgramWorld,
    server: FakeServer,
}

impl SettingWorld {
    fn new(mode: Mode) -> Self {
        let refused = || [ServerReply::error(400, json!({ "name": "Refused", "data": {} }))];
        let agents = json!([{ "name": "setting-agent", "mode": "primary", "permission": [] }]);
        let script = ServerScript::new()
            .on("GET", "/config", [ServerReply::json(json!({}))])
            .on("GET", "/agent", [ServerReply::json(agents)])
            .on("POST", "/session/{id}/prompt_async", refused())
            .on("POST", "/session/{id}/command", refused())
            .on("POST", "/session/{id}/share", refused());
        let server = FakeServer::start(script).unwrap();
        let ready = format!("opencode server listening on {}", server.url());
        let behavior = match mode {
            Mode::Process => Behavior::new().read_stdin().stdout_raw(answer("Fine.")),
            Mode::NewServer | Mode::BatchOnStartedServers => {
                Behavior::new().stdout_line(&ready).hang()
            }
            Mode::SharedServer | Mode::BatchOnGivenServers => Behavior::new(),
        };
        let world = ProgramWorld::new(&Host::of(TokioRuntime::new()), behavior);
        fs::write(world.path("project/setting.txt"), "text").unwrap();
        Self { world, server }
    }

    /// Runs a prompt in this mode. Returns the text of the error, if any.
    async fn run(&self, mode: Mode, config: RunConfig) -> String {
        let attach = || AttachRequest::new(self.server.url());
        let run = self.world.request().with_config(config.clone());
        let job =
            || Job::new("Hello?").with_config(config).with_directory(self.world.path("project"));
        let run = match mode {
            Mode::Process => run,
            Mode::NewServer => run.with_backend(Backend::NewServer),
            Mode::SharedServer => {
                let server = self.world.opencode.attach(attach()).await.unwrap();
                run.with_backend(&server)
            }
            Mode::BatchOnStartedServers => return self.batch(BatchRequest::new([job()])).await,
            Mode::BatchOnGivenServers => {
                let servers = [GivenServer::new(attach())];
                return self.batch(BatchRequest::new([job()]).with_servers(servers)).await;
            }
        };
        let result = self.world.opencode.run(run).await;
        result.err().map(|error| format!("{error:?}")).unwrap_or_default()
    }

    async fn batch(&self, request: BatchRequest) -> String {
        let report = self.world.opencode.batch(request).outcome().await.unwrap();
        report.jobs[0].error.as_ref().map(|error| format!("{error:?}")).unwrap_or_default()
    }

    /// Everything that the program or the server got, as text.
    fn sent(&self) -> String {
        let mut sent = String::new();
        for call in self.world.calls() {
            for text in call.args.iter().chain(call.env.keys()).chain(call.env.values()) {
                sent += &format!("{}\n", text.to_string_lossy());
            }
        }
        for request in self.server.requests() {
            sent += &format!("{} {}\n", request.method(), request.path());
            sent += &String::from_utf8_lossy(request.body());
        }
        sent
    }

    fn has_prompt(&self) -> bool {
        let posts = self.server.requests();
        posts.iter().any(|request| {
            request.path().ends_with("/prompt_async") || request.path().ends_with("/command")
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_arrives_or_is_refused_in_every_mode() {
    let mut faults = Vec::new();
    for setting in config_settings().into_iter().chain(flag_settings()) {
        for (mode, outcome) in MODES.into_iter().zip(setting.outcomes) {
            let world = SettingWorld::new(mode);
            let is_fine = match outcome {
                Always | ShownBy(_) => continue,
                Arrives => {
                    world.run(mode, setting.config.clone()).await;
                    match setting.text.strip_prefix('!') {
                        Some(absent) => !world.sent().contains(absent),
                        None => world.sent().contains(setting.text),
                    }
                }
                Refused(text) => {
                    let error = world.run(mode, setting.config.clone()).await;
                    let is_begun = world.has_prompt() || !world.world.calls().is_empty();
                    error.contains(text) && !is_begun
                }
            };
            if !is_fine {
                faults.push(format!("{} in mode {mode:?}: not {outcome:?}", setting.name));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn source(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(file)).unwrap()
}

/// Names of the methods `with_..` of a type.
fn setters(text: &str, of: &str) -> BTreeSet<String> {
    let start = text.find(&format!("\nimpl {of} {{")).unwrap();
    let body = &text[start + 1..];
    let body = &body[..body.find("\n}\n").unwrap()];
    let names = body.split("pub fn with_").skip(1);
    names.map(|rest| rest[..rest.find(['(', '<']).unwrap()].to_owned()).collect()
}

#[test]
fn every_setting_has_a_row() {
    let rows = |settings: Vec<Setting>| -> BTreeSet<String> {
        settings.into_iter().map(|setting| setting.name.to_owned()).collect()
    };
    let mut config = setters(&source("opencode-config/src/run.rs"), "RunConfig");
    assert!(config.remove("flags"), "the flags have rows of their own");
    assert_eq!(rows(config_settings()), config);
    assert_eq!(rows(flag_settings()), setters(&source("opencode-config/src/flags.rs"), "RunFlags"));
}

/// A posted prompt has all settings of one that is sent: both send the same.
#[tokio::test]
async fn every_setting_of_a_prompt_is_posted_as_it_is_sent() {
    let schema = RawJson::parse(r#"{"type":"object"}"#).unwrap();
    let prompt = Prompt::from("Hello?")
        .with_part(PromptFile::bytes("note.txt", "note"))
        .with_model(ModelRef::new("scripted/setting-model").unwrap())
        .with_agent("setting-agent")
        .with_system("setting-system")
        .with_variant("setting-high")
        .with_tool("bash", ToolSwitch::Disabled)
        .with_reply(PromptReply::NoReply)
        .with_format(OutputFormat::json_schema(schema));
    let mut bodies = Vec::new();
    for is_posted in [false, true] {
        let server = FakeServer::start(ServerScript::new()).unwrap();
        let opencode = opencode_tokio::opencode();
        let attached = opencode.attach(AttachRequest::new(server.url())).await.unwrap();
        let session = attached.create_session(CreateSession::new()).await.unwrap();
        if is_posted {
            let posted = session.post(prompt.clone()).await.unwrap();
            assert_eq!(posted.session, *session.id());
        } else {
            let mut turn = session.send(prompt.clone());
            tokio::select! {
                _ = turn.next_event() => {}
                () = until_posted(&server) => {}
            }
        }
        let posts = server.requests_to("POST", "/session/{id}/prompt_async");
        let mut body = posts[0].json();
        assert!(body.as_object_mut().unwrap().remove("messageID").is_some());
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    for text in ["model", "agent", "system", "variant", "bash", "noReply", "json_schema", "note"] {
        assert!(bodies[1].to_string().contains(text), "{text}: {}", bodies[1]);
    }
    let setters = setters(&source("opencode-proto/src/api/prompt.rs"), "Prompt");
    let here =
        ["agent", "files_in", "format", "model", "part", "reply", "system", "tool", "variant"];
    assert_eq!(setters.iter().map(String::as_str).collect::<Vec<_>>(), here);
}

async fn until_posted(server: &FakeServer) {
    while server.requests_to("POST", "/session/{id}/prompt_async").is_empty() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_tests_of_other_files_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = String::new();
    for folder in ["opencode-tokio/tests/batch", "opencode-tokio/tests/served"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            texts += &fs::read_to_string(entry.unwrap().path()).unwrap();
        }
    }
    let settings = config_settings().into_iter().chain(flag_settings());
    for (setting, outcome) in
        settings.flat_map(|setting| setting.outcomes.map(|it| (setting.name, it)))
    {
        if let ShownBy(test) = outcome {
            assert!(texts.contains(&format!("fn {test}(")), "{setting}: {test}");
        }
    }
}
