use std::ffi::OsString;

use super::*;
use crate::{
    Approval, Attach, DataHome, ExtraFlags, FlagValue, Isolation, LogLevel, LogOutput, Permissions,
    Plugins, Reasoning, Resume, RunFlags, Sharing,
};

fn plan(config: &RunConfig) -> IsolationPlan {
    let inherited = [("HOME", "/home/me"), ("PWD", "/some/where"), ("KEY", "sk-secret")]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    IsolationPlan::new(config, &inherited.into_iter().collect(), "/run/1", Vec::new()).unwrap()
}

fn try_run(prompt: &str, config: &RunConfig) -> Result<Invocation, RunConfigError> {
    Invocation::run("/bin/opencode", prompt.to_owned(), "/my project", config, &plan(config))
}

fn run(prompt: &str, config: &RunConfig) -> Invocation {
    try_run(prompt, config).unwrap()
}

/// Without the default flags for logs.
fn args(config: &RunConfig) -> Vec<String> {
    let mut args: Vec<String> =
        run("hello", config).args.iter().map(|arg| arg.to_str().unwrap().to_owned()).collect();
    let is_default = |arg: &String| ["--log-level=WARN", "--print-logs"].contains(&arg.as_str());
    assert_eq!(args.iter().filter(|arg| is_default(arg)).count(), 2);
    args.retain(|arg| !is_default(arg));
    args
}

fn extra(flags: ExtraFlags) -> Vec<String> {
    args(&RunConfig::new().with_extra_flags(flags)).split_off(3)
}

#[test]
fn the_prompt_goes_by_stdin_and_nothing_else_is_in_the_way() {
    let prompt = "--help \"quoted\" $HOME\n";
    let run = run(prompt, &RunConfig::new());
    assert_eq!(run.program, Path::new("/bin/opencode"));
    assert_eq!(run.args, ["run", "--format", "json", "--log-level=WARN", "--print-logs"]);
    assert_eq!(run.stdin, prompt);
}

#[test]
fn typed_flags_are_spelled_as_opencode_knows_them() {
    let flags = RunFlags::new()
        .with_approval(Approval::Auto)
        .with_file("a.txt")
        .with_file("-b c.txt")
        .with_plugins(Plugins::BuiltIn)
        .with_reasoning(Reasoning::Show)
        .with_resume(Resume::session("ses_1").forked())
        .with_sharing(Sharing::Share)
        .with_title("-x")
        .with_variant("high");
    let config = RunConfig::new()
        .with_model("anthropic/claude".parse().unwrap())
        .with_agent("plan")
        .with_flags(flags);
    assert_eq!(
        args(&config),
        [
            "run",
            "--format",
            "json",
            "--model=anthropic/claude",
            "--agent=plan",
            "--session=ses_1",
            "--fork",
            "--title=-x",
            "--variant=high",
            "--file=a.txt",
            "--file=-b c.txt",
            "--thinking",
            "--auto",
            "--share",
            "--pure",
        ]
    );
}

#[test]
fn errors_of_the_log_are_printed_by_default() {
    let with = |config: &RunConfig| run("x", config).args[3..].to_vec();
    let flags = RunFlags::new().with_log_level(LogLevel::Debug).with_logs(LogOutput::File);
    assert_eq!(with(&RunConfig::new().with_flags(flags)), ["--log-level=DEBUG"]);
    let extra = ExtraFlags::new().with("log-level", "WARN").with("print-logs", false);
    assert_eq!(with(&RunConfig::new().with_extra_flags(extra)), ["--log-level=WARN"]);
}

#[test]
fn the_latest_session_is_continued() {
    let with = |resume| args(&RunConfig::new().with_flags(RunFlags::new().with_resume(resume)));
    assert_eq!(with(Resume::latest())[3..], ["--continue"]);
    assert_eq!(with(Resume::latest().forked())[3..], ["--continue", "--fork"]);
    assert_eq!(with(Resume::session("ses_1"))[3..], ["--session=ses_1"]);
}

#[test]
fn quotes_that_the_parser_would_strip_are_doubled() {
    let title = |title: &str| {
        args(&RunConfig::new().with_flags(RunFlags::new().with_title(title))).pop().unwrap()
    };
    assert_eq!(title("\"all\""), "--title=\"\"all\"\"");
    assert_eq!(title("'all'"), "--title=''all''");
    for text in ["\"", "'", "a \"b\"", "\"a' ", "\"a'", ""] {
        assert_eq!(title(text), format!("--title={text}"));
    }
}

#[test]
fn the_password_of_an_attached_server_travels_by_environment() {
    let attach = Attach::new("http://127.0.0.1:4096")
        .with_credentials(Credentials::new("sk-secret").with_username("me"))
        .with_directory("/srv/app");
    let run = run("x", &RunConfig::new().with_flags(RunFlags::new().with_attach(attach)));
    assert_eq!(run.args[3..5], ["--attach=http://127.0.0.1:4096", "--dir=/srv/app"]);
    assert_eq!(run.env.var("OPENCODE_SERVER_PASSWORD"), Some("sk-secret".as_ref()));
    assert_eq!(run.env.var("OPENCODE_SERVER_USERNAME"), Some("me".as_ref()));

    let nobody = Attach::new("http://x").with_credentials(Credentials::new(""));
    let config = RunConfig::new().with_flags(RunFlags::new().with_attach(nobody));
    let error = RunConfigError::EmptyValue { flag: "OPENCODE_SERVER_PASSWORD" };
    assert_eq!(try_run("x", &config), Err(error));
}

