//! Requests of jobs.

mod settings;

use opencode_config::{
    Attach, ExtraFlags, FlagValue, LogLevel, Plugins, Reasoning, RunConfigError, RunFlags,
};
use opencode_proto::{ServedFileKind, Subtask};

use super::*;
use crate::batch::request::GivenServer;
use crate::server::ServeRequest;

fn with(change: impl FnOnce(RunFlags) -> RunFlags) -> Job {
    Job::new("Tidy up.").with_config(RunConfig::new().with_flags(change(RunFlags::new())))
}

fn started() -> BatchServers {
    BatchServers::Started(Box::<ServeRequest>::default())
}

fn given() -> BatchServers {
    BatchServers::Given(vec![GivenServer::new("http://127.0.0.1:1")])
}

#[test]
fn a_flag_that_a_job_cannot_have_is_refused() {
    let extra = ExtraFlags::new().with("future", FlagValue::On);
    let review = || with(|flags| flags.with_command("review"));
    let jobs = [
        (with(|flags| flags.with_attach(Attach::new("http://a"))), "--attach"),
        (with(|flags| flags.with_resume(Resume::session("ses_1"))), "--session"),
        (with(|flags| flags.with_resume(Resume::latest())), "--continue"),
        (with(|flags| flags.with_sharing(Sharing::Share)), "--share"),
        (Job::new("A").with_config(RunConfig::new().with_extra_flags(extra)), "--future"),
        (Job { prompt: Prompt::from("a").with_part("b"), ..review() }, "--command"),
        (Job { prompt: Prompt::from("a").with_system("b"), ..review() }, "--command"),
        (Job { prompt: Subtask::new("a", "b", "c").into(), ..review() }, "--command"),
    ];
    for (job, name) in jobs {
        for servers in [started(), given()] {
            let error = check(&job, &servers).expect_err("a refused flag");
            let JobError::Flag { flag } = &error else { panic!("{error:?}") };
            assert_eq!(flag, name);
        }
    }
}

#[test]
fn flags_without_effect_on_a_server_are_no_error() {
    let off = ExtraFlags::new().with("future", FlagValue::Off);
    let jobs = [
        with(|flags| flags.with_reasoning(Reasoning::Show)),
        with(|flags| flags.with_title("").with_variant("high").with_file("a.txt")),
        with(|flags| flags.with_command("review")).with_agent("plan"),
        Job { prompt: Prompt::new(), ..with(|flags| flags.with_command("review")) },
        Job::new("A").with_config(RunConfig::new().with_extra_flags(off)),
    ];
    for job in jobs {
        for servers in [started(), given()] {
            check(&job, &servers).expect("a good job");
        }
    }
    let error = check(&with(|flags| flags.with_variant("")), &started()).expect_err("empty");
    assert!(matches!(error, JobError::Config(RunConfigError::EmptyValue { .. })), "{error:?}");
}

#[test]
fn a_running_server_cannot_change_the_settings_of_its_start() {
    let jobs = [
        (with(|flags| flags.with_plugins(Plugins::BuiltIn)), "plugins"),
        (with(|flags| flags.with_log_level(LogLevel::Debug)), "log level"),
        (Job::new("A").with_config(RunConfig::new().with_env("A", "b")), "environment"),
    ];
    for (job, name) in jobs {
        check(&job, &started()).expect("a setting of a new server");
        let error = check(&job, &given()).expect_err("a setting of a new server");
        let JobError::Setting { setting } = &error else { panic!("{error:?}") };
        assert_eq!(*setting, name);
    }
}

#[test]
fn the_prompt_comes_before_the_configuration() {
    let config = RunConfig::new()
        .with_agent("plan")
        .with_model("a/b".parse().expect("a model"))
        .with_flags(RunFlags::new().with_variant("low"));
    let job = Job::new("A").with_config(config);
    let expected = Prompt::from("A")
        .with_agent("plan")
        .with_model("a/b".parse().expect("a model"))
        .with_variant("low");
    assert_eq!(post(&job, &[]), TurnPost::from(expected));
    let own = Prompt::from("A")
        .with_agent("build")
        .with_model("c/d".parse().expect("a model"))
        .with_variant("high");
    let job = Job { prompt: own.clone(), ..job };
    assert_eq!(post(&job, &[]), TurnPost::from(own));
}

#[test]
fn files_come_before_the_text() {
    let file = |name: &str, kind| ServedFile::new(name, format!("/p/{name}"), kind);
    let files = [file("a.md", ServedFileKind::File), file("src", ServedFileKind::Directory)];
    let expected = Prompt::new()
        .with_part(PromptFile::path("/p/a.md").with_mime("text/plain"))
        .with_part(PromptFile::path("/p/src").with_mime("application/x-directory"))
        .with_part("A");
    assert_eq!(post(&Job::new("A"), &files), TurnPost::from(expected));
}

#[test]
fn a_command_has_the_prompt_as_arguments() {
    let job = with(|flags| flags.with_command("review").with_variant("high"));
    let expected = CommandRequest::new("review").with_arguments("Tidy up.").with_variant("high");
    assert_eq!(post(&job, &[]), TurnPost::from(expected));
}

#[test]
fn a_title_is_that_of_the_job_or_of_the_flags_or_made_of_the_id() {
    let titled = |title: &str| CreateSession::new().with_title(title);
    assert_eq!(session(&Job::new("A"), "7"), titled("job 7"));
    assert_eq!(session(&with(|flags| flags.with_title("flag")), "7"), titled("flag"));
    assert_eq!(session(&with(|flags| flags.with_title("")), "7"), titled("Tidy up."));
    let both = with(|flags| flags.with_title("flag")).with_title("own");
    assert_eq!(session(&both, "7"), titled("own"));
}
