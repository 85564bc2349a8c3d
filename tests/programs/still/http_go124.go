//go:build go1.24

package main

import (
	"net/http"
	"net/http/httptest"
)

func init() {
	families = append(families, startHTTP2WithoutTLS)
}

func startHTTP2WithoutTLS(s *scene) {
	clear := httptest.NewUnstartedServer(newMux())
	clear.Config.Protocols = &http.Protocols{}
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	requestAll(s, clear.URL, &http.Client{Transport: transport}, "sync.Cond.Wait")
}
