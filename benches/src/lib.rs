//! What the benchmarks read: the same bytes on every machine, and what has to come out of them.

mod figures;
mod random;
mod run_mode;
mod source_code;
mod turns;
pub mod ways;

pub use figures::Figures;
pub use run_mode::RunMode;
pub use turns::{TurnWorkload, drive_turn, turn_by_values};
