package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func serve(path, address, port string) error {
	r := &record{}
	var listeners []net.Listener
	base, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	for n := range 3 {
		at := base
		if base != 0 {
			at += n
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(at)))
		if err != nil {
			return err
		}
		listeners = append(listeners, listener)
	}
	unix, err := net.Listen("unix", fmt.Sprintf("@traffic-%d", os.Getpid()))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /work/{id}/{ms}", r.work)
	mux.HandleFunc("GET /look/{id}/{ms}", r.work)
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	var both, secure http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	secure.SetHTTP2(true)
	plain := &http.Server{Handler: mux, Protocols: &both}
	tlsServer := &http.Server{
		Handler:   mux,
		Protocols: &secure,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	forGRPC := grpc.NewServer()
	healthpb.RegisterHealthServer(forGRPC, &clinic{record: r})
	ended := make(chan error, 4)
	go func() { ended <- plain.Serve(unix) }()
	go func() { ended <- plain.Serve(listeners[0]) }()
	go func() { ended <- tlsServer.ServeTLS(listeners[1], "", "") }()
	go func() { ended <- forGRPC.Serve(listeners[2]) }()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Printf("ready %d %s %s %s %s\n", os.Getpid(), listeners[0].Addr(), listeners[1].Addr(), listeners[2].Addr(), unix.Addr())
	select {
	case err := <-ended:
		return err
	case <-told:
		return r.write(path)
	}
}

// work takes as long as it is told to, and says for whom it was.
func (r *record) work(w http.ResponseWriter, request *http.Request) {
	kind := "http1"
	if request.ProtoMajor == 2 {
		kind = "h2c"
		if request.TLS != nil {
			kind = "http2"
		}
	}
	id := request.PathValue("id")
	defer r.serving(kind, request.Method+":"+request.URL.Path, id)()
	pause(request.PathValue("ms"))
	fmt.Fprint(w, id)
}

func pause(ms string) {
	n, err := strconv.Atoi(ms)
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Duration(n) * time.Millisecond)
}

// clinic is a health service whose answers take time; the service that is asked for is "id/ms".
type clinic struct {
	healthpb.UnimplementedHealthServer
	record *record
}

func (c *clinic) Check(_ context.Context, request *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	id, ms, _ := strings.Cut(request.Service, "/")
	defer c.record.serving("unary", "/grpc.health.v1.Health/Check", id)()
	pause(ms)
	// A probe finds it for as long as it is served.
	runtime.KeepAlive(id)
	return &healthpb.HealthCheckResponse{}, nil
}

func (c *clinic) Watch(request *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	id, ms, _ := strings.Cut(request.Service, "/")
	defer c.record.serving("stream", "/grpc.health.v1.Health/Watch", id)()
	for range 3 {
		if err := stream.Send(&healthpb.HealthCheckResponse{}); err != nil {
			return err
		}
		pause(ms)
		runtime.KeepAlive(id)
	}
	return nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
