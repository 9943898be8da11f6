use bytes::Bytes;

use crate::random::Random;
use crate::source_code::source_code;

/// Output of `opencode run --format json` over a day's work; each element is the standard output of
/// one run.
///
/// 42 % of the events are tool calls. Their results are 100 B to 25 KB long; one in ten is 20 KB to
/// 160 KB. The metadata repeats the results, as with the real tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMode {
    /// Complete standard output per run.
    pub runs: Vec<Bytes>,
}

impl RunMode {
    /// Generates runs of 44 model calls each, until they contain `size_min` bytes.
    pub fn generate(seed: u64, size_min: usize) -> Self {
        let mut random = Random(seed);
        let mut runs = Vec::new();
        let mut size = 0;
        while size < size_min {
            let run = run(&mut random);
            size += run.len();
            runs.push(Bytes::from(run));
        }
        Self { runs }
    }

    /// Size of all runs, in bytes.
    pub fn size(&self) -> usize {
        self.runs.iter().map(Bytes::len).sum()
    }

    /// Every run in chunks, as they are read from a pipe, each with memory of its own.
    pub fn chunks(&self, size: usize) -> Vec<Vec<Bytes>> {
        self.runs.iter().map(|run| run.chunks(size).map(Bytes::copy_from_slice).collect()).collect()
    }
}

/// Number of model calls per run.
const STEPS: usize = 44;

/// Writer of the lines of one run.
struct Printer<'a> {
    random: &'a mut Random,
    session: String,
    message: String,
    timestamp_ms: u64,
    lines: String,
}

fn run(random: &mut Random) -> String {
    let session = random.id("ses");
    let mut printer = Printer {
        random,
        session,
        message: String::new(),
        timestamp_ms: 1_795_231_820_175,
        lines: String::new(),
    };
    for step in 1..=STEPS {
        printer.step(if step < STEPS { "tool-calls" } else { "stop" });
    }
    printer.lines
}

impl Printer<'_> {
    fn step(&mut self, reason: &str) {
        self.message = self.random.id("msg");
        self.part("step_start", "step-start", "");
        if self.random.percent(22) {
            self.text("reasoning");
        }
        if self.random.percent(42) {
            self.text("text");
        }
        for _ in 0..1 + self.random.below(3) {
            self.tool();
        }
        self.finish(reason);
    }

    fn part(&mut self, event_type: &str, part_type: &str, rest: &str) {
        let id = self.random.id("prt");
        let Self { session, message, .. } = self;
        let part = format!(
            "\"id\":\"{id}\",\"messageID\":\"{message}\",\"sessionID\":\"{session}\",\
             \"type\":\"{part_type}\"{rest}"
        );
        self.line(event_type, &part);
    }

    fn line(&mut self, event_type: &str, part: &str) {
        self.timestamp_ms += self.random.below(2000);
        let Self { session, timestamp_ms, .. } = self;
        let line = format!(
            "{{\"type\":\"{event_type}\",\"timestamp\":{timestamp_ms},\
             \"sessionID\":\"{session}\",\"part\":{{{part}}}}}\n"
        );
        self.lines.push_str(&line);
    }

    fn text(&mut self, kind: &str) {
        let size = self.random.doubling(50, 7);
        let text = source_code(self.random, size);
        let time = self.time();
        self.part(kind, kind, &format!(r#","text":"{text}","time":{time}"#));
    }

    fn finish(&mut self, reason: &str) {
        let [input, output, read] = [3000, 900, 40_000].map(|end| self.random.below(end));
        let total = input + output + read;
        let cost = total as f64 / 131_072.0;
        let rest = format!(
            ",\"reason\":\"{reason}\",\"tokens\":{{\"total\":{total},\"input\":{input},\
             \"output\":{output},\"reasoning\":0,\"cache\":{{\"write\":0,\"read\":{read}}}}},\
             \"cost\":{cost}"
        );
        self.part("step_finish", "step-finish", &rest);
    }

    fn tool(&mut self) {
        let size = if self.random.percent(10) {
            self.random.doubling(20_000, 3)
        } else {
            self.random.doubling(100, 8)
        };
        let result = source_code(self.random, size);
        let (tool, input, output, metadata) = match self.random.below(100) {
            0..45 => {
                let command = source_code(self.random, 60);
                let input = format!(r#"{{"command":"{command}","description":"Run it"}}"#);
                let metadata = format!(r#"{{"output":"{result}","exit":0,"truncated":false}}"#);
                ("bash", input, result, metadata)
            }
            45..75 => {
                let input = r#"{"filePath":"src/main.rs","offset":0,"limit":2000}"#.to_owned();
                let metadata = format!(
                    "{{\"preview\":\"\",\"truncated\":false,\"loaded\":[],\
                     \"display\":{{\"type\":\"file\",\"text\":\"{result}\"}}}}"
                );
                ("read", input, result, metadata)
            }
            75..85 => {
                let input = r#"{"pattern":"fn \\w+","path":"src"}"#.to_owned();
                ("grep", input, result, r#"{"matches":17,"truncated":false}"#.to_owned())
            }
            _ => {
                let input = format!(
                    r#"{{"filePath":"src/lib.rs","oldString":"x","newString":"{result}"}}"#
                );
                let metadata = format!(r#"{{"diff":"{result}","diagnostics":{{}}}}"#);
                ("edit", input, "Edit applied successfully.".to_owned(), metadata)
            }
        };
        let [call, id] = ["call", "prt"].map(|prefix| self.random.id(prefix));
        let time = self.time();
        let Self { session, message, .. } = self;
        let part = format!(
            "\"type\":\"tool\",\"tool\":\"{tool}\",\"callID\":\"{call}\",\
             \"state\":{{\"status\":\"completed\",\"input\":{input},\"output\":\"{output}\",\
             \"metadata\":{metadata},\"title\":\"{tool}\",\"time\":{time}}},\
             \"id\":\"{id}\",\"sessionID\":\"{session}\",\"messageID\":\"{message}\""
        );
        self.line("tool_use", &part);
    }

    fn time(&mut self) -> String {
        let start = self.timestamp_ms;
        let end = start + self.random.below(1000);
        format!(r#"{{"start":{start},"end":{end}}}"#)
    }
}
