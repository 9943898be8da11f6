//! Directories of sessions and runs: under other names, of other sessions, and missing ones.

use std::fs;
use std::os::unix::fs::symlink;

use opencode_tokio::batch::GivenServer;
use opencode_tokio::config::{Credentials, DataHome, Isolation, Resume, RunFlags};
use opencode_tokio::run::{Backend, Notice};
use opencode_tokio::server::{DirectoryError, Server};
use opencode_tokio::{
    AttachError, AttachRequest, BatchRequest, CallError, CreateSession, Job, RunConfig, RunEnd,
    RunError, RunRequest, ServeRequest,
};
use testkit::conformance::real::runs::{RunWorld, bash, object, permit};
use testkit::model::{ModelRequest, Reply, Script};

use crate::on;

/// A server that all tests of a world attach to.
async fn serve(world: &RunWorld) -> Server {
    let request = ServeRequest::new().with_config(world.config()).with_directory(world.project());
    world.opencode.serve(request.with_credentials(Credentials::new("secret"))).await.unwrap()
}

fn attach(server: &Server, directory: &str) -> AttachRequest {
    AttachRequest::new(server.url())
        .with_credentials(Credentials::new("secret"))
        .with_directory(directory)
}

fn reason(source: &std::io::Error) -> &DirectoryError {
    source.get_ref().and_then(|error| error.downcast_ref()).unwrap()
}

/// A script that writes a file into the working directory.
fn writing(name: &str) -> Script {
    let command = format!("echo x > {name}");
    Script::new().then(Reply::new().tool("bash", bash(&command))).then(Reply::new().text("Done."))
}

