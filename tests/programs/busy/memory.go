package main

import (
	"hash/crc32"
	"math/rand"
	"runtime"
	"time"
)

// pause keeps a load from taking a whole core.
func pause() { time.Sleep(200 * time.Microsecond) }

type link struct {
	next    *link
	payload [6]uint64
	sum     uint64
}

// makeGarbage builds linked lists, drops them, and reads back one that lived
// through many collections.
func makeGarbage(p *progress) {
	old := chain(1000, 1)
	oldSum := sumChain(p, old)
	for round := uint64(1); ; round++ {
		young := chain(2000, round)
		p.verify(sumChain(p, young) != 0, "a fresh list adds up to nothing")
		if round%50 == 0 {
			p.verify(sumChain(p, old) == oldSum, "an old list changed")
			runtime.GC()
		}
		p.done()
		pause()
	}
}

func chain(length int, seed uint64) *link {
	var head *link
	for i := 0; i < length; i++ {
		l := &link{next: head}
		for j := range l.payload {
			l.payload[j] = seed*uint64(i+1) + uint64(j)
			l.sum += l.payload[j]
		}
		head = l
	}
	return head
}

func sumChain(p *progress, head *link) (total uint64) {
	for l := head; l != nil; l = l.next {
		var sum uint64
		for _, word := range l.payload {
			sum += word
		}
		if sum != l.sum {
			p.verify(false, "a link's payload adds up to %d, not %d", sum, l.sum)
		}
		total += sum
	}
	return total
}

// growStacks recurses to changing depths on goroutines of all ages, with
// pointers into the stack that have to move along.
func growStacks(p *progress) {
	const workers = 4
	for i := 0; i < workers; i++ {
		go func() {
			for {
				depth := 1 + rand.Intn(400)
				var total int
				deepen(depth, &total)
				p.verify(total == depth*(depth+1)/2, "depth %d added up to %d", depth, total)
				p.done()
				pause()
			}
		}()
	}
	// And goroutines that begin with the smallest stack.
	for {
		result := make(chan int)
		depth := 1 + rand.Intn(1000)
		go func() {
			var total int
			deepen(depth, &total)
			result <- total
		}()
		p.verify(<-result == depth*(depth+1)/2, "a new stack of depth %d adds up wrong", depth)
		pause()
	}
}

//go:noinline
func deepen(depth int, total *int) {
	var block [128]byte
	local := depth
	pointer := &local
	block[depth%len(block)] = byte(depth)
	if depth > 1 {
		deepen(depth-1, total)
	}
	if block[depth%len(block)] == byte(depth) {
		*total += *pointer
	}
}

// churnMaps fills maps, deletes half, and checks the other half.
func churnMaps(p *progress) {
	for round := 0; ; round++ {
		byNumber := map[int]string{}
		for i := 0; i < 500; i++ {
			byNumber[i*round] = text(i)
		}
		for i := 0; i < 500; i += 2 {
			delete(byNumber, i*round)
		}
		wrong := 0
		for i := 1; i < 500; i += 2 {
			if round > 0 && byNumber[i*round] != text(i) {
				wrong++
			}
		}
		p.verify(wrong == 0, "%d entries are wrong", wrong)
		p.done()
		pause()
	}
}

func text(i int) string {
	return string(rune('a'+i%26)) + string(rune('a'+i/26%26))
}

func checksum(data []byte) uint32 { return crc32.ChecksumIEEE(data) }
