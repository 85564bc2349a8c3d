package main

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
)

func startNetwork(s *scene) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	idle, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	s.expect("main.accept(", "IO wait")
	go accept(idle)

	client, server := connect(listener)
	s.expect("main.readConn(", "IO wait")
	go readConn(client)
	s.expect("main.fillConn(", "IO wait")
	go fillConn(client)
	keep(server)

	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(err)
	s.expect("main.readDatagram(", "IO wait")
	go readDatagram(datagrams)

	folder, err := os.MkdirTemp("", "still")
	check(err)
	local, err := net.Listen("unix", filepath.Join(folder, "socket"))
	check(err)
	unixClient, unixServer := connect(local)
	// Connected: the name is not needed any more.
	check(os.RemoveAll(folder))
	keep(local, unixServer)
	s.expect("main.readConn(", "IO wait")
	go readConn(unixClient)

	near, far := net.Pipe()
	keep(far)
	s.expect("main.readConn(", "select")
	go readConn(near)

	startTLS(s, listener)
}

// startTLS: both ends of an established session read; a third connection stays
// in its handshake.
func startTLS(s *scene, listener net.Listener) {
	// httptest brings a certificate for 127.0.0.1.
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	certified.Close()

	client, server := connect(listener)
	secureServer := tls.Server(server, config)
	secureClient := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	s.expect("main.readSecure(", "IO wait")
	s.expect("main.readSecure(", "IO wait")
	go readSecure(secureServer)
	go readSecure(secureClient)

	silent, other := connect(listener)
	keep(other)
	s.expect("main.shakeHands(", "IO wait")
	go shakeHands(tls.Client(silent, &tls.Config{InsecureSkipVerify: true}))
}

// connect makes a connection to listener and returns both its ends.
func connect(listener net.Listener) (client, server net.Conn) {
	accepted := make(chan net.Conn)
	go func() {
		conn, err := listener.Accept()
		check(err)
		accepted <- conn
	}()
	client, err := net.Dial(listener.Addr().Network(), listener.Addr().String())
	check(err)
	return client, <-accepted
}

//go:noinline
func accept(l net.Listener) (net.Conn, error) { return l.Accept() }

//go:noinline
func readConn(c net.Conn) (int, error) {
	buffer := make([]byte, 512)
	return c.Read(buffer)
}

//go:noinline
func fillConn(c net.Conn) {
	block := make([]byte, 1<<20)
	for {
		if _, err := c.Write(block); err != nil {
			panic(err)
		}
	}
}

//go:noinline
func readDatagram(c net.PacketConn) (int, net.Addr, error) {
	var buffer [1500]byte
	return c.ReadFrom(buffer[:])
}

//go:noinline
func readSecure(c *tls.Conn) (int, error) {
	var buffer [64]byte
	return c.Read(buffer[:])
}

//go:noinline
func shakeHands(c *tls.Conn) error { return c.Handshake() }
