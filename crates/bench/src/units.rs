//! Numbers for people: three digits and a unit.
//!
//! Shape: units are decimal (1 MB is 1,000,000 bytes); `-` stands for what was not measured.

/// What stands for a figure that was not measured.
pub(crate) const ABSENT: &str = "-";

/// A time that is given in microseconds.
pub(crate) fn time_us(micros: f64) -> String {
    let (value, unit) = match micros {
        ..1.0 => (micros * 1e3, "ns"),
        ..1e3 => (micros, "us"),
        ..1e6 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// A time that is given in milliseconds.
pub(crate) fn time_ms(millis: f64) -> String {
    time_us(millis * 1e3)
}

/// A number of bytes.
pub(crate) fn bytes(len_bytes: u64) -> String {
    let (value, unit) = scaled(len_bytes as f64, ["", "k", "M", "G", "T"]);
    format!("{value} {unit}B")
}

/// Bytes per second.
pub(crate) fn speed(bytes_per_s: f64) -> String {
    let (value, unit) = scaled(bytes_per_s, ["", "k", "M", "G", "T"]);
    format!("{value} {unit}B/s")
}

/// How often per second.
pub(crate) fn rate(per_s: f64) -> String {
    let (value, unit) = scaled(per_s, ["", " k", " M", " G", " T"]);
    format!("{value}{unit}/s")
}

/// A share in percent, with a digit behind the point where it is small.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// A whole number with a comma for each three digits.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure, or what stands for none.
pub(crate) fn or_absent<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), text)
}

/// Three digits, where there are no more in front of the point.
fn digits(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn scaled(value: f64, units: [&'static str; 5]) -> (String, &'static str) {
    let mut value = value;
    let mut last = "";
    for (at, unit) in units.into_iter().enumerate() {
        last = unit;
        if value.abs() < 999.5 || at + 1 == units.len() {
            break;
        }
        value /= 1e3;
    }
    let is_whole = last.is_empty() && value.fract() == 0.0;
    (if is_whole { format!("{value:.0}") } else { digits(value) }, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(time_us(0.0125), "12.5 ns");
        assert_eq!(time_us(4.4), "4.40 us");
        assert_eq!(time_us(999.0), "999 us");
        assert_eq!(time_us(37_120.0), "37.1 ms");
        assert_eq!(time_ms(2_500.0), "2.50 s");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.50 kB");
        assert_eq!(bytes(112_345_678), "112 MB");
        assert_eq!(bytes(999_900), "1.00 MB");
        assert_eq!(speed(12_807e6), "12.8 GB/s");
        assert_eq!(rate(4_712_000.0), "4.71 M/s");
        assert_eq!(percent(0.824), "82 %");
        assert_eq!(percent(0.0123), "1.2 %");
        assert_eq!(or_absent(None::<u64>, count), "-");
        let counts = [0, 12, 123, 1_234, 123_456, 1_000_000_000].map(count);
        assert_eq!(counts, ["0", "12", "123", "1,234", "123,456", "1,000,000,000"]);
    }
}
