//! A server that all tests share, and runs over the server or as processes.

use std::path::PathBuf;

use opencode_tokio::config::RunFlags;
use opencode_tokio::run::{Answer, Backend};
use opencode_tokio::{
    Deadlines, RunConfig, RunError, RunEvent, RunEventKind, RunReport, RunRequest, RunStream,
};
use testkit::conformance::real::sessions::object;
use testkit::conformance::real::{runs, sessions};
use testkit::model::{ModelServer, Script};

use crate::on;

/// A project on the shared server, and a world for processes with the same model.
pub(crate) struct ServedWorld {
    pub(crate) shared: sessions::SessionWorld,
    pub(crate) own: runs::RunWorld,
}

/// Events and result of a run.
pub(crate) struct ServedRun {
    pub(crate) events: Vec<RunEvent>,
    pub(crate) result: Result<RunReport, RunError>,
}

impl ServedWorld {
    pub(crate) async fn new(project: &str) -> Self {
        let own = runs::RunWorld::new(&on());
        Self { shared: sessions::SessionWorld::in_directory(&on(), project).await, own }
    }

    pub(crate) fn model(&self) -> &'static ModelServer {
        self.shared.model()
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.shared.project()
    }

    pub(crate) fn write(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.project().join(path);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// A prompt over the shared server, answered by this script.
    pub(crate) fn request(&self, name: &str, script: impl Into<Script>) -> RunRequest {
        self.model().script(name, script);
        RunRequest::new(format!("Go. [[{name}]]"))
            .with_config(titled(RunFlags::new()))
            .with_deadlines(Deadlines::NONE.with_overall(sessions::LONG))
            .with_backend(&self.shared.server)
    }

    pub(crate) fn start(&self, request: RunRequest) -> RunStream {
        self.own.opencode.stream(request)
    }

    pub(crate) async fn run(&self, request: RunRequest) -> ServedRun {
        ServedRun::of(self.start(request)).await
    }

    /// Runs the request as a process.
    pub(crate) async fn run_as_process(&self, request: RunRequest) -> ServedRun {
        let config = request.config().clone().with_overrides(object(&self.model().config()));
        let request = request
            .with_config(config)
            .with_directory(self.project())
            .with_backend(Backend::Process);
        let mut run = self.own.start(request);
        let events = run.events().await;
        ServedRun { events, result: run.outcome().await }
    }

    /// Runs the request over both, and checks that both are the same. Returns the run over the
    /// server.
    pub(crate) async fn run_over_both(&self, request: RunRequest) -> ServedRun {
        let served = self.run(request.clone()).await;
        let printed = self.run_as_process(request).await;
        assert_eq!(served.types(), printed.types());
        assert_eq!(served.end(), printed.end());
        assert_eq!(served.text(), printed.text(), "texts of the events");
        let (served_report, printed_report) = (served.report(), printed.report());
        assert_eq!(facts(served_report.answer()), facts(printed_report.answer()));
        assert_eq!(served_report.outcome.notices, printed_report.outcome.notices);
        assert_eq!(served_report.outcome.lines, printed_report.outcome.lines);
        assert_eq!(served.result.is_ok(), printed.result.is_ok());
        served
    }
}

/// A configuration with a title, so that no title request is sent.
pub(crate) fn titled(flags: RunFlags) -> RunConfig {
    RunConfig::new().with_flags(flags.with_title("a test"))
}

impl ServedRun {
    pub(crate) async fn of(mut run: RunStream) -> Self {
        let mut events = Vec::new();
        while let Some(event) = run.next_event().await {
            events.push(event);
        }
        Self { events, result: run.outcome().await }
    }

    /// Types of the events that a process prints to standard output.
    pub(crate) fn types(&self) -> Vec<&str> {
        let is_line = |event: &&RunEvent| {
            !matches!(event.kind, RunEventKind::TextDelta(_) | RunEventKind::Notice(_))
        };
        self.events.iter().filter(is_line).map(RunEvent::event_type).collect()
    }

    /// Text of all events.
    pub(crate) fn text(&self) -> String {
        self.events.iter().filter_map(RunEvent::text).collect()
    }

    pub(crate) fn deltas(&self) -> usize {
        let is_delta = |event: &&RunEvent| matches!(event.kind, RunEventKind::TextDelta(_));
        self.events.iter().filter(is_delta).count()
    }

    pub(crate) fn report(&self) -> &RunReport {
        match &self.result {
            Ok(report) => report,
            Err(error) => error.report().unwrap_or_else(|| panic!("{error:?}")),
        }
    }

    pub(crate) fn end(&self) -> String {
        let end = &self.report().outcome.end;
        format!("{}: {end}", end.name())
    }
}

/// Facts of an answer, without ids and times.
fn facts(answer: &Answer) -> Vec<String> {
    let mut facts = vec![
        format!("{} of {}", answer.text(), answer.full_text()),
        format!("{} for {}", answer.reasoning(), answer.cost()),
        format!("{:?} {:?}", answer.tokens(), answer.finish()),
    ];
    facts.extend(answer.steps().iter().map(|step| {
        format!("{:?} {} {:?} {:?}", step.role(), step.text(), step.finish(), step.tokens())
    }));
    facts.extend(answer.tools().iter().map(|tool| {
        let (state, call) = (&tool.state, tool.call.as_str());
        format!("{call} {} {} {:?} {:?}", tool.tool, state.status(), state.input(), state.output())
    }));
    facts.extend(answer.errors().iter().map(|error| format!("{}: {}", error.name, error.message)));
    facts
}
