//! Speed of reading run mode, beside a lower bound and a naive reader.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memchr::memchr_iter;
use opencode_benches::{Figures, RunMode, ways};

fn run_mode(criterion: &mut Criterion) {
    let workload = RunMode::generate(1, 16 << 20);
    let runs = workload.chunks(64 << 10);
    let lines: Vec<Vec<Bytes>> = runs.iter().map(|run| ways::frame(run).collect()).collect();

    let mut group = criterion.benchmark_group("run_mode");
    group.throughput(Throughput::Bytes(workload.size() as u64)).sample_size(10);
    group.bench_function("reference: search for line ends", |bencher| {
        let count = |chunk: &Bytes| memchr_iter(b'\n', chunk).count();
        bencher.iter(|| runs.iter().flatten().map(count).sum::<usize>());
    });
    group.bench_function("frame", |bencher| {
        bencher.iter(|| {
            runs.iter().flat_map(|run| ways::frame(run)).map(|line| line.len()).sum::<usize>()
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            ways::decode(lines.iter().flatten().cloned()).for_each(|event| drop(black_box(event)))
        });
    });
    group.bench_function("aggregate", |bencher| {
        bencher.iter(|| runs.iter().for_each(|run| drop(black_box(ways::aggregate(run)))));
    });
    group.bench_function("drive", |bencher| {
        bencher.iter(|| runs.iter().for_each(|run| drop(black_box(ways::drive(run)))));
    });
    group.bench_function("reference: a tree for every line", |bencher| {
        bencher.iter(|| {
            let mut figures = Figures::default();
            workload.runs.iter().for_each(|run| figures += ways::values(run));
            figures
        });
    });
    group.finish();
}

criterion_group!(benches, run_mode);
criterion_main!(benches);
