//! Each setting of a job is honoured or refused, on started and on given servers.

use std::collections::BTreeSet;

use opencode_config::{CommandGate, Isolation, LogOutput, Permissions, ToolSwitch};
use opencode_proto::{Deadlines, JobRetry, OutputFormat, PromptReply, QuestionKind, QuestionReply};
use opencode_proto::{RawJson, TurnSettings};

use super::*;
use crate::batch::fingerprint;
use crate::batch::groups::Groups;
use crate::log::EventLogConfig;
use crate::policy::Policy;
use crate::session::AnswerSchema;
use crate::session::turn::handler::HandledAsk;

/// Treatment of a setting.
#[derive(Clone, Copy, Debug)]
enum Treatment {
    /// Names the job, for results and events.
    Names,
    /// Needs nothing: a batch has the effect in any case.
    Nothing,
    /// The directory of all calls.
    Place,
    /// Goes with the prompt.
    WithPrompt,
    /// Refused with an error of this name.
    Refused(&'static str),
    /// Is asked of the server before the prompt is sent.
    Required,
    /// Decides when the job is repeated.
    Retry,
    /// Decides about the answer.
    Schema,
    /// Goes to the server at the start.
    Server,
    /// Goes with the session.
    Session,
    /// Goes with the driver of the turn.
    Turn,
}

use Treatment::*;

struct Setting {
    /// Name of the field in the `Job`, in the configuration, or in the flags.
    name: &'static str,
    job: Job,
    started: Treatment,
    given: Treatment,
}

fn setting(name: &'static str, job: Job, started: Treatment, given: Treatment) -> Setting {
    Setting { name, job, started, given }
}

/// Returns every setting with a value that is not the default.
fn settings() -> Vec<Setting> {
    let job = || Job::new("A");
    let config = |config: RunConfig| job().with_config(config);
    let run = RunConfig::new;
    let schema = RawJson::parse(r#"{"type":"object"}"#).expect("JSON");
    let schema = || AnswerSchema::of::<serde_json::Value>(schema.clone());
    let policy = || Policy::new().allow("read");
    let limits = Deadlines::NONE;
    let deny = || Permissions::new().deny("bash");
    let extra = ExtraFlags::new().with("future", FlagValue::On);
    let grant = |job: Job| job.on_permission(|_| async { PermissionReply::Once });
    let auto = || with(|flags| flags.with_approval(Approval::Auto));
    let server = (Server, Refused("setting"));
    let mut all = vec![
        setting("id", job().with_id("a"), Names, Names),
        setting("key", job().with_key("a"), Names, Names),
        setting("title", job().with_title("a"), Session, Session),
        setting("prompt", Job::new("B"), WithPrompt, WithPrompt),
        setting("directory", job().with_directory("/a"), Place, Place),
        setting("answer", job().with_answer(schema()), Schema, Schema),
        setting("policy", job().with_policy(policy()), Server, Turn),
        setting("settings", job().with_deadlines(limits), Turn, Turn),
        setting("retry", job().with_retry(JobRetry::NONE), Retry, Retry),
        setting("log", job().with_log(EventLogConfig::new("/a")), Turn, Turn),
        setting("handlers", grant(job()), Turn, Turn),
        setting("agent", config(run().with_agent("plan")), WithPrompt, WithPrompt),
        setting(
            "model",
            config(run().with_model("a/b".parse().expect("ok"))),
            WithPrompt,
            WithPrompt,
        ),
        setting(
            "extra_flags",
            config(run().with_extra_flags(extra)),
            Refused("flag"),
            Refused("flag"),
        ),
    ];
    let answered = job().on_question(|_| async { QuestionReply::Dismiss });
    all.push(setting("handlers", answered, Turn, Turn));
    for (name, config) in [
        ("command_gate", run().with_command_gate(CommandGate::Approved)),
        ("env", run().with_env("A", "b")),
        ("instructions", run().with_instructions(["a"])),
        ("isolation", run().with_isolation(Isolation::none())),
        ("mcp", run().with_mcp("a", serde_json::json!({ "type": "local", "command": ["a"] }))),
        ("overrides", run().with_overrides(serde_json::json!({ "share": "disabled" }))),
        ("permission", run().with_permission(deny())),
        ("tools", run().with_tool("bash", ToolSwitch::Disabled)),
    ] {
        all.push(setting(name, job().with_config(config), server.0, server.1));
    }
    let required = job().with_config(run().with_required_mcp(["a"]));
    all.push(setting("required_mcp", required, Required, Required));
    let refused = Refused("flag");
    for (name, job, (started, given)) in [
        ("approval", auto(), (Turn, Turn)),
        ("attach", with(|flags| flags.with_attach(Attach::new("http://a"))), (refused, refused)),
        ("command", with(|flags| flags.with_command("review")), (WithPrompt, WithPrompt)),
        ("files", with(|flags| flags.with_file("a.txt")), (WithPrompt, WithPrompt)),
        ("log_level", with(|flags| flags.with_log_level(LogLevel::Debug)), server),
        ("logs", with(|flags| flags.with_logs(LogOutput::File)), server),
        ("plugins", with(|flags| flags.with_plugins(Plugins::BuiltIn)), server),
        ("reasoning", with(|flags| flags.with_reasoning(Reasoning::Show)), (Nothing, Nothing)),
        ("resume", with(|flags| flags.with_resume(Resume::latest())), (refused, refused)),
        ("sharing", with(|flags| flags.with_sharing(Sharing::Share)), (refused, refused)),
        ("title", with(|flags| flags.with_title("a")), (Session, Session)),
        ("variant", with(|flags| flags.with_variant("high")), (WithPrompt, WithPrompt)),
    ] {
        all.push(setting(name, job, started, given));
    }
    // Settings that exclude each other.
    let conflict = (Refused("conflict"), Refused("conflict"));
    let governed = |job: Job| job.with_policy(policy());
    let unsuitable = (Refused("schema"), Refused("schema"));
    let command = with(|flags| flags.with_command("review")).with_answer(schema());
    let stored = Prompt::from("A").with_reply(PromptReply::NoReply);
    let format = OutputFormat::json_schema(RawJson::parse("{}").expect("JSON"));
    let formed = Prompt::from("A").with_format(format);
    let switched = Prompt::from("A").with_tool("bash", ToolSwitch::Disabled);
    for (name, job, (started, given)) in [
        ("permission", governed(config(run().with_permission(deny()))), conflict),
        ("handlers", governed(grant(job())), conflict),
        ("prompt", governed(Job::new(switched)), conflict),
        ("approval", governed(auto()), conflict),
        ("approval", grant(auto()), conflict),
        ("command", command, unsuitable),
        ("answer", Job::new(stored).with_answer(schema()), unsuitable),
        ("answer", Job::new(formed).with_answer(schema()), unsuitable),
    ] {
        all.push(setting(name, job, started, given));
    }
    all
}

/// Returns whether the job differs from a plain one in the place that the treatment names.
fn has_effect(treatment: Treatment, job: &Job) -> bool {
    let plain = Job::new("A");
    let files = |job: &Job| -> Vec<_> {
        let file = |path| ServedFile::new(path, path, ServedFileKind::File);
        job.config.flags().files().iter().map(file).collect()
    };
    let serve = |job: &Job| {
        let mut groups = Groups::default();
        let no = groups.add(job);
        let request = groups.serve_request(no, &ServeRequest::default());
        (request.config, request.flags)
    };
    match treatment {
        Names => job.id.is_some() || fingerprint::of_job(job) != fingerprint::of_job(&plain),
        Nothing | Refused(_) => true,
        Place => job.directory != plain.directory,
        WithPrompt => post(job, &files(job)) != post(&plain, &[]),
        Retry => job.retry != plain.retry,
        Required => job.config.required_mcp() != plain.config.required_mcp(),
        Schema => job.answer.is_some(),
        Server => serve(job) != serve(&plain),
        Session => session(job, "7") != session(&plain, "7"),
        Turn => {
            let request = request(job, &[]);
            request.settings().deadlines() != TurnSettings::default().deadlines()
                || request.log.is_some()
                || request.handlers.has_permission_handler()
                || QuestionKind::handler(&request.handlers).is_some()
                || job.policy.is_some()
        }
    }
}

#[test]
fn every_setting_of_a_job_is_honoured_or_refused() {
    for Setting { name, job, started: on_started, given: on_given } in settings() {
        for (servers, treatment) in [(started(), on_started), (given(), on_given)] {
            let checked = check(&job, &servers);
            let name = format!("{name} of {job:?} on {servers:?}: {checked:?}");
            if let Refused(error) = treatment {
                assert_eq!(checked.expect_err("refused").name(), error, "{name}");
            } else {
                checked.expect("honoured");
            }
            assert!(has_effect(treatment, &job), "{name} has no effect: {treatment:?}");
        }
    }
}

/// Names of the fields in the output of `Debug`.
fn fields(value: &dyn std::fmt::Debug) -> BTreeSet<String> {
    let text = format!("{value:#?}");
    let field = |line: &str| {
        let name = line.strip_prefix("    ")?.split_once(": ")?.0;
        (!name.starts_with(' ')).then(|| name.to_owned())
    };
    text.lines().filter_map(field).collect()
}

#[test]
fn the_table_has_every_setting() {
    let Job {
        id: _,
        key: _,
        title: _,
        prompt: _,
        directory: _,
        config: _,
        answer: _,
        policy: _,
        settings: _,
        retry: _,
        log: _,
        handlers: _,
    } = Job::new("A");
    let of_job = "id key title prompt directory answer policy settings retry log handlers";
    let mut expected: BTreeSet<_> = of_job.split(' ').map(str::to_owned).collect();
    expected.extend(fields(&RunConfig::new()));
    expected.extend(fields(&RunFlags::new()));
    assert!(expected.remove("flags") && expected.len() > 25, "{expected:?}");
    let found: BTreeSet<_> = settings().iter().map(|setting| setting.name.to_owned()).collect();
    assert_eq!(found, expected);
}
