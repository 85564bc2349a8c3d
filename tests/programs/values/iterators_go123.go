//go:build go1.23

package main

import (
	"iter"
	"maps"
	"slices"
)

func init() {
	families = append(families, startIterators)
}

func startIterators() {
	start(func() { rangeFunction(3, "over a function") })
	start(func() { rangeValues(map[string]int{"only": 1}) })
}

func upTo(n int) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for i := 0; i < n; i++ {
			if !yield(i, "item") {
				return
			}
		}
	}
}

// Its loop's body is a function of its own.
//
//go:noinline
func rangeFunction(n int, text string) int {
	total := 0
	for i, name := range upTo(n) {
		total += i
		if i == 2 {
			tell(is("i", i), is("name", name), at("total", &total), is("text", text))
			park()
			use(name, text)
		}
	}
	return total + len(text)
}

//go:noinline
func rangeValues(m map[string]int) []string {
	keys := slices.Sorted(maps.Keys(m))
	for key, value := range maps.All(m) {
		tell(is("key", key), is("value", value), is("keys", keys))
		park()
		use(key, value)
	}
	return keys
}
