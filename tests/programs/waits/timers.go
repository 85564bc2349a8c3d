package main

import (
	"time"
	"unsafe"
)

// timerChannel is where the runtime has a timer's channel.
func timerChannel(timer *time.Timer) *byte {
	return *(**byte)(unsafe.Pointer(&timer.C))
}

func startTimers() {
	parks(func() {
		until := time.Now().Add(2 * time.Hour).UnixNano()
		says("sleep", "sleep", wait{"sleep", false, nil, map[string]any{"until_unix_ns": until}})
		time.Sleep(2 * time.Hour)
	})
	parks(func() {
		// The second sleep uses the first one's timer again.
		time.Sleep(time.Millisecond)
		until := time.Now().Add(3 * time.Hour).UnixNano()
		says("second sleep", "sleep", wait{"sleep", false, nil, map[string]any{"until_unix_ns": until}})
		time.Sleep(3 * time.Hour)
	})
	parks(func() {
		timer := time.NewTimer(4 * time.Hour)
		fires := time.Now().Add(4 * time.Hour).UnixNano()
		says("timer", "chan receive", wait{"chan receive", false, at(timerChannel(timer)), firing(fires)})
		<-timer.C
	})
	parks(func() {
		ticker := time.NewTicker(5 * time.Hour)
		fires := time.Now().Add(5 * time.Hour).UnixNano()
		channel := *(**byte)(unsafe.Pointer(&ticker.C))
		says("ticker", "chan receive", wait{"chan receive", false, at(channel), firing(fires)})
		<-ticker.C
	})
}
