//! Output of the program, in any amount and shape.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use opencode_client::run::{Diagnostic, Exit};
use opencode_client::{RunEnd, RunEvent, RunEventKind};

use crate::conformance::lines::{FINISH, START, answer, text};
use crate::conformance::program::{self, ClientRole};
use crate::conformance::world::{GATE, ProgramWorld, rest, types};
use crate::conformance::{Host, LONG};
use crate::fake::{Behavior, Pipes};

const MEGABYTES: usize = 1 << 20;

fn diagnostics(events: &[RunEvent]) -> Vec<Diagnostic> {
    let diagnostic = |event: &RunEvent| {
        let RunEventKind::Diagnostic(diagnostic) = event.kind else { return None };
        Some(diagnostic)
    };
    events.iter().filter_map(diagnostic).collect()
}

/// In a separate client process, where nothing else takes memory.
pub(crate) async fn a_long_stream_is_not_kept_in_memory(on: &Host) {
    const SIZE: usize = 64 * MEGABYTES;
    let blob = "x".repeat(100_000);
    let line =
        format!("{{\"type\":\"of_the_future\",\"sessionID\":\"ses_1\",\"blob\":\"{blob}\"}}\n");
    let lines = line.repeat(SIZE / line.len() + 1);
    let expected = SIZE / line.len() + 1;
    let behavior = Behavior::new().stdout_line(START).stdout_raw(lines).stdout_raw(answer("Done."));
    let world = ProgramWorld::new(on, behavior);

    let mut child = program::start(&world, ClientRole::Measure);
    let unknown: usize = child.wait_for("unknown").parse().unwrap();
    let grown_kb: usize = child.wait_for("grown_kb").parse().unwrap();
    assert!(child.wait().success());
    assert_eq!(unknown, expected);
    assert!(grown_kb < 16 << 10, "grown by {grown_kb} KiB for {} KiB", SIZE >> 10);
}

pub(crate) async fn a_line_may_have_many_megabytes(on: &Host) {
    let said = "0123456789".repeat(2 * MEGABYTES);
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(answer(&said)));
    let report = world.opencode.run(world.request()).await.unwrap();
    assert!(report.text() == said, "{} bytes", report.text().len());
    assert_eq!(report.outcome.lines.diagnostics, 0);
}

pub(crate) async fn a_line_over_the_limit_is_dropped_with_a_diagnostic(on: &Host) {
    let long = text("prt_long", &"x".repeat(MEGABYTES));
    let size = long.len() as u64;
    let behavior = Behavior::new().stdout_line(START).stdout_line(&long);
    let world =
        ProgramWorld::new(on, behavior.stdout_line(&text("prt_2", "Short.")).stdout_line(FINISH));
    let request = world.request_with(|settings| settings.with_line_size_max(MEGABYTES));
    let mut run = world.opencode.stream(request);
    let events = rest(&mut run).await;
    assert_eq!(types(&events), ["step_start", "diagnostic", "text", "step_finish"]);
    assert_eq!(diagnostics(&events), [Diagnostic::TooLong { size }]);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::EventsLost { lines: 1 }), "the line was an event");
    let report = error.report().unwrap();
    assert_eq!((&*report.text(), report.outcome.lines.diagnostics), ("Short.", 1));
}

pub(crate) async fn invalid_utf8_is_replaced_with_a_diagnostic(on: &Host) {
    let (before, after) = (text("prt_2", "a"), FINISH);
    let broken = before.replace("\"a\"", "\"a\u{0}\"").into_bytes();
    let broken: Vec<u8> = broken.iter().map(|byte| if *byte == 0 { 0xff } else { *byte }).collect();
    let behavior = Behavior::new().stdout_line(START).stdout_raw([&broken[..], b"\n"].concat());
    let world = ProgramWorld::new(on, behavior.stdout_line(after));
    let mut run = world.opencode.stream(world.request());
    let events = rest(&mut run).await;
    assert_eq!(types(&events), ["step_start", "diagnostic", "text", "step_finish"]);
    assert_eq!(diagnostics(&events), [Diagnostic::InvalidUtf8]);
    assert_eq!(run.outcome().await.unwrap().text(), "a\u{fffd}");
}

pub(crate) async fn windows_line_ends_and_empty_lines_are_accepted(on: &Host) {
    let lines = answer("Hello.").replace('\n', "\r\n");
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(format!("\r\nbanner\r\n{lines}")));
    let mut run = world.opencode.stream(world.request());
    let events = rest(&mut run).await;
    let expected = ["diagnostic", "diagnostic", "step_start", "text", "step_finish"];
    assert_eq!(types(&events), expected);
    assert_eq!(diagnostics(&events), [Diagnostic::Empty, Diagnostic::NotJson]);
    assert!(events.iter().all(|event| !event.raw.contains(&b'\r')), "{events:?}");
    assert_eq!(run.outcome().await.unwrap().text(), "Hello.");
}

