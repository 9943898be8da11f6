//! One world from its beginning to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opencode_client::{OpenCode, Server};
use testkit::world::{Inhabitant, ModelServer, Random, Weather, World};

use crate::batcher::Batcher;
use crate::check::{self, Book};
use crate::guest::Guest;
use crate::plan::{Batching, Outages, Plan};
use crate::runner::Runner;

/// What a seed came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Played {
    pub(crate) fingerprint: u64,
    pub(crate) steps: usize,
    pub(crate) counts: BTreeMap<String, u64>,
}

/// Plays a seed. What is not as it should be is an error, with what happened before.
pub(crate) fn play(seed: u64) -> Result<Played, Box<Broken>> {
    let mut random = Random::new(seed);
    let plan = Plan::any(&mut random);
    let world = World::new(random.bits(), plan.weather);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let counts = live(&world, &plan);
        world.check_end();
        Played { fingerprint: world.fingerprint(), steps: world.steps(), counts }
    }));
    let trace = if lived.is_err() { world.trace(trace_lines()) } else { String::new() };
    lived.map_err(|panic| {
        let panic = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic
                .downcast::<&str>()
                .map_or_else(|_| "?".to_owned(), |message| (*message).to_owned()),
        };
        Box::new(Broken { seed, panic, plan, trace })
    })
}

/// A seed that broke a promise.
pub(crate) struct Broken {
    pub(crate) seed: u64,
    pub(crate) panic: String,
    plan: Plan,
    trace: String,
}

/// How much of what happened is told of a seed that fails.
fn trace_lines() -> usize {
    let lines = std::env::var("OPENCODE_WORLD_TRACE").ok().and_then(|lines| lines.parse().ok());
    lines.unwrap_or(60)
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, panic, plan, trace } = self;
        write!(f, "{trace}seed {seed} fails: {panic}\n{plan:?}")
    }
}

fn live(world: &World, plan: &Plan) -> BTreeMap<String, u64> {
    let book = Book::default();
    let opencode = world.opencode();
    let directory = world.directory();
    let models: Vec<(ModelServer, Outages)> = (4000..)
        .zip(&plan.attached)
        .map(|(port, outages)| (world.server(port, "/src/0"), *outages))
        .collect();
    let guest = |port| Guest {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        book: book.clone(),
        weather: plan.weather,
        size: plan.size,
        port,
        directory: directory.clone(),
    };
    let attached =
        models.iter().map(|(model, outages)| (guest(model.port()), model.clone(), *outages));
    let attached: Vec<_> = attached.collect();
    let served: Vec<Guest> = (5000..).take(plan.served).map(guest).collect();
    let runners = (0..plan.runs).map(|number| Runner {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        book: book.clone(),
        weather: plan.weather,
        number,
        directory: directory.clone(),
    });
    let runners: Vec<_> = runners.collect();
    let batcher = (plan.batch != Batching::None).then(|| Batcher {
        world: world.inhabitant(),
        opencode: opencode.clone(),
        book: book.clone(),
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
            .map(|(guest, model, outages)| inhabitant.spawn(visit(guest, model, outages)));
        let visits: Vec<_> = visits.collect();
        for guest in served {
            busy.push(inhabitant.spawn(host(guest)));
        }
        for runner in runners {
            busy.push(inhabitant.spawn(runner.run()));
        }
        if let Some(batcher) = batcher {
            busy.push(inhabitant.spawn(batcher.run()));
        }
        for one in busy {
            one.await;
        }
        let mut visitors = Vec::new();
        for visit in visits {
            visitors.extend(visit.await);
        }
        inhabitant.set_weather(Weather::CALM);
        for (guest, server) in visitors {
            guest.recover(&server).await;
        }
    });
    world.settle();
    for model in world.servers() {
        check::server(&model, &book);
        if plan.weather == Weather::CALM && model.is_running() {
            assert_eq!(model.busy(), 0, "the server still works for nobody");
            assert_eq!(model.streams(), 0, "the server still tells somebody");
        }
    }
    book.counts()
}

/// Uses a server that is killed and started again meanwhile.
async fn visit(guest: Guest, model: ModelServer, outages: Outages) -> Option<(Guest, Server)> {
    let world = guest.world.clone();
    let trouble = world.spawn(trouble(world.clone(), model.clone(), outages));
    let server = guest.attach().await;
    if let Some(server) = &server {
        listen(&guest, server);
        guest.talk(server).await;
    }
    trouble.await;
    Some((guest, server?))
}

async fn trouble(world: Inhabitant, model: ModelServer, outages: Outages) {
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

/// Somebody reads what the server tells, for a while, or not at all.
fn listen(guest: &Guest, server: &Server) {
    let (is_listening, time, pause) = guest.world.random(|random| {
        (random.happens(300), random.milliseconds(0, 100_000), random.milliseconds(0, 3_000))
    });
    if !is_listening {
        return;
    }
    let (world, mut events) = (guest.world.clone(), server.events());
    drop(guest.world.spawn(async move {
        let reading = async {
            while events.next().await.is_some() {
                world.sleep(pause).await;
            }
        };
        world.within(time, reading).await;
    }));
}

/// Starts a server, uses it, and ends it in one way or another.
async fn host(guest: Guest) {
    let Some(server) = guest.serve().await else { return };
    let world = guest.world.clone();
    let id = server.process_id().expect("its own");
    let (is_stopped_early, time) =
        world.random(|random| (random.happens(200), random.milliseconds(0, 30_000)));
    if is_stopped_early && !guest.is_calm() {
        let (watching, stopped) = (world.clone(), server.clone());
        let stopping = world.spawn(async move {
            watching.sleep(time).await;
            stopped.stop().await.expect("it leaves nothing");
        });
        guest.talk(&server).await;
        stopping.await;
    } else {
        guest.talk(&server).await;
    }
    if world.random(|random| random.happens(500)) {
        let report = server.stop().await.expect("it leaves nothing");
        assert!(report.outcome.is_some(), "a server of ours has an end");
        guest.book.count("stopped");
        assert!(!world.is_process_running(id), "process {id} runs although it was stopped");
    }
    drop(server);
    assert!(!world.is_process_running(id), "process {id} runs although nobody has it");
}

/// A client whose temporary files cannot be anywhere.
pub(crate) fn nowhere(world: &World) -> OpenCode {
    world.opencode_in(std::path::Path::new("/dev/null/nowhere"))
}
