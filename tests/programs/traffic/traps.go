package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// idle keeps connections on which nobody waits for an answer, and one on which somebody does.
func idle(httpAddress, httpsAddress, grpcAddress, unixAddress string) error {
	connection, err := grpc.NewClient(grpcAddress, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	var two http.Protocols
	two.SetUnencryptedHTTP2(true)
	one := &http.Client{Transport: &http.Transport{}}
	clear := &http.Client{Transport: &http.Transport{Protocols: &two}}
	secure := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
	local := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", unixAddress)
		},
	}}
	if err := get(one, "http://"+httpAddress, "idle-http1", 1); err != nil {
		return err
	}
	if err := get(clear, "http://"+httpAddress, "idle-h2c", 1); err != nil {
		return err
	}
	if err := get(secure, "https://"+httpsAddress, "idle-http2", 1); err != nil {
		return err
	}
	if err := unary(healthpb.NewHealthClient(connection), "idle-grpc", 1); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- get(local, "http://traffic", "long-unix", 600_000) }()
	// Until all of it has come to rest.
	time.Sleep(time.Second)
	return wait(failed)
}

// traps are calls of HTTP/1.1 whose connection, method and path are those of another one that is still served. Every call has an
// id of its own in the header X-Id:
//
//	/runs-on    the handler has answered and runs on, while its client asks again
//	/hijacked   the handler has taken the connection, has answered by hand and runs on, while its client asks again
//	/pipelined  a client has sent two calls at once, and the first one is served
//	/continued  a client waits to be told that it may send its body, which the handler never reads
func traps() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	forever := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/runs-on", func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
		<-forever
	})
	mux.HandleFunc("/hijacked", func(w http.ResponseWriter, request *http.Request) {
		connection, both, err := w.(http.Hijacker).Hijack()
		check(err)
		io.WriteString(both, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		both.Flush()
		<-forever
		connection.Close()
	})
	mux.HandleFunc("/pipelined", func(http.ResponseWriter, *http.Request) { <-forever })
	mux.HandleFunc("/continued", func(http.ResponseWriter, *http.Request) { <-forever })
	failed := make(chan error, 8)
	go func() { failed <- http.Serve(listener, mux) }()

	base := "http://" + listener.Addr().String()
	for _, path := range []string{"/runs-on", "/hijacked"} {
		go func() {
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			for n := 1; ; n++ {
				if err := ask(client, "GET", base+path, fmt.Sprintf("%s-%d", path, n), nil); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	go func() {
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Hour}}
		failed <- ask(client, "POST", base+"/continued", "/continued-1", strings.NewReader("body"))
	}()
	go func() {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			for n := 1; n < 3 && err == nil; n++ {
				_, err = fmt.Fprintf(connection, "GET /pipelined HTTP/1.1\r\nHost: x\r\nX-Id: /pipelined-%d\r\n\r\n", n)
			}
		}
		if err == nil {
			_, err = bufio.NewReader(connection).ReadByte()
		}
		failed <- err
	}()
	time.Sleep(time.Second)
	return wait(failed)
}

func ask(client *http.Client, method, address, id string, body io.Reader) error {
	request, err := http.NewRequest(method, address, body)
	if err != nil {
		return err
	}
	request.Header.Set("X-Id", id)
	if body != nil {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}

// wait says that all is as it will be, and ends when it is told to.
func wait(failed chan error) error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Printf("ready %d\n", os.Getpid())
	select {
	case err := <-failed:
		return err
	case <-told:
		return nil
	}
}
