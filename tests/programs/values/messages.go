package main

import (
	"encoding/json"
	"sync"
)

func startMessages() {
	m := &message{Id: 5, Name: "message", Tags: []string{"a", "b"}, Inner: &message{Id: 6, unknownFields: []byte{8, 1}}}
	m.state.atomicMessageInfo = new(int)
	m.sizeCache = 77
	start(func() { holdMessage(m) })
	start(func() {
		holdIdentifiers(uuid{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00}, uuid{}, [16]byte{1, 2})
	})
	start(func() {
		holdRaw(json.RawMessage(`{"a": [1, 2]}`), nil, json.RawMessage("broken {"), json.Number("12.50"))
	})
	start(func() { holdDecoded(decoded(`{"name": "x", "list": [1, null, true], "inner": {"deep": 2.5}}`)) })
}

// message is as protoc-gen-go makes them.
type message struct {
	state         messageState
	sizeCache     int32
	unknownFields []byte

	Id    int64    `protobuf:"varint,1,opt,name=id,proto3" json:"id,omitempty"`
	Name  string   `protobuf:"bytes,2,opt,name=name,proto3" json:"name,omitempty"`
	Tags  []string `protobuf:"bytes,3,rep,name=tags,proto3" json:"tags,omitempty"`
	Inner *message `protobuf:"bytes,4,opt,name=inner,proto3" json:"inner,omitempty"`
}

type messageState struct {
	noUnkeyedLiterals struct{}
	doNotCompare      [0]func()
	doNotCopy         [0]sync.Mutex
	atomicMessageInfo *int
}

type uuid [16]byte

func decoded(text string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	return m
}

//go:noinline
func holdMessage(m *message) {
	tell(is("m.Id", m.Id), is("m.Name", m.Name), is("m.Tags", m.Tags), is("m.Inner.Id", m.Inner.Id), at("*m", m))
	park()
	use(m)
}

//go:noinline
func holdIdentifiers(id, zero uuid, array [16]byte) {
	tell(is("id", id), is("zero", zero), is("array", array), is("id[1]", id[1]))
	park()
	use(id, zero, array)
}

//go:noinline
func holdRaw(raw, none, broken json.RawMessage, n json.Number) {
	tell(is("raw", raw), is("none", none), is("broken", broken), is("n", n))
	park()
	use(raw, none, broken, n)
}

//go:noinline
func holdDecoded(m map[string]any) {
	tell(is("m", m), is(`m["name"]`, m["name"]), is(`m["inner"].(map[string]any)["deep"]`, m["inner"].(map[string]any)["deep"]))
	park()
	use(m)
}
