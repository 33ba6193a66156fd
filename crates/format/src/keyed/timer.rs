//! Timers as entries of a keyed stream: the namespace of an entry is the timer.
//!
//! Fields of such a namespace in order: code of the time domain (`u8`), time (`i64`), namespace of
//! the job. The value has no bytes.
//!
//! Invariants: [`ordered_time`] keeps the order of times when its bytes are compared.
//!
//! Source: SPEC 6.3, 12.3.

use std::fmt;

use super::StateMeta;
use crate::codec::{Codec, CodecSnapshot, DefaultCodec, HasCodec};

/// Which clock a timer waits for.
///
/// Source: Flink `TimeDomain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimeDomain {
    /// Time of the records, as watermarks tell it.
    EventTime,
    /// Time of the machine.
    ProcessingTime,
}

impl TimeDomain {
    /// Both of them, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::EventTime, Self::ProcessingTime];

    /// The stored number (SPEC 6.3).
    pub const fn code(self) -> u8 {
        match self {
            Self::EventTime => 1,
            Self::ProcessingTime => 2,
        }
    }

    /// The domain of a stored number.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::EventTime,
            2 => Self::ProcessingTime,
            _ => return None,
        })
    }
}

impl fmt::Display for TimeDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventTime => "event time",
            Self::ProcessingTime => "processing time",
        })
    }
}

const SIGN: u64 = 1 << 63;

/// A time as it stands in a row key: big endian, with its sign bit inverted.
pub const fn ordered_time(time_ms: i64) -> [u8; 8] {
    (time_ms.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// The time that [`ordered_time`] gave these bytes.
pub const fn time_of_ordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ SIGN).cast_signed()
}

/// The codec of the job's namespaces in a state of timers; `None` when its codecs do not have the
/// form of one.
pub fn timer_namespace(meta: &StateMeta) -> Option<&CodecSnapshot> {
    let CodecSnapshot { name, version: 1, parameters, children } = &meta.namespace else {
        return None;
    };
    let [domain, time, namespace] = children.as_slice() else { return None };
    let has_form = name == "tuple"
        && parameters.is_empty()
        && *domain == snapshot_of::<u8>()
        && *time == snapshot_of::<i64>()
        && meta.value == snapshot_of::<()>();
    has_form.then_some(namespace)
}

fn snapshot_of<T: HasCodec>() -> CodecSnapshot {
    Codec::<T>::snapshot(&DefaultCodec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::StateKind;

    #[test]
    fn bytes_of_times_are_in_the_order_of_times() {
        let times = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
        assert!(times.windows(2).all(|pair| ordered_time(pair[0]) < ordered_time(pair[1])));
        for time in times {
            assert_eq!(time_of_ordered(ordered_time(time)), time);
        }
        assert_eq!(ordered_time(-1), [0x7f, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn timers_have_one_form() {
        let meta = |namespace, value| StateMeta {
            name: "t".to_owned(),
            kind: StateKind::Timers,
            namespace,
            value,
        };
        let unit = snapshot_of::<()>();
        let timers = meta(snapshot_of::<(u8, i64, String)>(), unit.clone());
        assert_eq!(timer_namespace(&timers), Some(&snapshot_of::<String>()));
        for (namespace, value) in [
            (snapshot_of::<(u8, i64, String)>(), snapshot_of::<bool>()),
            (snapshot_of::<(u8, u64, String)>(), unit.clone()),
            (snapshot_of::<(i8, i64, String)>(), unit.clone()),
            (snapshot_of::<(u8, i64)>(), unit.clone()),
            (snapshot_of::<String>(), unit),
        ] {
            assert_eq!(timer_namespace(&meta(namespace, value)), None);
        }
    }
}
