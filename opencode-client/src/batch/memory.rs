/// How much memory a process takes, in bytes; `None` where nobody can tell. Blocks.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn resident_size(process_id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn resident_size(_: u32) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[test]
fn this_process_takes_some_memory() {
    let size = resident_size(std::process::id()).expect("this process runs");
    assert!((1 << 20..1 << 40).contains(&size), "{size} bytes");
    assert_eq!(resident_size(u32::MAX), None);
}