pub(crate) async fn a_torn_last_line_is_an_incomplete_answer(on: &Host) {
    let torn = &text("prt_3", "cut off")[..60];
    let world =
        ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Hello.")).stdout_raw(torn));
    let mut run = world.opencode.stream(world.request());
    let events = rest(&mut run).await;
    assert_eq!(diagnostics(&events), [Diagnostic::Torn]);
    assert_eq!(events.last().unwrap().raw, torn);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Torn));
    assert_eq!(error.report().unwrap().text(), "Hello.");
}

pub(crate) async fn a_last_line_without_a_line_end_counts(on: &Host) {
    let lines = answer("Hello.");
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(lines.trim_end()));
    let report = world.opencode.run(world.request()).await.unwrap();
    assert_eq!((&*report.text(), report.outcome.lines.diagnostics), ("Hello.", 0));
}

pub(crate) async fn a_program_may_outlive_its_output(on: &Host) {
    let behavior = Behavior::new().stdout_raw(answer("Hello.")).close_stdout().pause_until(GATE);
    let world = ProgramWorld::new(on, behavior);
    let mut run = world.opencode.stream(world.request());
    for _ in 0..3 {
        run.next_event().await.unwrap();
    }
    world.fake.open(GATE).unwrap();
    let report = run.outcome().await.unwrap();
    assert_eq!(report.outcome.exit, Some(Exit::Code(0)), "the program was not given time to exit");
}

pub(crate) async fn a_program_that_lingers_after_its_output_is_ended(on: &Host) {
    let answered = Behavior::new().stdout_raw(answer("Hello."));
    for behavior in [answered.clone().hang(), answered.close_stdout().hang()] {
        let world = ProgramWorld::new(on, behavior);
        let request =
            world.request_with(|settings| settings.with_linger_limit(Duration::from_millis(20)));
        let report = world.opencode.run(request).await.unwrap();
        assert_eq!(report.text(), "Hello.");
        assert_eq!(report.outcome.exit, Some(Exit::Signal(15)));
    }
}

pub(crate) async fn background_processes_of_tools_do_not_hold_the_output_open(on: &Host) {
    let left = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Hold);
    let world = ProgramWorld::new(on, left.stdout_raw(answer("Hello.")));
    let request = world.request_with(|settings| settings.with_drain_limit(2 * LONG));
    let report = world.opencode.run(request).await.unwrap();
    assert_eq!(report.text(), "Hello.", "the sweep of processes has to close the output");
    assert_eq!(world.call().started.len(), 2);
}

pub(crate) async fn output_held_open_by_another_process_is_read_until_a_limit(on: &Host) {
    let behavior = Behavior::new().stdout_line(START).pause_until(GATE);
    let world = ProgramWorld::new(on, behavior.stdout_line(&text("prt_2", "Hello.")));
    let request =
        world.request_with(|settings| settings.with_drain_limit(Duration::from_millis(200)));
    let mut run = world.opencode.stream(request);
    run.next_event().await.unwrap();
    let pid = world.call().pid;
    // This process does not belong to the run, so that the run cannot end it.
    let mut stdout = OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
    world.fake.open(GATE).unwrap();
    assert_eq!(run.next_event().await.unwrap().event_type(), "text");
    on.eventually(|| world.processes().is_empty()).await;
    stdout.write_all(format!("{FINISH}\n{{\"type\":").as_bytes()).unwrap();

    let events = rest(&mut run).await;
    assert_eq!(types(&events), ["step_finish", "diagnostic"]);
    assert_eq!(diagnostics(&events), [Diagnostic::Torn], "the output was not cut at the limit");
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.report().unwrap().text(), "Hello.");
}

pub(crate) async fn stderr_of_any_size_is_read_and_its_tail_is_kept(on: &Host) {
    let line = format!("{}\n", "complaint ".repeat(10_000));
    let complaints = line.repeat(100 * MEGABYTES / line.len() + 1);
    assert!(complaints.len() >= 100 * MEGABYTES);
    let behavior = Behavior::new().stderr_raw(complaints).stderr_line("the last one");
    let world = ProgramWorld::new(on, behavior.stdout_raw(answer("Hello.")));
    let request = world.request_with(|settings| settings.with_stderr_size_max(4 << 10));
    let report = world.opencode.run(request).await.unwrap();
    assert_eq!(report.text(), "Hello.");
    let stderr = &report.outcome.stderr;
    assert_eq!(stderr.len(), 4 << 10);
    assert!(stderr.ends_with("complaint \nthe last one\n"));
}
