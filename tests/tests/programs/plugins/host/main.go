// Host loads plugins and C libraries written in Go, and calls their Hang in
// goroutines of its own and of theirs:
//
//	host plugin.so... library.so...
//
// A file that names `library` is a C library. It says "ready <pid>", and writes
// runtime.Stack(all) to $STILL_STACK, by rename, at SIGUSR1.
package main

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
// static const char *start(const char *path) {
//	void *library = dlopen(path, RTLD_NOW);
//	void (*hang)(void) = library ? (void (*)(void))dlsym(library, "StartHanging") : 0;
//	if (!hang) return dlerror();
//	hang();
//	return 0;
// }
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"plugin"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR1)
	for _, path := range os.Args[1:] {
		if strings.Contains(path, "library") {
			startLibrary(path)
		} else {
			startPlugin(path)
		}
	}
	for last := ""; ; time.Sleep(200 * time.Millisecond) {
		now := string(stacks())
		if now == last {
			break
		}
		last = now
	}
	fmt.Println("ready", os.Getpid())
	for range requests {
		path := os.Getenv("STILL_STACK")
		if err := os.WriteFile(path+".unfinished", stacks(), 0o644); err != nil {
			panic(err)
		}
		if err := os.Rename(path+".unfinished", path); err != nil {
			panic(err)
		}
	}
}

func startPlugin(path string) {
	loaded, err := plugin.Open(path)
	if err != nil {
		panic(err)
	}
	hang, err := loaded.Lookup("Hang")
	if err != nil {
		panic(err)
	}
	start, err := loaded.Lookup("Start")
	if err != nil {
		panic(err)
	}
	go hang.(func(int, string) int)(3, path)
	go called(func(n int) int { return hang.(func(int, string) int)(n, "called") })
	start.(func(func()))(func() { select {} })
}

// called has a frame of the program's above one of the plugin's.
//
//go:noinline
func called(hang func(int) int) int { return hang(1) + 1 }

func startLibrary(path string) {
	text := C.CString(path)
	defer C.free(unsafe.Pointer(text))
	if failed := C.start(text); failed != nil {
		panic(C.GoString(failed))
	}
}

func stacks() []byte {
	for size := 1 << 16; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size {
			return buffer[:n]
		}
	}
}
