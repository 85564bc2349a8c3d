// runtime-facts reads the source of Go releases and says what Stillframe needs to know of their runtimes.
//
//	runtime-facts layouts > nodes/golang/src/layout_table.txt
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runtime-facts:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 || arguments[0] != "layouts" {
		return fmt.Errorf("usage: runtime-facts layouts")
	}
	c, err := openCache()
	if err != nil {
		return err
	}
	releases, err := c.releases()
	if err != nil {
		return err
	}
	table, err := layoutTable(c, releases, func(now string) { fmt.Fprintln(os.Stderr, now) })
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(table)
	return err
}
