// A test needs an `Instant` to start from; no time passes but the one it makes pass.
#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use super::*;
use crate::process::Signal;

const READY: &str = "opencode server listening on http://127.0.0.1:4096\n";
const WARNING: &str = "Warning: OPENCODE_SERVER_PASSWORD is not set; server is unsecured.\n";
const URL: &str = "http://127.0.0.1:4096";

/// A server in virtual time.
struct Play {
    serve: Serve,
    now: Instant,
    ready: Vec<String>,
    signals: Vec<(u64, Signal)>,
    started: Instant,
    sweeps: usize,
    faults: Vec<PluginFault>,
    /// Processor time of the process.
    processor: Option<u64>,
    starting: Vec<u64>,
    wake: Option<Instant>,
    outcome: Option<ServeOutcome>,
}

impl Play {
    fn new(settings: ServeSettings) -> Self {
        let now = Instant::now();
        let mut play = Self {
            serve: Serve::new(settings, now),
            now,
            ready: Vec::new(),
            signals: Vec::new(),
            started: now,
            sweeps: 0,
            faults: Vec::new(),
            processor: None,
            starting: Vec::new(),
            wake: None,
            outcome: None,
        };
        play.drain();
        play
    }

    fn step(&mut self, input: impl FnOnce(&mut Serve, Instant)) -> &mut Self {
        input(&mut self.serve, self.now);
        self.drain();
        self
    }

    fn out(&mut self, text: &str) -> &mut Self {
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        self.step(|serve, now| serve.handle_stdout(chunk, now))
    }

    fn err(&mut self, text: &str) -> &mut Self {
        let chunk = Bytes::copy_from_slice(text.as_bytes());
        self.step(|serve, now| serve.handle_stderr(chunk, now))
    }

    fn stop(&mut self) -> &mut Self {
        self.step(Serve::stop)
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self.step(Serve::handle_timeout)
    }

    fn exit(&mut self, exit: Exit) -> &mut Self {
        self.step(|serve, now| serve.handle_exit(Some(exit), now))
    }

    fn ends(&mut self) -> &mut Self {
        self.step(Serve::handle_stdout_end).step(Serve::handle_stderr_end)
    }

    fn outcome(&self) -> &ServeOutcome {
        self.outcome.as_ref().expect("it is over")
    }

    /// Seconds until the machine wants to be woken.
    fn wakes(&self) -> Option<u64> {
        self.wake.map(|wake| (wake - self.now).as_secs())
    }

    fn drain(&mut self) {
        loop {
            let action = self.serve.poll_action();
            if let ServeAction::Wait(wake) = action {
                self.wake = wake;
                return;
            }
            assert!(self.outcome.is_none(), "after the end: {action:?}");
            match action {
                ServeAction::Finished(outcome) => self.outcome = Some(*outcome),
                ServeAction::Ready { url } => self.ready.push(url),
                ServeAction::Signal(signal) => {
                    self.signals.push(((self.now - self.started).as_secs(), signal));
                }
                ServeAction::PluginFailed(fault) => self.faults.push(fault),
                ServeAction::Sweep => self.sweeps += 1,
                ServeAction::Inspect => self.serve.handle_inspection(self.processor, self.now),
                ServeAction::Starting { elapsed } => self.starting.push(elapsed.as_secs()),
                ServeAction::Wait(_) => unreachable!("handled above"),
            }
        }
    }
}

fn serve() -> Play {
    Play::new(ServeSettings::new())
}

fn failed(stderr: &str) -> ServeEnd {
    serve().err(stderr).ends().exit(Exit::Code(1)).outcome().end.clone()
}

#[test]
fn it_is_ready_once_in_any_chunking() {
    let text = [WARNING, "\u{1b}[93m! plugin\u{1b}[0m\n", READY, READY].concat();
    for size in 1..=text.len() {
        let mut play = serve();
        for chunk in text.as_bytes().chunks(size) {
            play.out(std::str::from_utf8(chunk).unwrap());
        }
        assert_eq!(play.ready, [URL], "in chunks of {size}");
        assert_eq!(play.wakes(), None);
    }
}

#[test]
fn half_a_line_is_not_ready() {
    let mut play = serve();
    play.out("opencode server listening on http://127.0.0.1:40");
    assert_eq!(play.ready, [""; 0]);
    play.step(Serve::handle_stdout_end);
    assert_eq!(play.ready, [""; 0]);
    assert_eq!(play.wakes(), Some(15));
}

