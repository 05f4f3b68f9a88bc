//! Amounts the way people read them.

use alloc::format;
use alloc::string::String;

/// Bytes with a unit: exact below 10 KiB, else with two digits at least.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 10 << 10 {
        return format!("{count} B");
    }
    let mut unit = 0;
    // Tenths of the unit, rounded.
    let mut tenths = (u128::from(count) * 10 + 512) / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    let name = UNITS[unit];
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

/// Frames as the memory they are.
pub fn frames(count: u64) -> String {
    bytes(count.saturating_mul(4096))
}

/// A time in seconds, with as many digits as mean something.
pub fn duration(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1000;
    match microseconds {
        0..10_000 => format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000),
        10_000..10_000_000 => format!("{}.{:03} s", microseconds / 1_000_000, microseconds / 1000 % 1000),
        _ => format!("{}.{:01} s", microseconds / 1_000_000, microseconds / 100_000 % 10),
    }
}

/// A number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = format!("{number}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_suits_them() {
        for (count, text) in [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10 KiB"),
            (100 << 10, "100 KiB"),
            (1 << 20, "1.0 MiB"),
            (3_500_000, "3.3 MiB"),
            ((64 << 20) - 1, "64 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(frames(16_384), "64 MiB");
    }

    #[test]
    fn times_and_numbers_are_readable() {
        assert_eq!(duration(1_234_567), "1.234 ms");
        assert_eq!(duration(1_234_567_890), "1.234 s");
        assert_eq!(duration(61_250_000_000), "61.2 s");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
