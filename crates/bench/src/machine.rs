//! What can be told about the machine and this process; on Linux, from `/proc`.

use std::fs;
use std::time::Duration;

use crate::report::Machine;

/// What the machine is; what cannot be told is absent.
pub(crate) fn machine() -> Machine {
    let memory = line_of("/proc/meminfo", "MemTotal");
    let memory = memory.and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok());
    Machine {
        cpu: line_of("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().ok().map(usize::from),
        memory_bytes: memory.map(|kibibytes| kibibytes * 1_024),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        load_before: load(),
        load_after: None,
    }
}

/// Tasks that wanted to run in the last minute, on average.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Bytes of this process that lie in memory.
///
/// Of the places where Linux tells it, `smaps_rollup` counts pages; those in `statm` and `status` are
/// counters of each thread that are added up now and then.
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = line_of("/proc/self/smaps_rollup", "Rss")?;
    Some(text.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

/// Most bytes of this process that lay in memory since [`forget_peak`], or since it began.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    let text = line_of("/proc/self/status", "VmHWM")?;
    Some(text.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

/// Lets the peak begin with what lies in memory now. Where that is refused, the peak is that since the
/// process began. Source: Linux `proc_pid_clear_refs(5)`.
pub(crate) fn forget_peak() {
    drop(fs::write("/proc/self/clear_refs", "5"));
}

/// Time of all processors that this process has had, in steps of 10 ms.
///
/// Source: Linux `proc_pid_stat(5)`, fields 14 and 15; the unit is that of `USER_HZ`, 100 a second on all
/// processors of today.
pub(crate) fn cpu_time() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?).map(|ticks| TICK * ticks)
}

const TICK: Duration = Duration::from_millis(10);

/// User and system time of a line of `stat`.
fn ticks(line: &str) -> Option<u32> {
    // The name of the program stands in brackets, and may hold blanks and brackets; field 3 follows.
    let (_, fields) = line.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    times.next()?.ok()?.checked_add(times.next()?.ok()?)
}

/// What stands behind the colon of the first line that begins so.
fn line_of(path: &str, beginning: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(beginning))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_absent() {
        assert_eq!(line_of("/proc/no-such-file", "Rss"), None);
        assert_eq!(line_of("/proc/self/status", "NoSuchLine"), None);
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 250 31 0 0 20 0";
        assert_eq!(ticks(&format!("77 (a) b (c) {rest}")), Some(281));
        assert_eq!(ticks("77 (name) S 1 2"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_what_was_touched_and_work_takes_processor_time() {
        let before = cpu_time().unwrap();
        forget_peak();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let (peak, now) = (peak_resident_bytes().unwrap(), resident_bytes().unwrap());
        assert!(peak >= 60 << 20, "{peak}, now {now}");
        let mut number = 1_u64;
        while cpu_time().unwrap() < before + TICK * 3 {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn resident_memory_grows_with_what_is_touched() {
        let before = resident_bytes().unwrap();
        let bytes = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().unwrap();
        assert!(after >= before + (60 << 20), "{before}, {after}");
        drop(bytes);
        assert!(load().is_some());
        assert!(machine().memory_bytes.unwrap() > 1 << 20);
    }
}
