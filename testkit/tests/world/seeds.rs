//! The seeds that are played.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use opencode_client::{RunError, RunRequest, ServeError, ServeRequest};
use testkit::scenario::{SeedResult, play, soak};
use testkit::world::{AgentScript, Weather, World};

/// Seeds that failed once, by fault:
///
/// - a refused turn took over the answer to the next prompt;
/// - a look did not find an answer to two prompts;
/// - a look older than an ask forgot the ask;
/// - a prompt was posted while an abort was in flight;
/// - a batch gave a server up after one refused connection (106, 415);
/// - a batch repeated a job whose prompt was still in flight (1683), or whose session was deleted
///   right after the prompt (11735, 13028, 13333);
/// - jobs of a server that was given up were reported as aborted by another client (9554, 32306,
///   44043, 74215, 78626);
/// - an error of the previous turn counted for this one (5749);
/// - a rejection with a message for the model was taken for the end (10152, 11297), or for the end
///   of a subagent (54467, 143545);
/// - a look from before a gap was taken for one from after the gap (22445, 29672);
/// - a prompt arrived between two requests of a look (103727);
/// - an abort was lost, and an ask of the aborted turn held the next prompt up (301542);
/// - a prompt was posted before the abort that followed a dropped turn (2016098, 2017571);
/// - the second abort of a turn was never sent, and held all later prompts back (2025752, 2072019);
/// - a summary without an answer counted as the answer (3000025), the repeated prompt of a
///   compaction was another client's (3006477), or the compaction was the next prompt's (3020505);
/// - messages were sorted by one that was read alone (3000472, 3002914);
/// - an overflow that OpenCode recovered from was the error of the turn (3000071, 3000195);
/// - a prompt that was given up got the answer to the next one (3001249);
/// - an aborted command line was completed (3000407), one that was lost was waited for (3016015),
///   and the answer after one was that of both (3005334);
/// - a command line arrived after the abort of its turn, and ran on (3048156);
/// - an abort that only an error reported was the agent's error (3070549);
/// - a cancelled prompt arrived during a look, and was left at work (4020284);
/// - a cancelled prompt arrived after the abort, and was left at work (4100180, 4100618);
/// - an error of another answer was that of a prompt that never arrived (4211208, 4230619);
/// - prompts that one answer covers were confused with messages that OpenCode inserts (3030236,
///   3030495, 3031269), and a disposal that was read late was another client's abort (4240302);
/// - the work for a session that was deleted in a gap, or before the turn was followed, went on
///   (5010774);
/// - a followed turn that was cancelled before it was found was left at work (5000464, 5000544,
///   5013906), as was one that was dropped then (5071084), or waited too short for a retry (5004515);
/// - of three prompts with one answer, one was forgotten (3030181), a summary after an abort replaced
///   the answer (4240200), and the end of a subagent was missed (3030769);
/// - a prompt after a refused summary was the repeated one (4244496), and one that came during an
///   abort got the answer (4244718);
/// - the end of an aborted turn ended the next one (2338970, 3129918), or was not waited for
///   (2374201);
/// - a prompt that waited for one that failed was torn (2330668, 2278244, 2300195, 5001781);
/// - prompts were answered together that were not (2333753, 2349507, 2275322, 2306229, 3119557,
///   4244150, 5001861, 5004348, 5004442, 3133132, 3123279);
/// - a failed attempt that was reported late made later text void (2270826, 2277755);
/// - errors, refusals and the end of a later prompt were those of the turn (2250377, 2260342,
///   5002096, 5002602, 2278047, 2225078, 3132113), or the other way round (2387528, 3132638);
/// - a prompt after an abort hid that the directory was closed (3108649, 4287088);
/// - a session that was followed anew got the failures of its stream from before (2313501, 4280052);
/// - a followed turn that waits for a retry was taken for a silent one (5054997);
/// - a summary that was asked for before the prompt replaced the answer unnoticed (4292955, 5056046,
///   5057159).
const FAILED: &[u64] = &[
    106, 415, 726, 1683, 2101, 3171, 5749, 9554, 10_117, 10_152, 10_235, 10_288, 11_297, 11_735,
    13_028, 13_333, 22_445, 29_672, 32_306, 44_043, 54_467, 74_215, 78_626, 103_727, 143_545,
    301_542, 2_016_098, 2_017_571, 2_025_752, 2_072_019, 3_000_025, 3_000_071, 3_000_195,
    3_000_407, 3_000_472, 3_001_249, 3_002_914, 3_005_334, 3_006_477, 3_016_015, 3_020_505,
    3_048_156, 3_070_549, 4_020_284, 4_100_180, 4_100_618, 4_211_208, 4_230_619, 3_030_236,
    3_030_495, 3_031_269, 4_240_302, 5_000_464, 5_000_544, 5_004_515, 5_010_774, 5_013_906,
    3_030_181, 4_240_200, 3_030_769, 4_244_496, 4_244_718, 2_202_166, 2_202_972, 2_230_039,
    4_244_572, 4_248_195, 5_005_920, 5_009_217, 5_000_207, 5_000_492, 2_204_542, 4_245_534,
    2_338_970, 3_129_918, 2_374_201, 2_330_668, 2_278_244, 2_300_195, 5_001_781, 2_333_753,
    2_349_507, 2_275_322, 2_306_229, 3_119_557, 4_244_150, 5_001_861, 5_004_348, 5_004_442,
    3_133_132, 3_123_279, 2_270_826, 2_277_755, 2_250_377, 2_260_342, 5_002_096, 5_002_602,
    2_278_047, 2_225_078, 3_132_113, 2_387_528, 3_132_638, 3_108_649, 4_287_088, 2_313_501,
    4_280_052, 5_054_997, 3_123_423, 4_241_729, 5_000_317, 5_005_292, 4_287_011, 5_000_694,
    3_030_123, 4_292_955, 5_056_046, 5_057_159, 4_294_687, 4_295_889, 5_061_819, 5_064_039,
    5_069_359, 4_299_941, 5_073_484, 5_071_084,
];

