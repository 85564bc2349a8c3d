//go:build go1.23

package main

import "iter"

func init() {
	loads = append(loads, load{"generators", pullGenerators})
}

// pullGenerators advances two generators that are goroutines of their own.
func pullGenerators(p *progress) {
	for {
		next, stop := iter.Pull(countTo(200))
		nextPair, stopPairs := iter.Pull2(squares(200))
		sum, squareSum := 0, 0
		for {
			n, ok := next()
			if !ok {
				break
			}
			sum += n
			if _, square, ok := nextPair(); ok {
				squareSum += square
			}
		}
		stop()
		stopPairs()
		p.verify(sum == 200*199/2, "the generator's numbers add up to %d", sum)
		p.verify(squareSum == 199*200*399/6, "the generator's squares add up to %d", squareSum)

		// One that is stopped halfway.
		next, stop = iter.Pull(countTo(100))
		first, _ := next()
		second, _ := next()
		stop()
		p.verify(first == 0 && second == 1, "a generator began with %d, %d", first, second)
		p.done()
		pause()
	}
}

func countTo(limit int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range limit {
			if !yield(n) {
				return
			}
		}
	}
}

func squares(limit int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for n := range countTo(limit) {
			if !yield(n, n*n) {
				return
			}
		}
	}
}
