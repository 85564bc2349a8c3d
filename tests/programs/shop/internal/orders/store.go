// Package orders takes orders: it reserves the articles, charges the customer
// and writes the order to PostgreSQL.
package orders

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "shop.example/internal/pb/orderspb"
)

//go:embed schema.sql
var schema string

// Store is the orders' database.
type Store struct {
	pool *pgxpool.Pool
}

// OpenStore connects to the database and makes the tables that are missing.
func OpenStore(ctx context.Context, url string, connections int32) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, schema); err != nil {
		pool.Close()
		return nil, err
	}
	return &Store{pool: pool}, nil
}

// Place writes an order and charges for it in one transaction, which holds the
// customer's row until the bank has answered.
func (s *Store) Place(ctx context.Context, order *pb.Order, charge func(context.Context) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.lockCustomer(ctx, tx, order.GetCustomer()); err != nil {
			return err
		}
		if err := charge(ctx); err != nil {
			return err
		}
		order.Status = "paid"
		return s.insertOrder(ctx, tx, order)
	})
}

func (s *Store) lockCustomer(ctx context.Context, tx pgx.Tx, customer string) error {
	if _, err := tx.Exec(ctx, `insert into customers (name) values ($1) on conflict do nothing`, customer); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `select spent_cents from customers where name = $1 for update`, customer)
	return err
}

func (s *Store) insertOrder(ctx context.Context, tx pgx.Tx, order *pb.Order) error {
	batch := &pgx.Batch{}
	batch.Queue(`insert into orders (order_id, customer, sku, quantity, total_cents, status) values ($1, $2, $3, $4, $5, $6)`,
		order.GetOrderId(), order.GetCustomer(), order.GetSku(), order.GetQuantity(), order.GetTotalCents(), order.GetStatus())
	batch.Queue(`update customers set spent_cents = spent_cents + $2 where name = $1`, order.GetCustomer(), order.GetTotalCents())
	batch.Queue(`insert into outbox (order_id, event) values ($1, 'order.paid')`, order.GetOrderId())
	return tx.SendBatch(ctx, batch).Close()
}

// Find reads one order.
func (s *Store) Find(ctx context.Context, id string) (*pb.Order, error) {
	order := &pb.Order{}
	err := s.pool.QueryRow(ctx,
		`select order_id, customer, sku, quantity, total_cents, status from orders where order_id = $1`, id,
	).Scan(&order.OrderId, &order.Customer, &order.Sku, &order.Quantity, &order.TotalCents, &order.Status)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, status.Errorf(codes.NotFound, "no order %q", id)
	}
	return order, err
}

// takeEvents marks some events of the outbox as published and returns how many.
func (s *Store) takeEvents(ctx context.Context, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `update outbox set published_at = now() where event_id in (
		select event_id from outbox where published_at is null order by event_id limit $1 for update skip locked)`, limit)
	return tag.RowsAffected(), err
}

// archive removes what is old.
func (s *Store) archive(ctx context.Context, age time.Duration) (int64, error) {
	tag, err := s.pool.Exec(ctx, `delete from outbox where published_at < now() - $1::interval`, age.String())
	return tag.RowsAffected(), err
}
