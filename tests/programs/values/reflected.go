package main

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Types that no source has: debug information knows nothing of them.
func startReflected() {
	number, text := reflect.TypeOf(0), reflect.TypeOf("")
	structure := reflect.StructOf([]reflect.StructField{
		{Name: "Count", Type: number}, {Name: "Label", Type: text},
		{Name: "Parts", Type: reflect.SliceOf(reflect.TypeOf(point{}))},
	})
	made := reflect.New(structure).Elem()
	made.Field(0).SetInt(31)
	made.Field(1).SetString("made at run time")
	made.Field(2).Set(reflect.ValueOf([]point{{1, 2}}))

	table := reflect.MakeMap(reflect.MapOf(text, reflect.ArrayOf(3, reflect.TypeOf(int16(0)))))
	for i, key := range []string{"a", "b"} {
		array := reflect.New(table.Type().Elem()).Elem()
		array.Index(0).SetInt(int64(i))
		table.SetMapIndex(reflect.ValueOf(key), array)
	}
	structures := reflect.Append(reflect.MakeSlice(reflect.SliceOf(structure), 0, 1), made)
	pointer := reflect.New(structure)
	pointer.Elem().Set(made)
	calling := reflect.MakeFunc(reflect.FuncOf([]reflect.Type{number}, []reflect.Type{text}, false),
		func(in []reflect.Value) []reflect.Value { return []reflect.Value{reflect.ValueOf(fmt.Sprint(in[0]))} })
	messages := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, reflect.ArrayOf(5, text)), 2)
	many := reflect.MakeMap(reflect.MapOf(number, structure))
	for i := 0; i < 50; i++ {
		many.SetMapIndex(reflect.ValueOf(i), made)
	}

	start(func() { holdMade(made.Interface(), table.Interface(), structures.Interface(), pointer.Interface()) })
	start(func() { holdMadeMore(calling.Interface(), messages.Interface(), many.Interface()) })
	start(func() { holdReflectValue(reflect.ValueOf(&item{Number: 1})) })
	start(func() { holdHugeSlice(hugeSlice()) })
}

// hugeSlice claims to have 10 GB.
func hugeSlice() []byte {
	block := make([]byte, 4096)
	keep(block)
	return unsafe.Slice(&block[0], 10<<30)
}

//go:noinline
func holdMade(structure, table, structures, pointer any) {
	tell(is("structure", structure), is("table", table), is("structures", structures), is("pointer", pointer))
	park()
	use(structure, table, structures, pointer)
}

//go:noinline
func holdMadeMore(f, c, many any) {
	tell(is("f", f), is("c", c), is("many", many))
	park()
	use(f, c, many)
}

//go:noinline
func holdReflectValue(v reflect.Value) {
	kind := v.Kind()
	tell(is("kind", kind))
	park()
	use(v, kind)
}

// Of what it claims only the first page is its own; what comes behind is
// whatever there is.
//
//go:noinline
func holdHugeSlice(huge []byte) int {
	tell(is("len(huge)", len(huge)), is("cap(huge)", cap(huge)), is("huge[4000]", huge[4000]), is("huge[:10]", huge[:10]),
		fact{"huge", "[]uint8", func() any { return tree{"starts": "000000000000", "length": "10737418240"} }})
	park()
	return len(huge)
}
