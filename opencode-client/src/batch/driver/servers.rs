//! Servers of the driver of a batch.

use std::mem;
use std::sync::Arc;

use opencode_proto::{GroupNo, JobNo, ServerNo};

use super::{BatchDriver, TaskDone};
use crate::batch::event::BatchEvent;
use crate::batch::plan::JobState;
use crate::batch::request::BatchServers;
use crate::batch::servers::{self, BatchServer, ServerDone, ServerOutlook, ServerSource};
use crate::runtime::latch::Latch;

impl BatchDriver {
    /// Asks the given server of a job whether it works, so that the slots of a dead server do not
    /// wait for the last attempt to reconnect. A started server is watched.
    pub(super) fn probe(&mut self, job: JobNo) {
        let JobState::Running(no, _) = &self.jobs[job.0].state else { return };
        let no = *no;
        let Some(BatchServer::Ready { server, fault, .. }) = self.work.second().get(&no) else {
            return;
        };
        if server.process_id().is_none() && fault.value().is_none() && self.probed.insert(no) {
            let probe = servers::probe(no, server.clone(), Arc::clone(fault));
            self.spawn(async { TaskDone::Server(probe.await) });
        }
    }

    pub(super) fn start_server(&mut self, no: ServerNo, group: Option<GroupNo>) {
        let source = match (&self.source, group) {
            (BatchServers::Given(servers), _) => {
                ServerSource::Attach(Box::new(servers[no.0].attach.clone()))
            }
            (BatchServers::Started(base), Some(group)) => {
                ServerSource::Serve(Box::new(self.groups.serve_request(group, base)))
            }
            (BatchServers::Started(_), None) => unreachable!("servers are started for a group"),
        };
        let dismissed = Arc::new(Latch::default());
        let starting = BatchServer::Starting(Arc::clone(&dismissed));
        self.work.second_mut().insert(no, starting);
        let begin =
            servers::begin(Arc::clone(&self.host), no, source, dismissed, self.feed.clone());
        self.spawn(async { TaskDone::Server(begin.await) });
        self.events.push_back(BatchEvent::ServerStarting(no));
    }

    pub(super) fn stop_server(&mut self, no: ServerNo) {
        let Some(slot) = self.work.second_mut().get_mut(&no) else { return };
        match mem::replace(slot, BatchServer::Stopping) {
            BatchServer::Ready { server, closing, .. } => {
                closing.set(());
                self.spawn(async move { TaskDone::Server(servers::stop(no, server).await) });
            }
            BatchServer::Starting(dismissed) => dismissed.set(()),
            BatchServer::Stopping => {}
        }
    }

    pub(super) fn handle_server(&mut self, done: ServerDone) {
        let now = self.host.runtime.now();
        match done {
            ServerDone::Ready(no, server) => {
                if server.process_id().is_some() {
                    let watch = servers::watch(no, server.inner.exit());
                    self.spawn(async { TaskDone::Server(watch.await) });
                }
                let url = server.url();
                match self.work.second_mut().get_mut(&no) {
                    Some(slot @ BatchServer::Starting(_)) => {
                        let (fault, closing) = (Arc::default(), Arc::default());
                        *slot = BatchServer::Ready { server, fault, closing };
                        self.events.push_back(BatchEvent::ServerReady { server: no, url });
                        self.batch.handle_server_ready(no, now);
                    }
                    // The server was ready before it was dismissed.
                    Some(BatchServer::Ready { .. } | BatchServer::Stopping) | None => {
                        let stop = servers::stop(no, server);
                        self.spawn(async { TaskDone::Server(stop.await) });
                    }
                }
            }
            ServerDone::Failed(no, fault) => {
                self.report_server_fault(no, fault.reason);
                self.work.second_mut().remove(&no);
                match fault.outlook {
                    ServerOutlook::Permanent => self.batch.handle_server_refused(no, now),
                    ServerOutlook::Temporary => self.batch.handle_server_failed(no, now),
                }
            }
            ServerDone::Exited(no, reason) => {
                if let Some(BatchServer::Ready { .. }) = self.work.second().get(&no) {
                    self.fail_server(no, reason);
                    self.batch.handle_server_lost(no, now);
                }
            }
            ServerDone::Probed(no, fault, reason) => {
                self.probed.remove(&no);
                let Some(reason) = reason else { return };
                // A server of the same number may have taken the place meanwhile.
                let is_current = matches!(
                    self.work.second().get(&no),
                    Some(BatchServer::Ready { fault: current, .. }) if Arc::ptr_eq(current, &fault)
                );
                if is_current {
                    self.fail_server(no, reason);
                    self.batch.handle_server_lost(no, now);
                }
            }
            ServerDone::Stopped(no, error) => {
                self.work.second_mut().remove(&no);
                self.leftovers.extend(error.map(|error| *error));
                self.events.push_back(BatchEvent::ServerStopped(no));
                self.batch.handle_server_stopped(no, now);
            }
        }
    }

    /// Gives a server up. Each job notices the end of a server, and only the first one counts.
    pub(super) fn fail_server(&mut self, no: ServerNo, reason: String) {
        let Some(BatchServer::Ready { fault, .. }) = self.work.second().get(&no) else { return };
        if fault.value().is_none() {
            fault.set(reason.clone());
            self.report_server_fault(no, reason);
        }
    }

    fn report_server_fault(&mut self, server: ServerNo, reason: String) {
        self.server_fault = Some(reason.clone());
        self.events.push_back(BatchEvent::ServerFailed { server, reason });
    }
}
