//! The clock of the command line, which orders snapshots and names files. Nothing else in this crate reads one.
#![allow(clippy::disallowed_methods)]

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, in nanoseconds since 1970.
pub fn unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i64
}

/// `20261123T110732Z`: sorts by time, and needs no quoting.
pub fn compact_utc(unix_ns: i64) -> String {
    let (year, month, day, second) = civil(unix_ns);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// `2026-11-23 11:07:32`
pub fn utc(unix_ns: i64) -> String {
    let (year, month, day, second) = civil(unix_ns);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month, day and second of the day (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(unix_ns: i64) -> (i64, i64, i64, i64) {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, seconds.rem_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(compact_utc(0), "19700101T000000Z");
        assert_eq!(compact_utc(1_709_251_199_999_999_999), "20240229T235959Z");
        assert_eq!(utc(1_795_432_052_000_000_000), "2026-11-23 11:07:32");
    }
}
