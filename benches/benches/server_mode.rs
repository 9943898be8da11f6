//! Cost of a turn: the machines alone, and the whole client against a fake server on loopback.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opencode_benches::{TurnWorkload, drive_turn, turn_by_values};
use opencode_tokio::{AttachRequest, CreateSession, Session};
use rustix::time::{ClockId, clock_gettime};
use testkit::server::{FakeServer, ServerScript, turn_events};
use tokio::runtime::Runtime;

fn machines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn: machines");
    for (name, workload) in workloads() {
        let chunks = workload.chunks(64 << 10);
        let (text, outcome) = drive_turn(&workload, &chunks);
        assert!(text == workload.text && outcome.text() == workload.text);
        assert!(turn_by_values(&chunks) == workload.text);
        group.throughput(Throughput::Bytes(workload.stream.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| (), |()| drive_turn(&workload, &chunks), BatchSize::LargeInput);
        });
        group.bench_function(format!("{name}, reference: a tree for every event"), |bencher| {
            bencher.iter(|| turn_by_values(&chunks));
        });
    }
    group.finish();
}

/// Processor time of the thread that runs the client: this library, hyper, tokio and system calls.
fn client(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn: whole client, processor time");
    group.sample_size(20);
    for (name, workload) in workloads() {
        let world = BenchWorld::new(workload.text);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|turns| (0..turns).map(|_| world.turn().processor_time).sum());
        });
    }
    group.finish();

    let world = BenchWorld::new("Done.".to_owned());
    let mut group = criterion.benchmark_group("turn: from idle to the outcome");
    group.sample_size(20);
    group.bench_function("trivial", |bencher| {
        bencher.iter_custom(|turns| (0..turns).map(|_| world.turn().after_end).sum());
    });
    group.finish();
}

fn workloads() -> [(&'static str, TurnWorkload); 2] {
    [("trivial", TurnWorkload::trivial()), ("1 MiB in 16,384 deltas", TurnWorkload::long())]
}

/// A fake server that gives the same answer in every turn, and a client.
struct BenchWorld {
    runtime: Runtime,
    session: Session,
    /// Times at which the final event of a turn was handed over.
    ends: mpsc::Receiver<Instant>,
    text: String,
}

struct Cost {
    processor_time: Duration,
    after_end: Duration,
}

impl BenchWorld {
    fn new(text: String) -> Self {
        let server = Arc::new(FakeServer::start(ServerScript::new()).expect("a free port"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let session = runtime.block_on(async {
            let server = opencode_tokio::opencode().attach(AttachRequest::new(server.url())).await;
            let server = server.expect("the server answers");
            server.create_session(CreateSession::new()).await.expect("the server answers")
        });
        let (sender, ends) = mpsc::channel();
        let (id, answer) = (session.id().to_string(), text.clone());
        thread::spawn(move || play(&server, &id, &answer, &sender));
        Self { runtime, session, ends, text }
    }

    fn turn(&self) -> Cost {
        let before = processor_time();
        let outcome = self.runtime.block_on(self.session.send("Go.").outcome());
        let (processor_time, ended) = (processor_time() - before, Instant::now());
        assert!(outcome.expect("the turn completes").text() == self.text);
        let end = self.ends.recv().expect("the server plays");
        Cost { processor_time, after_end: ended.saturating_duration_since(end) }
    }
}

/// Answers every prompt, until the receiver is gone.
fn play(server: &FakeServer, session: &str, text: &str, ends: &mpsc::Sender<Instant>) {
    for turn in 1.. {
        let prompts = server.wait_for_requests("POST", "/session/{id}/prompt_async", turn);
        let prompt = prompts.last().expect("at least one prompt").json();
        let message = prompt["messageID"].as_str().expect("a prompt has a message id");
        let events = turn_events(session, message, text);
        // Events after the idle status do not belong to the turn.
        let idle = events.iter().position(|event| event.contains(r#"{"type":"idle"}"#));
        let (before, after) = events.split_at(idle.expect("a turn ends"));
        before.iter().for_each(|event| server.send_event(event));
        let now = Instant::now();
        after.iter().for_each(|event| server.send_event(event));
        if ends.send(now).is_err() {
            return;
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is positive");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("less than a second"))
}

criterion_group!(benches, machines, client);
criterion_main!(benches);
