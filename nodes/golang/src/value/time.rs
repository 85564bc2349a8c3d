//! `time.Time` and `time.Duration`.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::View;
use crate::value::reader::{SliceHeader, sign_extend};
use crate::value::{Reader, Value};

/// time/time.go: `hasMonotonic`, `nsecMask`, `nsecShift`.
const HAS_MONOTONIC: u64 = 1 << 63;
const NANOSECONDS_MASK: u64 = (1 << 30) - 1;
const NANOSECONDS_SHIFT: u32 = 30;
const SECONDS_OF_DAY: i64 = 86_400;
/// From the first day of the year 1 to 1970 (`unixToInternal`), and to 1885 (`wallToInternal`).
const UNIX_EPOCH: i64 = (1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400) * SECONDS_OF_DAY;
const WALL_EPOCH: i64 = (1884 * 365 + 1884 / 4 - 1884 / 100 + 1884 / 400) * SECONDS_OF_DAY;
/// A location's transitions that are looked at; the longest there is has a few hundred.
const TRANSITIONS_MAX: u64 = 2000;

/// An instant, and the offset of the zone that it is told in.
struct LocalTime {
    unix_seconds: i64,
    nanoseconds: u32,
    offset_seconds: i64,
}

impl Reader<'_> {
    /// Nanoseconds since 1970, of a `time.Time` at a place.
    pub fn time_unix_ns(&self, place: &Place, of: TypeRef) -> Result<i128, Gap> {
        let ty = self.types.get(of)?;
        if ty.name != "time.Time" {
            return Err(Gap::OtherType(ty.name.clone()));
        }
        if self.redact.hides_type(&ty.name) {
            return Err(Gap::Redacted);
        }
        let buffer = self.read(place, ty.size)?;
        let (seconds, nanoseconds) = self.instant(buffer.view(), &ty)?;
        Ok(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds))
    }

    /// Seconds since 1970, and nanoseconds (time/time.go, `(*Time).sec` and `nsec`).
    fn instant(&self, view: View<'_>, ty: &Type) -> Result<(i64, u32), Gap> {
        let (wall, ext) = (self.number(view, ty, "wall")?, self.number(view, ty, "ext")? as i64);
        let nanoseconds = (wall & NANOSECONDS_MASK) as u32;
        if nanoseconds >= 1_000_000_000 {
            return Err(Gap::Implausible(format!("a time of {nanoseconds} ns in a second")));
        }
        let since_year_1 = if wall & HAS_MONOTONIC != 0 {
            WALL_EPOCH + (wall << 1 >> (NANOSECONDS_SHIFT + 1)) as i64
        } else {
            ext
        };
        let unix = since_year_1.checked_sub(UNIX_EPOCH);
        Ok((unix.ok_or_else(|| Gap::Implausible("a time before all times".into()))?, nanoseconds))
    }

    /// RFC 3339 with the nanoseconds that there are, as `time.RFC3339Nano`.
    pub(super) fn time(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let (unix_seconds, nanoseconds) = self.instant(view, ty)?;
        // In UTC where the location is not known: it is the same instant.
        let offset_seconds = self.zone_offset(view, ty, unix_seconds).ok().flatten().unwrap_or(0);
        Ok(Value::Text(LocalTime { unix_seconds, nanoseconds, offset_seconds }.text()))
    }

    /// What a time's location has at that time (time/zoneinfo.go, `(*Location).lookup`). `None`: not by its table.
    fn zone_offset(&self, view: View<'_>, ty: &Type, at: i64) -> Result<Option<i64>, Gap> {
        let (pointer, of) = self.part(view, ty, "loc")?;
        let address = pointer.word(0)?;
        if address == 0 {
            return Ok(Some(0));
        }
        let Shape::Pointer(of) = self.types.get(of)?.shape else { return Ok(None) };
        let location = self.types.get(of)?;
        let buffer = self.read(&Place::At(address), location.size)?;
        let view = buffer.view();
        let (zones, zones_of) = self.part(view, &location, "zone")?;
        let zones = SliceHeader::read(zones)?;
        if zones.length == 0 {
            return Ok(Some(0));
        }
        let Shape::Slice(zone) = self.types.get(zones_of)?.shape else { return Ok(None) };
        let zone = self.types.get(zone)?;
        let offset = |address: u64| -> Result<Option<i64>, Gap> {
            let buffer = self.read(&Place::At(address), zone.size)?;
            let seconds = self.number(buffer.view(), &zone, "offset")? as i64;
            Ok(Some(seconds).filter(|seconds| seconds.abs() < SECONDS_OF_DAY))
        };
        let cached = self.number_or_pointer(view, &location, "cacheZone")?;
        let start = self.number(view, &location, "cacheStart")? as i64;
        let end = self.number(view, &location, "cacheEnd")? as i64;
        if cached != 0 && start <= at && at < end {
            return offset(cached);
        }
        let (transitions, of) = self.part(view, &location, "tx")?;
        let transitions = SliceHeader::read(transitions)?;
        let Shape::Slice(transition) = self.types.get(of)?.shape else { return Ok(None) };
        let transition = self.types.get(transition)?;
        if transitions.length == 0 || transitions.length > TRANSITIONS_MAX {
            return Ok(None);
        }
        let table = transition.size.checked_mul(transitions.length).ok_or(Gap::Size)?;
        let buffer = self.read(&Place::At(transitions.data), table)?;
        let each = |i: u64| buffer.view().part(i * transition.size, transition.size);
        let mut found = None;
        for i in 0..transitions.length {
            if self.number(each(i)?, &transition, "when")? as i64 > at {
                break;
            }
            found = Some(i);
        }
        // Before the first one, and behind the last one, other rules hold.
        let Some(found) = found.filter(|&i| i + 1 < transitions.length) else { return Ok(None) };
        let index = self.number(each(found)?, &transition, "index")?;
        if index >= zones.length {
            return Ok(None);
        }
        offset(zones.data.wrapping_add(index * zone.size))
    }

    fn number_or_pointer(&self, view: View<'_>, ty: &Type, path: &str) -> Result<u64, Gap> {
        self.part(view, ty, path)?.0.word(0)
    }

    pub(super) fn duration(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        Ok(Value::Text(duration_text(sign_extend(view.uint(0, ty.size)?, ty.size))))
    }
}

