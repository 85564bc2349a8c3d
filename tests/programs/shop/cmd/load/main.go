// Load: customers of the shop. Each orders, asks for the order, looks at the
// stock, thinks for a moment, and begins anew.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"shop.example/internal/service"
)

var done, inFlight, failed atomic.Int64

func main() {
	gateway := flag.String("gateway", "", "address of the shop")
	customers := flag.Int("customers", 40, "how many at a time")
	think := flag.Duration("think", 100*time.Millisecond, "pause between two requests")
	flag.Parse()

	ctx, stop := service.Context()
	defer stop()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = *customers
	client := &http.Client{Transport: transport, Timeout: 2 * time.Minute}
	for number := range *customers {
		c := &customer{
			shop:   "http://" + *gateway,
			name:   fmt.Sprintf("customer-%02d", number),
			tenant: tenants[number%len(tenants)],
			client: client,
			think:  *think,
		}
		go c.shopAround(ctx)
	}
	fmt.Printf("ready %d\n", os.Getpid())
	for ctx.Err() == nil {
		time.Sleep(time.Second)
		fmt.Printf("done %d in_flight %d failed %d\n", done.Load(), inFlight.Load(), failed.Load())
	}
}

var (
	tenants  = []string{"blue", "green", "red"}
	articles = []string{"kettle", "teapot", "cup", "saucer", "spoon", "strainer", "tray", "caddy"}
)

type customer struct {
	shop, name, tenant string
	client             *http.Client
	think              time.Duration
	requests           int
}

func (c *customer) shopAround(ctx context.Context) {
	for ctx.Err() == nil {
		sku := articles[rand.IntN(len(articles))]
		c.request(ctx, "GET", "/stock/"+sku, nil, nil)
		// Customers share accounts, so that two orders may want one row.
		wanted := map[string]any{"customer": fmt.Sprintf("account-%02d", rand.IntN(20)), "sku": sku, "quantity": 1 + rand.IntN(3)}
		var order struct {
			ID string `json:"order_id"`
		}
		if c.request(ctx, "POST", "/orders", wanted, &order) {
			c.request(ctx, "GET", "/orders/"+order.ID, nil, nil)
		}
	}
}

// request makes one request and says whether it went well.
func (c *customer) request(ctx context.Context, method, path string, body, into any) bool {
	c.requests++
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return false
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.shop+path, content)
	if err != nil {
		return false
	}
	request.Header.Set("X-Tenant", c.tenant)
	request.Header.Set("X-Request-Id", fmt.Sprintf("%s-%d", c.name, c.requests))

	inFlight.Add(1)
	ok := c.exchange(request, into)
	inFlight.Add(-1)
	if ok {
		done.Add(1)
	} else if ctx.Err() == nil {
		failed.Add(1)
	}
	select {
	case <-time.After(c.think):
	case <-ctx.Done():
	}
	return ok
}

func (c *customer) exchange(request *http.Request, into any) bool {
	response, err := c.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return false
	}
	return into == nil || json.Unmarshal(text, into) == nil
}
