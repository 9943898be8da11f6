//! A server that all tests of a process share, and that outlives each of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::{env, fs, thread};

use opencode_client::config::Environment;
use opencode_client::process::Binary;
use opencode_client::{OpenCode, ServeRequest};

use crate::conformance::Host;

/// Creates a directory below `parent` for this process, with the subdirectories `home`, `project`
/// and `temp`.
///
/// Statics are never dropped, so that a later process removes the directory.
pub fn directory(parent: &Path, prefix: &str) -> PathBuf {
    let root = parent.join(format!("{prefix}{}", std::process::id()));
    remove_directories_of_dead_processes(parent, prefix);
    for name in ["home", "project", "temp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    // OpenCode reports resolved paths, and the parent may be a link.
    root.canonicalize().unwrap()
}

/// Makes a directory a git repository that tracks no file.
///
/// OpenCode restores all files of the repository around a session when a message is reverted. A
/// directory inside the repository of the tests would lose the uncommitted changes there.
pub fn separate_from_outer_repository(directory: &Path) {
    fs::write(directory.join(".gitignore"), "*\n").unwrap();
    git(directory, &["init", "--quiet"]);
    git(directory, &["commit", "--quiet", "--allow-empty", "--message", "No files"]);
}

/// Runs git in a directory, without the configuration of this machine.
///
/// # Panics
///
/// When git cannot be started, or fails.
pub fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=n", "-c", "user.email=e@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status()
        .unwrap();
    assert!(status.success(), "git {arguments:?}");
}

fn remove_directories_of_dead_processes(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let process = name.strip_prefix(prefix).and_then(|process| process.parse::<u32>().ok());
        let Some(process) = process else { continue };
        if process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists() {
            // An error means that another process was faster.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Keeps OpenCode from installing the plugin package into the `.opencode` directory of a project.
/// The installation takes long without a network, and OpenCode waits for it in projects with
/// plugins or tools.
pub fn install_nothing(project: &Path) {
    const LOCK: &str =
        r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"*"}}}}"#;
    let directory = project.join(".opencode");
    fs::create_dir_all(directory.join("node_modules")).unwrap();
    fs::write(directory.join("package-lock.json"), LOCK).unwrap();
}

/// Creates a handle of the real program, for a user whose home is below `root`.
pub fn opencode(on: &Host, root: &Path) -> OpenCode {
    let mut environment = Environment::new();
    environment.set("HOME", root.join("home"));
    environment.set("PATH", env::var_os("PATH").unwrap());
    environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
    // Config files of this machine must not influence the tests.
    environment.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", root.join("managed"));
    on.builder()
        .binary(Binary::Path(crate::opencode::binary().unwrap()))
        .environment(environment)
        .temp_dir(root.join("temp"))
        .build()
}

/// Starts a server on a thread that outlives every test, and returns the URL. The guardian ends the
/// server with this process.
pub fn serve(on: &Host, opencode: OpenCode, request: ServeRequest) -> String {
    let (sender, url) = mpsc::channel();
    let on = on.clone();
    thread::spawn(move || {
        on.block_on(async {
            let server = opencode.serve(request).await.unwrap();
            sender.send(server.url()).unwrap();
            server.exited().await;
        });
    });
    url.recv().expect("the shared server starts")
}
