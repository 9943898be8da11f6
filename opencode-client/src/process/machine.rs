//! Faults of the machine that OpenCode does not name when it fails.

use std::path::Path;

/// Free space below which OpenCode cannot even create its database, in bytes.
#[cfg(unix)]
const SPACE_MIN: u64 = 2 << 20;

/// Number of file descriptors below which the runtime of OpenCode crashes.
#[cfg(unix)]
const DESCRIPTORS_MIN: u64 = 64;

/// Adds the faults of the machine to the message of a process that did not start. Blocks shortly.
pub(crate) fn explain(message: &mut String, temp_dir: &Path) {
    for fault in faults(temp_dir) {
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(&fault);
    }
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
    fn a_disk_without_space_is_named() {
        // The file systems of the kernel have no space.
        let mut message = "Unexpected error".to_owned();
        explain(&mut message, Path::new("/proc"));
        assert_eq!(message, "Unexpected error; the disk of /proc is full (0 bytes left)");
    }
}
