package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// startHTTP: requests that stand in their handler, in their headers and in their
// body, over HTTP/1, HTTP/2 with TLS and HTTP/2 without.
func startHTTP(s *scene) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stuck/{order}", serveStuck)
	mux.Handle("/half", middleware(http.HandlerFunc(serveHalf)))
	mux.HandleFunc("POST /upload", serveUpload)

	plain := httptest.NewServer(mux)
	secure := httptest.NewUnstartedServer(mux)
	secure.EnableHTTP2 = true
	secure.StartTLS()

	clear := httptest.NewUnstartedServer(mux)
	clear.Config.Protocols = &http.Protocols{}
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)

	for _, way := range []struct {
		url       string
		client    *http.Client
		bodyState string // HTTP/1 reads the connection, HTTP/2 waits for its reader
	}{
		{plain.URL, plain.Client(), "IO wait"},
		{secure.URL, secure.Client(), "sync.Cond.Wait"},
		{clear.URL, &http.Client{Transport: transport}, "sync.Cond.Wait"},
	} {
		s.expect("main.serveStuck(", "chan receive")
		s.expect("main.requestStuck(", "select")
		go requestStuck(way.client, way.url+"/stuck/4711")

		s.expect("main.serveHalf(", "chan receive")
		s.expect("main.requestHalf(", way.bodyState)
		go requestHalf(way.client, way.url+"/half")

		body, unsent := io.Pipe()
		keep(unsent)
		s.expect("main.serveUpload(", way.bodyState)
		s.expect("main.requestUpload(", "select")
		go requestUpload(way.client, way.url+"/upload", body)
	}
}

func middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Through", "middleware")
		next.ServeHTTP(w, r)
	})
}

//go:noinline
func serveStuck(w http.ResponseWriter, r *http.Request) {
	<-never
	io.WriteString(w, r.PathValue("order"))
}

//go:noinline
func serveHalf(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "half of it")
	w.(http.Flusher).Flush()
	<-never
}

//go:noinline
func serveUpload(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
}

//go:noinline
func requestStuck(client *http.Client, url string) {
	response, err := client.Get(url)
	check(err)
	defer response.Body.Close()
}

//go:noinline
func requestHalf(client *http.Client, url string) string {
	response, err := client.Get(url)
	check(err)
	defer response.Body.Close()
	var text strings.Builder
	io.Copy(&text, response.Body)
	return text.String()
}

//go:noinline
func requestUpload(client *http.Client, url string, body io.Reader) {
	response, err := client.Post(url, "application/octet-stream", body)
	check(err)
	defer response.Body.Close()
}
