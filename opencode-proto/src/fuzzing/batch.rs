//! A batch whose servers and jobs do anything, in any order.

mod driver;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::batch::{
    BatchJob, BatchSettings, Budget, Fleet, GroupNo, JobNo, JobRetry, JobStop, OverBudget,
    RetryScope, ServerNo,
};
use crate::part::{Spend, Tokens};

use driver::BatchDriver;

/// Whatever happens in whatever order, every job ends once, no limit is passed, nothing waits that
/// could begin, and the batch comes to an end.
///
/// `data` is the limits and the budget (four bytes), the number of jobs, a byte for each job,
/// then the steps, two bytes each.
pub fn batch_machine(data: &[u8], now: Instant) {
    let [hands, room, shape, budget, jobs, rest @ ..] = data else { return };
    let (jobs, steps) = rest.split_at(rest.len().min(usize::from(*jobs) % 16));
    let settings = BatchSettings {
        concurrency: some(hands % 5),
        server_jobs_max: some(room % 4),
        servers_max: some(room / 4 % 4),
        server_memory_max: (shape & 0x10 != 0).then_some(100),
        seed: u64::from(*shape),
        budget: self::budget(*budget),
        ..BatchSettings::default()
    };
    let fleet = if shape & 1 == 0 {
        Fleet::Started
    } else {
        Fleet::Given((0..shape / 2 % 4).map(|no| some(room >> (no * 2) & 3)).collect())
    };
    let jobs = jobs.iter().map(|job| self::job(*job)).collect();
    let mut driver = BatchDriver::new(settings, fleet, jobs, now);
    for step in steps.chunks_exact(2) {
        happen(&mut driver, step[0], step[1]);
    }
    driver.end();
}

fn some(number: u8) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(number.into())
}

fn budget(bits: u8) -> Budget {
    let over = if bits & 1 == 0 { OverBudget::StopStarting } else { OverBudget::Abort };
    match bits / 2 % 4 {
        0 | 1 => Budget::NONE,
        2 => Budget::cost(f64::from(bits / 8) / 8.0).with_over(over),
        _ => Budget::tokens(u64::from(bits / 8)).with_over(over),
    }
}

fn job(bits: u8) -> BatchJob {
    let retry = match bits / 4 % 4 {
        0 => JobRetry::NONE,
        1 | 2 => JobRetry::default(),
        _ => JobRetry::default().with_again(RetryScope::Accepted),
    };
    match bits {
        0xf0.. => BatchJob::ended(),
        _ => BatchJob::new(GroupNo(usize::from(bits % 3)), retry),
    }
}

fn happen(driver: &mut BatchDriver, what: u8, how: u8) {
    let some_server = ServerNo(usize::from(how / 4 % 8));
    let some_job = JobNo(usize::from(how % 16));
    match what % 16 {
        0 | 1 => {
            if let Some(server) = one_of(driver.starting.iter(), how) {
                driver.ready(server);
            }
        }
        2 => {
            if let Some(server) = one_of(driver.starting.iter(), how) {
                let gone = match how {
                    0xf0.. => driver::Gone::Refused,
                    _ => driver::Gone::Failed,
                };
                driver.gone(server, gone);
            }
        }
        3 | 4 => {
            if let Some(server) = one_of(driver.stopping.iter(), how) {
                driver.gone(server, driver::Gone::Stopped);
            }
        }
        5 | 6 => {
            if let Some(job) = one_of(driver.running.keys(), how / 4) {
                let stop = [JobStop::Done, JobStop::Failed, JobStop::NotAccepted, JobStop::Broken];
                driver.job_ended(job, stop[usize::from(how % 4)]);
            }
        }
        7 => driver.spent(some_job, spend(how / 16)),
        8 => driver.pass(Duration::from_millis(u64::from(how) * 20)),
        9 => driver.wake(),
        10 => driver.lost(some_server),
        11 => driver.memory(some_server, if how & 1 == 0 { 50 } else { 150 }),
        // Things that make no sense, or come too late.
        12 if how & 3 == 0 => driver.ready(some_server),
        12 if how & 3 == 1 => driver.gone(some_server, driver::Gone::Failed),
        12 if how & 3 == 2 => driver.gone(some_server, driver::Gone::Stopped),
        12 => driver.job_ended(some_job, JobStop::Done),
        13 => driver.left_begun(some_job, some_server),
        14 if how & 0x40 == 0 => driver.left_spent(some_job, spend(how / 16)),
        14 => driver.left_ended(some_job),
        _ if how.is_multiple_of(16) => driver.cancel(),
        _ if how % 16 == 1 => driver.halt(),
        _ => driver.pass(Duration::ZERO),
    }
}

fn one_of<'a, T: Copy + 'a>(all: impl ExactSizeIterator<Item = &'a T>, how: u8) -> Option<T> {
    let count = all.len();
    let mut all = all;
    if count == 0 { None } else { all.nth(usize::from(how) % count).copied() }
}

fn spend(how: u8) -> Spend {
    Spend::new(Tokens { total: how.into(), ..Tokens::default() }, f64::from(how) / 8.0)
}
