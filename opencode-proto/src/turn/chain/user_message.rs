//! Kinds of user messages, by their first part.

use serde::Deserialize;

use super::member::{Member, ReportedStatus};
use crate::part::{Part, TextOrigin};
use crate::turn::others::UserPart;

/// Decides by the first part about a user message that came after the turn's own.
pub(super) fn decide(part: &Part, status: ReportedStatus) -> Member {
    let is_inserted = matches!(part, Part::Text(part) if part.origin != TextOrigin::Model);
    if is_compaction(part) && !is_automatic_compaction(part) || is_command_line(part) {
        // Another client asks for a summary, which takes the place of an answer, or runs a command
        // line, for which the session has to be idle.
        return Member::Next;
    }
    match (is_inserted || is_compaction(part), status) {
        (true, _) => Member::Prompt,
        (false, ReportedStatus::Working) => Member::Later,
        (false, ReportedStatus::Idle) => Member::Next,
    }
}

pub(super) fn user_part(part: &Part) -> UserPart {
    let is_inserted = matches!(part, Part::Text(part) if part.origin != TextOrigin::Model);
    match is_compaction(part) {
        true if !is_automatic_compaction(part) => UserPart::SummaryRequest,
        false if !is_inserted => UserPart::Other,
        _ => UserPart::Inserted,
    }
}

/// Returns whether OpenCode stores a command line with this part.
pub(in crate::turn) fn is_command_line(part: &Part) -> bool {
    let Part::Text(text) = part else { return false };
    text.origin == TextOrigin::Synthetic
        && text.text.to_str() == "The following tool was executed by the user"
}

pub(in crate::turn) fn is_compaction(part: &Part) -> bool {
    matches!(part, Part::Other { part_type, .. } if &**part_type == "compaction")
}

/// Returns whether OpenCode compacts the session because the context is full. A compaction that a
/// client asks for (`auto: false`) has no continuation.
pub(in crate::turn) fn is_automatic_compaction(part: &Part) -> bool {
    #[derive(Deserialize)]
    struct WireCompaction {
        auto: Option<bool>,
    }
    let Part::Other { raw, .. } = part else { return false };
    let compaction = raw.decode::<WireCompaction>();
    is_compaction(part) && compaction.is_ok_and(|wire| wire.auto != Some(false))
}
