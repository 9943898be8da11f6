//! The client in worlds that are made from seeds.
//!
//! A seed decides on the servers, users and faults of a [`World`], and on the course of every turn,
//! run and batch. The outcomes that the client reports are compared with the records of the
//! simulated servers, and at the end nothing of the client may be left.
//!
//! In seeds below 3,000,000, servers only answer prompts. From there on, they also compact
//! sessions, run command lines, return structured output, and have rivals and plugins
//! ([`Activity`]).
//!
//! `cargo test -p testkit --test world` plays 2,000 seeds, and the seeds that failed once. The
//! program `soak` plays any range on all cores, and prints failures, seeds per second and counts of
//! the events:
//!
//! ```sh
//! OPENCODE_WORLD_SEEDS=1000000..2000000 cargo run --release -p testkit --example soak
//! ```
//!
//! With a single number, such as `OPENCODE_WORLD_SEEDS=17`, the program prints the trace of a seed
//! that fails, the last 60 lines or the number in `OPENCODE_WORLD_TRACE`.
#![allow(clippy::unwrap_used, reason = "a panic fails the seed")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a check names only the variants that it is about"
)]

mod batch_user;
mod check;
mod plan;
mod run_user;
mod server_user;
mod session_user;
mod soak;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use opencode_client::Server;

use crate::world::{Activity, Inhabitant, Random, Weather, World, WorldServer};
use batch_user::BatchUser;
use check::Ledger;
use plan::{Batching, Outages, Plan};
use run_user::RunUser;
use server_user::ServerUser;

pub use soak::{SoakReport, soak};

/// Result of a seed.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub struct SeedResult {
    /// Hash of everything that happened.
    pub fingerprint: u64,
    /// Number of polls of tasks and moves of the clock.
    pub steps: usize,
    /// Number of occurrences, by kind.
    pub counts: BTreeMap<String, u64>,
}

/// Plays a seed.
///
/// # Errors
///
/// When the client breaks a promise, with the trace before it.
pub fn play(seed: u64) -> Result<SeedResult, Box<FailedSeed>> {
    // Without optimisation, the futures of a whole world need more than a test thread has.
    let thread = thread::Builder::new().stack_size(STACK_SIZE);
    thread::scope(|scope| {
        let player = thread.spawn_scoped(scope, || play_here(seed)).expect("a thread starts");
        player.join().expect("a panic is caught in the thread")
    })
}

/// Bytes.
const STACK_SIZE: usize = 16 << 20;

fn play_here(seed: u64) -> Result<SeedResult, Box<FailedSeed>> {
    let mut random = Random::new(seed);
    let plan = Plan::any(seed, &mut random);
    let world = World::new(random.bits(), plan.weather).with_activity(plan.activity);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut counts = live(&world, &plan);
        world.check_end();
        let occurrences = world.counts().into_iter();
        counts.extend(occurrences.map(|(kind, count)| (kind.to_owned(), count)));
        SeedResult { fingerprint: world.fingerprint(), steps: world.steps(), counts }
    }));
    let trace = if lived.is_err() { world.trace(trace_lines()) } else { String::new() };
    lived.map_err(|panic| {
        let panic = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic
                .downcast::<&str>()
                .map_or_else(|_| "?".to_owned(), |message| (*message).to_owned()),
        };
        Box::new(FailedSeed { seed, panic, plan, trace })
    })
}

/// A seed in which the client broke a promise. The display form contains the trace before the
/// failure, and the plan.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedSeed {
    /// The seed.
    pub seed: u64,
    /// The broken promise.
    pub panic: String,
    plan: Plan,
    trace: String,
}

/// Number of trace lines in the report of a failed seed.
fn trace_lines() -> usize {
    let lines = std::env::var("OPENCODE_WORLD_TRACE").ok().and_then(|lines| lines.parse().ok());
    lines.unwrap_or(60)
}

impl fmt::Display for FailedSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, panic, plan, trace } = self;
        write!(f, "{trace}seed {seed} fails: {panic}\n{plan:?}")
    }
}

