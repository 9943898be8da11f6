//! Workloads of the benchmarks, the same bytes on every machine, and the results of reading them.

mod figures;
mod random;
mod run_mode;
mod source_code;
mod turns;
pub mod ways;

pub use figures::Figures;
pub use run_mode::RunMode;
pub use turns::{TurnWorkload, drive_turn, turn_by_values};
