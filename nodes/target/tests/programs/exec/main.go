// Execs itself all the time, with several threads, and says so on its output.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func main() {
	count := 0
	if len(os.Args) > 1 {
		count, _ = strconv.Atoi(os.Args[1])
	}
	fmt.Println(count)
	for range 8 {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			select {}
		}()
		<-started
	}
	panic(syscall.Exec("/proc/self/exe", []string{"exec", strconv.Itoa(count + 1)}, nil))
}
