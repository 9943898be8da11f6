//! `opencode serve`.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use super::{SIGKILL, Simulated, Stream, moment};
use crate::world::Shared;
use crate::world::core::{Owner, lock};
use crate::world::server::ModelServer;

/// What a process does in its life.
#[derive(Debug)]
enum Fate {
    /// It dies some time after it was ready.
    DiesLate,
    ExitsEarly,
    /// It says nothing, for ever.
    Hangs,
    Works,
}

pub(super) fn start(
    shared: &Arc<Shared>,
    process: &Arc<Simulated>,
    command: &Command,
    arguments: &[String],
) {
    let port = arguments.iter().find_map(|argument| argument.strip_prefix("--port=")?.parse().ok());
    let port: u16 = port.expect("the client names a port");
    let has_password =
        command.get_envs().any(|(name, _)| name.to_str() == Some("OPENCODE_SERVER_PASSWORD"));
    assert!(has_password, "a server of ours has a password");
    let directory = command.get_current_dir().map(|path| path.to_string_lossy().into_owned());
    let server = ModelServer::new(shared, port, &directory.unwrap_or_default()).with_password();
    let sick = shared.core.weather().sick;
    let (fate, swallows, late) = shared.core.random(|random| {
        let fate = match random.happens(sick) {
            false => Fate::Works,
            true => match random.below(5) {
                0 => Fate::Hangs,
                1 | 2 => Fate::ExitsEarly,
                _ => Fate::DiesLate,
            },
        };
        (
            fate,
            if random.happens(sick) { random.range(1, 3) } else { 0 },
            random.milliseconds(10, 90_000),
        )
    });
    shared.core.trace(format_args!("process {}: {fate:?}", process.id));
    lock(&process.state).swallows = u32::try_from(swallows).unwrap_or(0);
    let (shared, process) = (Arc::clone(shared), Arc::clone(process));
    let owner = Owner::Host(process.id);
    let life = {
        let shared = Arc::clone(&shared);
        async move {
            shared.core.sleep(moment(&shared)).await;
            if let Fate::ExitsEarly = fate {
                let (text, code) = shared.core.random(|random| match random.below(3) {
                    0 => ("Error: Unexpected error\nServeError\n", 1),
                    1 => ("database is locked\n", 1),
                    _ => ("", 0),
                });
                process.print(Stream::Stderr, text);
                return process.exit(code);
            }
            if let Fate::Hangs = fate {
                process.print(Stream::Stdout, "opencode server liste");
                return std::future::pending().await;
            }
            if !server.boot(process.id) {
                process.print(Stream::Stderr, "Error: Unexpected error\nServeError\n");
                return process.exit(1);
            }
            {
                let server = server.clone();
                lock(&process.state).at_exit.push(Box::new(move || server.kill()));
            }
            shared.add_server(&server);
            let line = format!("opencode server listening on http://127.0.0.1:{port}\n");
            let cut = shared.core.random(|random| random.index(line.len()));
            process.print(Stream::Stdout, line[..cut].to_owned());
            shared.core.sleep(moment(&shared)).await;
            process.print(Stream::Stdout, line[cut..].to_owned());
            if let Fate::DiesLate = fate {
                shared.core.sleep(late).await;
                let is_killed = shared.core.random(|random| random.happens(500));
                match is_killed {
                    true => process.end(ExitStatus::from_raw(SIGKILL)),
                    false => process.exit(1),
                }
            }
        }
    };
    shared.core.spawn(owner, Box::pin(life));
}
