//! Bits that nobody can guess.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Two SipHashes under keys from the system's random source. Pid, time and count keep apart what a fork without exec
/// would otherwise duplicate.
pub(crate) fn unguessable_bits() -> u128 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(pid);
        hasher.write_u128(since_epoch.as_nanos());
        hasher.write_u64(count);
        u128::from(hasher.finish())
    };
    half() << 64 | half()
}

/// The first half of [`unguessable_bits`].
pub(crate) fn unguessable_u64() -> u64 {
    u64::try_from(unguessable_bits() >> 64).unwrap_or(1)
}
