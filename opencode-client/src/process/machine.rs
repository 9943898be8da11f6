//! Faults of the machine that OpenCode does not name when it fails.

use std::io;
use std::path::Path;

/// Free space below which OpenCode cannot even create its database, in bytes.
#[cfg(unix)]
const SPACE_MIN: u64 = 2 << 20;

/// Number of file descriptors below which the runtime of OpenCode crashes.
#[cfg(unix)]
const DESCRIPTORS_MIN: u64 = 64;

/// Size of virtual memory below which the runtime of OpenCode crashes, in bytes.
#[cfg(unix)]
const ADDRESSES_MIN: u64 = 2 << 30;

/// Adds the faults of the machine to the message of a process that did not start. Blocks shortly.
pub(crate) fn explain(message: &mut String, temp_dir: &Path) {
    for fault in faults(temp_dir) {
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(&fault);
    }
}

/// Adds the cause to the error of a process that the system could not start.
pub(crate) fn explain_spawn(source: io::Error) -> io::Error {
    const HINTS: [(io::ErrorKind, &str); 3] = [
        (io::ErrorKind::ArgumentListTooLong, "the environment or the arguments are too large"),
        (io::ErrorKind::OutOfMemory, "the system has no memory for another process"),
        (io::ErrorKind::WouldBlock, "the limit of processes is reached (see `ulimit -u`)"),
    ];
    match HINTS.iter().find(|(kind, _)| *kind == source.kind()) {
        Some((kind, hint)) => io::Error::new(*kind, format!("{hint}: {source}")),
        None => source,
    }
}

/// Returns how many processes the kernel has killed for lack of memory since the boot.
pub(crate) fn oom_kills() -> Option<u64> {
    oom_kills_in(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn oom_kills_in(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(unix)]
fn faults(temp_dir: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    if let Ok(disk) = rustix::fs::statvfs(temp_dir) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < SPACE_MIN {
            faults.push(format!("the disk of {} is full ({free} bytes left)", temp_dir.display()));
        } else if disk.f_files > 0 && disk.f_favail == 0 {
            faults.push(format!("the disk of {} has no room for files", temp_dir.display()));
        }
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit.filter(|limit| *limit < DESCRIPTORS_MIN) {
        faults.push(format!("the limit of open files is {limit} (see `ulimit -n`)"));
    }
    let memory = rustix::process::getrlimit(rustix::process::Resource::As).current;
    if let Some(limit) = memory.filter(|limit| *limit < ADDRESSES_MIN) {
        faults.push(format!("the limit of virtual memory is {limit} bytes (see `ulimit -v`)"));
    }
    if cfg!(target_os = "linux") && !Path::new("/proc/self/stat").exists() {
        faults.push("/proc is not mounted".to_owned());
    }
    faults
}

#[cfg(not(unix))]
fn faults(_: &Path) -> Vec<String> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_faults_changes_no_message() {
        let directory = tempfile::tempdir().expect("created");
        let mut message = "Unexpected error".to_owned();
        explain(&mut message, directory.path());
        assert_eq!(message, "Unexpected error");
    }

    #[test]
    fn kills_for_lack_of_memory_are_counted() {
        assert_eq!(oom_kills_in("pgfault 1\noom_kill 12\noom_kill_x 3\n"), Some(12));
        assert_eq!(oom_kills_in("pgfault 1\n"), None);
    }

    #[test]
    fn an_error_of_the_start_names_the_limit() {
        let again = || io::Error::from_raw_os_error(rustix::io::Errno::AGAIN.raw_os_error());
        let explained = explain_spawn(again());
        assert_eq!(explained.kind(), again().kind());
        assert!(explained.to_string().starts_with("the limit of processes is reached"));
        let memory = io::Error::from_raw_os_error(rustix::io::Errno::NOMEM.raw_os_error());
        assert!(explain_spawn(memory).to_string().contains("no memory for another process"));
        let other = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(explain_spawn(other).to_string(), "entity not found");
    }

    #[test]
    fn a_disk_without_space_is_named() {
        // The file systems of the kernel have no space.
        let mut message = "Unexpected error".to_owned();
        explain(&mut message, Path::new("/proc"));
        assert_eq!(message, "Unexpected error; the disk of /proc is full (0 bytes left)");
    }
}
