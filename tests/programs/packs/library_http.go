//go:build http

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// start has servers and clients of both versions, each of which waits in its handler or for its answer.
func start() []int {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached <- r.URL.Path
		io.Copy(io.Discard, r.Body)
		time.Sleep(time.Hour)
	})
	one := httptest.NewServer(handler)
	two := httptest.NewUnstartedServer(handler)
	two.EnableHTTP2 = true
	two.StartTLS()
	deadline, _ := context.WithTimeout(context.Background(), time.Hour)
	ask := func(client *http.Client, method, address string) {
		request, err := http.NewRequestWithContext(deadline, method, address, nil)
		check(err)
		go client.Do(request)
	}
	ask(one.Client(), "GET", one.URL+"/one?token=secret")
	ask(two.Client(), "PUT", two.URL+"/two?token=secret")
	host := func(s *httptest.Server) string { return s.Listener.Addr().(*net.TCPAddr).String() }
	expect("http_server", "method", "GET", "path", "/one", "host", host(one))
	expect("http2_server", "method", "PUT", "path", "/two", "stream_id", "1")
	expect("http_client", "method", "GET", "path", "/one", "host", host(one))
	expect("http_client", "method", "PUT", "path", "/two", "host", host(two))
	return make([]int, 2)
}