fn live(world: &World, plan: &Plan) -> BTreeMap<String, u64> {
    let ledger = Ledger::default();
    let opencode = world.opencode();
    let directory = world.directory();
    let models: Vec<(WorldServer, Outages)> = (4000..)
        .zip(&plan.attached)
        .map(|(port, outages)| (world.server(port, "/src/0"), *outages))
        .collect();
    let user = |port| ServerUser {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        ledger: ledger.clone(),
        weather: plan.weather,
        size: plan.size,
        port,
        directory: directory.clone(),
    };
    let attached =
        models.iter().map(|(model, outages)| (user(model.port()), model.clone(), *outages));
    let attached: Vec<_> = attached.collect();
    let served: Vec<ServerUser> = (5000..).take(plan.served).map(user).collect();
    let runners = (0..plan.runs).map(|number| RunUser {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        ledger: ledger.clone(),
        weather: plan.weather,
        number,
        directory: directory.clone(),
    });
    let runners: Vec<_> = runners.collect();
    let batch_user = (plan.batch != Batching::None).then(|| BatchUser {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        ledger: ledger.clone(),
        weather: plan.weather,
        ports: match plan.batch {
            Batching::Given => models.iter().map(|(model, _)| model.port()).collect(),
            Batching::None | Batching::Started => Vec::new(),
        },
        own_port: 6000,
        directory: directory.clone(),
    });
    let inhabitant = world.inhabitant();
    drop(opencode);
    world.run(async move {
        let mut busy = Vec::new();
        let visits = attached
            .into_iter()
            .map(|(user, model, outages)| inhabitant.spawn(visit(user, model, outages)));
        let visits: Vec<_> = visits.collect();
        for user in served {
            busy.push(inhabitant.spawn(host(user)));
        }
        for run_user in runners {
            busy.push(inhabitant.spawn(run_user.run()));
        }
        if let Some(batch_user) = batch_user {
            busy.push(inhabitant.spawn(batch_user.run()));
        }
        for one in busy {
            one.await;
        }
        let mut visitors = Vec::new();
        for visit in visits {
            visitors.extend(visit.await);
        }
        inhabitant.set_weather(Weather::CALM);
        for (user, server) in visitors {
            user.recover(&server).await;
        }
    });
    world.settle();
    if plan.activity != Activity::NONE {
        // Work for other clients and plugins goes on for a while.
        world.settle_servers();
    }
    for model in world.servers() {
        check::server(&model, &ledger);
        if plan.weather == Weather::CALM && model.is_running() {
            assert_eq!(model.busy(), 0, "the server works for a client that is gone");
            assert_eq!(model.streams(), 0, "the server has a subscriber that is gone");
        }
    }
    ledger.counts()
}

/// Uses a server that is killed and restarted in the meantime.
async fn visit(
    user: ServerUser,
    model: WorldServer,
    outages: Outages,
) -> Option<(ServerUser, Server)> {
    let world = user.world.clone();
    let trouble = world.spawn(trouble(world.clone(), model.clone(), outages));
    let server = user.attach().await;
    if let Some(server) = &server {
        listen(&user, server);
        user.user(server).await;
    }
    trouble.await;
    Some((user, server?))
}

async fn trouble(world: Inhabitant, model: WorldServer, outages: Outages) {
    if outages == Outages::None {
        return;
    }
    for _ in 0..world.random(|random| random.range(1, 3)) {
        let time = world.random(|random| random.milliseconds(0, 40_000));
        world.sleep(time).await;
        model.kill();
        let time = world.random(|random| random.milliseconds(0, 30_000));
        world.sleep(time).await;
        model.restart();
    }
}

/// Reads the events of the server for a while, or not at all.
fn listen(user: &ServerUser, server: &Server) {
    let (is_listening, time, pause) = user.world.random(|random| {
        (random.happens(300), random.milliseconds(0, 100_000), random.milliseconds(0, 3_000))
    });
    if !is_listening {
        return;
    }
    let (world, mut events) = (user.world.clone(), server.events());
    drop(user.world.spawn(async move {
        let reading = async {
            while events.next_event().await.is_some() {
                world.sleep(pause).await;
            }
        };
        world.within(time, reading).await;
    }));
}

/// Starts a server, uses it, and stops or drops it.
async fn host(user: ServerUser) {
    let Some(server) = user.serve().await else { return };
    let world = user.world.clone();
    let id = server.process_id().expect("a started server has a process");
    let (is_stopped_early, time) =
        world.random(|random| (random.happens(200), random.milliseconds(0, 30_000)));
    if is_stopped_early && !user.is_calm() {
        let (watching, stopped) = (world.clone(), server.clone());
        let stopping = world.spawn(async move {
            watching.sleep(time).await;
            stopped.stop().await.expect("stop leaves nothing");
        });
        user.user(&server).await;
        stopping.await;
    } else {
        user.user(&server).await;
    }
    if world.random(|random| random.happens(500)) {
        let report = server.stop().await.expect("stop leaves nothing");
        assert!(report.outcome.is_some(), "a started server has an end");
        user.ledger.count("stopped");
        assert!(!world.is_process_running(id), "process {id} runs after its server was stopped");
    }
    drop(server);
    assert!(!world.is_process_running(id), "process {id} runs after its server was dropped");
}