#[test]
fn extra_flags_are_passed_on() {
    assert_eq!(extra(ExtraFlags::new().with("thinking", true)), ["--thinking"]);
    assert_eq!(extra(ExtraFlags::new().with("t", FlagValue::On)), ["-t"]);
    assert_eq!(extra(ExtraFlags::new().with("title", "demo")), ["--title=demo"]);
    assert_eq!(extra(ExtraFlags::new().with("p", "secret")), ["-p", "secret"]);
    assert_eq!(extra(ExtraFlags::new().with("f", ["a", "b"])), ["-f", "a", "-f", "b"]);
    assert_eq!(extra(ExtraFlags::new().with("cors", vec!["a", "b"])), ["--cors=a", "--cors=b"]);
    let skipped = ExtraFlags::new().with("fork", false).with("title", None::<&str>);
    assert_eq!(extra(skipped), [""; 0]);
}

#[test]
fn values_of_extra_flags_do_not_become_flags() {
    let flags = ExtraFlags::new().with("title", "--help").with("f", "-h").with("q", "\"x\"");
    assert_eq!(extra(flags), ["--title=--help", "-f=-h", "-q", "\"x\""]);
}

#[test]
fn extra_flags_follow_the_typed_ones_in_order() {
    let config = RunConfig::new().with_model("anthropic/claude".parse().unwrap()).with_extra_flags(
        ExtraFlags::new()
            .with("fork", true)
            .with("title", "demo")
            .with("session", "ses_1")
            .with("f", ["a.txt"]),
    );
    assert_eq!(
        args(&config),
        [
            "run",
            "--format",
            "json",
            "--model=anthropic/claude",
            "--fork",
            "--title=demo",
            "--session=ses_1",
            "-f",
            "a.txt",
        ]
    );
}

#[test]
fn a_flag_is_not_given_in_two_ways() {
    let config = RunConfig::new().with_model("a/b".parse().unwrap());
    let twice = |name: &str| config.clone().with_extra_flags(ExtraFlags::new().with(name, "x"));
    for name in ["m", "model"] {
        let error = RunConfigError::SetTwice { flag: "model".into() };
        assert_eq!(try_run("x", &twice(name)), Err(error));
    }
    let files = RunConfig::new()
        .with_flags(RunFlags::new().with_file("a"))
        .with_extra_flags(ExtraFlags::new().with("f", "b"));
    assert_eq!(args(&files)[3..], ["--file=a", "-f", "b"], "files may be many");
}

#[test]
fn blank_prompts_are_refused_as_opencode_refuses_them() {
    for blank in ["", " ", "\n\t \r\n", "\u{feff}", "\u{a0}\u{2003}"] {
        assert_eq!(
            try_run(blank, &RunConfig::new()),
            Err(RunConfigError::EmptyPrompt),
            "{blank:?}"
        );
    }
    for visible in ["x", " \u{85} ", "\u{200b}"] {
        assert_eq!(run(visible, &RunConfig::new()).stdin, visible);
    }
}

#[test]
fn a_command_may_have_no_arguments() {
    let config = RunConfig::new().with_flags(RunFlags::new().with_command("review"));
    let run = run("", &config);
    assert_eq!(run.args[3], "--command=review");
    assert_eq!(run.stdin, "");
}

#[test]
fn the_directory_is_in_the_environment_too() {
    let run = run("x", &RunConfig::new());
    assert_eq!(run.directory, Path::new("/my project"));
    assert_eq!(run.env.var("PWD"), Some("/my project".as_ref()));
    let config = RunConfig::new();
    let relative = Invocation::run("opencode", "x", "work", &config, &plan(&config));
    assert_eq!(relative, Err(RunConfigError::RelativeDirectory { path: "work".into() }));
}

