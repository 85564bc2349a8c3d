// A busy Go program that says how far it has come: on every line of its input it prints one line of counters.
//
// Arguments: the number of threads that make and end threads all the time ("spawn"), or nothing.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var spins, timers, collections, signals, requests, spawned, heartbeats, gapWorst atomic.Int64

//go:noinline
func callFree(n int64) (sum int64) {
	for i := int64(0); i < n; i++ {
		sum += i ^ sum
	}
	return sum
}

func main() {
	notified := make(chan os.Signal, 1024)
	signal.Notify(notified, syscall.SIGUSR1)
	go func() {
		for range notified {
			signals.Add(1)
		}
	}()
	// The call-free loop: only SIGURG stops it.
	go func() {
		for {
			callFree(50_000_000)
			spins.Add(1)
		}
	}()
	go func() {
		for {
			runtime.GC()
			collections.Add(1)
		}
	}()
	go func() {
		for range time.Tick(time.Millisecond) {
			timers.Add(1)
		}
	}()
	go func() {
		runtime.LockOSThread()
		last := time.Now()
		for {
			now := time.Now()
			if gap := now.Sub(last).Nanoseconds(); gap > gapWorst.Load() {
				gapWorst.Store(gap)
			}
			last = now
			heartbeats.Add(1)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go func() {
				defer connection.Close()
				buffer := make([]byte, 1)
				for {
					if _, err := connection.Read(buffer); err != nil {
						return
					}
					if _, err := connection.Write(buffer); err != nil {
						return
					}
				}
			}()
		}
	}()
	go func() {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		buffer := make([]byte, 1)
		for {
			if _, err := connection.Write(buffer); err != nil {
				panic(err)
			}
			if _, err := connection.Read(buffer); err != nil {
				panic(err)
			}
			requests.Add(1)
		}
	}()
	if len(os.Args) > 1 && os.Args[1] == "spawn" {
		for range 4 {
			go func() {
				for {
					done := make(chan struct{})
					// A locked goroutine that ends takes its thread with it.
					go func() {
						runtime.LockOSThread()
						spawned.Add(1)
						close(done)
					}()
					<-done
				}
			}()
		}
	}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		if input.Text() == "reset" {
			gapWorst.Store(0)
		}
		fmt.Println(spins.Load(), timers.Load(), collections.Load(), requests.Load(), heartbeats.Load(),
			signals.Load(), spawned.Load(), gapWorst.Load())
	}
}
