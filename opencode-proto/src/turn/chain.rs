//! Which messages of a session belong to a turn.

use std::collections::BTreeMap;

use crate::part::{Part, TextOrigin};
use crate::server_event::{MessageInfo, Role};
use crate::{MessageId, StepRole};

/// The turn's own message, what OpenCode inserted to go on with it, and the answers to all of these.
///
/// OpenCode names what a message answers (`parentID`), and inserts messages of the user's when it compacts the
/// conversation: so the answer's end is found by following parents, never by the order of anything.
#[derive(Debug)]
pub(super) struct Chain {
    own: MessageId,
    members: BTreeMap<MessageId, Member>,
    /// Events were missed: the turn's own message may have been among them.
    is_torn: bool,
    /// A summary was asked for: the next message of the user's is the prompt, repeated.
    is_compacting: bool,
    /// The answers in order, each as it was told last.
    answers: Vec<MessageInfo>,
    /// Another prompt took over after the turn's answer was complete.
    is_superseded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// An answer of the turn's.
    Answer,
    /// Of another turn, before this one.
    Earlier,
    /// A prompt that came after the turn's own: whose it is shows when it is answered.
    Later,
    /// The turn's own message, or one that was inserted for it.
    Prompt,
    /// A message of the user's whose parts will say what it is.
    Undecided,
}

/// Whether a message belongs to the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    No,
    /// It cannot be told yet.
    Unknown,
    Yes,
}

impl Chain {
    pub(super) fn new(own: MessageId) -> Self {
        Self {
            own,
            members: BTreeMap::new(),
            is_torn: false,
            is_compacting: false,
            answers: Vec::new(),
            is_superseded: false,
        }
    }

    /// Whether the server told of the turn's own message.
    pub(super) fn is_seen(&self) -> bool {
        self.members.contains_key(&self.own)
    }

    /// Whether it may have been told by events that were missed.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    pub(super) fn interrupt(&mut self) {
        self.is_torn = true;
    }

    /// What was missed has been looked up.
    pub(super) fn mend(&mut self) {
        self.is_torn = false;
    }

    /// The server lists these messages before the turn's own: they are of earlier turns, also when
    /// events of them come after the turn's own message.
    pub(super) fn set_earlier(&mut self, messages: &[MessageId]) {
        for message in messages {
            self.members.entry(message.clone()).or_insert(Member::Earlier);
        }
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    pub(super) fn answer_count(&self) -> usize {
        self.answers.len()
    }

    /// The answer that was told last.
    pub(super) fn last_answer(&self) -> Option<&MessageInfo> {
        self.answers.last()
    }

    /// Puts the answers into the order of these messages; those that are not among them came later.
    pub(super) fn reorder(&mut self, order: &[MessageId]) {
        let place = |id: &MessageId| order.iter().position(|known| known == id);
        self.answers.sort_by_key(|answer| place(&answer.id).unwrap_or(usize::MAX));
    }

    pub(super) fn answer_open(&self) -> Option<&MessageId> {
        self.last_answer().filter(|info| info.completed_ms.is_none()).map(|info| &info.id)
    }

    pub(super) fn message(&mut self, info: &MessageInfo) -> Belongs {
        let member = match self.members.get(&info.id) {
            Some(member) => *member,
            None => match self.classify(info) {
                Some(member) => member,
                None => return Belongs::Unknown,
            },
        };
        self.members.insert(info.id.clone(), member);
        if member == Member::Answer {
            self.answered(info);
        }
        belongs(member)
    }

    /// Where the part of a message belongs.
    pub(super) fn part(&mut self, message: &MessageId, part: Option<&Part>) -> Belongs {
        let Some(member) = self.members.get_mut(message) else {
            return Belongs::Unknown;
        };
        if *member == Member::Undecided
            && let Some(part) = part
        {
            *member = decide(part);
            self.is_compacting |= is_compaction(part);
        }
        belongs(*member)
    }

    pub(super) fn is_prompt(&self, message: &MessageId) -> bool {
        self.members.get(message) == Some(&Member::Prompt)
    }

    fn classify(&mut self, info: &MessageInfo) -> Option<Member> {
        if info.id == self.own {
            return Some(Member::Prompt);
        }
        // Where there is an answer, there is a prompt.
        if info.parent.as_ref() == Some(&self.own) {
            self.members.insert(self.own.clone(), Member::Prompt);
        }
        if !self.is_seen() {
            return (!self.is_torn).then_some(Member::Earlier);
        }
        if info.role == Role::User {
            if self.is_compacting {
                return Some(Member::Prompt);
            }
            return Some(Member::Undecided);
        }
        match info.parent.as_ref().and_then(|parent| self.members.get(parent)) {
            Some(Member::Prompt) => Some(Member::Answer),
            Some(Member::Earlier) => Some(Member::Earlier),
            Some(Member::Later) if self.is_answered() => {
                self.is_superseded = true;
                Some(Member::Earlier)
            }
            Some(Member::Later) if self.is_torn => None,
            // The server went on with the next prompt before this one had its answer: it answers both at once.
            Some(Member::Later) => {
                if let Some(parent) = &info.parent {
                    self.members.insert(parent.clone(), Member::Prompt);
                }
                Some(Member::Answer)
            }
            Some(Member::Answer | Member::Undecided) | None => None,
        }
    }

    fn answered(&mut self, info: &MessageInfo) {
        if info.step == StepRole::Answer {
            self.is_compacting = false;
        }
        match self.answers.iter_mut().rfind(|known| known.id == info.id) {
            Some(known) if known.completed_ms.is_some() && info.completed_ms.is_none() => {}
            Some(known) => *known = info.detach(),
            None => self.answers.push(info.detach()),
        }
    }

    /// Whether the last answer needs nothing more.
    fn is_answered(&self) -> bool {
        self.last_answer().is_some_and(|last| {
            last.completed_ms.is_some()
                && last.step == StepRole::Answer
                && last.finish.as_ref().is_some_and(|finish| !finish.expects_more())
        })
    }
}

fn belongs(member: Member) -> Belongs {
    match member {
        Member::Answer | Member::Prompt => Belongs::Yes,
        Member::Earlier | Member::Later => Belongs::No,
        Member::Undecided => Belongs::Unknown,
    }
}

/// What a message of the user's is that came after the turn's own, by its first part.
fn decide(part: &Part) -> Member {
    let is_inserted = matches!(part, Part::Text(part) if part.origin != TextOrigin::Model);
    if is_inserted || is_compaction(part) { Member::Prompt } else { Member::Later }
}

fn is_compaction(part: &Part) -> bool {
    matches!(part, Part::Other { part_type, .. } if &**part_type == "compaction")
}
