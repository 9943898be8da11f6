use std::sync::{Mutex, PoisonError};

use opencode_proto::MessageId;

/// Ids for messages, in OpenCode's form: they grow with time, since servers sort by them. Times are
/// in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct MessageIds(Mutex<LastId>);

#[derive(Debug, Default)]
struct LastId {
    last: u64,
    /// Upper bound, in milliseconds, of the lead of the local clock over the server's clock, if
    /// known.
    ahead: Option<u64>,
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl MessageIds {
    /// Creates an id for this time of the local clock, from unpredictable bits that make the id
    /// distinct from the ids of other programs.
    pub(crate) fn next(&self, now_ms: u64, secret: u128) -> MessageId {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ms.saturating_sub(state.ahead.unwrap_or(0));
        // Milliseconds and a count in the lower twelve bits.
        state.last = ((now << 12) | 1).max(state.last + 1);
        message_id(state.last, secret)
    }

    /// Compares the clocks: `created_ms` is the server's time for an object that the server created
    /// just now. An id from the server's future would count as newer than the server's answer, and
    /// old servers would then answer again and again.
    pub(crate) fn observe(&self, created_ms: u64, now_ms: u64) {
        let ahead = now_ms.saturating_sub(created_ms);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ahead = Some(state.ahead.map_or(ahead, |known| known.min(ahead)));
    }
}

fn message_id(time: u64, mut random: u128) -> MessageId {
    let mut id = format!("msg_{:012x}", time & 0xffff_ffff_ffff);
    for _ in 0..14 {
        let digit = usize::try_from(random % 62).unwrap_or(0);
        id.push(char::from(DIGITS[digit]));
        random /= 62;
    }
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time seen in a recording, and the beginning of the id that OpenCode made then.
    const NOW_MS: u64 = 1_795_232_372_954;

    /// Time at which an id was made, without its upper bits.
    fn made_ms(id: &MessageId) -> u64 {
        u64::from_str_radix(&id.as_str()[4..16], 16).unwrap() >> 12
    }

    #[test]
    fn ids_are_not_from_the_future_of_the_server() {
        let ids = MessageIds::default();
        ids.observe(NOW_MS - 65_000, NOW_MS);
        ids.observe(NOW_MS - 60_000, NOW_MS);
        assert_eq!(made_ms(&ids.next(NOW_MS, 0)), (NOW_MS - 60_000) & 0xf_ffff_ffff);

        // A clock that is behind the server's needs no correction.
        let ids = MessageIds::default();
        ids.observe(NOW_MS + 60_000, NOW_MS);
        assert_eq!(made_ms(&ids.next(NOW_MS, 0)), NOW_MS & 0xf_ffff_ffff);
    }

    #[test]
    fn ids_grow_also_within_a_millisecond_and_when_the_clock_goes_back() {
        let ids = MessageIds::default();
        let times = (0..5000).map(|no| NOW_MS + no % 7);
        let made: Vec<_> = times.map(|now_ms| ids.next(now_ms, u128::MAX)).collect();
        assert!(made.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn ids_have_the_form_of_opencode() {
        let id = MessageIds::default().next(NOW_MS, u128::MAX);
        assert_eq!(id.as_str().len(), "msg_1fc301ca9001900pf1RaXDn36k".len());
        assert!(id.as_str().starts_with("msg_1fc3018da001"), "{id}");
        assert!(id.as_str()[4..].bytes().all(|digit| digit.is_ascii_alphanumeric()), "{id}");
        assert_ne!(id, MessageIds::default().next(NOW_MS, 0));
    }
}
