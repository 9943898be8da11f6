//! Whatever is said in flags arrives, each value as one argument that is taken for nothing else.

#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use opencode_config::{
    Environment, ExtraFlags, FlagValue, Invocation, IsolationPlan, Plugins, Reasoning, Resume,
    RunConfig, RunFlags, ServeFlags,
};
use proptest::prelude::*;

/// Flags of OpenCode that stand alone.
const SWITCHES: [&str; 8] =
    ["auto", "continue", "fork", "print-logs", "pure", "share", "thinking", "interactive"];

/// Reads arguments like OpenCode's parser: the positional ones, and the values of each flag.
fn read(args: &[OsString]) -> (Vec<String>, BTreeMap<String, Vec<String>>) {
    let mut args = args.iter().map(|arg| arg.to_str().unwrap());
    let (mut positional, mut flags) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    while let Some(arg) = args.next() {
        let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            positional.push(arg.to_owned());
            continue;
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, unquoted(value).to_owned()),
            None if SWITCHES.contains(&name) => (name, "true".to_owned()),
            None => {
                let value = args.next().unwrap_or_else(|| panic!("{name} has no value"));
                assert!(!value.starts_with('-'), "{value} is the next flag, not a value of {name}");
                (name, value.to_owned())
            }
        };
        let name = match name {
            "f" => "file",
            name => name,
        };
        flags.entry(name.to_owned()).or_default().push(value);
    }
    (positional, flags)
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

/// Values that could be taken for something else.
fn value() -> impl Strategy<Value = String> {
    let odd = [
        "-",
        "--",
        "-x",
        "--help",
        "--model=a/b",
        "=",
        "a=b",
        "\"",
        "''",
        "\"quoted\"",
        "'quoted'",
        "\"half",
        "two words",
        " ",
        "run",
        "ä\n",
        "$HOME",
        "*",
    ];
    prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[^\\x00]{1,12}",
        "[-=\"' a]{1,6}",
    ]
}

fn option() -> impl Strategy<Value = Option<String>> {
    prop::option::of(value())
}

fn plan() -> IsolationPlan {
    let home = [("HOME".into(), "/home/me".into())];
    let inherited: Environment = home.into_iter().collect();
    IsolationPlan::new(&RunConfig::new(), &inherited, "/run/1", Vec::new()).unwrap()
}

proptest! {
    #[test]
    fn values_of_a_run_arrive(
        (agent, command, title, variant) in (option(), option(), option(), option()),
        model in prop::option::of(value().prop_map(|name| format!("provider/{name}"))),
        (session, is_fork) in (option(), any::<bool>()),
        files in prop::collection::vec(value(), 0..3),
        more in prop::collection::vec(value().prop_filter("text", |file| !file.is_empty()), 0..3),
        unknown in option(),
        (thinking, pure) in (any::<bool>(), any::<bool>()),
        prompt in value(),
    ) {
        let mut flags = RunFlags::new();
        let mut expected = BTreeMap::<String, Vec<String>>::new();
        let mut expect = |name: &str, value: Option<&String>| {
            if let Some(value) = value {
                expected.entry(name.to_owned()).or_default().push(value.clone());
            }
        };
        let on = "true".to_owned();
        expect("format", Some(&"json".to_owned()));
        expect("log-level", Some(&"WARN".to_owned()));
        expect("print-logs", Some(&on));
        expect("agent", agent.as_ref());
        expect("command", command.as_ref());
        expect("title", title.as_ref());
        expect("variant", variant.as_ref());
        expect("model", model.as_ref());
        expect("session", session.as_ref());
        expect("of-tomorrow", unknown.as_ref());
        if let Some(session) = &session {
            let resume = Resume::session(session.as_str());
            flags = flags.with_resume(if is_fork { resume.forked() } else { resume });
            expect("fork", is_fork.then_some(&on));
        }
        files.iter().chain(&more).for_each(|file| expect("file", Some(file)));
        expect("thinking", thinking.then_some(&on));
        expect("pure", pure.then_some(&on));
        if let Some(command) = &command {
            flags = flags.with_command(command);
        }
        if let Some(title) = &title {
            flags = flags.with_title(title);
        }
        if let Some(variant) = &variant {
            flags = flags.with_variant(variant);
        }
        for file in &files {
            flags = flags.with_file(file);
        }
        if thinking {
            flags = flags.with_reasoning(Reasoning::Show);
        }
        if pure {
            flags = flags.with_plugins(Plugins::BuiltIn);
        }
        let extra = ExtraFlags::new()
            .with("f", more)
            .with("of-tomorrow", unknown.map_or(FlagValue::Off, FlagValue::from));
        let mut config = RunConfig::new().with_flags(flags).with_extra_flags(extra);
        if let Some(agent) = &agent {
            config = config.with_agent(agent);
        }
        if let Some(model) = &model {
            config = config.with_model(model.parse().unwrap());
        }

        let run = Invocation::run("/bin/opencode", prompt.clone(), "/src", &config, &plan());
        prop_assume!(run.is_ok(), "a blank prompt, among others, is refused");
        let run = run.unwrap();
        let (positional, given) = read(&run.args);
        prop_assert_eq!(positional, ["run"], "nothing else is taken for the prompt");
        prop_assert_eq!(given, expected);
        prop_assert_eq!(run.stdin, prompt);
    }

    #[test]
    fn values_of_a_server_arrive(hostname in value(), port in any::<u16>()) {
        let flags = ServeFlags::new().with_hostname(&hostname).with_port(port);
        let config = RunConfig::new();
        let serve =
            Invocation::serve("/bin/opencode", "/src", &config, &flags, &plan()).unwrap();
        let (positional, given) = read(&serve.args);
        prop_assert_eq!(positional, ["serve"]);
        prop_assert_eq!(&given["hostname"], &[hostname]);
        prop_assert_eq!(&given["port"], &[port.to_string()]);
    }
}
