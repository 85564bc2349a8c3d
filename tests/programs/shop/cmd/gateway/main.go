// Gateway: the shop's HTTP front.
package main

import (
	"flag"

	"shop.example/internal/gateway"
	"shop.example/internal/pb/inventorypb"
	"shop.example/internal/pb/orderspb"
	"shop.example/internal/service"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve HTTP on")
	ordersAddress := flag.String("orders", "", "address of the orders service")
	inventoryAddress := flag.String("inventory", "", "address of the inventory service")
	flag.Parse()

	ctx, stop := service.Context()
	defer stop()
	orders, err := service.Dial(*ordersAddress)
	service.Exit("gateway: orders", err)
	inventory, err := service.Dial(*inventoryAddress)
	service.Exit("gateway: inventory", err)

	g := gateway.New(orderspb.NewOrdersClient(orders), inventorypb.NewInventoryClient(inventory))
	g.StartJobs(ctx)
	service.Exit("gateway", service.ServeHTTP(ctx, *listen, g.Handler()))
}