/// Seeds that every test run plays: servers that answer prompts, servers that do more, and users
/// who follow turns.
const SEEDS: [Range<u64>; 3] = [0..1_000, 3_030_000..3_031_000, 5_000_500..5_000_800];

#[test]
fn seeds_that_failed_once_pass() {
    for seed in FAILED {
        check(*seed);
    }
}

#[test]
fn seeds_of_every_kind_pass() {
    for seeds in SEEDS {
        let report = soak(seeds.clone(), |_| {});
        let failed: Vec<_> =
            report.failures.iter().map(|(seed, panic)| format!("{seed}: {panic}\n")).collect();
        assert!(failed.is_empty(), "of {seeds:?}, these seeds fail:\n{}", failed.concat());
        println!("{seeds:?}: {:#?}", report.counts);
    }
    let peak = peak_memory();
    assert!(peak < MEMORY_MAX, "all worlds together took {peak} bytes");
}

#[test]
fn the_same_seed_plays_the_same_world() {
    let played: Vec<_> = (0..20).map(check).collect();
    let again: Vec<_> = (0..20).map(check).collect();
    assert_eq!(played, again);
    let fingerprints = played.iter().map(|played| played.fingerprint);
    assert_eq!(fingerprints.collect::<BTreeSet<_>>().len(), 20);
}

/// Lines of a run over a server, with the ids and times in them, and the ids of the prompts.
fn transcript(seed: u64) -> Vec<String> {
    let world = World::new(seed, Weather::CALM);
    let model = world.server(4096, "/src");
    model.script("Go.", AgentScript::text(["Good ", "morning."]));
    let opencode = world.opencode();
    let mut transcript = world.run(async move {
        let server = opencode.attach("http://127.0.0.1:4096").await.unwrap();
        let mut run = opencode.stream(RunRequest::new("Go.").with_backend(&server));
        let mut lines = Vec::new();
        while let Some(event) = run.next_event().await {
            lines.push(String::from_utf8(event.to_json_line().to_vec()).unwrap());
        }
        run.outcome().await.unwrap();
        lines
    });
    assert!(transcript.len() > 3, "{transcript:?}");
    assert!(transcript[0].contains("\"timestamp\":17952"), "{}", transcript[0]);
    let prompts: Vec<_> = model.prompts().into_iter().map(|(message, _)| message).collect();
    assert!(prompts.len() == 1 && prompts[0].starts_with("msg_"), "{prompts:?}");
    transcript.extend(prompts);
    world.end();
    transcript
}

#[test]
fn one_seed_gives_the_same_ids_and_times() {
    let transcripts: Vec<_> = (0..10).map(transcript).collect();
    let again: Vec<_> = (0..10).map(transcript).collect();
    assert_eq!(transcripts, again);
    let ids: BTreeSet<_> = transcripts.iter().filter_map(|lines| lines.last()).collect();
    assert_eq!(ids.len(), 10, "each seed has ids of its own");
    println!("{} lines with ids and times, twice the same", transcripts.concat().len());
}

#[test]
fn temporary_files_without_a_directory_are_an_error() {
    let world = World::new(1, Weather::CALM);
    let opencode = world.opencode_in(Path::new("/dev/null/nowhere"));
    let directory = world.directory();
    world.run(async move {
        let run = opencode.run(RunRequest::new("Go.").with_directory(&directory)).await;
        assert!(matches!(run, Err(RunError::PrivateDir(_))), "{run:?}");
        let request = ServeRequest::new().with_port(4096).with_directory(&directory);
        let served = opencode.serve(request).await;
        assert!(matches!(served, Err(ServeError::PrivateDir(_))), "{served:?}");
    });
    world.end();
}

fn check(seed: u64) -> SeedResult {
    play(seed).unwrap_or_else(|broken| panic!("{broken}"))
}

/// Limit on the memory of the process. One world takes some megabytes, so that leaks of thousands
/// of worlds, or one that grows without bound, exceed this.
const MEMORY_MAX: u64 = 192 << 20;

/// Peak memory of this process in bytes, or 0 on systems without `/proc`.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
