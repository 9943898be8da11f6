// A test needs an `Instant` to start from; no time passes but the one it makes pass.
#![allow(clippy::disallowed_methods)]

mod ends;
mod foreign;
mod interleaving;
mod repetition;
mod time;

use std::time::Duration;

use super::*;
use crate::fuzzing::play::Play;
use crate::fuzzing::script::ScriptStep;
use crate::process::Signal;
use crate::run_event::Diagnostic;
use crate::watchdog::Deadlines;

const START: &str = r#"{"type":"step_start","sessionID":"ses_1","part":{"id":"s1","messageID":"m1"}}
"#;
const TEXT: &str = r#"{"type":"text","sessionID":"ses_1","part":{"id":"t1","messageID":"m1","text":"Hello"}}
"#;
const STOP: &str = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"f1","messageID":"m1","reason":"stop","tokens":{"total":5},"cost":0.5}}
"#;
const TOOL_CALLS: &str = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"f0","messageID":"m1","reason":"tool-calls"}}
"#;
const REJECTED: &str = r#"{"type":"tool_use","sessionID":"ses_1","part":{"id":"c1","messageID":"m1","tool":"bash","state":{"status":"error","error":"The user rejected permission to use this specific tool call."}}}
"#;
const ERROR: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"UnknownError","data":{"message":"See logs.","ref":"err_1"}}}
"#;
const CAUSE: &str = "timestamp=1 level=ERROR ref=err_1 error=\"no such model\"\n";
/// The beginning of a second step.
const START_2: &str = r#"{"type":"step_start","sessionID":"ses_1","part":{"id":"s2","messageID":"m2"}}
"#;
const NEW: &str = r#"{"type":"new","sessionID":"ses_1"}
"#;
const REPLACED: &str = "! agent \"x\" not found. Falling back to default agent\n";

fn run() -> Play {
    Play::new(RunSettings::default(), Instant::now())
}

fn run_with(change: impl FnOnce(&mut RunSettings)) -> Play {
    let mut settings = RunSettings::default();
    change(&mut settings);
    Play::new(settings, Instant::now())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Play {
    fn out(&mut self, lines: &[&str]) -> &mut Self {
        for line in lines {
            self.step(ScriptStep::Stdout(Bytes::copy_from_slice(line.as_bytes())));
        }
        self
    }

    fn err(&mut self, text: &str) -> &mut Self {
        self.step(ScriptStep::Stderr(Bytes::copy_from_slice(text.as_bytes())));
        self
    }

    fn out_end(&mut self) -> &mut Self {
        self.step(ScriptStep::StdoutEnd);
        self
    }

    fn ends(&mut self) -> &mut Self {
        self.step(ScriptStep::StdoutEnd);
        self.step(ScriptStep::StderrEnd);
        self
    }

    fn exit(&mut self, exit: Exit) -> &mut Self {
        self.step(ScriptStep::Exit(Some(exit)));
        self
    }

    fn cancel(&mut self) -> &mut Self {
        self.step(ScriptStep::Cancel);
        self
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.step(ScriptStep::Pass(Duration::from_secs(seconds)));
        self
    }

    /// The process ends with this code, and its output with it.
    fn done(&mut self, code: i32) -> &RunOutcome {
        self.ends().exit(Exit::Code(code)).outcome()
    }

    fn outcome(&self) -> &RunOutcome {
        self.outcome.as_ref().expect("the run is over")
    }

    fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// Seconds until the machine wants to be woken.
    fn wakes(&self) -> Option<u64> {
        self.wake.map(|wake| (wake - self.now).as_secs())
    }
}
