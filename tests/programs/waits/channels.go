package main

import (
	"reflect"
	"time"
)

func startChannels() {
	receive := make(chan int)
	for i := 0; i < 3; i++ {
		parks(func() {
			says("receive", "chan receive", wait{"chan receive", false, channelAt(receive), buffered(0, 0)})
			<-receive
		})
	}
	parks(func() {
		large := make(chan [200]string, 5)
		says("receive large", "chan receive", wait{"chan receive", false, channelAt(large), buffered(0, 5)})
		for v := range large {
			_ = v
		}
	})
	full := make(chan string, 2)
	full <- "one"
	full <- "two"
	for i := 0; i < 2; i++ {
		parks(func() {
			says("send full", "chan send", wait{"chan send", false, channelAt(full), buffered(2, 2)})
			full <- "three"
		})
	}
	parks(func() {
		unbuffered := make(chan struct{})
		says("send", "chan send", wait{"chan send", false, channelAt(unbuffered), buffered(0, 0)})
		unbuffered <- struct{}{}
	})
	var none chan int
	parks(func() {
		says("receive of nil", "chan receive (nil chan)", wait{"chan receive", false, nil, nil})
		<-none
	})
	parks(func() {
		says("send to nil", "chan send (nil chan)", wait{"chan send", false, nil, nil})
		none <- 1
	})
}

func ofCase(direction string, length, capacity int) map[string]any {
	return map[string]any{"direction": direction, "length": length, "capacity": capacity}
}

func startSelects() {
	parks(func() {
		says("select of none", "select (no cases)", wait{"select", false, nil, nil})
		select {}
	})
	parks(func() {
		var one, other chan int
		says("select of nil channels", "select", wait{"select", false, nil, nil})
		select {
		case <-one:
		case other <- 1:
		}
	})
	a, b, c := make(chan int), make(chan string, 1), make(chan struct{}, 3)
	b <- "full"
	var none chan int
	for i := 0; i < 3; i++ {
		parks(func() {
			says("select", "select",
				wait{"select", true, channelAt(a), ofCase("receive", 0, 0)},
				wait{"select", true, channelAt(b), ofCase("send", 1, 1)},
				wait{"select", true, channelAt(c), ofCase("receive", 0, 3)})
			select {
			case <-a:
			case b <- "more":
			case <-c:
			case <-none:
			}
		})
	}
	parks(func() {
		only := make(chan int)
		says("select of one", "select", wait{"select", false, channelAt(only), ofCase("send", 0, 0)})
		select {
		case only <- 1:
		case <-none:
		}
	})
	parks(func() {
		timer := time.NewTimer(time.Hour)
		fires := time.Now().Add(time.Hour).UnixNano()
		// The length is not told: the runtime keeps the channel of a timer with a buffer.
		says("select with timeout", "select",
			wait{"select", true, channelAt(c), ofCase("receive", 0, 3)},
			wait{"select", true, at(timerChannel(timer)), firing(fires)})
		select {
		case <-c:
		case <-timer.C:
		}
	})
	parks(func() {
		var cases []reflect.SelectCase
		var waits []wait
		for i := 0; i < 100; i++ {
			channel := make(chan int, i)
			if i%3 == 1 {
				for j := 0; j < i; j++ {
					channel <- j
				}
				cases = append(cases, reflect.SelectCase{Dir: reflect.SelectSend, Chan: reflect.ValueOf(channel), Send: reflect.ValueOf(1)})
				waits = append(waits, wait{"select", true, channelAt(channel), ofCase("send", i, i)})
				continue
			}
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channel)})
			waits = append(waits, wait{"select", true, channelAt(channel), ofCase("receive", 0, i)})
		}
		says("select of many", "select", waits...)
		reflect.Select(cases)
	})
	parks(func() {
		// Both ways on one channel.
		d := make(chan int)
		says("select both ways", "select",
			wait{"select", true, channelAt(d), ofCase("receive", 0, 0)},
			wait{"select", true, channelAt(d), ofCase("send", 0, 0)})
		select {
		case <-d:
		case d <- 1:
		}
	})
}
