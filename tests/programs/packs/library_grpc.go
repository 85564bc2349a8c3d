//go:build grpc

package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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

func start() []int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, clinic{})
	go server.Serve(listener)
	connection, err := grpc.Dial(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
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
	for _, probe := range []string{"grpc_server", "grpc_client"} {
		expect(probe, "method", "/grpc.health.v1.Health/Check", "stream_id", "1")
		expect(probe, "method", "/grpc.health.v1.Health/Watch", "stream_id", "3")
	}
	return make([]int, 2)
}