#[test]
fn the_end_of_the_output_is_kept_for_ever() {
    let mut play = Play::new(ServeSettings::new().with_output_size_max(16));
    play.out(READY);
    for number in 0..1000 {
        play.out(&format!("out {number:08}\n")).err(&format!("err {number:08}\n"));
    }
    assert_eq!(play.ready, [URL]);
    let outcome = play.exit(Exit::Signal(9)).ends().outcome();
    assert_eq!(outcome.stdout, "98\nout 00000999\n");
    assert_eq!(outcome.stderr, "98\nerr 00000999\n");
    assert_eq!((&outcome.end, outcome.exit), (&ServeEnd::Exited, Some(Exit::Signal(9))));
    assert_eq!(outcome.url.as_deref(), Some(URL));
}

#[test]
fn a_line_without_end_is_not_gathered() {
    let mut play = serve();
    for _ in 0..64 {
        play.out(&"x".repeat(4 << 10));
    }
    play.out("\n").out(READY);
    assert_eq!(play.ready, [URL]);
}

#[test]
fn what_is_not_ready_in_time_is_ended() {
    let mut play = serve();
    assert_eq!(play.wakes(), Some(15));
    play.pass(59);
    assert_eq!(play.signals, []);
    play.pass(1).out(READY);
    assert_eq!(play.ready, [""; 0], "too late");
    assert_eq!(play.signals, [(60, Signal::Terminate)]);
    play.exit(Exit::Signal(15)).err("the tail\n").ends();
    assert_eq!(play.outcome().end, ServeEnd::TimedOut);
    assert_eq!(play.outcome().stderr, "the tail\n");
    assert_eq!(play.sweeps, 1);
}

#[test]
fn the_ladder_asks_twice_then_kills_then_gives_up() {
    let mut play = serve();
    play.out(READY).pass(100).stop();
    assert_eq!(play.wakes(), Some(5));
    play.pass(4).stop().pass(1);
    assert_eq!(play.wakes(), Some(5));
    play.pass(5);
    assert_eq!(play.wakes(), Some(5));
    assert_eq!(
        play.signals,
        [(100, Signal::Terminate), (105, Signal::Terminate), (110, Signal::Kill)]
    );
    play.pass(5);
    let outcome = play.outcome();
    assert_eq!((&outcome.end, outcome.exit), (&ServeEnd::Stopped, None));
    assert_eq!(outcome.elapsed, Duration::from_secs(115));
    assert_eq!((play.sweeps, play.wakes()), (0, None));
}

#[test]
fn one_that_obeys_is_signalled_once() {
    let mut play = serve();
    play.out(READY).stop().pass(1).exit(Exit::Code(143));
    assert_eq!(play.wakes(), Some(5));
    play.ends().pass(60).stop();
    assert_eq!(play.signals, [(0, Signal::Terminate)]);
    let outcome = play.outcome();
    assert_eq!((&outcome.end, outcome.exit), (&ServeEnd::Stopped, Some(Exit::Code(143))));
}

#[test]
fn it_can_be_stopped_before_it_is_ready() {
    let mut play = serve();
    play.stop().out(READY);
    assert_eq!(play.ready, [""; 0]);
    assert_eq!(play.exit(Exit::Signal(15)).ends().outcome().end, ServeEnd::Stopped);
}

#[test]
fn output_that_something_holds_open_is_read_for_a_while() {
    let mut play = serve();
    play.out(READY).exit(Exit::Code(0)).err("late\n").pass(4);
    assert!(play.outcome.is_none());
    play.pass(1);
    assert_eq!((&play.outcome().end, &*play.outcome().stderr), (&ServeEnd::Exited, "late\n"));
    play.err("too late").ends().exit(Exit::Code(1)).pass(100);
    assert_eq!(play.wakes(), None);
}

#[test]
fn failures_at_the_start_are_told_apart() {
    let message = "Unexpected error\n\nServeError".to_owned();
    let refused = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mUnexpected error\n\nServeError\n";
    assert_eq!(failed(refused), ServeEnd::CannotListen { message });
    let message = "database is locked".to_owned();
    assert_eq!(failed("Error: database is locked\n"), ServeEnd::StartupDatabase { message });
    let invalid =
        "Error: Configuration is invalid at /c/opencode.json\n↳ Expected object permission\n";
    let message =
        "Configuration is invalid at /c/opencode.json\n↳ Expected object permission".to_owned();
    assert_eq!(failed(invalid), ServeEnd::InvalidConfig { message });
    let message = "the command line was not understood".to_owned();
    assert_eq!(
        failed("opencode serve\n\nstarts a headless opencode server\n\nOptions:\n"),
        ServeEnd::StartupError { message }
    );
    assert_eq!(failed("").to_string(), "the server did not start");
    assert_eq!(failed("no such thing\n").to_string(), "the server did not start: no such thing");
}

