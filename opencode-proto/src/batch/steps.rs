//! Count of the work that a batch does, for tests.

/// Number of jobs, groups and servers that a batch has looked at. Counts in tests only.
#[derive(Debug, Default)]
pub(super) struct Steps {
    #[cfg(test)]
    count: usize,
}

impl Steps {
    #[cfg(test)]
    pub(super) fn add(&mut self, count: usize) {
        self.count += count;
    }

    #[cfg(not(test))]
    pub(super) fn add(&mut self, _: usize) {}

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count
    }
}
