//! Durations and sizes as people write them: `10s`, `500ms`, `1MiB`.

use std::time::Duration;

/// Reads a duration: a whole number with `ms`, `s`, `m` or `h`. `None` for anything else, zero included.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// Reads a size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, or nothing. `None` for anything
/// else, zero included.
#[must_use]
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.checked_mul(factor)?;
    usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// Writes a duration the way it is read.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{} s", millis / 1000) } else { format!("{millis} ms") }
}

/// Writes a size the way it is read.
#[must_use]
pub fn show_size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else if bytes.is_multiple_of(1 << 10) {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} bytes")
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Some(Duration::from_mins(2)));
        assert_eq!(size("1MiB"), Some(1 << 20));
        assert_eq!(size("64 KiB"), Some(65_536));
        assert_eq!(size("10"), Some(10));
        for bad in ["", "s", "0s", "-1s", "1.5s", "10", "1d", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        for bad in ["", "KiB", "0", "-1", "1Mib", "18446744073709551615KiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(show_duration(Duration::from_secs(10)), "10 s");
        assert_eq!(show_size(1 << 20), "1 MiB");
    }
}
