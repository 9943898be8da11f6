//! Sessions that several runs share, in a data directory of the caller.

use opencode_tokio::config::{DataHome, Isolation, Resume, RunFlags};
use opencode_tokio::{RunConfig, RunEnd};
use testkit::conformance::real::runs::RunWorld;
use testkit::model::{ModelRequest, Reply};

use crate::on;

/// Messages of a model request.
fn history(request: &ModelRequest) -> String {
    request.messages().iter().map(|message| format!("{message}\n")).collect()
}

#[tokio::test]
async fn runs_resume_and_fork_sessions() {
    let world = RunWorld::new(&on());
    let data = world.path("kept/data");
    let isolation = Isolation::new().with_data(DataHome::At(data.clone()));
    let config = world.config().with_isolation(isolation);
    let with = |resume: Resume| -> RunConfig {
        config.clone().with_flags(RunFlags::new().with_resume(resume))
    };

    world.model.default_script(Reply::new().text("I will remember."));
    let prompt = "  The word is\nxylophone. \n";
    let first = world.run(world.request_with(prompt, config.clone())).await.unwrap();
    let session = first.answer().session().unwrap().clone();
    assert!(data.join("opencode/opencode.db").exists(), "the data directory was removed");

    world.model.default_script(Reply::new().text("Xylophone."));
    let latest = with(Resume::latest());
    let second = world.run(world.request_with("Which word?", latest)).await.unwrap();
    assert_eq!(second.answer().session(), Some(&session));
    assert_eq!(
        (second.text(), second.answer().full_text()),
        ("Xylophone.".into(), "Xylophone.".into())
    );

    let forked = with(Resume::session(session.as_str()).forked());
    let third = world.run(world.request_with("Again?", forked)).await.unwrap();
    let fork = third.answer().session().unwrap();
    assert_ne!(fork, &session);

    let turns = world.turns();
    assert_eq!(turns.len(), 3);
    assert_eq!(turns[0].prompt().unwrap(), prompt);
    let [second, third] = [history(&turns[1]), history(&turns[2])];
    for earlier in ["xylophone", "I will remember."] {
        assert!(second.contains(earlier) && third.contains(earlier), "{earlier}: {third}");
    }
    assert!(third.contains("Which word?"), "{third}");
    assert!(!turns.iter().any(|turn| turn.tools().contains(&"question")), "questions would hang");

    let unknown = with(Resume::session("ses_0000000000000000000000000"));
    let error = world.run(world.request_with("Hello?", unknown)).await.unwrap_err();
    let end = error.end().unwrap();
    assert!(
        matches!(end, RunEnd::StartupError { message } if message == "Session not found"),
        "{end}"
    );
}
