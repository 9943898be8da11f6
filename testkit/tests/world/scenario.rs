//! One world from its beginning to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opencode_client::{OpenCode, Server};
use testkit::world::{Inhabitant, Random, Weather, World, WorldServer};

use crate::batch_user::BatchUser;
use crate::check::{self, Ledger};
use crate::plan::{Batching, Outages, Plan};
use crate::run_user::RunUser;
use crate::server_user::ServerUser;

/// Result of a seed.
#[derive(Debug, PartialEq)]
pub(crate) struct SeedResult {
    pub(crate) fingerprint: u64,
    pub(crate) steps: usize,
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Plays a seed. A broken promise is an error with the trace before it.
pub(crate) fn play(seed: u64) -> Result<SeedResult, Box<FailedSeed>> {
    let mut random = Random::new(seed);
    let plan = Plan::any(&mut random);
    let world = World::new(random.bits(), plan.weather);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let counts = live(&world, &plan);
        world.check_end();
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

/// A seed that broke a promise, with its plan and trace.
pub(crate) struct FailedSeed {
    pub(crate) seed: u64,
    pub(crate) panic: String,
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
            while events.next().await.is_some() {
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

/// A client whose directory for temporary files cannot be created.
pub(crate) fn nowhere(world: &World) -> OpenCode {
    world.opencode_in(std::path::Path::new("/dev/null/nowhere"))
}
