//go:build redis

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// start asks a server that only knows how to begin.
func start() []int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			connection, err := listener.Accept()
			check(err)
			go serve(connection)
		}
	}()
	client := redis.NewClient(&redis.Options{Addr: listener.Addr().String(), ReadTimeout: -1, WriteTimeout: -1, ContextTimeoutEnabled: false})
	go func() { client.Get(context.Background(), "secret").Result() }()
	go func() { client.BLPop(context.Background(), 0, "queue").Result() }()
	go func() { client.HSet(context.Background(), "a", "b", "c").Result() }()
	expect("redis", "command", "get")
	expect("redis", "command", "blpop")
	expect("redis", "command", "hset")
	return make([]int, 3)
}

func serve(connection net.Conn) {
	in := bufio.NewReader(connection)
	for {
		words := command(in)
		switch strings.ToLower(words[0]) {
		case "hello":
			fmt.Fprint(connection, "-ERR unknown command\r\n")
		case "client", "auth", "select", "ping":
			fmt.Fprint(connection, "+OK\r\n")
		default:
			reached <- words[0]
		}
	}
}

func command(in *bufio.Reader) []string {
	n := number(in, '*')
	words := make([]string, n)
	for i := range words {
		bytes := make([]byte, number(in, '$')+2)
		for got := 0; got < len(bytes); {
			n, err := in.Read(bytes[got:])
			check(err)
			got += n
		}
		words[i] = string(bytes[:len(bytes)-2])
	}
	return words
}

func number(in *bufio.Reader, mark byte) int {
	text, err := in.ReadString('\n')
	check(err)
	if text[0] != mark {
		panic(text)
	}
	n, err := strconv.Atoi(strings.TrimSpace(text[1:]))
	check(err)
	return n
}
