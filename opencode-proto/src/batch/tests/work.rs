//! Work of an input, counted.

use super::*;

/// Runs a batch to its end. Returns the largest number of steps of one input, and the sum.
fn steps_of(
    groups: &[usize],
    mut answer: impl FnMut(&mut Batch, ServerNo, Instant),
) -> (usize, usize) {
    let now = Instant::now();
    let mut batch = Batch::new(settings(4), Fleet::Started, jobs(groups), now);
    let start = batch.steps.count();
    let (mut largest, mut before) = (0, start);
    loop {
        match batch.poll_action() {
            BatchAction::Finished => break,
            BatchAction::StartJob { job, .. } => {
                batch.handle_job_ended(job, JobStop::Done, now);
            }
            BatchAction::StartServer { server, .. } => answer(&mut batch, server, now),
            BatchAction::StopServer(server) => batch.handle_server_stopped(server, now),
            BatchAction::Wait(wake) => panic!("stuck until {wake:?}"),
            _ => {}
        }
        largest = largest.max(batch.steps.count() - before);
        before = batch.steps.count();
    }
    (largest, batch.steps.count() - start)
}

#[test]
fn the_work_of_an_input_does_not_grow_with_the_jobs_that_wait() {
    let ready = |batch: &mut Batch, server, now| batch.handle_server_ready(server, now);
    let refused = |batch: &mut Batch, server, now| batch.handle_server_refused(server, now);
    type Groups = fn(usize) -> Vec<usize>;
    let shapes: [Groups; 3] = [
        |jobs| (0..jobs).collect(),
        |jobs| vec![0; jobs],
        |jobs| (0..jobs).map(|job| job % 10).collect(),
    ];
    for groups in shapes {
        let (few, _) = steps_of(&groups(100), ready);
        let (many, sum) = steps_of(&groups(3000), ready);
        assert!(many <= few && many < 200, "{many} steps of one input, {few} with fewer jobs");
        assert!(sum < 3000 * 200, "{sum} steps");
        let (_, sum) = steps_of(&groups(3000), refused);
        assert!(sum < 3000 * 200, "{sum} steps without servers");
    }
}
