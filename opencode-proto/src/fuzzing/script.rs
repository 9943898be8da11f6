use std::time::Duration;

use bytes::Bytes;

use crate::process::Exit;
use crate::run::{AgentFallback, Retention, RunSettings};

/// One step of a play.
#[derive(Clone, Debug)]
pub(crate) enum ScriptStep {
    Cancel,
    Exit(Option<Exit>),
    /// Time passes, and the run learns of the time at the end.
    Pass(Duration),
    Stderr(Bytes),
    StderrEnd,
    Stdout(Bytes),
    StdoutEnd,
    /// Time passes until the run wants to know.
    Wake,
}

/// Steps out of any bytes: one that selects the step, then one for the amount or the choice,
/// then the content.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl Iterator for Script<'_> {
    type Item = ScriptStep;

    fn next(&mut self) -> Option<ScriptStep> {
        Some(match self.byte()? % 11 {
            0 => ScriptStep::Stdout(self.bytes()),
            1 => ScriptStep::Stdout(self.one_of(&STDOUT)),
            2 => ScriptStep::StdoutEnd,
            3 => ScriptStep::Stderr(self.bytes()),
            4 => ScriptStep::Stderr(self.one_of(&STDERR)),
            5 => ScriptStep::StderrEnd,
            6 => ScriptStep::Exit(None),
            7 => ScriptStep::Exit(Some(Exit::Code(self.byte()?.into()))),
            8 => ScriptStep::Exit(Some(Exit::Signal(self.byte()?.into()))),
            9 => ScriptStep::Pass(Duration::from_secs(self.byte()?.into())),
            _ if self.byte()? < 128 => ScriptStep::Wake,
            _ => ScriptStep::Cancel,
        })
    }
}

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> Bytes {
        let size = self.byte().map_or(0, usize::from).min(self.0.len());
        let (bytes, rest) = self.0.split_at(size);
        self.0 = rest;
        Bytes::copy_from_slice(bytes)
    }

    /// One of the lines, for the upper half of the choices without the line end.
    fn one_of(&mut self, lines: &[&str]) -> Bytes {
        let choice = self.byte().map_or(0, usize::from);
        let line = lines[choice % lines.len()];
        if choice < 128 {
            format!("{line}\n").into()
        } else {
            Bytes::copy_from_slice(line.as_bytes())
        }
    }
}

pub(crate) fn settings(bits: u8) -> RunSettings {
    let is_set = |bit: u8| bits & (1 << bit) != 0;
    let limit = |bit: u8, seconds| is_set(bit).then(|| Duration::from_secs(seconds));
    let mut settings = RunSettings::default();
    settings.deadlines.overall = limit(0, 60);
    settings.deadlines.first_event = limit(1, 20);
    settings.deadlines.idle = limit(2, 30);
    if is_set(3) {
        settings.agent_fallback = AgentFallback::Accept;
    }
    if is_set(4) {
        settings.raw_lines = Retention::Keep;
    }
    if is_set(5) {
        settings.line_size_max = 100;
        settings.stderr_size_max = 60;
    }
    settings
}

/// Lines of standard output: those of the session `s`, of another, and of none.
pub(crate) const STDOUT: [&str; 19] = [
    r#"{"type":"step_start","sessionID":"s","part":{"id":"1","messageID":"a"}}"#,
    r#"{"type":"step_start","part":{"id":"2","messageID":"b"}}"#,
    r#"{"type":"error","sessionID":"s","error":{"name":"ContextOverflowError","data":{"message":"m"}}}"#,
    r#"{"type":"text","sessionID":"t","part":{"id":"11","messageID":"c","text":"T"}}"#,
    r#"{"type":"new","sessionID":"s"}"#,
    r#"42%{"type":"step_finish","sessionID":"s","part":{"id":"12","messageID":"a","reason":"stop"}}"#,
    r#"{"type":"text","part":{"id":"3","messageID":"a","text":"A"}}"#,
    r#"{"type":"text","part":{"id":"4","messageID":"b","text":"\u00e4\n"}}"#,
    r#"{"type":"text","part":{"text":"","synthetic":true,"metadata":{"compaction_continue":true}}}"#,
    r#"{"type":"reasoning","part":{"id":"6","messageID":"a","text":"hm"}}"#,
    r#"{"type":"tool_use","part":{"id":"7","tool":"bash","state":{"status":"completed","output":"o"}}}"#,
    r#"{"type":"tool_use","part":{"id":"8","messageID":"b","tool":"bash","state":{"status":"error","error":"The user rejected permission to use this specific tool call."}}}"#,
    r#"{"type":"step_finish","part":{"id":"9","messageID":"a","reason":"tool-calls","tokens":{"input":7},"cost":0.5}}"#,
    r#"{"type":"step_finish","part":{"id":"10","messageID":"b","reason":"stop","tokens":{"total":9}}}"#,
    r#"{"type":"error","error":{"name":"UnknownError","data":{"message":"m","ref":"err_1"}}}"#,
    r#"{"type":"new","message":"text"}"#,
    r#"{"type":"diagnostic","kind":"torn","raw":"{"}"#,
    r#"{"type":"notice","raw":"! agent gone. Falling back to default agent"}"#,
    "no event",
];

/// Lines of standard error.
pub(crate) const STDERR: [&str; 6] = [
    "\u{1b}[93m\u{1b}[1m! \u{1b}[0mpermission requested: bash (ls); auto-rejecting",
    "! permission requested: bash (a",
    "! agent \"x\" not found. Falling back to default agent",
    "timestamp=1 level=ERROR ref=err_1 error=\"the cause\"",
    "Error: database is locked",
    "~  https://example.test/s/1",
];
