package main

import (
	"encoding/hex"
	"reflect"
	"runtime"
	"strconv"
	"unsafe"
)

// tree is a value as JSON: an object with one entry that says of which kind it
// is, and sometimes more. Numbers are texts, so that no reader rounds them.
//
//	{"bool":true} {"int":"-1"} {"uint":"1"} {"float":"<bits>","size":32}
//	{"complex":["<bits>","<bits>"],"size":64} {"string":"<hex>"}
//	{"address":"1"}                  uintptr's like: unsafe.Pointer, pointers that are not followed
//	{"nil":"pointer"}                and slice, map, interface, func, chan
//	{"list":[...]}                   slices and arrays; "bytes":"<hex>" for those of bytes
//	{"record":[["name",tree]...]}    structs; "embedded":["name"...]
//	{"map":[[key,element]...]}
//	{"pointer":"1","to":tree}        or "cycle":true; or "beyond":true, where nobody follows it any more
//	{"dynamic":"type","value":tree}  interfaces; "error":"text" of errors
//	{"func":"name","address":"1"}    "captured":[["name",tree]...]
//	{"chan":"1","length":"1","capacity":"2"}  "content":[tree...]
//
// and those of special.go.
type tree = map[string]any

func signed(n int64) string { return strconv.FormatInt(n, 10) }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// treeOf writes a value down.
func treeOf(v reflect.Value) tree { return (&writer{}).tree(readable(v)) }

// writer walks one value.
type writer struct {
	// Pointers that lead to where it is.
	path []uintptr
}

// readable makes a value that reflect gives out whole, with an address: also one
// of an unexported field.
func readable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

// tree: v is readable.
func (w *writer) tree(v reflect.Value) tree {
	if t := special(w, v); t != nil {
		return t
	}
	switch v.Kind() {
	case reflect.Bool:
		return tree{"bool": v.Bool()}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return tree{"int": signed(v.Int())}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return tree{"uint": number(v.Uint())}
	case reflect.Float32:
		return tree{"float": number(uint64(*(*uint32)(place(v)))), "size": 32}
	case reflect.Float64:
		return tree{"float": number(*(*uint64)(place(v))), "size": 64}
	case reflect.Complex64:
		parts := *(*[2]uint32)(place(v))
		return tree{"complex": []string{number(uint64(parts[0])), number(uint64(parts[1]))}, "size": 32}
	case reflect.Complex128:
		parts := *(*[2]uint64)(place(v))
		return tree{"complex": []string{number(parts[0]), number(parts[1])}, "size": 64}
	case reflect.String:
		return tree{"string": hex.EncodeToString([]byte(v.String()))}
	case reflect.UnsafePointer:
		if v.IsNil() {
			return tree{"nil": "pointer"}
		}
		return tree{"address": number(uint64(v.Pointer()))}
	case reflect.Slice, reflect.Array:
		return w.list(v)
	case reflect.Struct:
		return w.record(v)
	case reflect.Map:
		return w.pairs(v)
	case reflect.Pointer:
		return w.pointer(v)
	case reflect.Interface:
		if v.IsNil() {
			return tree{"nil": "interface"}
		}
		held := v.Elem()
		t := tree{"dynamic": held.Type().String(), "value": w.tree(readable(held))}
		if err, ok := v.Interface().(error); ok {
			t["error"] = err.Error()
		}
		return t
	case reflect.Func:
		if v.IsNil() {
			return tree{"nil": "func"}
		}
		return tree{
			"func":    runtime.FuncForPC(v.Pointer()).Name(),
			"address": number(uint64(*(*uintptr)(place(v)))),
		}
	case reflect.Chan:
		if v.IsNil() {
			return tree{"nil": "chan"}
		}
		return tree{
			"chan":     number(uint64(v.Pointer())),
			"length":   strconv.Itoa(v.Len()),
			"capacity": strconv.Itoa(v.Cap()),
		}
	}
	panic("no such kind: " + v.Kind().String())
}

func place(v reflect.Value) unsafe.Pointer { return unsafe.Pointer(v.UnsafeAddr()) }

func (w *writer) list(v reflect.Value) tree {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return tree{"nil": "slice"}
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		bytes := make([]byte, v.Len())
		for i := range bytes {
			bytes[i] = byte(v.Index(i).Uint())
		}
		return tree{"bytes": hex.EncodeToString(bytes)}
	}
	list := make([]any, v.Len())
	for i := range list {
		list[i] = w.tree(readable(v.Index(i)))
	}
	return tree{"list": list}
}

func (w *writer) record(v reflect.Value) tree {
	fields := make([]any, v.NumField())
	embedded := []string{}
	for i := range fields {
		name := v.Type().Field(i).Name
		fields[i] = []any{name, w.tree(readable(v.Field(i)))}
		if v.Type().Field(i).Anonymous {
			embedded = append(embedded, name)
		}
	}
	return tree{"record": fields, "embedded": embedded}
}

func (w *writer) pairs(v reflect.Value) tree {
	if v.IsNil() {
		return tree{"nil": "map"}
	}
	pairs := []any{}
	for entries := v.MapRange(); entries.Next(); {
		pairs = append(pairs, []any{w.tree(readable(entries.Key())), w.tree(readable(entries.Value()))})
	}
	return tree{"map": pairs}
}

// deep is how many pointers one after the other are followed.
const deep = 15

func (w *writer) pointer(v reflect.Value) tree {
	if v.IsNil() {
		return tree{"nil": "pointer"}
	}
	address := v.Pointer()
	for _, outer := range w.path {
		if outer == address {
			return tree{"pointer": number(uint64(address)), "cycle": true}
		}
	}
	if len(w.path) == deep {
		return tree{"pointer": number(uint64(address)), "beyond": true}
	}
	w.path = append(w.path, address)
	to := w.tree(readable(v.Elem()))
	w.path = w.path[:len(w.path)-1]
	return tree{"pointer": number(uint64(address)), "to": to}
}