#[test]
fn questions_are_not_offered_in_run_mode() {
    let client = |isolation: Isolation, inherited: &str, chosen: Option<&str>| {
        let mut config = RunConfig::new().with_isolation(isolation);
        if let Some(client) = chosen {
            config = config.with_env("OPENCODE_CLIENT", client);
        }
        let env = Environment::new().with_var("OPENCODE_CLIENT", inherited);
        let plan = IsolationPlan::new(&config, &env, "/run/1", Vec::new()).unwrap();
        let run = Invocation::run("opencode", "x", "/w", &config, &plan).unwrap();
        run.env.var("OPENCODE_CLIENT").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(client(Isolation::new(), "my-program", None), "sdk");
    assert_eq!(client(Isolation::new(), "", Some("desktop")), "desktop");
    assert_eq!(client(Isolation::none(), "my-program", None), "my-program");
    for with_questions in ["app", "cli", "desktop", ""] {
        assert_eq!(client(Isolation::none(), with_questions, None), "sdk", "{with_questions}");
    }
}

#[test]
fn questions_of_a_server_can_be_hidden() {
    let config = RunConfig::new();
    let client = |flags| {
        let serve = Invocation::serve("opencode", "/w", &config, &flags, &plan(&config)).unwrap();
        serve.env.var("OPENCODE_CLIENT").map(OsStr::to_owned)
    };
    assert_eq!(client(ServeFlags::new()), None);
    assert_eq!(client(ServeFlags::new().with_questions(Questions::Hide)), Some("sdk".into()));
}

#[test]
fn the_environment_is_that_of_the_plan() {
    let config = RunConfig::new().with_permission(Permissions::new().deny("bash"));
    let plan = plan(&config);
    let run = Invocation::run("opencode", "x", "/w", &config, &plan).unwrap();
    let mut expected = plan.environment;
    expected.set("OPENCODE_CLIENT", "sdk");
    expected.set("PWD", "/w");
    assert_eq!(run.env, expected);
}

#[test]
fn an_invalid_config_is_not_started() {
    let config = RunConfig::new().with_permission(Permissions::new().ask("bash"));
    assert!(matches!(try_run("x", &config), Err(RunConfigError::Permission(_))));
    let serve = Invocation::serve("opencode", "/w", &config, &ServeFlags::new(), &plan(&config));
    assert!(serve.is_ok(), "clients of a server can be asked");
}

#[test]
fn a_server_listens_on_the_chosen_address() {
    let config = RunConfig::new();
    let serve = |flags| Invocation::serve("opencode", "/w", &config, &flags, &plan(&config));
    let default = serve(ServeFlags::new()).unwrap();
    assert_eq!(default.args, ["serve", "--hostname=127.0.0.1", "--port=0"]);
    assert_eq!(default.stdin, "");
    assert_eq!(default.env.var("OPENCODE_CLIENT"), None);
    assert_eq!(default.env.var("OPENCODE_SERVER_PASSWORD"), None);
    let flags = ServeFlags::new()
        .with_hostname("0.0.0.0")
        .with_port(5000)
        .with_credentials(Credentials::new("sk-secret"))
        .with_log_level(LogLevel::Warn)
        .with_logs(LogOutput::FileAndStderr)
        .with_plugins(Plugins::BuiltIn)
        .with_extra_flags(ExtraFlags::new().with("cors", ["https://a.example"]));
    let chosen = serve(flags).unwrap();
    assert_eq!(
        chosen.args,
        [
            "serve",
            "--hostname=0.0.0.0",
            "--port=5000",
            "--log-level=WARN",
            "--print-logs",
            "--pure",
            "--cors=https://a.example",
        ]
    );
    assert_eq!(chosen.env.var("OPENCODE_SERVER_PASSWORD"), Some("sk-secret".as_ref()));
    assert_eq!(chosen.env.var("OPENCODE_SERVER_USERNAME"), None, "OpenCode's own default");
    let port = ServeFlags::new().with_extra_flags(ExtraFlags::new().with("port", "1"));
    assert_eq!(serve(port), Err(RunConfigError::SetTwice { flag: "port".into() }));
    let nowhere = ServeFlags::new().with_hostname("");
    assert_eq!(serve(nowhere), Err(RunConfigError::EmptyValue { flag: "--hostname" }));
}

#[test]
fn nul_characters_are_named_before_a_process_is_started() {
    let config = RunConfig::new().with_flags(RunFlags::new().with_title("a\0b"));
    let error = try_run("x", &config).unwrap_err();
    assert_eq!(error.to_string(), "argument 4 contains a NUL character");
    let error =
        Invocation::run("open\0code", "x", "/w", &RunConfig::new(), &plan(&RunConfig::new()));
    assert_eq!(error, Err(RunConfigError::Nul { place: "the program".into() }));
    assert!(try_run("a\0b", &RunConfig::new()).is_ok(), "stdin takes any byte");
}

#[test]
fn command_lines_can_be_pasted_and_hide_secrets() {
    let config = RunConfig::new()
        .with_flags(RunFlags::new().with_title("it's a \"title\""))
        .with_extra_flags(ExtraFlags::new().with("p", "sk-secret").with("username", "name"));
    let run = run("secret prompt", &config);
    assert_eq!(
        run.to_string(),
        concat!(
            r#"/bin/opencode run --format json '--title=it'\''s a "title"' "#,
            "--log-level=WARN --print-logs -p *** --username=***",
        )
    );
    assert_eq!(run.command_line(), run.to_string());
}

#[test]
fn debug_shows_neither_environment_nor_prompt() {
    let config = RunConfig::new()
        .with_mcp("x", json!({"headers": {"a": "sk-secret"}}))
        .with_isolation(Isolation::new().with_data(DataHome::User));
    let shown = format!("{:?}", run("secret prompt", &config));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("stdin_size: 13") && shown.contains("\"KEY\""), "{shown}");
}
