// Values holds still with goroutines parked in functions whose variables it has
// written down itself, so that what is read from outside can be compared with
// what the program says its variables hold.
//
//	values /tmp/truth
//
// writes the truth to that file, prints "ready <pid>", and holds still. The
// file has one JSON object a line: which goroutine, function and frame of that
// function (0 = outermost), which expression, its static type, and the value as
// truth.go writes it. A value is written down by the program's own code and by
// reflect: nothing there knows how Stillframe reads memory.
//
// Each file is one family of types. The functions are ordinary code, built as
// any other: they get something, wait, and then use it. What the compiler
// keeps of it while they wait is its own affair.
package main

import (
	"fmt"
	"os"
)

// families holds what every build has; files behind build constraints (cgo, a
// Go version) add theirs in init functions.
var families = []func(){
	startNumbers,
	startTexts,
	startLists,
	startStructs,
	startPointers,
	startInterfaces,
	startMaps,
	startChannels,
	startFunctions,
	startMethods,
	startGenerics,
	startTimes,
	startLocks,
	startAtomics,
	startContexts,
	startErrors,
	startNetwork,
	startMessages,
	startReflected,
	startPackageVariables,
	startInlined,
	startRecursion,
	startArguments,
	startAssignments,
	startCopies,
	startLate,
	startScopes,
	startPending,
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: values FILE")
		os.Exit(2)
	}
	for _, start := range families {
		start()
	}
	if err := settle(); err != nil {
		fmt.Fprintln(os.Stderr, "values:", err)
		os.Exit(1)
	}
	startRunning()
	if err := writeTruth(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "values:", err)
		os.Exit(1)
	}
	fmt.Printf("ready %d\n", os.Getpid())
	<-never
}
