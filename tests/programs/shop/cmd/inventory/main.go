// Inventory: what is on the shelf.
package main

import (
	"flag"
	"io"
	"time"

	"google.golang.org/grpc"

	"shop.example/internal/inventory"
	pb "shop.example/internal/pb/inventorypb"
	"shop.example/internal/service"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address of the gRPC service")
	page := flag.Duration("report-page", 750*time.Millisecond, "how long one of the report's eight pages takes")
	rest := flag.Duration("report-rest", 2*time.Second, "pause between two reports")
	flag.Parse()

	ctx, stop := service.Context()
	defer stop()
	shelf := inventory.NewShelf()
	go inventory.RestockLoop(ctx, shelf, 5*time.Second)
	reports := &inventory.ReportBuilder{Shelf: shelf, Out: io.Discard, PageDelay: *page, Rest: *rest}
	go reports.Run(ctx)

	service.Exit("inventory", service.ServeGRPC(ctx, *listen, func(s *grpc.Server) {
		pb.RegisterInventoryServer(s, inventory.NewServer(shelf))
	}))
}
