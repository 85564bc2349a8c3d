//go:build otel

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// span says which span the request is served in.
func span(ctx context.Context) {
	of := trace.SpanContextFromContext(ctx)
	seen <- [2]string{of.TraceID().String(), of.SpanID().String()}
}

var seen = make(chan [2]string, 2)

type traced struct {
	healthpb.UnimplementedHealthServer
}

func (traced) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	span(ctx)
	time.Sleep(time.Hour)
	return nil, nil
}

func start() []int {
	provider := sdktrace.NewTracerProvider()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span(r.Context())
		io.Copy(io.Discard, r.Body)
		time.Sleep(time.Hour)
	})
	web := httptest.NewServer(otelhttp.NewHandler(handler, "web", otelhttp.WithTracerProvider(provider)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(provider))))
	healthpb.RegisterHealthServer(server, traced{})
	go server.Serve(listener)
	connection, err := grpc.Dial(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	go http.Get(web.URL)
	go healthpb.NewHealthClient(connection).Check(context.Background(), &healthpb.HealthCheckRequest{})
	for range make([]int, 2) {
		of := <-seen
		expect("otel", "trace_id", of[0], "span_id", of[1])
	}
	return nil
}
