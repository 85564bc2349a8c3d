package main

func startClosures(s *scene) {
	n, name := 3, "captured"

	s.expect("main.startClosures.func1(", "chan receive")
	go func() {
		<-never
		keep(n)
	}()

	s.expect("main.startClosures.func2.1.1(", "chan receive")
	go func() {
		called := func() {
			inner := func() {
				<-never
				keep(name)
			}
			call(inner)
		}
		call(called)
		keep(n, name)
	}()

	// Closures called where they stand are inlined, each with its own name.
	s.expect("main.startClosures.func3(", "chan receive")
	go func() {
		func() {
			func() {
				<-never
				keep(name)
			}()
			keep(n)
		}()
		keep(n, name)
	}()

	s.expect("main.counter.func1(", "chan receive")
	go counter(5)()

	s.expect("main.startClosures.func4(", "chan receive")
	go func(a int, b string) {
		<-never
		n, name = a, b
	}(1, "argument")

	for i := 0; i < 3; i++ {
		i := i
		s.expect("main.startClosures.func5(", "chan receive")
		go func() {
			<-never
			keep(i)
		}()
	}

	// Closures at package level and in init functions.
	s.expect(packageClosureName, "chan receive")
	go packageClosure()
	s.expect("main.startedInInit(", "chan receive")
}

var packageClosure = func() { <-never }

func init() {
	go startedInInit("init")
}

//go:noinline
func startedInInit(by string) string {
	<-never
	return by
}

//go:noinline
func call(f func()) { f() }

//go:noinline
func counter(limit int) func() int {
	total := 0
	return func() int {
		for i := 0; i < limit; i++ {
			<-never
			total++
		}
		return total
	}
}
