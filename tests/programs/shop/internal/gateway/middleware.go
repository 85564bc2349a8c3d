package gateway

import (
	"context"
	"net/http"
	"runtime/pprof"
	"sync"
	"time"
)

// withLabels runs each request under pprof labels, which profiles and snapshots
// show: the route, the tenant and the request's id.
func withLabels(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := mux.Handler(r)
		labels := pprof.Labels("route", route, "tenant", r.Header.Get("X-Tenant"), "request_id", r.Header.Get("X-Request-Id"))
		pprof.Do(r.Context(), labels, func(ctx context.Context) {
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	})
}

// withSession notes when a tenant was last seen.
func (g *Gateway) withSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.sessions.Touch(r.Header.Get("X-Tenant"))
		next.ServeHTTP(w, r)
	})
}

// Sessions knows when each tenant was last seen.
type Sessions struct {
	mu   sync.RWMutex
	seen map[string]time.Time
}

// NewSessions makes an empty set of sessions.
func NewSessions() *Sessions { return &Sessions{seen: map[string]time.Time{}} }

// Touch notes that a tenant is here.
func (s *Sessions) Touch(tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[tenant] = time.Now()
}

// Sweep forgets tenants that have not been seen for a while.
func (s *Sessions) Sweep(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.forget(now.Add(-time.Hour))
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sessions) forget(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tenant, seen := range s.seen {
		if seen.Before(before) {
			delete(s.seen, tenant)
		}
	}
}
