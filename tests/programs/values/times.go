package main

import "time"

func startTimes() {
	zone := time.FixedZone("HERE", 2*3600+1800)
	utc := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC)
	start(func() { holdTimes(time.Time{}, utc, utc.In(zone), time.Now()) })
	start(func() {
		holdOddTimes(time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, zone),
			time.Unix(0, 0), time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC), time.Now().Round(0))
	})
	start(func() { holdDurations(0, 1500*time.Millisecond, -time.Hour, 1<<63-1, 999) })
	start(func() { holdJob(&job{name: "nightly", started: time.Now(), due: utc, limit: 90 * time.Second}) })
	start(func() { holdWeekday(time.Saturday, time.February, zone) })
}

type job struct {
	name    string
	started time.Time
	due     time.Time
	limit   time.Duration
	last    *time.Time
}

//go:noinline
func holdTimes(zero, utc, zoned, now time.Time) {
	tell(is("zero", zero), is("utc", utc), is("zoned", zoned), is("now", now))
	park()
	use(zero, utc, zoned, now)
}

//go:noinline
func holdOddTimes(first, last, epoch, before, rounded time.Time) {
	tell(is("first", first), is("last", last), is("epoch", epoch), is("before", before), is("rounded", rounded))
	park()
	use(first, last, epoch, before, rounded)
}

//go:noinline
func holdDurations(none, some, negative, longest, short time.Duration) {
	tell(is("none", none), is("some", some), is("negative", negative), is("longest", longest), is("short", short))
	park()
	use(none, some, negative, longest, short)
}

//go:noinline
func holdJob(j *job) {
	took := time.Since(j.started)
	tell(is("j.started", j.started), is("j.due", j.due), is("j.limit", j.limit), is("*j", *j), is("took", took),
		since("since(j.started)", j.started), since("since(j.due)", j.due))
	park()
	use(j, took)
}

// since: when the snapshot is taken is not known here; that it is later is.
func since(expression string, t time.Time) fact {
	return fact{expression, "time.Duration", func() any {
		return tree{"since": signed(t.UnixNano())}
	}}
}

//go:noinline
func holdWeekday(d time.Weekday, m time.Month, l *time.Location) string {
	tell(is("d", d), is("m", m))
	park()
	use(d, m)
	return l.String()
}
