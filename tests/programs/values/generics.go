package main

func startGenerics() {
	start(func() { holdGeneric(5, []int{1, 2}) })
	start(func() { holdGeneric("text", []string{"a"}) })
	start(func() { holdGeneric(point{1, 2}, nil) })
	start(func() { holdGeneric(&item{Number: 9}, []*item{{Number: 10}}) })
	start(func() { holdGeneric[any](3.5, []any{"mixed", 1}) })
	start(func() { holdGenericPair("key", 7.5) })
	start(func() { holdGenericPair(uint8(3), map[string]int{"x": 1}) })
	start(func() {
		(&registry[string, *item]{entries: map[string]*item{"a": {Number: 1}}, name: "items"}).get("a")
	})
	start(func() { (&registry[int, point]{entries: map[int]point{2: {3, 4}}, name: "points"}).get(2) })
	start(func() { (&registry[direction, level]{entries: map[direction]level{"up": 3}, name: "levels"}).get("up") })
	start(func() {
		holdInstances(holder[int]{4}, holder[[]string]{[]string{"x", "y"}}, &registry[string, bool]{name: "bools"})
	})
	start(func() { sum([]float64{1, 2, 3.5}) })
	start(func() { mapped([]int{1, 2, 3}, func(n int) string { return string(rune('a' + n)) }) })
	start(func() { holdNestedGeneric(holder[holder[int]]{holder[int]{6}}) })
}

//go:noinline
func holdGeneric[T any](value T, list []T) {
	var zero T
	tell(is("value", value), is("list", list), is("zero", zero), is("len(list)", len(list)))
	park()
	use(value, list, zero)
}

//go:noinline
func holdGenericPair[K comparable, V any](key K, value V) map[K]V {
	m := map[K]V{key: value}
	tell(is("key", key), is("value", value), is("m", m), is("len(m)", len(m)))
	park()
	m[key] = value
	return m
}

type registry[K comparable, V any] struct {
	entries map[K]V
	name    string
}

//go:noinline
func (r *registry[K, V]) get(key K) (V, bool) {
	v, ok := r.entries[key]
	tell(is("key", key), is("v", v), is("ok", ok), is("r.name", r.name), is("r.entries", r.entries), is("len(r.entries)", len(r.entries)))
	park()
	r.entries[key] = v
	return v, ok
}

// The functions are not generic, the types are.
//
//go:noinline
func holdInstances(a holder[int], b holder[[]string], r *registry[string, bool]) {
	tell(is("a", a), is("a.content", a.content), is("b", b), is("b.content[1]", b.content[1]), is("r.name", r.name),
		is("r.entries", r.entries), at("*r", r))
	park()
	use(a, b, r)
}

type numeric interface{ ~int | ~float64 }

//go:noinline
func sum[T numeric](list []T) T {
	var total T
	for _, v := range list {
		total += v
	}
	tell(is("total", total), is("list", list))
	park()
	return total + list[0]
}

//go:noinline
func mapped[T, U any](list []T, f func(T) U) []U {
	var results []U
	for _, v := range list {
		results = append(results, f(v))
	}
	tell(is("list", list), is("results", results), is("f", f))
	park()
	return append(results, f(list[0]))
}

//go:noinline
func holdNestedGeneric[T any](h holder[holder[T]]) T {
	inner := h.content
	tell(is("h", h), is("inner", inner))
	park()
	use(h)
	return inner.content
}