#[tokio::test]
async fn work_is_done_where_it_was_sent_whatever_the_name() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    let real = world.path("real");
    fs::create_dir_all(real.join("sub")).unwrap();
    symlink(&real, world.path("link")).unwrap();
    let server = serve(&world).await;
    let root = world.root();
    let spelled = |name: &str| format!("{}/{name}", root.display());
    for (number, (name, expected)) in [
        ("real", "real"),
        ("real/", "real"),
        ("link", "real"),
        ("link/sub", "real/sub"),
        ("real/../link/./sub/", "real/sub"),
    ]
    .into_iter()
    .enumerate()
    {
        let attached = world.opencode.attach(attach(&server, &spelled(name))).await.unwrap();
        let session = attached.create_session(CreateSession::new()).await.unwrap();
        assert_eq!(session.directory(), Some(&*spelled(expected)), "{name}");
        let fork = session.fork(None).await.unwrap();
        assert_eq!(fork.directory(), session.directory(), "{name}");

        let file = format!("file-{number}");
        world.model.default_script(writing(&file));
        session.ask("Go.").await.unwrap();
        assert!(root.join(expected).join(&file).exists(), "{name}");
        let file = format!("run-{number}");
        world.model.default_script(writing(&file));
        let run = RunRequest::new("Go.").with_backend(&server).with_directory(spelled(name));
        world.opencode.run(run).await.unwrap();
        assert!(root.join(expected).join(&file).exists(), "{name}");
    }
    world.model.default_script(writing("job"));
    let job = Job::new("Go.").with_directory(spelled("link"));
    let servers = [GivenServer::new(attach(&server, &spelled("real")))];
    let batch = world.opencode.batch(BatchRequest::new([job]).with_servers(servers));
    let report = batch.outcome().await.unwrap();
    assert!(report.jobs[0].error.is_none(), "{:?}", report.jobs[0]);
    assert!(real.join("job").exists());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_the_server_cannot_use_is_refused_at_once() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    fs::create_dir(world.path("My%20Repo")).unwrap();
    fs::create_dir(world.path("My Repo")).unwrap();
    symlink(world.path("My%20Repo"), world.path("link")).unwrap();
    fs::write(world.path("file"), "").unwrap();
    let server = serve(&world).await;
    let root = world.root();
    for (name, expected) in [
        ("none", "does not exist on the machine"),
        ("file", "does not exist on the machine"),
        ("My%20Repo", "decodes `%20`"),
        ("link", "decodes `%20`"),
    ] {
        let path = root.join(name);
        let request = attach(&server, path.to_str().unwrap());
        let source = match world.opencode.attach(request).await {
            Ok(attached) => {
                let error = attached.create_session(CreateSession::new()).await.unwrap_err();
                let CallError::Directory { source, .. } = error else { panic!("{error:?}") };
                source
            }
            Err(error) => {
                let AttachError::Directory { source, .. } = error else { panic!("{error:?}") };
                source
            }
        };
        assert!(reason(&source).to_string().contains(expected), "{name}: {source}");
    }
    let attached = world.opencode.attach(attach(&server, "project")).await.unwrap_err();
    assert!(format!("{attached:?}").contains("project is relative"), "{attached:?}");

    // The directory of a server that was started here.
    let gone = world.path("gone");
    fs::create_dir(&gone).unwrap();
    let request = ServeRequest::new().with_config(world.config()).with_directory(&gone);
    let own = world.opencode.serve(request).await.unwrap();
    fs::remove_dir(&gone).unwrap();
    let error = own.create_session(CreateSession::new()).await.unwrap_err();
    assert!(matches!(error, CallError::Directory { .. }), "{error:?}");
    let run = RunRequest::new("Go.").with_backend(&own);
    let error = world.opencode.run(run).await.unwrap_err();
    assert!(matches!(error, RunError::Directory { .. }), "{error:?}");
    assert!(world.model.requests().is_empty(), "a prompt was sent");
    own.stop().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_is_continued_in_its_directory_only() {
    let _permit = permit();
    let world = RunWorld::new(&on());
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    world.model.default_script(Reply::new().text("Hello."));
    let server = serve(&world).await;
    let run = |resume: Option<Resume>| {
        let flags = resume.into_iter().fold(RunFlags::new(), RunFlags::with_resume);
        let config = RunConfig::new().with_flags(flags);
        RunRequest::new("Go.").with_config(config).with_backend(&server)
    };
    let first = world.opencode.run(run(None)).await.unwrap();
    let id = first.answer().session().unwrap().clone();
    let elsewhere = world.opencode.run(run(None).with_directory(&other)).await.unwrap();

    let sent = world.model.requests().len();
    for resume in [Resume::session(id.as_str()), Resume::session(id.as_str()).forked()] {
        let error = world.opencode.run(run(Some(resume)).with_directory(&other)).await.unwrap_err();
        let Some(RunEnd::Directory(DirectoryError::Session { session, .. })) = error.end() else {
            panic!("{error:?}")
        };
        assert_eq!(session, id.as_str());
    }
    assert_eq!(world.model.requests().len(), sent, "a prompt was sent");
    // Outside repositories, OpenCode lists the sessions of all directories.
    let latest = world.opencode.run(run(Some(Resume::latest()))).await.unwrap();
    assert_eq!(latest.answer().session(), Some(&id));
    let latest = run(Some(Resume::latest())).with_directory(&other);
    let latest = world.opencode.run(latest).await.unwrap();
    assert_eq!(latest.answer().session(), elsewhere.answer().session());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_process_continues_a_session_of_its_directory_only() {
    let world = RunWorld::new(&on());
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    let isolation = Isolation::new().with_data(DataHome::At(world.path("kept")));
    let config = world.config().with_isolation(isolation);
    let run = |resume: Option<Resume>| {
        let flags = resume.into_iter().fold(RunFlags::new(), RunFlags::with_resume);
        world.request_with("Go.", config.clone().with_flags(flags))
    };
    world.model.default_script(Reply::new().text("Hello."));
    let first = world.run(run(None)).await.unwrap();
    let id = first.answer().session().unwrap().clone();
    let elsewhere = world.run(run(None).with_directory(&other)).await.unwrap();

    let sent = world.model.requests().len();
    let resume = run(Some(Resume::session(id.as_str()))).with_directory(&other);
    let error = world.run(resume).await.unwrap_err();
    let Some(RunEnd::Directory(DirectoryError::Session { belongs_to, .. })) = error.end() else {
        panic!("{error:?}")
    };
    assert_eq!(*belongs_to, world.project().to_str().unwrap());
    assert_eq!(world.model.requests().len(), sent, "a prompt was sent");

    let latest = world.run(run(Some(Resume::latest()))).await.unwrap();
    assert_eq!(latest.answer().session(), Some(&id));
    let latest = world.run(run(Some(Resume::latest())).with_directory(&other)).await.unwrap();
    assert_eq!(latest.answer().session(), elsewhere.answer().session());
}

#[tokio::test]
async fn a_session_that_is_continued_keeps_its_agent() {
    let world = RunWorld::new(&on());
    let isolation = Isolation::new().with_data(DataHome::At(world.path("kept")));
    let config = world.config().with_isolation(isolation);
    world.model.default_script(Reply::new().text("Hello."));
    let first = config.clone().with_agent("plan");
    let first = world.run(world.request_with("Go.", first)).await.unwrap();
    let id = first.answer().session().unwrap().clone();
    for backend in [Backend::Process, Backend::NewServer] {
        let flags = RunFlags::new().with_resume(Resume::session(id.as_str()));
        let request = world.request_with("Go on.", config.clone().with_flags(flags));
        world.run(request.with_backend(backend)).await.unwrap();
    }
    // The agent `plan` reminds the model with each prompt that nothing may be changed.
    let reminded = |request: &ModelRequest| {
        let last = request.messages().iter().rfind(|message| message["role"] == "user");
        last.unwrap().to_string().to_lowercase().contains("plan mode")
    };
    let turns = world.turns();
    assert_eq!(turns.iter().map(|turn| reminded(turn)).collect::<Vec<_>>(), [true; 3]);
}

/// OpenCode would prefer the model of the agent to that of the session.
#[tokio::test]
async fn a_session_that_is_continued_keeps_its_model() {
    let world = RunWorld::new(&on());
    let isolation = Isolation::new().with_data(DataHome::At(world.path("kept")));
    let mut overrides = world.model.config();
    let models = &mut overrides["provider"]["scripted"]["models"];
    models["m2"] = models["m1"].clone();
    models["m3"] = models["m1"].clone();
    overrides["agent"]["build"]["model"] = "scripted/m3".into();
    let config = world.config().with_overrides(object(&overrides)).with_isolation(isolation);
    world.model.default_script(Reply::new().text("Hello."));
    let named = |name: &str| config.clone().with_model(name.parse().unwrap());
    let run = async |config: RunConfig, resume: Option<Resume>, backend: Backend| {
        let flags = config.flags().clone();
        let flags = resume.into_iter().fold(flags, RunFlags::with_resume);
        let request = world.request_with("Go.", config.with_flags(flags)).with_backend(backend);
        let report = world.run(request).await.unwrap();
        (report, world.turns().last().unwrap().model().to_owned())
    };
    let (first, model) = run(named("scripted/m2"), None, Backend::Process).await;
    assert_eq!(model, "m2");
    let id = first.answer().session().unwrap().clone();
    let session = || Resume::session(id.as_str());
    for backend in [Backend::Process, Backend::NewServer] {
        // The copy would be the newest session.
        for resume in [session(), Resume::latest(), session().forked()] {
            let (report, model) = run(config.clone(), Some(resume.clone()), backend.clone()).await;
            assert_eq!(model, "m2", "{resume:?} {backend:?}");
            assert_eq!(report.outcome.notices, [], "{resume:?} {backend:?}");
        }
        let other = named("scripted/m1").with_agent("plan");
        let (report, model) = run(other, Some(session().forked()), backend.clone()).await;
        assert_eq!(model, "m1");
        let mut changed = report.outcome.notices.clone();
        changed.sort_by_key(ToString::to_string);
        let expected = [
            Notice::setting_changed("agent", "build", "plan"),
            Notice::setting_changed("model", "scripted/m2", "scripted/m1"),
        ];
        assert_eq!(changed, expected, "{backend:?}");
        // The copies are older than the session from here on.
        let (_, model) = run(config.clone(), Some(session()), backend).await;
        assert_eq!(model, "m2");
    }
}
