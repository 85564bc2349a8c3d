package orders

import (
	"context"
	"expvar"
	"fmt"
	"os"
	"sync/atomic"

	"shop.example/internal/pb/inventorypb"
	pb "shop.example/internal/pb/orderspb"
	"shop.example/internal/pb/paymentspb"
)

var ordersPlaced = expvar.NewInt("orders_placed")

// Server answers the gateway's calls.
type Server struct {
	pb.UnimplementedOrdersServer
	store     *Store
	inventory inventorypb.InventoryClient
	payments  paymentspb.PaymentsClient
	serial    atomic.Int64
}

// NewServer makes a server on a store and two other services.
func NewServer(store *Store, inventory inventorypb.InventoryClient, payments paymentspb.PaymentsClient) *Server {
	return &Server{store: store, inventory: inventory, payments: payments}
}

// PlaceOrder implements the Orders service.
func (s *Server) PlaceOrder(ctx context.Context, request *pb.PlaceOrderRequest) (*pb.Order, error) {
	order := &pb.Order{
		OrderId:  fmt.Sprintf("o-%d-%d", os.Getpid(), s.serial.Add(1)),
		Customer: request.GetCustomer(),
		Sku:      request.GetSku(),
		Quantity: request.GetQuantity(),
		Status:   "new",
	}
	reservation, err := s.reserve(ctx, order)
	if err != nil {
		return nil, err
	}
	err = s.store.Place(ctx, order, func(ctx context.Context) error { return s.charge(ctx, order) })
	if err != nil {
		s.inventory.Release(context.WithoutCancel(ctx), &inventorypb.ReleaseRequest{ReservationId: reservation})
		return nil, err
	}
	ordersPlaced.Add(1)
	return order, nil
}

func (s *Server) reserve(ctx context.Context, order *pb.Order) (reservation string, err error) {
	reply, err := s.inventory.Reserve(ctx, &inventorypb.ReserveRequest{
		OrderId: order.GetOrderId(), Sku: order.GetSku(), Quantity: order.GetQuantity(),
	})
	if err != nil {
		return "", err
	}
	order.TotalCents = reply.GetUnitPriceCents() * int64(order.GetQuantity())
	return reply.GetReservationId(), nil
}

func (s *Server) charge(ctx context.Context, order *pb.Order) error {
	_, err := s.payments.Charge(ctx, &paymentspb.ChargeRequest{
		OrderId: order.GetOrderId(), Customer: order.GetCustomer(), AmountCents: order.GetTotalCents(),
	})
	return err
}

// GetOrder implements the Orders service.
func (s *Server) GetOrder(ctx context.Context, request *pb.GetOrderRequest) (*pb.Order, error) {
	return s.store.Find(ctx, request.GetOrderId())
}
