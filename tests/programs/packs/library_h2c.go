//go:build h2c

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// start serves HTTP/2 without TLS by golang.org/x/net, to a client that begins with it and to one that upgrades. The connections
// of both are still what net/http serves, which sees the request "PRI *" and the one that was upgraded: neither is in flight there.
func start() []int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.URL.Path
		io.Copy(io.Discard, r.Body)
		time.Sleep(time.Hour)
	})
	go http.Serve(listener, h2c.NewHandler(handler, &http2.Server{}))
	address := listener.Addr().String()
	client := &http.Client{Transport: &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(_ context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			connection, err := net.Dial(network, address)
			if err != nil {
				return nil, err
			}
			return tapped(connection), nil
		},
	}}
	deadline, _ := context.WithTimeout(context.Background(), time.Hour)
	request, err := http.NewRequestWithContext(deadline, "PUT", "http://"+address+"/prior?token=secret", nil)
	check(err)
	go client.Do(request)
	go upgrade(address)
	expect("http2_server", "method", "PUT", "path", "/prior", "stream_id", fmt.Sprint(<-asked))
	expect("http2_server", "method", "GET", "path", "/upgraded", "stream_id", "1")
	expect("http_client", "method", "PUT", "path", "/prior", "host", address)
	flight("server http2 PUT /prior")
	flight("server http2 GET /upgraded")
	flight("client http2 PUT /prior")
	return make([]int, 2)
}

// asked has the streams of requests, as they are on the wire: releases begin to count at 1 or at 3.
var asked = make(chan uint32, 10)

type tap struct {
	net.Conn
	copy io.Writer
}

func (t tap) Write(sent []byte) (int, error) {
	t.copy.Write(sent)
	return t.Conn.Write(sent)
}

func tapped(connection net.Conn) net.Conn {
	reader, writer := io.Pipe()
	go func() {
		_, err := io.ReadFull(reader, make([]byte, len(http2.ClientPreface)))
		check(err)
		for frames := http2.NewFramer(nil, reader); ; {
			frame, err := frames.ReadFrame()
			check(err)
			if _, isRequest := frame.(*http2.HeadersFrame); isRequest {
				asked <- frame.Header().StreamID
			}
		}
	}()
	return tap{connection, writer}
}

func upgrade(address string) {
	connection, err := net.Dial("tcp", address)
	check(err)
	_, err = io.WriteString(connection, "GET /upgraded HTTP/1.1\r\nHost: "+address+
		"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
	check(err)
	response := bufio.NewReader(connection)
	line, err := response.ReadString('\n')
	check(err)
	if line != "HTTP/1.1 101 Switching Protocols\r\n" {
		panic(line)
	}
	_, err = io.WriteString(connection, http2.ClientPreface)
	check(err)
	check(http2.NewFramer(connection, nil).WriteSettings())
	// What the server sends is never answered.
	io.Copy(io.Discard, response)
}
