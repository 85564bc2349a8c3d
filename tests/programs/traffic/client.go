package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// workers is how many requests of each kind are in flight.
const workers = 8

func drive(httpAddress, httpsAddress, grpcAddress, only string) error {
	connection, err := grpc.NewClient(grpcAddress, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	health := healthpb.NewHealthClient(connection)
	var two http.Protocols
	two.SetUnencryptedHTTP2(true)
	one := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	clear := &http.Client{Transport: &http.Transport{Protocols: &two}}
	secure := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	kinds := map[string]func(id string, ms int) error{
		"http1":  func(id string, ms int) error { return get(one, "http://"+httpAddress, id, ms) },
		"h2c":    func(id string, ms int) error { return get(clear, "http://"+httpAddress, id, ms) },
		"http2":  func(id string, ms int) error { return get(secure, "https://"+httpsAddress, id, ms) },
		"unary":  func(id string, ms int) error { return unary(health, id, ms) },
		"stream": func(id string, ms int) error { return stream(health, id, ms) },
	}
	failed := make(chan error, len(kinds)*workers)
	var all sync.WaitGroup
	for kind, request := range kinds {
		if only != "" && kind != only {
			continue
		}
		for worker := range workers {
			all.Go(func() {
				for n := 0; stopped.Err() == nil; n++ {
					id := fmt.Sprintf("%s-%d-%d-%08x", kind, worker, n, rand.Uint32())
					if err := request(id, 1+rand.Intn(30)); err != nil {
						failed <- fmt.Errorf("%s: %w", id, err)
						return
					}
				}
			})
		}
	}
	fmt.Printf("ready %d\n", os.Getpid())
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}

// get asks with one of two methods.
func get(client *http.Client, address, id string, ms int) error {
	method, folder := "GET", "look"
	if ms%2 == 0 {
		method, folder = "POST", "work"
	}
	request, err := http.NewRequest(method, fmt.Sprintf("%s/%s/%s/%d?token=secret-%s", address, folder, id, ms, id), nil)
	if err != nil {
		return err
	}
	// As a client that is traced: each call is a span of its own.
	request.Header.Set("Traceparent", fmt.Sprintf("00-%016x%016x-%016x-01", rand.Uint64(), rand.Uint64(), rand.Uint64()))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != id {
		err = fmt.Errorf("the answer is %s for %s", response.Status, body)
	}
	return err
}

func unary(health healthpb.HealthClient, id string, ms int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: fmt.Sprintf("%s/%d", id, ms)})
	return err
}

func stream(health healthpb.HealthClient, id string, ms int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: fmt.Sprintf("%s/%d", id, ms)})
	for err == nil {
		_, err = stream.Recv()
	}
	if err == io.EOF {
		return nil
	}
	return err
}
