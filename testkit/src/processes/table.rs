use std::ffi::OsStr;
use std::io;

use procfs::process::{ProcState, all_processes};
use procfs::{ProcError, ProcResult};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that was running when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Process id, which another process may get later.
    pub pid: u32,
    /// Program and arguments.
    pub cmdline: Vec<String>,
    /// Start time in clock ticks since boot. Together with the id it identifies one process for
    /// good.
    pub start: u64,
}

/// Running processes that were started with the environment variable `name` set to `value`.
///
/// Zombies are left out, as are processes of other users, which cannot be inspected.
///
/// # Panics
///
/// When `/proc` cannot be read.
#[must_use]
pub fn with_env(name: &str, value: impl AsRef<OsStr>) -> Vec<Process> {
    let value = value.as_ref();
    let mut found: Vec<_> = all_processes()
        .expect("/proc is readable")
        .filter_map(|process| look(process, name, value).expect("/proc is readable"))
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Returns whether the process with this id and start time is running. A zombie is not.
#[must_use]
pub fn alive(pid: u32, start: u64) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.starttime == start && runs(stat.state()))
}

/// Sends SIGKILL to the process, unless another process has the id by now.
///
/// # Errors
///
/// When the signal may not be sent. A process that has ended is no error.
pub fn kill(process: &Process) -> io::Result<()> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    // Opened before the check: the descriptor keeps denoting this process when the id is reused.
    let sent = pidfd_open(pid, PidfdFlags::empty()).and_then(|descriptor| {
        match alive(process.pid, process.start) {
            true => pidfd_send_signal(descriptor, Signal::KILL),
            false => Ok(()),
        }
    });
    match sent {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

fn look(
    process: ProcResult<procfs::process::Process>,
    name: &str,
    value: &OsStr,
) -> ProcResult<Option<Process>> {
    let read = || -> ProcResult<Option<Process>> {
        let process = process?;
        let environ = process.environ()?;
        if environ.get(OsStr::new(name)).is_none_or(|found| found != value) {
            return Ok(None);
        }
        let stat = process.stat()?;
        let pid = u32::try_from(process.pid()).expect("process ids are positive");
        let (cmdline, start) = (process.cmdline()?, stat.starttime);
        Ok(runs(stat.state()).then_some(Process { pid, cmdline, start }))
    };
    match read() {
        // A process of another user, or one that ended in the meantime.
        Err(ProcError::PermissionDenied(_) | ProcError::NotFound(_)) => Ok(None),
        read => read,
    }
}

fn runs(state: ProcResult<ProcState>) -> bool {
    state.is_ok_and(|state| !matches!(state, ProcState::Zombie | ProcState::Dead))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::processes::eventually;

    const NAME: &str = "TESTKIT_PROCESSES";

    #[test]
    fn a_process_is_found_by_its_environment_until_it_is_killed() {
        let value = format!("find-{}", std::process::id());
        assert_eq!(with_env(NAME, &value), []);
        let mut sleeper = Sleeper::start(&value);
        let process = found(&value);
        assert_eq!(process.pid, sleeper.child.id());
        assert_eq!(process.cmdline, ["sleep", "600"]);
        assert!(alive(process.pid, process.start));
        assert!(!alive(process.pid, process.start + 1), "another process of that id");

        kill(&process).unwrap();
        // A zombie from here on, because nothing waits for it yet.
        eventually(Duration::from_secs(10), || match with_env(NAME, &value) {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        });
        // A process loses the environment before it has ended.
        eventually(Duration::from_secs(10), || match alive(process.pid, process.start) {
            false => Ok(()),
            true => Err("alive"),
        });
        assert!(!sleeper.child.wait().unwrap().success());
        kill(&process).unwrap();
    }

    #[test]
    fn another_process_with_the_same_id_is_not_killed() {
        let value = format!("reuse-{}", std::process::id());
        let _sleeper = Sleeper::start(&value);
        let process = found(&value);
        kill(&Process { start: process.start + 1, ..process.clone() }).unwrap();
        assert!(alive(process.pid, process.start));
    }

    /// A process that ends with the test, also when the test panics.
    struct Sleeper {
        child: Child,
    }

    impl Sleeper {
        fn start(value: &str) -> Self {
            let mut command = Command::new("sleep");
            command.arg("600").env(NAME, value).stdin(Stdio::null());
            Self { child: command.spawn().unwrap() }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    /// Finds the process. `spawn` has waited for the exec, so the environment is set.
    fn found(value: &str) -> Process {
        let mut found = with_env(NAME, value);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}
