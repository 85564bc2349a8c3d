// Package gateway is the shop's front: HTTP and JSON outside, gRPC inside.
package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/internal/pb/inventorypb"
	"shop.example/internal/pb/orderspb"
)

// Gateway handles the shop's requests.
type Gateway struct {
	orders    orderspb.OrdersClient
	inventory inventorypb.InventoryClient
	sessions  *Sessions
	prices    *StockBoard
}

// New makes a gateway on two services.
func New(orders orderspb.OrdersClient, inventory inventorypb.InventoryClient) *Gateway {
	return &Gateway{orders: orders, inventory: inventory, sessions: NewSessions(), prices: NewStockBoard()}
}

// Handler is the gateway's routes within their middleware.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", g.placeOrder)
	mux.HandleFunc("GET /orders/{id}", g.getOrder)
	mux.HandleFunc("GET /stock/{sku}", g.getStock)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	return withLabels(mux, g.withSession(mux))
}

// StartJobs starts what the gateway does beside its requests.
func (g *Gateway) StartJobs(ctx context.Context) {
	go g.sessions.Sweep(ctx, 10*time.Second)
	for _, sku := range []string{"kettle", "teapot"} {
		go g.prices.Follow(ctx, g.inventory, sku)
	}
}

func (g *Gateway) placeOrder(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Customer string `json:"customer"`
		Sku      string `json:"sku"`
		Quantity int32  `json:"quantity"`
	}
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	order, err := g.orders.PlaceOrder(r.Context(), &orderspb.PlaceOrderRequest{
		Customer: wanted.Customer, Sku: wanted.Sku, Quantity: wanted.Quantity,
	})
	answer(w, order, err)
}

func (g *Gateway) getOrder(w http.ResponseWriter, r *http.Request) {
	order, err := g.orders.GetOrder(r.Context(), &orderspb.GetOrderRequest{OrderId: r.PathValue("id")})
	answer(w, order, err)
}

func (g *Gateway) getStock(w http.ResponseWriter, r *http.Request) {
	stock, err := g.inventory.Stock(r.Context(), &inventorypb.StockRequest{Sku: r.PathValue("sku")})
	answer(w, stock, err)
}

func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		code := http.StatusBadGateway
		switch status.Code(err) {
		case codes.NotFound:
			code = http.StatusNotFound
		case codes.ResourceExhausted:
			code = http.StatusConflict
		}
		http.Error(w, err.Error(), code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
