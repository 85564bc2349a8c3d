//go:build go1.27

package main

// Methods with type parameters of their own came with Go 1.27.
func init() {
	families = append(families, startGenericMethods)
}

func startGenericMethods(s *scene) {
	s.expect("main.(*depot).fetch[...](", "chan receive")
	s.expect("main.(*depot).fetch[...](", "chan receive")
	d := &depot{name: "north"}
	go d.fetch(make(chan int), 5)
	go d.fetch(make(chan []string), nil)
}

type depot struct{ name string }

//go:noinline
func (d *depot) fetch[T any](c chan T, fallback T) (string, T) {
	if v, ok := <-c; ok {
		return d.name, v
	}
	return d.name, fallback
}
