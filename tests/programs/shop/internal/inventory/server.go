package inventory

import (
	"context"

	"google.golang.org/grpc"

	pb "shop.example/internal/pb/inventorypb"
)

// Server answers the other services' calls.
type Server struct {
	pb.UnimplementedInventoryServer
	shelf *Shelf
}

// NewServer makes a server for shelf.
func NewServer(shelf *Shelf) *Server { return &Server{shelf: shelf} }

// Reserve implements the Inventory service.
func (s *Server) Reserve(ctx context.Context, request *pb.ReserveRequest) (*pb.ReserveReply, error) {
	id, price, err := s.shelf.Reserve(request.GetSku(), request.GetQuantity())
	if err != nil {
		return nil, err
	}
	return &pb.ReserveReply{ReservationId: id, UnitPriceCents: price}, nil
}

// Release implements the Inventory service.
func (s *Server) Release(ctx context.Context, request *pb.ReleaseRequest) (*pb.ReleaseReply, error) {
	return &pb.ReleaseReply{}, s.shelf.Release(request.GetReservationId())
}

// Stock implements the Inventory service.
func (s *Server) Stock(ctx context.Context, request *pb.StockRequest) (*pb.StockReply, error) {
	available, err := s.shelf.Available(request.GetSku())
	if err != nil {
		return nil, err
	}
	return &pb.StockReply{Sku: request.GetSku(), Available: available}, nil
}

// Watch implements the Inventory service.
func (s *Server) Watch(request *pb.StockRequest, stream grpc.ServerStreamingServer[pb.StockReply]) error {
	updates := s.shelf.Subscribe(request.GetSku())
	for {
		select {
		case available := <-updates:
			if err := stream.Send(&pb.StockReply{Sku: request.GetSku(), Available: available}); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