impl LocalTime {
    fn text(&self) -> String {
        let local = self.unix_seconds.saturating_add(self.offset_seconds);
        let (year, month, day) = civil(local.div_euclid(SECONDS_OF_DAY));
        let second = local.rem_euclid(SECONDS_OF_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let fraction = match self.nanoseconds {
            0 => String::new(),
            nanoseconds => format!(".{nanoseconds:09}").trim_end_matches('0').to_owned(),
        };
        // To the minute, as Go has it.
        let zone = match self.offset_seconds {
            0 => "Z".to_owned(),
            offset => {
                let minutes = offset.abs() / 60;
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// As Go prints it (time/time.go, `Duration.format`): `1h2m3.5s`, `1.5µs`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let digits = unit.ilog10() as usize;
        let (whole, part) = (value / unit, value % unit);
        match part {
            0 => whole.to_string(),
            _ => format!("{whole}.{}", format!("{part:0digits$}").trim_end_matches('0')),
        }
    };
    let text = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(total, 1_000_000)),
        _ => {
            let seconds = format!("{}s", fraction(total % 60_000_000_000, 1_000_000_000));
            let minutes = total / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_seconds: i64, nanoseconds: u32, offset_seconds: i64) -> String {
        LocalTime { unix_seconds, nanoseconds, offset_seconds }.text()
    }

    #[test]
    fn times_are_as_rfc_3339_has_them() {
        assert_eq!(text(0, 0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_399, 120_000_000, 3600), "2000-02-29T00:59:59.12+01:00");
        assert_eq!(text(951_782_400, 1, -19_800), "2000-02-28T18:30:00.000000001-05:30");
        assert_eq!(text(-UNIX_EPOCH, 0, 0), "0001-01-01T00:00:00Z");
        assert_eq!(text(253_402_300_799, 0, 0), "9999-12-31T23:59:59Z");
        assert_eq!(UNIX_EPOCH, 62_135_596_800);
        // No year that cannot be told.
        text(i64::MAX, 0, 86_399);
        text(i64::MIN, 0, -86_399);
    }

    #[test]
    fn durations_are_as_go_prints_them() {
        // Printed by time.Duration.String of Go 1.26.
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
            (-1, "-1ns"),
        ] {
            assert_eq!(duration_text(nanoseconds), text);
        }
    }
}
