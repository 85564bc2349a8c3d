// Orders: takes orders and keeps them in PostgreSQL.
package main

import (
	"flag"
	"time"

	"google.golang.org/grpc"

	"shop.example/internal/orders"
	"shop.example/internal/pb/inventorypb"
	pb "shop.example/internal/pb/orderspb"
	"shop.example/internal/pb/paymentspb"
	"shop.example/internal/service"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address of the gRPC service")
	database := flag.String("database", "", "PostgreSQL, as a URL or key=value pairs")
	connections := flag.Int("connections", 24, "most connections to the database")
	inventoryAddress := flag.String("inventory", "", "address of the inventory service")
	paymentsAddress := flag.String("payments", "", "address of the payments service")
	flag.Parse()

	ctx, stop := service.Context()
	defer stop()
	store, err := orders.OpenStore(ctx, *database, int32(*connections))
	service.Exit("orders: database", err)
	inventory, err := service.Dial(*inventoryAddress)
	service.Exit("orders: inventory", err)
	payments, err := service.Dial(*paymentsAddress)
	service.Exit("orders: payments", err)

	go orders.OutboxPublisher(ctx, store, time.Second)
	go orders.Archivist(ctx, store, time.Minute)

	service.Exit("orders", service.ServeGRPC(ctx, *listen, func(s *grpc.Server) {
		pb.RegisterOrdersServer(s, orders.NewServer(store,
			inventorypb.NewInventoryClient(inventory), paymentspb.NewPaymentsClient(payments)))
	}))
}
