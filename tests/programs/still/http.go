package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// startHTTP: requests that stand in their handler, in their headers and in their
// body, over HTTP/1 and HTTP/2.
func startHTTP(s *scene) {
	mux := newMux()
	plain := httptest.NewServer(mux)
	secure := httptest.NewUnstartedServer(mux)
	secure.EnableHTTP2 = true
	secure.StartTLS()

	// HTTP/1 reads the connection, HTTP/2 waits for its reader.
	requestAll(s, plain.URL, plain.Client(), "IO wait")
	requestAll(s, secure.URL, secure.Client(), "sync.Cond.Wait")
}

func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/stuck/", serveStuck)
	mux.Handle("/half", middleware(http.HandlerFunc(serveHalf)))
	mux.HandleFunc("/upload", serveUpload)
	return mux
}

func requestAll(s *scene, url string, client *http.Client, bodyState string) {
	s.expect("main.serveStuck(", "chan receive")
	s.expect("main.requestStuck(", "select")
	go requestStuck(client, url+"/stuck/4711")

	s.expect("main.serveHalf(", "chan receive")
	s.expect("main.requestHalf(", bodyState)
	go requestHalf(client, url+"/half")

	body, unsent := io.Pipe()
	keep(unsent)
	s.expect("main.serveUpload(", bodyState)
	s.expect("main.requestUpload(", "select")
	go requestUpload(client, url+"/upload", body)
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
	io.WriteString(w, r.URL.Path)
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
