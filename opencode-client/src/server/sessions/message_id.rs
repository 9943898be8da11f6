use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opencode_proto::MessageId;

use crate::runtime::random::unguessable_bits;

/// Ids for messages, in OpenCode's form: they grow with time, since servers sort by them.
#[derive(Debug, Default)]
pub(crate) struct MessageIds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// By how many milliseconds our clock is ahead of the server's at most, as far as that is known.
    ahead: Option<u64>,
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl MessageIds {
    /// An id that no other message has.
    pub(crate) fn next(&self) -> MessageId {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ms().saturating_sub(state.ahead.unwrap_or(0));
        // Milliseconds and a count in the lower twelve bits.
        state.last = ((now << 12) | 1).max(state.last + 1);
        message_id(state.last, unguessable_bits())
    }

    /// The server has just made something, at this time by its clock. An id from the future would be taken for newer than
    /// its answer, which old servers would then give again and again.
    pub(crate) fn observe(&self, made_ms: u64) {
        let ahead = now_ms().saturating_sub(made_ms);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ahead = Some(state.ahead.map_or(ahead, |known| known.min(ahead)));
    }
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
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

    /// How many milliseconds ago an id says it was made.
    fn age_ms(id: &MessageId) -> u64 {
        let made_ms = u64::from_str_radix(&id.as_str()[4..16], 16).unwrap() >> 12;
        (now_ms() & 0xf_ffff_ffff) - made_ms
    }

    #[test]
    fn ids_are_not_from_the_future_of_the_server() {
        let ids = MessageIds::default();
        ids.observe(now_ms() - 65_000);
        ids.observe(now_ms() - 60_000);
        let age_ms = age_ms(&ids.next());
        assert!((60_000..64_000).contains(&age_ms), "{age_ms}");
        // A clock that is behind is no trouble.
        let ids = MessageIds::default();
        ids.observe(now_ms() + 60_000);
        assert!(self::age_ms(&ids.next()) < 4_000);
    }

    #[test]
    fn ids_grow_and_have_the_form_of_opencode() {
        let ids = MessageIds::default();
        let made: Vec<_> = (0..5000).map(|_| ids.next()).collect();
        assert!(made.is_sorted(), "they grow");
        for id in &made {
            assert_eq!(id.as_str().len(), "msg_1fc301ca9001900pf1RaXDn36k".len());
        }
        // Seen in a recording.
        let made_ms = 1_795_232_372_954;
        assert!(message_id((made_ms << 12) | 1, 0).as_str().starts_with("msg_1fc3018da001"));
    }
}
