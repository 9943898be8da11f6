//! Clients that are killed: this test executable in processes of their own.

use super::*;
use crate::process::process_tree::{ProcessTree, SweepLimits};

/// Environment variable with the directory of a client process. A test that finds this variable
/// plays the client instead of testing.
const CLIENT: &str = "OPENCODE_TEST_GUARDED_CLIENT";

/// Plays a client with one finished run and one that goes on, until the process is killed.
#[allow(clippy::print_stdout, reason = "the parent process reads the output")]
fn play_client(directory: &Path) {
    let guardian = Guardian::new(std::env::var_os("PATH"));
    for name in ["abandoned", "finished"] {
        let marker = Marker::fresh(std::env::var_os(Marker::NAME).as_deref());
        let private_dir = private_dir(directory, marker.token());
        guardian.watch(marker.token(), Some(&private_dir)).expect("told");

        let mut root = Command::new("sh")
            .args([
                "-c",
                "setsid sh -c 'echo $$; exec sleep 1000' &
                 setsid sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 0.1; done' &
                 setsid sh -c 'env -i sh -c \"echo \\$\\$; exec sleep 1000\" & wait' &
                 exit",
            ])
            .env(Marker::NAME, marker.value())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let pids: Vec<String> = lines(root.stdout.take().expect("piped")).take(3).collect();
        root.wait().expect("ends");

        if name == "finished" {
            guardian.done(marker.token()).expect("told");
        }
        println!("\n{name} {}", pids.join(" "));
    }
    println!("guardian {}", guardian.pid().expect("started"));
    io::stdin().read_line(&mut String::new()).ok();
}

/// A client process, and the processes that it has started.
struct Client {
    process: Child,
    abandoned: Vec<u32>,
    finished: Vec<u32>,
    guardian: u32,
}

impl Client {
    fn start(directory: &Path, marker: &str) -> Self {
        let (_, module) = module_path!().split_once("::").expect("in a crate");
        let mut process = Command::new(std::env::current_exe().expect("known"))
            .args([
                "--exact",
                &format!("{module}::a_killed_client_leaves_nothing_unfinished"),
                "--nocapture",
            ])
            .env(CLIENT, directory)
            .env(Marker::NAME, marker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts again");
        let mut lines = lines(process.stdout.take().expect("piped"));
        let mut pids = |name: &str| -> Vec<u32> {
            let line = lines.find(|line| line.starts_with(name)).expect(name);
            let pids = line.split(' ').skip(1);
            pids.map(|pid| pid.parse().expect("a pid")).collect()
        };
        let client = Self {
            abandoned: pids("abandoned"),
            finished: pids("finished"),
            guardian: pids("guardian")[0],
            process,
        };
        assert_eq!(client.alive(), (3, 3));
        client
    }

    /// Numbers of living processes of the abandoned and of the finished run.
    fn alive(&self) -> (usize, usize) {
        let count = |pids: &[u32]| pids.iter().filter(|&&pid| is_alive(pid)).count();
        (count(&self.abandoned), count(&self.finished))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        let pids = self.abandoned.iter().chain(&self.finished);
        pids.filter(|&&pid| is_alive(pid)).for_each(|&pid| kill(pid));
    }
}

/// The private directories that are left in a client's directory.
fn left_in(directory: &Path) -> usize {
    let mut entries = fs::read_dir(directory).expect("readable");
    let hostile = entries.next().expect("there").expect("readable").path();
    assert_eq!(entries.count(), 0, "nothing was written beside it");
    fs::read_dir(hostile).expect("readable").count()
}

#[test]
fn a_killed_client_leaves_nothing_unfinished() {
    if let Some(directory) = std::env::var_os(CLIENT) {
        return play_client(Path::new(&directory));
    }
    let directory = tempfile::tempdir().expect("created");
    let mut client = Client::start(directory.path(), "");
    assert_eq!(left_in(directory.path()), 2);
    client.process.kill().expect("killed");
    client.process.wait().expect("ends");
    assert!(has_ended_within(client.guardian, PATIENCE));
    assert_eq!(client.alive(), (0, 3));
    assert_eq!(left_in(directory.path()), 1);
}

#[test]
fn an_outer_run_ends_its_client_and_what_that_runs_but_not_the_guardian() {
    let directory = tempfile::tempdir().expect("created");
    let outer = Marker::fresh(None);
    let mut client = Client::start(directory.path(), outer.value());
    #[cfg(target_os = "linux")]
    {
        let environment = fs::read(format!("/proc/{}/environ", client.guardian));
        let environment = String::from_utf8_lossy(&environment.expect("readable")).into_owned();
        assert!(environment.contains(GUARDIAN_ENTRY) && !environment.contains(Marker::NAME));
    }

    let limits = SweepLimits { grace: Duration::ZERO, kill_timeout: PATIENCE };
    ProcessTree::new(client.process.id(), outer).sweep(limits).expect("all ended");
    client.process.wait().expect("ends");
    assert_eq!(client.alive(), (0, 0));
    assert!(has_ended_within(client.guardian, PATIENCE), "by itself");
    assert_eq!(left_in(directory.path()), 1);
}
