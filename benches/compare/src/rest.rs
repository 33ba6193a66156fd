//! Waiting until a store has nothing to do in the background any more.

use std::time::{Duration, Instant};

/// The process is watched for so long at a time.
const LOOK: Duration = Duration::from_millis(10);
/// It rests when it spends less than this share of a look on the CPU, so many times in a row.
const RESTING_SHARE: f64 = 0.1;
const LOOKS: u32 = 3;
/// After so long something else is wrong.
const LONGEST: Duration = Duration::from_mins(5);

/// Returns when no thread of this process works any more: flushes and compactions of one store must
/// not fall into the turn of another.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(crate) fn wait_until_all_rest() {
    let (start, mut resting) = (Instant::now(), 0);
    while resting < LOOKS {
        assert!(start.elapsed() < LONGEST, "something works in the background and does not end");
        let (before, looking) = (cpu_seconds(), Instant::now());
        std::thread::sleep(LOOK);
        let share = (cpu_seconds() - before) / looking.elapsed().as_secs_f64();
        resting = if share < RESTING_SHARE { resting + 1 } else { 0 };
    }
}

/// What all threads of this process have spent on a CPU.
fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
