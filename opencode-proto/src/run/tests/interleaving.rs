//! Whatever comes when: a run ends once, properly, and with all that was printed.

use proptest::prelude::*;

use super::*;
use crate::fuzzing::script::{STDERR, STDOUT, settings};

const RECORDED: [(&str, &str); 4] = [
    (include_str!("../../../tests/corpus/1.18.33/run/run_tool_bash.jsonl"), ""),
    (
        include_str!("../../../tests/corpus/1.18.33/run/run_perm_ask.jsonl"),
        "\u{1b}[93m! \u{1b}[0mpermission requested: bash (echo hi); auto-rejecting\n",
    ),
    (include_str!("../../../tests/corpus/1.18.33/run/run_err_401.jsonl"), ""),
    (include_str!("../../../tests/corpus/1.18.33/run/run_unknown_agent.jsonl"), REPLACED),
];

/// What a process prints, in any chunks, how it ends, and in which order all of it is seen.
#[derive(Clone, Debug)]
struct Script {
    settings: u8,
    stdout: Vec<Bytes>,
    stderr: Vec<Bytes>,
    exit: Option<Exit>,
    order: Vec<(Next, u8)>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Next {
    Cancel,
    Exit,
    Stderr,
    Stdout,
    Time,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// `Play` checks every action, and the answer against what had been printed.
    #[test]
    fn a_run_ends_properly(script in script(any_next())) {
        let mut run = Play::new(settings(script.settings), Instant::now());
        script.play(&mut run);
        run.end();
    }

    /// Neither the order in which the outputs and the exit are seen nor the chunks they come in
    /// change the outcome.
    #[test]
    fn a_run_that_is_left_alone_ends_as_it_does_all_at_once(script in script(no_trouble())) {
        // Without a deadline no time matters, and none passes.
        let settings = settings(script.settings & !0b111);
        let mut run = Play::new(settings.clone(), Instant::now());
        script.play_to_end(&mut run);
        let mut at_once = Play::new(settings, Instant::now());
        at_once.step(ScriptStep::Stderr(script.stderr.concat().into()));
        at_once.step(ScriptStep::Stdout(script.stdout.concat().into()));
        at_once.ends().step(ScriptStep::Exit(script.exit));
        let (outcome, expected) = (run.outcome(), at_once.outcome());
        prop_assert_eq!(&outcome.stderr, &expected.stderr);
        prop_assert_eq!(&outcome.notices, &expected.notices);
        prop_assert_eq!(&outcome.raw_lines, &expected.raw_lines);
        prop_assert_eq!(outcome.lines, expected.lines);
        if run.signals == at_once.signals {
            prop_assert_eq!(&outcome.end, &expected.end);
            prop_assert_eq!(outcome.answer.errors(), expected.answer.errors());
        }
    }
}

impl Script {
    /// As far as the order says.
    fn play(&self, run: &mut Play) {
        self.play_in(&self.order, run);
    }

    /// In the order that it says, and then all that is left.
    fn play_to_end(&self, run: &mut Play) {
        let mut order = self.order.clone();
        for (next, steps) in [
            (Next::Stdout, self.stdout.len() + 1),
            (Next::Stderr, self.stderr.len() + 1),
            (Next::Exit, 1),
        ] {
            order.extend(std::iter::repeat_n((next, 0), steps));
        }
        self.play_in(&order, run);
    }

    fn play_in(&self, order: &[(Next, u8)], run: &mut Play) {
        let mut stdout =
            self.stdout.iter().cloned().map(ScriptStep::Stdout).chain([ScriptStep::StdoutEnd]);
        let mut stderr =
            self.stderr.iter().cloned().map(ScriptStep::Stderr).chain([ScriptStep::StderrEnd]);
        let mut exit = [ScriptStep::Exit(self.exit)].into_iter();
        for (next, time) in order {
            let step = match next {
                Next::Cancel => Some(ScriptStep::Cancel),
                Next::Exit => exit.next(),
                Next::Stderr => stderr.next(),
                Next::Stdout => stdout.next(),
                Next::Time => Some(ScriptStep::Pass(seconds((*time).into()))),
            };
            if let Some(step) = step {
                run.step(step);
            }
        }
    }
}

fn script(next: impl Strategy<Value = Next>) -> impl Strategy<Value = Script> {
    let sizes = || prop::collection::vec(1usize..200, 1..20);
    let exit = prop_oneof![
        4 => Just(Some(Exit::Code(0))),
        4 => Just(Some(Exit::Code(1))),
        1 => Just(Some(Exit::Code(143))),
        1 => Just(Some(Exit::Signal(9))),
        1 => Just(None),
    ];
    let order = prop::collection::vec((next, any::<u8>()), 0..60);
    (any::<u8>(), printed(), sizes(), sizes(), exit, order).prop_map(
        |(settings, (stdout, stderr), stdout_sizes, stderr_sizes, exit, order)| Script {
            settings,
            stdout: chunks(&stdout, &stdout_sizes),
            stderr: chunks(&stderr, &stderr_sizes),
            exit,
            order,
        },
    )
}

/// Both outputs: recorded ones, or any lines, the last of which may be torn.
fn printed() -> impl Strategy<Value = (String, String)> {
    let recorded = prop::sample::select(&RECORDED[..])
        .prop_map(|(stdout, stderr)| (stdout.to_owned(), stderr.to_owned()));
    prop_oneof![1 => recorded, 3 => (lines(&STDOUT), lines(&STDERR))]
}

fn lines(of: &'static [&str]) -> impl Strategy<Value = String> {
    // OpenCode prints no line that only a log holds.
    let of: Vec<_> = of.iter().filter(|line| !line.contains("notice")).copied().collect();
    (prop::collection::vec(prop::sample::select(of), 0..12), 0usize..50).prop_map(|(lines, cut)| {
        let mut lines: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        lines.truncate(lines.len().saturating_sub(cut));
        lines
    })
}

fn chunks(stream: &str, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(stream.as_bytes());
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(|| {
        let size = (*sizes.next()?).min(rest.len());
        (size > 0).then(|| rest.split_to(size))
    })
    .collect()
}

fn any_next() -> impl Strategy<Value = Next> {
    prop_oneof![
        1 => Just(Next::Cancel),
        1 => Just(Next::Exit),
        6 => Just(Next::Stderr),
        12 => Just(Next::Stdout),
        3 => Just(Next::Time),
    ]
}

fn no_trouble() -> impl Strategy<Value = Next> {
    prop_oneof![1 => Just(Next::Exit), 6 => Just(Next::Stderr), 12 => Just(Next::Stdout)]
}
