package main

import (
	"context"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// special writes types down whose fields are nobody's business:
//
//	{"time":"<RFC 3339>","utc":"...Z","unix":"<ns>","zero":false} {"duration":"1h0m0s","ns":"1"}
//	{"text":"10.0.0.1","as":"ip"}    and addr, addrport, int (big)
//	{"mutex":"<state>"} {"rwmutex":{"writer":"<state>","readers":"1","waiting":"0"}}
//	{"waitgroup":{"count":"1","waiters":"1"}} {"once":true}
//	{"atomic":tree}
//	{"context":[{"type":..,...}...]}  from the innermost outwards
//
// nil: v is of no such type.
func special(w *writer, v reflect.Value) tree {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		t := tree{"time": p.Format(time.RFC3339Nano), "utc": p.UTC().Format(time.RFC3339Nano), "zero": p.IsZero()}
		if !p.IsZero() {
			t["unix"] = signed(p.UnixNano())
		}
		return t
	case *time.Duration:
		return tree{"duration": p.String(), "ns": signed(int64(*p))}
	case *net.IP:
		if *p != nil {
			return tree{"text": p.String(), "as": "ip"}
		}
	case *netip.Addr:
		return tree{"text": p.String(), "as": "addr"}
	case *netip.AddrPort:
		return tree{"text": p.String(), "as": "addrport"}
	case *netip.Prefix:
		return tree{"text": p.String(), "as": "prefix"}
	case *big.Int:
		return tree{"text": p.String(), "as": "int"}
	case *sync.Mutex:
		return tree{"mutex": signed(int64(stateOf(v)))}
	case *sync.RWMutex:
		return tree{"rwmutex": tree{
			"writer":  signed(int64(stateOf(v.FieldByName("w")))),
			"readers": int32Text(v.FieldByName("readerCount")),
			"waiting": int32Text(v.FieldByName("readerWait")),
		}}
	case *sync.WaitGroup:
		return waitGroup(v)
	case *sync.Once:
		return tree{"once": done(v)}
	case *atomic.Bool:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Int32:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Int64:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Uint32:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Uint64:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Uintptr:
		return tree{"atomic": w.tree(readable(reflect.ValueOf(p.Load())))}
	case *atomic.Value:
		held := p.Load()
		return tree{"atomic": w.tree(reflect.ValueOf(&held).Elem())}
	case *atomic.Pointer[item]:
		held := p.Load()
		return tree{"atomic": w.tree(reflect.ValueOf(&held).Elem())}
	case *context.Context:
		if *p != nil {
			return tree{"context": chain(w, *p)}
		}
	}
	return nil
}

// stateOf finds state in a sync.Mutex; since Go 1.24 it is in a struct within.
func stateOf(mutex reflect.Value) int32 {
	if inner := mutex.FieldByName("mu"); inner.IsValid() {
		mutex = inner
	}
	return int32(mutex.FieldByName("state").Int())
}

// int32Text reads an atomic.Int32, which no copy may be made of.
func int32Text(v reflect.Value) string {
	return signed(int64(readable(v).Addr().Interface().(*atomic.Int32).Load()))
}

func waitGroup(v reflect.Value) tree {
	state := readable(v.FieldByName("state")).Addr().Interface().(*atomic.Uint64).Load()
	return tree{"waitgroup": tree{"count": number(state >> 32), "waiters": number(state & 0x7fffffff)}}
}

func done(v reflect.Value) bool {
	switch p := readable(v.FieldByName("done")).Addr().Interface().(type) {
	case *uint32:
		return *p != 0
	case *atomic.Uint32:
		return p.Load() != 0
	case *atomic.Bool:
		return p.Load()
	default:
		panic("sync.Once: done is of another type")
	}
}

// chain lists the contexts within each other, and what each adds.
func chain(w *writer, c context.Context) []any {
	var list []any
	for c != nil {
		v := reflect.ValueOf(c)
		entry := tree{"type": v.Type().String(), "err": nil, "cause": nil, "deadline": nil}
		if err := c.Err(); err != nil {
			entry["err"] = err.Error()
			entry["cause"] = context.Cause(c).Error()
		}
		if deadline, ok := c.Deadline(); ok {
			entry["deadline"] = deadline.Format(time.RFC3339Nano)
		}
		list = append(list, entry)
		if v.Kind() != reflect.Pointer {
			if v.Kind() != reflect.Struct || v.NumField() != 1 || v.Type().Field(0).Name != "c" {
				return list
			}
			v = readable(v)
		} else {
			v = readable(v.Elem())
		}
		if key := v.FieldByName("key"); key.IsValid() {
			entry["key"] = w.tree(readable(key))
			entry["value"] = w.tree(readable(v.FieldByName("val")))
		}
		c = parentOf(v)
	}
	return list
}

// parentOf finds the context within a context's struct.
func parentOf(v reflect.Value) context.Context {
	for _, name := range []string{"Context", "cancelCtx", "c"} {
		field := v.FieldByName(name)
		if !field.IsValid() {
			continue
		}
		switch p := readable(field).Addr().Interface().(type) {
		case *context.Context:
			return *p
		default:
			return parentOf(readable(field))
		}
	}
	return nil
}
