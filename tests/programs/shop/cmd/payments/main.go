// Payments: charges customers.
package main

import (
	"flag"
	"time"

	"google.golang.org/grpc"

	"shop.example/internal/payments"
	pb "shop.example/internal/pb/paymentspb"
	"shop.example/internal/service"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address of the gRPC service")
	usual := flag.Duration("usual", 15*time.Millisecond, "how long the bank takes as a rule")
	slow := flag.Duration("slow", 20*time.Second, "how long it takes now and then")
	every := flag.Int64("slow-every", 40, "one in so many charges is slow")
	flag.Parse()

	ctx, stop := service.Context()
	defer stop()
	settlement := payments.NewSettlement()
	go settlement.Run(ctx, 2*time.Second)
	bank := &payments.Bank{Usual: *usual, Slow: *slow, SlowEvery: *every}

	service.Exit("payments", service.ServeGRPC(ctx, *listen, func(s *grpc.Server) {
		pb.RegisterPaymentsServer(s, payments.NewServer(bank, settlement))
	}))
}
