package main

import "sync/atomic"

func startStructs() {
	start(func() { holdOrder(makeOrder(7), &order{ID: 8}) })
	start(func() { holdSmall(point{3, -4}, pair{"left", 1}, single{42}, empty{}) })
	start(func() { holdEmbedded(makeEmployee()) })
	start(func() { holdAnonymous(struct{ a, b int }{1, 2}, struct{}{}) })
	start(func() { holdPadded(padded{1, 2, 3, 4, true, 0.5}) })
	start(func() { holdBlank(blank{first: 1, last: 2}) })
	start(func() { holdReturned(9) })
	start(func() { holdSplit(point{1, 2}, pair{"split", 3}) })
	start(holdLocalType)
}

type point struct{ x, y int }

type pair struct {
	text   string
	number int
}

type single struct{ only int64 }

type empty struct{}

type padded struct {
	a uint8
	b uint64
	c uint16
	d int32
	e bool
	f float32
}

type blank struct {
	first int
	_     [3]int
	last  int
}

type address struct {
	Street, City string
	position     point
}

type person struct {
	Name string
	*address
}

type employee struct {
	person
	Number int
	boss   *employee
	level
}

type order struct {
	ID       int64
	Customer *person
	Items    []item
	Tags     map[string]string
	Placed   bool
	total    struct {
		Net, Tax float64
		Currency string
	}
	count atomic.Int64
}

func makeOrder(id int64) *order {
	o := &order{
		ID:       id,
		Customer: &person{"Ann", &address{"Main Street 1", "Bern", point{46, 7}}},
		Items:    []item{{1, "spoon", []string{"steel", "small"}}, {2, "fork", nil}},
		Tags:     map[string]string{"tenant": "acme", "channel": "web"},
		Placed:   true,
	}
	o.total.Net, o.total.Tax, o.total.Currency = 10.5, 0.81, "CHF"
	o.count.Store(5)
	return o
}

func makeEmployee() *employee {
	boss := &employee{person: person{"Eva", &address{City: "Basel"}}, Number: 1, level: 9}
	return &employee{person: person{"Max", &address{"Side Street 2", "Zug", point{1, 2}}}, Number: 2, boss: boss, level: 4}
}

//go:noinline
func holdOrder(o, sparse *order) {
	tell(is("o.ID", o.ID), is("o.Customer.Name", o.Customer.Name), is("o.Customer.City", o.Customer.City),
		is("o.Customer.address.position.x", o.Customer.position.x), is("o.Items[0].Name", o.Items[0].Name),
		is("len(o.Items)", len(o.Items)), is("o.Items[1]", o.Items[1]), is(`o.Tags["tenant"]`, o.Tags["tenant"]),
		is("o.Placed", o.Placed), is("o.total", o.total), is("o.total.Tax", o.total.Tax),
		is("o.total.Currency", o.total.Currency), at("o.count", &o.count), is("o.Tags", o.Tags), at("*o", o), is("o", o),
		is("sparse.ID", sparse.ID), is("sparse.Customer", sparse.Customer), is("sparse.Items", sparse.Items),
		is("sparse.Tags", sparse.Tags), fails("sparse.Customer.Name", "nil pointer"),
		fails(`sparse.Tags["tenant"]`, ""), fails(`o.Tags["missing"]`, "no such key"))
	park()
	use(o, sparse)
}

//go:noinline
func holdSmall(p point, q pair, s single, e empty) {
	tell(is("p", p), is("p.y", p.y), is("q", q), is("q.text", q.text), is("s", s), is("s.only", s.only), is("e", e))
	park()
	use(p, q, s, e)
}

//go:noinline
func holdEmbedded(e *employee) string {
	tell(is("e.Name", e.Name), is("e.City", e.City), is("e.position.y", e.position.y), is("e.person.address.Street", e.Street),
		is("e.boss.Name", e.boss.Name), is("e.boss.City", e.boss.City), is("e.level", e.level), is("e.boss.boss", e.boss.boss),
		at("*e", e), fails("e.boss.boss.Name", "nil pointer"))
	park()
	return e.Name
}

//go:noinline
func holdAnonymous(a struct{ a, b int }, nothing struct{}) {
	local := struct {
		name  string
		inner struct{ deep bool }
	}{name: "local"}
	local.inner.deep = a.a == 1
	tell(is("a", a), is("a.b", a.b), is("nothing", nothing), is("local", local), is("local.inner.deep", local.inner.deep))
	park()
	use(a, nothing, local)
}

//go:noinline
func holdPadded(p padded) {
	tell(is("p", p), is("p.a", p.a), is("p.b", p.b), is("p.c", p.c), is("p.d", p.d), is("p.e", p.e), is("p.f", p.f))
	park()
	use(p)
}

//go:noinline
func holdBlank(b blank) {
	tell(is("b", b), is("b.last", b.last))
	park()
	use(b)
}

//go:noinline
func makePair(n int) (pair, error) { return pair{"made", n}, nil }

//go:noinline
func holdReturned(n int) int {
	made, err := makePair(n)
	tell(is("made", made), is("made.number", made.number), is("err", err))
	park()
	if err != nil {
		return 0
	}
	return made.number + len(made.text)
}

// Of each only a part is used afterwards.
//
//go:noinline
func holdSplit(p point, q pair) int {
	tell(is("p", p), is("p.x", p.x), is("p.y", p.y), is("q", q), is("q.number", q.number), is("q.text", q.text))
	park()
	return p.x + len(q.text)
}

func holdLocalType() {
	type ticket struct {
		number int
		holder string
	}
	local := &ticket{5, "Kim"}
	byValue := ticket{6, "Lea"}
	tell(is("local.holder", local.holder), is("*local", *local), is("byValue", byValue))
	park()
	use(local, byValue)
}
