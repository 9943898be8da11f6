use serde_json::{Value, json};

/// Version that the fake server reports.
pub(super) const VERSION: &str = "1.18.33";

/// Creation time of sessions, in milliseconds since 1970.
pub(super) const CREATED: u64 = 1_795_232_507_035;

const DIRECTORY: &str = "/workspace";

/// Events of a successful turn, in the order of the real server, each in the shape of `GET /event`.
///
/// The turn is the first of the session and calls no tools: OpenCode 1.18.33 accepts the prompt
/// `user_message_id`, calls the model once and becomes idle. The answer is `text`, with one delta
/// per word, in the message `{user_message_id}_answer`.
///
/// Send all events, or stop before one of them to play a turn that hangs.
#[must_use]
pub fn turn_events(session: &str, user_message_id: &str, text: &str) -> Vec<String> {
    let turn = Turn { session, user: user_message_id, text };
    turn.events()
        .into_iter()
        .enumerate()
        .map(|(number, (kind, mut properties))| {
            properties["sessionID"] = json!(session);
            let id = format!("evt_{user_message_id}_{number}");
            json!({ "id": id, "type": kind, "properties": properties }).to_string()
        })
        .collect()
}

#[derive(Debug, Clone, Copy)]
struct Turn<'a> {
    session: &'a str,
    user: &'a str,
    text: &'a str,
}

/// Progress of the model's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerStage {
    Begun,
    Finished,
    Completed,
}

impl Turn<'_> {
    fn events(self) -> Vec<(&'static str, Value)> {
        let status = |kind: &str| ("session.status", json!({ "status": { "type": kind } }));
        let prompt = json!({ "id": self.part_id("prompt"), "messageID": self.user, "type": "text",
            "text": "a prompt" });
        let mut events = vec![
            self.session_updated(AnswerStage::Begun),
            ("message.updated", json!({ "info": self.prompt() })),
            self.part(prompt),
            self.session_updated(AnswerStage::Begun),
            status("busy"),
            self.answer(AnswerStage::Begun),
            self.session_updated(AnswerStage::Finished),
            ("session.diff", json!({ "diff": [] })),
            self.prompt_with_summary(),
            status("busy"),
            self.answer_part("step-start", json!({ "snapshot": SNAPSHOT })),
            self.answer_part("text", json!({ "text": "", "time": { "start": CREATED + 4 } })),
        ];
        events.extend(self.text.split_inclusive(' ').map(|word| self.delta(word)));
        let time = json!({ "start": CREATED + 4, "end": CREATED + 5 });
        events.extend([
            self.answer_part("text", json!({ "text": self.text, "time": time })),
            self.answer_part(
                "step-finish",
                json!({ "reason": "stop", "snapshot": SNAPSHOT, "cost": COST,
                    "tokens": tokens(AnswerStage::Finished) }),
            ),
            self.answer(AnswerStage::Finished),
            self.answer(AnswerStage::Completed),
            status("busy"),
            status("idle"),
            ("session.idle", json!({})),
            self.session_updated(AnswerStage::Completed),
            ("session.diff", json!({ "diff": [] })),
            self.prompt_with_summary(),
        ]);
        events
    }

    fn session_updated(self, stage: AnswerStage) -> (&'static str, Value) {
        let mut info = session_info(self.session, DIRECTORY);
        info["agent"] = json!("build");
        info["model"] = json!({ "id": "m1", "providerID": "scripted", "variant": "default" });
        if stage != AnswerStage::Begun {
            info["summary"] = json!({ "additions": 0, "deletions": 0, "files": 0 });
        }
        if stage == AnswerStage::Completed {
            info["cost"] = json!(COST);
            info["tokens"] = tokens(AnswerStage::Begun);
            info["tokens"]["input"] = json!(100);
            info["tokens"]["output"] = json!(20);
        }
        ("session.updated", json!({ "info": info }))
    }

    fn prompt(self) -> Value {
        json!({ "id": self.user, "role": "user", "sessionID": self.session,
            "time": { "created": CREATED + 1 }, "agent": "build",
            "model": { "providerID": "scripted", "modelID": "m1" } })
    }

    fn prompt_with_summary(self) -> (&'static str, Value) {
        let mut info = self.prompt();
        info["summary"] = json!({ "diffs": [] });
        ("message.updated", json!({ "info": info }))
    }

    fn answer(self, stage: AnswerStage) -> (&'static str, Value) {
        let cost = if stage == AnswerStage::Begun { json!(0) } else { json!(COST) };
        let mut info = json!({
            "id": self.answer_id(), "parentID": self.user, "role": "assistant", "mode": "build",
            "agent": "build", "path": { "cwd": DIRECTORY, "root": DIRECTORY }, "cost": cost,
            "tokens": tokens(stage), "modelID": "m1", "providerID": "scripted",
            "time": { "created": CREATED + 2 }, "sessionID": self.session,
        });
        if stage != AnswerStage::Begun {
            info["finish"] = json!("stop");
        }
        if stage == AnswerStage::Completed {
            info["time"]["completed"] = json!(CREATED + 7);
        }
        ("message.updated", json!({ "info": info }))
    }

    fn answer_part(self, kind: &str, mut part: Value) -> (&'static str, Value) {
        part["id"] = json!(self.part_id(kind));
        part["messageID"] = json!(self.answer_id());
        part["type"] = json!(kind);
        self.part(part)
    }

    fn part(self, mut part: Value) -> (&'static str, Value) {
        part["sessionID"] = json!(self.session);
        ("message.part.updated", json!({ "part": part, "time": CREATED + 6 }))
    }

    fn delta(self, delta: &str) -> (&'static str, Value) {
        let properties = json!({ "messageID": self.answer_id(), "partID": self.part_id("text"),
            "field": "text", "delta": delta });
        ("message.part.delta", properties)
    }

    fn answer_id(self) -> String {
        format!("{}_answer", self.user)
    }

    fn part_id(self, name: &str) -> String {
        format!("prt_{}_{name}", self.user)
    }
}

const COST: f64 = 0.00014;
const SNAPSHOT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn tokens(stage: AnswerStage) -> Value {
    let cache = json!({ "read": 0, "write": 0 });
    match stage {
        AnswerStage::Begun => json!({ "input": 0, "output": 0, "reasoning": 0, "cache": cache }),
        AnswerStage::Finished | AnswerStage::Completed => {
            json!({ "total": 120, "input": 100, "output": 20, "reasoning": 0, "cache": cache })
        }
    }
}

/// A new session in the shape of the real server.
pub(super) fn session_info(id: &str, directory: &str) -> Value {
    json!({
        "id": id, "slug": "calm-garden", "version": VERSION, "projectID": "global",
        "directory": directory, "path": "", "title": "New session", "cost": 0,
        "tokens": tokens(AnswerStage::Begun),
        "time": { "created": CREATED, "updated": CREATED + 3 },
    })
}