#[test]
fn a_process_that_exits_with_its_ready_line_still_in_the_pipe_was_never_ready() {
    let mut play = serve();
    play.exit(Exit::Signal(9)).out(READY).ends();
    assert_eq!(play.ready, [""; 0]);
    assert_eq!(play.outcome().end, ServeEnd::Exited);
    assert_eq!(play.outcome().url.as_deref(), Some(URL));
}

#[test]
fn a_process_that_uses_the_processor_is_not_given_up() {
    let mut play = serve();
    for processor in 1..=8 {
        play.processor = Some(processor);
        play.pass(15);
    }
    assert_eq!(play.starting, [15, 30, 45, 60, 75, 90, 105, 120]);
    assert!(play.signals.is_empty());
    // The last sign of life was at 120 seconds.
    play.pass(45);
    assert!(play.signals.is_empty());
    play.pass(15);
    assert_eq!(play.signals, [(180, Signal::Terminate)]);
}

#[test]
fn output_is_a_sign_of_life_too() {
    let mut play = serve();
    play.pass(50).err("still busy\n").pass(50);
    assert!(play.signals.is_empty());
    play.pass(10);
    assert_eq!(play.signals, [(110, Signal::Terminate)]);
}

#[test]
fn a_busy_process_is_given_up_at_the_maximum() {
    let settings = ServeSettings::new().with_start_limit_max(Duration::from_secs(100));
    let mut play = Play::new(settings);
    for processor in 1..=10 {
        play.processor = Some(processor);
        play.out("busy\n").pass(10);
    }
    assert_eq!(play.signals, [(100, Signal::Terminate)]);
}

#[test]
fn a_late_timer_is_no_silence() {
    let mut play = serve();
    play.processor = Some(7);
    // The machine was suspended, and so was the process.
    play.pass(500);
    assert!(play.signals.is_empty());
    assert_eq!(play.starting, [500]);
}

#[test]
fn whatever_the_order_it_ends_once() {
    type Input = for<'a> fn(&'a mut Play) -> &'a mut Play;
    let inputs: [Input; 6] = [
        |play| play.out(READY),
        |play| play.step(Serve::handle_stdout_end),
        |play| play.step(Serve::handle_stderr_end),
        |play| play.exit(Exit::Code(0)),
        |play| play.stop(),
        |play| play.pass(61),
    ];
    for order in permutations(inputs.len()) {
        let mut play = serve();
        for (index, input) in order.iter().enumerate() {
            inputs[*input](&mut play);
            let exited = order[..=index].contains(&3);
            assert_eq!(play.sweeps, usize::from(exited), "{order:?}");
            if let Some(wake) = play.wake {
                assert!(wake > play.now, "{order:?}: {wake:?}");
            }
        }
        assert!(play.ready.len() <= 1, "{order:?}");
        let outcome = play.outcome();
        assert_eq!(outcome.exit, Some(Exit::Code(0)), "{order:?}");
        let place = |input| order.iter().position(|other| *other == input).unwrap();
        let [ready, exit, stop, limit] = [0, 3, 4, 5].map(place);
        let timed_out = limit < ready.min(exit).min(stop);
        let stopped = stop < exit && !timed_out;
        assert_eq!(outcome.end == ServeEnd::TimedOut, timed_out, "{order:?}");
        assert_eq!(outcome.end == ServeEnd::Stopped, stopped, "{order:?}");
    }
}

fn permutations(size: usize) -> Vec<Vec<usize>> {
    let Some(last) = size.checked_sub(1) else { return vec![Vec::new()] };
    let inserted =
        |order: Vec<usize>| (0..size).map(move |at| [&order[..at], &[last], &order[at..]].concat());
    permutations(last).into_iter().flat_map(inserted).collect()
}

#[test]
fn a_plugin_that_fails_is_reported_while_the_server_runs() {
    const FAILED: &str = "timestamp=1 level=ERROR run=1 message=\"failed to load plugin\" \
        path=file:///p.js error=\"boom at init\"\n";
    let mut play = Play::new(ServeSettings::new());
    play.err("timestamp=1 level=ERROR message=other\n").err(&FAILED[..30]).err(&FAILED[30..]);
    assert_eq!(play.faults, [PluginFault::new("file:///p.js", "boom at init")]);
    assert!(play.outcome.is_none());
}
