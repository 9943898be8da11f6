//! The prompt on standard input.

use opencode_client::run::Exit;
use opencode_client::{RunEnd, RunRequest};

use crate::conformance::lines::{START, answer, text};
use crate::conformance::world::{ProgramWorld, rest, types};
use crate::conformance::{Host, LONG};
use crate::fake::Behavior;

const MEGABYTES: usize = 1 << 20;

/// A text with everything that a shell, a pipe or a terminal could change.
fn prompt(size: usize) -> String {
    let odd = "--help\r\n\u{feff}é\u{1f980}\0\t\"$(id)\" 'x' \\n %s \u{1b}[0m\n";
    let mut prompt = odd.repeat(size / odd.len() + 1);
    prompt.push_str("no line end");
    prompt
}

fn request(world: &ProgramWorld, prompt: &str) -> RunRequest {
    world.request_for(prompt)
}

pub(crate) async fn the_prompt_arrives_unchanged_and_complete(on: &Host) {
    // The program answers only after the end of the input.
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Read.")));
    for prompt in [prompt(10 * MEGABYTES), "x".to_owned()] {
        let report = world.opencode.run(request(&world, &prompt)).await.unwrap();
        assert_eq!(report.text(), "Read.");
        let calls = world.calls();
        let stdin = calls.last().unwrap().stdin.as_deref();
        assert!(stdin == Some(prompt.as_bytes()), "{:?} bytes", stdin.map(<[u8]>::len));
        let args = &calls.last().unwrap().args;
        assert!(args.iter().all(|arg| !arg.to_string_lossy().contains("help")), "{args:?}");
    }
}

pub(crate) async fn a_program_may_ignore_the_prompt(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Enough.")));
    let request = request(&world, &prompt(10 * MEGABYTES));
    let report = world.opencode.run(request).await.unwrap();
    assert_eq!(report.text(), "Enough.");
    assert_eq!(report.outcome.exit, Some(Exit::Code(0)));
    assert_eq!(report.outcome.stderr, "");
}

pub(crate) async fn a_program_may_print_before_reading_the_prompt(on: &Host) {
    const EVENTS: usize = 160;
    let said = "x".repeat(64 << 10);
    let lines: String =
        (0..EVENTS).map(|id| text(&format!("prt_early_{id}"), &said) + "\n").collect();
    let behavior = Behavior::new().stdout_raw(format!("{START}\n{lines}")).read_stdin();
    let world = ProgramWorld::new(on, behavior.stdout_raw(answer("Read.")));
    let prompt = prompt(10 * MEGABYTES);

    let mut run = world.opencode.stream(request(&world, &prompt));
    let events = rest(&mut run).await;
    let report = run.outcome().await.unwrap();

    let texts = types(&events).iter().filter(|name| **name == "text").count();
    assert_eq!(texts, EVENTS + 1);
    assert!(report.text().len() > EVENTS * said.len());
    assert!(world.call().stdin.as_deref() == Some(prompt.as_bytes()));
}

pub(crate) async fn an_unread_prompt_does_not_delay_a_cancel(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_line(START).hang());
    let mut run = world.opencode.stream(request(&world, &prompt(MEGABYTES)));
    assert!(run.next_event().await.is_some());
    run.cancel();
    let error = on.within(LONG, run.outcome()).await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));
}
