//! The server of a client process that is killed.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use super::fake_program::{answering, stubborn};
use crate::conformance::program::{self, ClientRole};
use crate::conformance::world::{ProgramWorld, send};
use crate::conformance::{Host, LONG};
use crate::processes::eventually;

pub(crate) async fn a_killed_client_leaves_no_server(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let mut program = program::start(&world, ClientRole::Serve);
    assert_eq!(program.wait_for("event"), "serving");
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));

    send("KILL", &program.id().to_string());
    assert_eq!(program.wait().signal(), Some(9));
    eventually(LONG, || {
        let left = (world.processes(), world.private_dirs(), world.guardians());
        if left.0.is_empty() && left.1.is_empty() && left.2.is_empty() { Ok(()) } else { Err(left) }
    });
    assert!(fs::read_dir(world.path("temp")).unwrap().next().is_none());
}
