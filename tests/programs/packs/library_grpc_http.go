//go:build grpc_http

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

type clinic struct {
	healthpb.UnimplementedHealthServer
}

func (clinic) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	reached <- "unary"
	time.Sleep(time.Hour)
	return nil, nil
}

func (clinic) Watch(*healthpb.HealthCheckRequest, healthpb.Health_WatchServer) error {
	reached <- "stream"
	time.Sleep(time.Hour)
	return nil
}

// start serves gRPC by net/http, as behind a handler that has other routes too. gRPC does not know the number of the stream then;
// HTTP/2 does, whose request it is as well.
func start() []int {
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, clinic{})
	web := httptest.NewUnstartedServer(server)
	web.EnableHTTP2 = true
	web.StartTLS()
	address := web.Listener.Addr().(*net.TCPAddr).String()
	certificates := credentials.NewTLS(web.Client().Transport.(*http.Transport).TLSClientConfig)
	connection, err := grpc.Dial(address, grpc.WithTransportCredentials(certificates), grpc.WithAuthority("example.com"))
	check(err)
	health := healthpb.NewHealthClient(connection)
	ctx, _ := context.WithTimeout(context.Background(), time.Hour)
	go func() {
		health.Check(ctx, &healthpb.HealthCheckRequest{})
	}()
	<-time.After(300 * time.Millisecond)
	go func() {
		stream, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
		check(err)
		stream.Recv()
	}()
	for i, path := range []string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"} {
		stream := []string{"1", "3"}[i]
		expect("grpc_server", "method", path)
		expect("grpc_client", "method", path, "stream_id", stream)
		expect("http2_server", "method", "POST", "path", path, "stream_id", stream)
		flight("server grpc " + path)
		flight("server http2 POST " + path)
		flight("client grpc " + path)
	}
	return make([]int, 2)
}
