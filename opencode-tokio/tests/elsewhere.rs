//! OpenCode behind programs that start it elsewhere: scripts with the rules of `docker run` and
//! `ssh`, which start the real program with what those programs would pass on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use opencode_tokio::config::ProgramCommand;
use opencode_tokio::process::Binary;
use opencode_tokio::run::Backend;
use testkit::conformance::Host;
use testkit::conformance::real::runs::{RunWorld, bash};
use testkit::model::{Reply, Script};

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}

/// Writes a script into a directory of the test.
fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// `docker run --rm -i --network host -w DIR -v DIR:DIR -e NAME.. IMAGE ARGS..`: only the named
/// variables reach the program, which works in the directory of `-w`.
const DOCKER: &str = r#"#!/bin/sh
[ "$1" = run ] || exit 125
shift
interactive=no
vars=""
while :; do
  case "$1" in
    --rm|--init) shift ;;
    -i) interactive=yes; shift ;;
    --network|-v) shift 2 ;;
    -w) cd "$2" || exit 125; PWD=$2; shift 2 ;;
    -e) case "$(printenv "$2")" in ?*) vars="$vars $2" ;; esac; shift 2 ;;
    *) break ;;
  esac
done
shift
[ "$interactive" = yes ] || exec </dev/null
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  case " $vars PATH PWD OPENCODE_RS_RUN OPENCODE_TEST_WORLD " in *" $name "*) ;; *) unset "$name" ;; esac
done
exec @OPENCODE@ "$@"
"#;

/// `ssh HOST COMMAND..`: the words are joined and given to a shell in the home directory, without
/// the variables of the caller but those of `SendEnv`.
const SSH: &str = r#"#!/bin/sh
send=""
while [ "$1" = -o ]; do
  case "$2" in SendEnv=*) send="${2#SendEnv=}" ;; esac
  shift 2
done
shift
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  keep=no
  for pattern in $send PATH OPENCODE_RS_RUN; do
    case "$name" in $pattern) keep=yes ;; esac
  done
  [ $keep = yes ] || unset "$name"
done
cd /
exec /bin/sh -c "$*"
"#;

/// Variables that carry the config, the isolation and the password of a run.
const VARIABLES: [&str; 24] = [
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "OPENCODE_AUTH_CONTENT",
    "OPENCODE_CLIENT",
    "OPENCODE_CONFIG",
    "OPENCODE_CONFIG_CONTENT",
    "OPENCODE_CONFIG_DIR",
    "OPENCODE_DB",
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_MODELS_FETCH",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_DISABLE_SHARE",
    "OPENCODE_DISABLE_TERMINAL_TITLE",
    "OPENCODE_MODELS_PATH",
    "OPENCODE_PERMISSION",
    "OPENCODE_SERVER_PASSWORD",
    "OPENCODE_SERVER_USERNAME",
    "OPENCODE_TEST_HOME",
];

/// A command line like that of the documentation of `ProgramCommand`.
fn docker(directory: &Path, project: &Path) -> ProgramCommand {
    let opencode = testkit::opencode::binary().unwrap();
    let text = DOCKER.replace("@OPENCODE@", opencode.to_str().unwrap());
    let mount = format!("{0}:{0}", project.display());
    let command = ProgramCommand::new(script(directory, "docker", &text))
        .with_args(["run", "--rm", "--init", "-i", "--network", "host", "-v", &*mount, "-w"])
        .with_arg(project);
    let variables = VARIABLES.iter().flat_map(|name| ["-e", name]);
    command.with_args(variables).with_arg("opencode-image")
}

fn ssh(directory: &Path, project: &Path) -> ProgramCommand {
    let opencode = testkit::opencode::binary().unwrap();
    let remote = format!("cd '{}' && exec {}", project.display(), opencode.display());
    ProgramCommand::new(script(directory, "ssh", SSH))
        .with_args(["-o", "SendEnv=OPENCODE_* XDG_* HOME TMPDIR", "host"])
        .with_arg(remote)
}

/// Runs a prompt with a tool call over a process and a server of the command.
async fn works(name: &str, make: impl Fn(&Path, &Path) -> ProgramCommand) {
    let scripts = tempfile::tempdir().unwrap();
    let place = scripts.path().join("project");
    fs::create_dir(&place).unwrap();
    let world = RunWorld::with_binary(&on(), Binary::from(make(scripts.path(), &place)));
    let tool = Reply::new().tool("bash", bash("pwd > where.txt"));
    for backend in [Backend::Process, Backend::NewServer] {
        let script = Script::new().then(tool.clone()).then(Reply::new().text("Done."));
        world.model.default_script(script);
        let request = world.request("Where? \"quoted\" $HOME").with_directory(&place);
        let report = world.run(request.with_backend(backend)).await.unwrap();
        assert_eq!(report.text(), "Done.", "{name}");
        let found = fs::read_to_string(place.join("where.txt")).unwrap();
        assert_eq!(Path::new(found.trim()), place, "{name}");
        fs::remove_file(place.join("where.txt")).unwrap();
    }
    let turns = world.turns();
    assert!(turns.iter().all(|turn| turn.prompt().unwrap().contains("\"quoted\" $HOME")));
    world.assert_nothing_left();
}

#[tokio::test]
async fn a_command_line_of_docker_runs_and_serves() {
    works("docker", docker).await;
}

#[tokio::test]
async fn a_command_line_of_ssh_runs_and_serves() {
    works("ssh", ssh).await;
}

#[tokio::test]
async fn a_cancelled_run_of_a_wrapper_leaves_nothing() {
    let scripts = tempfile::tempdir().unwrap();
    let place = scripts.path().join("project");
    fs::create_dir(&place).unwrap();
    let world = RunWorld::with_binary(&on(), Binary::from(docker(scripts.path(), &place)));
    let tool = Reply::new().tool("bash", bash("echo x > begun; sleep 300"));
    world.model.default_script(Script::new().then(tool));
    let mut run = world.start(world.request("Wait.").with_directory(&place));
    let began = place.join("begun");
    run.during(move || {
        while !began.exists() {
            std::thread::yield_now();
        }
    })
    .await;
    run.stream.cancel();
    run.outcome().await.unwrap_err();
    world.assert_nothing_left();
}
