package main

// startDepth: stacks around and beyond the 100 frames at which Go elides, with
// and without inlined frames in the part that is left out; large frames and
// grown stacks.
func startDepth(s *scene) {
	for depth := 90; depth <= 110; depth++ {
		s.expect("main.descend(", "chan receive")
		go descend(depth)
	}
	s.expect("main.descend(", "chan receive")
	go descend(160)
	s.expect("main.descend(", "chan receive")
	go descend(5000)

	for depth := 45; depth <= 60; depth++ {
		s.expect("main.spiral(", "chan receive")
		go spiral(depth)
	}
	s.expect("main.spiral(", "chan receive")
	go spiral(150)

	// Inlined frames in the innermost 50 only, in the outermost 50 only.
	s.expect("main.bottomOut(", "chan receive")
	go plunge(120)

	s.expect("main.evenSteps(", "chan receive")
	go evenSteps(170)

	s.expect("main.hugeFrame(", "chan receive")
	go hugeFrame()

	s.expect("main.growStack(", "chan receive")
	go growStack(64)

	s.expect("main.shrinkLater(", "chan receive")
	go shrinkLater()
}

//go:noinline
func descend(depth int) int {
	if depth == 0 {
		<-never
		return 0
	}
	return descend(depth-1) + 1
}

// spiral has two inlined frames between any two of its own.
//
//go:noinline
func spiral(depth int) int {
	if depth == 0 {
		<-never
		return 0
	}
	return turn(depth) + 1
}

func turn(depth int) int { return turnAgain(depth-1) + 2 }

func turnAgain(depth int) int { return spiral(depth) + 3 }

//go:noinline
func plunge(depth int) int {
	if depth == 0 {
		return bottom()
	}
	return plunge(depth-1) + 1
}

func bottom() int { return nearBottom() + 1 }

func nearBottom() int { return bottomOut() + 1 }

func bottomOut() int {
	<-never
	return 0
}

//go:noinline
func evenSteps(depth int) bool {
	if depth == 0 {
		<-never
		return true
	}
	return !oddSteps(depth - 1)
}

//go:noinline
func oddSteps(depth int) bool {
	if depth == 0 {
		<-never
		return false
	}
	return !evenSteps(depth - 1)
}

//go:noinline
func hugeFrame() byte {
	var big [100 << 10]byte
	touch(big[:])
	<-never
	return big[len(big)/2]
}

//go:noinline
func growStack(depth int) byte {
	var block [4 << 10]byte
	touch(block[:])
	if depth == 0 {
		<-never
		return block[1]
	}
	return growStack(depth-1) + block[2]
}

// shrinkLater parks with a small part of a large stack in use, so that a
// collection shrinks it.
//
//go:noinline
func shrinkLater() {
	useStack(64)
	<-never
}

//go:noinline
func useStack(depth int) byte {
	var block [4 << 10]byte
	touch(block[:])
	if depth == 0 {
		return block[3]
	}
	return useStack(depth-1) + block[4]
}

//go:noinline
func touch(block []byte) {
	for i := range block {
		block[i] = byte(i)
	}
}
