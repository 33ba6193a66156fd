//! What can be told about the machine and this process; on Linux, from `/proc`.

use std::fs;

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
