package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// workers is how many requests of each kind are in flight.
const workers = 16

// record is the client's own account of its requests.
type record struct {
	lock sync.Mutex
	out  *bufio.Writer
}

func (r *record) add(id string, began, ended time.Time) {
	r.lock.Lock()
	defer r.lock.Unlock()
	fmt.Fprintln(r.out, id, began.UnixNano(), ended.UnixNano())
}

func drive(httpAddress, grpcAddress, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := &record{out: bufio.NewWriter(file)}
	connection, err := grpc.NewClient(grpcAddress, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	health := healthpb.NewHealthClient(connection)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 2*workers)
	var all sync.WaitGroup
	run := func(kind string, worker int, request func(id string, ms int) error) {
		defer all.Done()
		for n := 0; stopped.Err() == nil; n++ {
			id := fmt.Sprintf("%s-%d-%d-%08x", kind, worker, n, rand.Uint32())
			began := time.Now()
			if err := request(id, 1+rand.Intn(30)); err != nil {
				failed <- fmt.Errorf("%s: %w", id, err)
				return
			}
			r.add(id, began, time.Now())
		}
	}
	for worker := 0; worker < workers; worker++ {
		all.Add(2)
		go run("http", worker, func(id string, ms int) error { return post(client, httpAddress, id, ms) })
		go run("grpc", worker, func(id string, ms int) error { return watch(health, id, ms) })
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
		return r.out.Flush()
	}
}

func post(client *http.Client, address, id string, ms int) error {
	request, err := http.NewRequest("POST", "http://"+address+"/work/"+id+"?of="+id, strings.NewReader(strconv.Itoa(ms)))
	if err != nil {
		return err
	}
	request.Header.Set("X-Request", id)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != id {
		err = fmt.Errorf("the answer is for %s", body)
	}
	return err
}

// watch is a stream that stays open until this ends it.
func watch(health healthpb.HealthClient, id string, ms int) error {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "x-request", id))
	defer cancel()
	stream, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: id})
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	return nil
}
