//! Prompts as they reach the model.

use opencode_tokio::config::RunFlags;
use serde_json::json;
use testkit::conformance::real::runs::RunWorld;
use testkit::model::Reply;

use crate::on;

#[tokio::test]
async fn a_prompt_arrives_unchanged() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("Read."));
    // Resembles a flag, contains everything that shells, parsers and JSON treat specially, is
    // longer than any argument may be, and ends with white space, which OpenCode does not trim.
    let odd = "-x --help \"double\" 'single' \\n \\\\ `x` $HOME ${X} %s \
               \u{1f980}\u{200d}e\u{301}\r\n\t{env:HOME} @file ";
    let prompt =
        format!("{odd}{}\n\nthe end \t\n \n", "A line of the prompt, \u{e4}.\n".repeat(43_000));
    assert!(prompt.len() > 1_000_000);

    let report = world.run(world.request(&*prompt)).await.unwrap();

    assert_eq!(report.text(), "Read.");
    let [request] = &world.model.requests()[..] else { panic!("{:?}", world.model.requests()) };
    let arrived = request.prompt().unwrap();
    let differs = arrived.bytes().zip(prompt.bytes()).position(|(arrived, sent)| arrived != sent);
    assert_eq!((differs, arrived.len()), (None, prompt.len()));
}

#[tokio::test]
async fn a_prompt_may_look_like_a_flag() {
    let world = RunWorld::new(&on());
    world.model.default_script(Reply::new().text("No help."));

    let report = world.run(world.request("--help")).await.unwrap();

    assert_eq!(report.text(), "No help.");
    assert_eq!(world.turns()[0].prompt().unwrap(), "--help");
}

#[tokio::test]
async fn a_command_gets_the_prompt_as_its_arguments() {
    let world = RunWorld::new(&on());
    // The placeholder with the highest number takes all remaining arguments.
    let template = "Greet $1 and $2: $ARGUMENTS.";
    let greet = json!({
        "command": { "greet": { "template": template, "description": "greets" } },
    });
    let flags = RunFlags::new().with_command("greet");
    let command = world.config().with_flags(flags).with_overrides(greet);

    let report = world.run(world.request_with("Ann 'Bob Lee' --loud", command)).await.unwrap();

    assert_eq!(report.text(), "Hello from the scripted model.");
    let arrived = world.turns()[0].prompt().unwrap().into_owned();
    assert_eq!(arrived, "Greet Ann and Bob Lee --loud: Ann 'Bob Lee' --loud.");
}

#[tokio::test]
async fn files_are_attached() {
    let world = RunWorld::new(&on());
    world.write("project/notes of today.txt", "first note\nsecond note\n");
    world.write("project/--docs/guide.md", "");
    let flags = RunFlags::new().with_title("t").with_file("notes of today.txt").with_file("--docs");
    let config = world.config().with_flags(flags);

    let report = world.run(world.request_with("Read it. ", config)).await.unwrap();

    let answer = "Hello from the scripted model.";
    assert_eq!(report.text(), answer, "attached text is not part of the answer");
    let [request] = &world.model.requests()[..] else { panic!("{:?}", world.model.requests()) };
    let arrived = request.prompt().unwrap();
    for part in ["Read it. ", "first note", "second note", "guide.md"] {
        assert!(arrived.contains(part), "{part:?} is not in {arrived:?}");
    }
}
