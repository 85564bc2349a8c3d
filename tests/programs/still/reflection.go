package main

import "reflect"

func startReflection(s *scene) {
	s.expect("main.calledByReflection(", "chan receive")
	go callByReflection()

	s.expect("main.makeFunction.func1(", "chan receive")
	go makeFunction()

	s.expect("main.(*Machine).Run(", "chan receive")
	go callMethodByName("Run")

	s.expect("main.(*Machine).Run(", "chan receive")
	go callMethodValueByReflection()

	s.expect("main.receiveByReflection(", "chan receive")
	go receiveByReflection(make(chan int))

	s.expect("main.sendByReflection(", "chan send")
	go sendByReflection(make(chan string))

	s.expect("main.selectByReflection(", "select")
	go selectByReflection(make(chan int), make(chan string))
}

//go:noinline
func callByReflection() []reflect.Value {
	arguments := []reflect.Value{
		reflect.ValueOf(7), reflect.ValueOf("text"), reflect.ValueOf(2.5), reflect.ValueOf([]int{1, 2, 3}),
		reflect.ValueOf([3]int{4, 5, 6}),
	}
	return reflect.ValueOf(calledByReflection).Call(arguments)
}

//go:noinline
func calledByReflection(n int, text string, f float64, list []int, onStack [3]int) (int, error) {
	<-never
	return n + len(text) + list[0] + onStack[1] + int(f), nil
}

//go:noinline
func makeFunction() string {
	var join func(a string, n int, rest ...string) string
	body := func(arguments []reflect.Value) []reflect.Value {
		<-never
		return arguments[:1]
	}
	join = reflect.MakeFunc(reflect.TypeOf(join), body).Interface().(func(string, int, ...string) string)
	return join("a", 1, "b", "c")
}

// Machine is exported, as reflection finds no other methods.
type Machine struct{ speed int }

//go:noinline
func (m *Machine) Run(turns int) int {
	<-never
	return m.speed * turns
}

//go:noinline
func callMethodByName(name string) []reflect.Value {
	return reflect.ValueOf(&Machine{speed: 3}).MethodByName(name).Call([]reflect.Value{reflect.ValueOf(9)})
}

//go:noinline
func callMethodValueByReflection() int {
	run := reflect.ValueOf(&Machine{speed: 4}).Method(0).Interface().(func(int) int)
	return run(10)
}

//go:noinline
func receiveByReflection(c any) { reflect.ValueOf(c).Recv() }

//go:noinline
func sendByReflection(c any) { reflect.ValueOf(c).Send(reflect.ValueOf("sent")) }

//go:noinline
func selectByReflection(in, out any) int {
	chosen, _, _ := reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(in)},
		{Dir: reflect.SelectSend, Chan: reflect.ValueOf(out), Send: reflect.ValueOf("out")},
	})
	return chosen
}
