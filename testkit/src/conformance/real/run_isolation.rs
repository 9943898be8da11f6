//! The view of a run on the project.

use std::path::Path;

use opencode_client::Permissions;

use super::runs::{OF_THE_PROJECT, RunWorld, bash, project, seen};
use crate::conformance::Host;
use crate::model::{Reply, Script};

pub(crate) async fn a_tool_runs_in_the_project_with_the_additions_of_the_run(on: &Host) {
    let world = RunWorld::new(on);
    project(&world);
    world.write("project/run.md", "run-instructions");
    let command = r#"pwd -P; printf '%s\n' "$PWD" "$EXTRA" "$HOME" "$TMPDIR""#;
    let script = Script::new()
        .then(Reply::new().tool("bash", bash(command)))
        .then(Reply::new().text("Done."));
    world.model.default_script(script);
    let config = world
        .config()
        .with_env("EXTRA", "a value with 'quotes' and \u{fc}")
        .with_instructions(["run.md"])
        .with_permission(Permissions::new().allow("bash"));

    let report = world.run(world.request_with("Go.", config)).await.unwrap();

    let output = report.answer().tools()[0].state.output().unwrap().to_string();
    let [real, pwd, extra, home, temp] = output.lines().collect::<Vec<_>>()[..] else {
        panic!("{output}")
    };
    let project = world.project();
    assert_eq!((Path::new(real), Path::new(pwd)), (&*project, &*project));
    assert_eq!(extra, "a value with 'quotes' and \u{fc}");
    assert_eq!(Path::new(home), world.home(), "tools need the home directory");
    assert!(Path::new(temp).starts_with(world.path("temp")), "{temp}");
    let request = &world.turns()[0];
    assert_eq!(seen(request, &OF_THE_PROJECT), OF_THE_PROJECT);
    assert!(request.system().contains("run-instructions"), "{}", request.system());
    assert!(request.system().contains(project.to_str().unwrap()), "{}", request.system());
}
