// Execs holds still, or becomes itself anew again and again under the same pid.
//
//	execs hold
//	execs exec 5ms
//
// Both print "ready <pid>" once; the second prints "again <number>" in each new
// life. It needs nothing that Go 1.22 does not have.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

const lifeVariable = "EXECS_LIFE"

func main() {
	life, _ := strconv.Atoi(os.Getenv(lifeVariable))
	if life == 0 {
		fmt.Printf("ready %d\n", os.Getpid())
	} else {
		fmt.Printf("again %d\n", life)
	}
	for range 20 {
		go func() { select {} }()
	}
	if os.Args[1] == "hold" {
		time.Sleep(1000 * time.Hour)
	}
	every, err := time.ParseDuration(os.Args[2])
	if err != nil {
		panic(err)
	}
	time.Sleep(every)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	os.Setenv(lifeVariable, strconv.Itoa(life+1))
	panic(syscall.Exec(self, os.Args, os.Environ()))
}
