package main

func startMethods() {
	s := &service{name: "orders", orders: map[int64]*order{7: makeOrder(7)}, limits: [2]int{10, 20}}
	start(func() { s.place(makeOrder(9), true) })
	start(func() { snapshotOf(*s).describe(2) })
	start(func() { var p placer = s; p.wait("through an interface") })
	start(func() { level(12).hold(1.5) })
	start(func() { stack{1, 2, 3}.top(1) })
	start(func() { lookup{"a": 1}.find("a") })
	start(func() { convert(func(n int) int { return n + 1 }).apply(4) })
	start(func() { (&derived{base: &base{id: 77}, label: "embedded"}).hold(3) })
	start(func() { f := s.wait; f("as a method value") })
}

type placer interface{ wait(reason string) }

type service struct {
	name   string
	orders map[int64]*order
	limits [2]int
}

type snapshotOf service

//go:noinline
func (s *service) place(o *order, urgent bool) *order {
	last := s.orders[7]
	tell(is("s.name", s.name), is("s.limits", s.limits), is("s.limits[1]", s.limits[1]), is("o.ID", o.ID),
		is("urgent", urgent), is("last.ID", last.ID), is("s.orders[7].ID", s.orders[7].ID), is("len(s.orders)", len(s.orders)),
		is("last.Customer.Name", last.Customer.Name))
	park()
	if urgent {
		s.orders[o.ID] = o
	}
	return last
}

//go:noinline
func (s snapshotOf) describe(verbosity int) string {
	tell(is("s.name", s.name), is("s.limits", s.limits), is("verbosity", verbosity))
	park()
	use(verbosity, s.limits)
	return s.name
}

//go:noinline
func (s *service) wait(reason string) {
	tell(is("s.name", s.name), is("reason", reason))
	park()
	use(s, reason)
}

//go:noinline
func (l level) hold(factor float64) float64 {
	tell(is("l", l), is("factor", factor))
	park()
	return float64(l) * factor
}

type stack []int

//go:noinline
func (s stack) top(n int) int {
	tell(is("s", s), is("n", n), is("s[0]", s[0]), is("len(s)", len(s)))
	park()
	return s[n]
}

type lookup map[string]int

//go:noinline
func (l lookup) find(key string) int {
	tell(is("l", l), is("key", key), is(`l["a"]`, l["a"]))
	park()
	return l[key]
}

type convert func(int) int

//go:noinline
func (c convert) apply(n int) int {
	tell(is("c", c), is("n", n))
	park()
	return c(n)
}

type base struct{ id int }

type derived struct {
	*base
	label string
}

//go:noinline
func (b *base) hold(n int) int {
	tell(is("b.id", b.id), is("b", b), is("n", n))
	park()
	return b.id + n
}
