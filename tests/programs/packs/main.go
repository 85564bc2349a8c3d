// Packs stands still in calls of the libraries that Stillframe's packs know: each call waits for an answer that never comes.
// It prints "ready <pid>", and before that a line for each value that the pack's probe has to find:
//
//	<probe> <column> <value>
//
// and one for each row of requests_in_flight, if the program tells all of them:
//
//	requests_in_flight row <role> <protocol> <method>
//
// Servers are in the program itself, so that it needs nothing else.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// expected is what a probe has to find, in one row.
type expected struct{ probe, column, value string }

var all []expected

func expect(probe string, columns ...string) {
	for i := 0; i < len(columns); i += 2 {
		all = append(all, expected{probe, columns[i], columns[i+1]})
	}
}

// flight is one request in flight.
func flight(row string) { expect("requests_in_flight", "row", row) }

// reached is told by each call's server that it has been asked.
var reached = make(chan string, 100)

func main() {
	waited := start()
	for range waited {
		select {
		case <-reached:
		case <-time.After(20 * time.Second):
			fmt.Fprintln(os.Stderr, "packs: a call did not reach its server")
			os.Exit(1)
		}
	}
	time.Sleep(200 * time.Millisecond)
	for _, e := range all {
		fmt.Println(e.probe, e.column, strings.ReplaceAll(e.value, "\n", " "))
	}
	fmt.Printf("ready %d\n", os.Getpid())
	time.Sleep(time.Hour)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "packs:", err)
		os.Exit(1)
	}
}
