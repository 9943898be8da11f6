use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use opencode_proto::MessageId;

use crate::random::unguessable_bits;

/// Ids for messages, in OpenCode's form: they grow with time, since servers sort by them.
#[derive(Debug, Default)]
pub(crate) struct MessageIds {
    last: Mutex<u64>,
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl MessageIds {
    /// An id that no other message has.
    pub(crate) fn next(&self) -> MessageId {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Milliseconds and a count in the lower twelve bits.
        *last = (now << 12 | 1).max(*last + 1);
        message_id(*last, unguessable_bits())
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

    #[test]
    fn ids_grow_and_have_the_form_of_opencode() {
        let ids = MessageIds::default();
        let made: Vec<_> = (0..5000).map(|_| ids.next()).collect();
        assert!(made.is_sorted(), "they grow");
        for id in &made {
            assert_eq!(id.as_str().len(), "msg_1fc301ca9001900pf1RaXDn36k".len());
        }
        // Seen in a recording: made at 1795232372.905 s.
        assert!(
            message_id(1_795_232_372_905 << 12 | 1, 0).as_str().starts_with("msg_1fc301ca9001")
        );
    }
}
