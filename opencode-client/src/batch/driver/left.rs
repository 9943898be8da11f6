//! Work that goes on after the end of jobs, in the driver of a batch.

use std::sync::Arc;

use opencode_proto::{JobNo, SessionId, Spend};

use super::{BatchDriver, TaskDone, retained};
use crate::batch::event::BatchEvent;
use crate::batch::left::{LeftEnd, LeftJob};
use crate::batch::plan::JobState;
use crate::batch::servers::BatchServer;
use crate::runtime::latch::Latch;

impl BatchDriver {
    /// Keeps the session of a job that is about to end.
    pub(super) fn keep_left(&mut self, left: LeftJob) {
        if left.is_at_work() {
            self.begin_left(&left);
        }
        self.ended.insert(left.no, left);
    }

    /// Follows the work of a job that has ended, or waits for such work.
    pub(super) fn follow_left(&mut self, job: JobNo) {
        let Some(left) = self.ended.remove(&job) else { return };
        if self.left.contains_key(&job) {
            return self.work_left(left);
        }
        self.watch_left(left);
    }

    /// The session of a job that has ended works again.
    pub(super) fn handle_watched(&mut self, left: Option<Box<LeftJob>>) {
        let Some(left) = left else { return };
        self.begin_left(&left);
        self.work_left(*left);
    }

    /// Takes the end of work that a job has left.
    pub(super) fn handle_left_end(&mut self, left: LeftJob, end: LeftEnd) {
        let (no, now) = (left.no, self.host.runtime.now());
        let LeftEnd { spend, still_running } = end;
        self.left.remove(&no);
        // The outcome may know more than the events.
        self.batch.handle_left_spend(no, spend, now);
        self.settle(no, spend, still_running);
        self.batch.handle_left_ended(no, now);
        self.watch_left(left);
    }

    /// Reports and records the end of work, unless nothing was done.
    fn settle(&mut self, no: JobNo, spend: Spend, still_running: Vec<SessionId>) {
        let entry = &mut self.jobs[no.0];
        let JobState::Ended(report) = &entry.state else { return };
        if spend == Spend::default() && report.record.still_running == still_running {
            return;
        }
        if let Some(settled) = report.settled(spend, still_running.clone()) {
            let settled = Arc::new(settled);
            entry.state = JobState::Ended(retained(&settled, self.turns));
            self.events.push_back(BatchEvent::JobSettled(settled));
        }
        let Some(results) = self.results.clone() else { return };
        let (runtime, record) = (Arc::clone(&self.host.runtime), entry.record.clone());
        self.spawn(async move {
            let written = results.write_settled(&runtime, &record, spend, still_running);
            TaskDone::Written(written.await)
        });
    }

    fn begin_left(&mut self, left: &LeftJob) {
        self.left.insert(left.no, Arc::default());
        self.batch.handle_left_begun(left.no, left.server);
    }

    fn work_left(&mut self, left: LeftJob) {
        let cancelled = self.left.get(&left.no).map(Arc::clone).unwrap_or_default();
        self.spawn(async move {
            let (left, end) = left.work(cancelled).await;
            TaskDone::Left(Box::new(left), end)
        });
    }

    /// Waits until a plugin prompts the session, as long as the server runs.
    fn watch_left(&mut self, left: LeftJob) {
        let Some(closing) = self.closing(&left) else { return };
        self.spawn(async move { TaskDone::Watched(left.watch(closing).await.map(Box::new)) });
    }

    /// Returns the latch of a server of this batch that jobs can use.
    fn closing(&self, left: &LeftJob) -> Option<Arc<Latch<()>>> {
        match self.work.second().get(&left.server) {
            Some(BatchServer::Ready { closing, .. }) if left.may_be_prompted() => {
                Some(Arc::clone(closing))
            }
            Some(_) | None => None,
        }
    }
}
