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
//	{"atomic":tree}
//	{"context":[{"type":...}...]}    from the innermost outwards; "err", "cause", "deadline", "key"
//
// Locks and the like of package sync are records of what they are about.
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
		if len(*p) == net.IPv4len || len(*p) == net.IPv6len {
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
		state := stateOf(v)
		return parts("locked", state&1 != 0, "waiters", int(state>>3))
	case *sync.RWMutex:
		if stateOf(v.FieldByName("w")) != 0 || count32(v.FieldByName("readerCount")) != 0 {
			panic("what a locked RWMutex is, say by sharedLock: it has no simple state")
		}
		return sharedLock(false, 0, 0, 0)
	case *sync.WaitGroup:
		state := readable(v.FieldByName("state")).Addr().Interface().(*atomic.Uint64).Load()
		return parts("counter", int(int32(state>>32)), "waiters", int(state&0x7fffffff))
	case *sync.Once:
		return parts("done", done(v))
	case *sync.Cond:
		notify := v.FieldByName("notify")
		came := readable(notify.FieldByName("wait"))
		return parts("waiters", int(uint32(came.Uint())-uint32(readable(notify.FieldByName("notify")).Uint())))
	case *sync.Map:
		pairs := []any{}
		p.Range(func(key, value any) bool {
			pairs = append(pairs, []any{w.tree(reflect.ValueOf(&key).Elem()), w.tree(reflect.ValueOf(&value).Elem())})
			return true
		})
		return tree{"map": pairs}
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

// parts is a record of bools and ints, in turn with their names.
func parts(namesAndValues ...any) tree {
	list := []any{}
	for i := 0; i < len(namesAndValues); i += 2 {
		list = append(list, []any{namesAndValues[i], treeOf(reflect.ValueOf(namesAndValues[i+1]))})
	}
	return tree{"record": list}
}

// sharedLock is what an RWMutex is.
func sharedLock(writeLocked bool, readers, readersWaiting, writersWaiting int) tree {
	return parts("write_locked", writeLocked, "readers", readers, "readers_waiting", readersWaiting,
		"writers_waiting", writersWaiting)
}

// count32 reads an atomic.Int32, which no copy may be made of.
func count32(v reflect.Value) int32 {
	return readable(v).Addr().Interface().(*atomic.Int32).Load()
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
			cause := context.Cause(c)
			entry["err"] = w.tree(reflect.ValueOf(&err).Elem())
			entry["cause"] = w.tree(reflect.ValueOf(&cause).Elem())
		}
		if deadline, ok := c.Deadline(); ok {
			entry["deadline"] = w.tree(reflect.ValueOf(&deadline).Elem())
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
			entry["key"] = key.Elem().Type().String()
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
