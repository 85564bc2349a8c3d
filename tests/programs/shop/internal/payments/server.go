// Package payments charges customers through an acquiring bank that is slow now
// and then.
package payments

import (
	"context"
	"expvar"
	"fmt"
	"sync/atomic"

	pb "shop.example/internal/pb/paymentspb"
)

var chargesInFlight = expvar.NewInt("charges_in_flight")

// Server answers the orders service's calls.
type Server struct {
	pb.UnimplementedPaymentsServer
	bank       *Bank
	settlement *Settlement
	serial     atomic.Int64
}

// NewServer makes a server that charges through bank.
func NewServer(bank *Bank, settlement *Settlement) *Server {
	return &Server{bank: bank, settlement: settlement}
}

// Charge implements the Payments service.
func (s *Server) Charge(ctx context.Context, request *pb.ChargeRequest) (*pb.ChargeReply, error) {
	chargesInFlight.Add(1)
	defer chargesInFlight.Add(-1)
	approval, err := s.bank.Authorize(ctx, request.GetCustomer(), request.GetAmountCents())
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("p-%d-%s", s.serial.Add(1), approval)
	s.settlement.Add(Payment{ID: id, OrderID: request.GetOrderId(), Cents: request.GetAmountCents()})
	return &pb.ChargeReply{PaymentId: id}, nil
}
