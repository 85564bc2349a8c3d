// Sockets has one socket of each kind in each state that a test can bring about
// and that stays: what they are is left for the kernel to say.
//
//	SOCKETS_FOLDER=/tmp/x sockets
//
// has its unix sockets there, prints "ready <pid>" once all are as they are to be,
// and holds still until it is killed.
//
//	SOCKETS_LISTEN=10.0.0.2:80 SOCKETS_DIAL=10.0.0.3:80 sockets
//
// listens and accepts there, and has one connection to the other address, too.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// What the collector must not close.
var open []any

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	open = append(open, value)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// pair returns both ends of a new connection: who dialled, and who accepted.
func pair(listener net.Listener, network, address string) (net.Conn, net.Conn) {
	dialled := must(net.Dial(network, address))
	return dialled, must(listener.Accept())
}

func port(listener net.Listener) int {
	return listener.Addr().(*net.TCPAddr).Port
}

func tcp() {
	four := must(net.Listen("tcp4", "127.0.0.1:0"))
	client, server := pair(four, "tcp4", four.Addr().String())
	must(client.Write([]byte("seven..")))
	go func() { _, _ = client.Read(make([]byte, 1)) }()
	_ = server

	// Half closed.
	client, server = pair(four, "tcp4", four.Addr().String())
	check(client.(*net.TCPConn).CloseWrite())
	must(server.Write([]byte("still open")))
	// Closed by both ends: two descriptors whose sockets no table has.
	client, server = pair(four, "tcp4", four.Addr().String())
	check(client.(*net.TCPConn).CloseWrite())
	_ = must(io.ReadAll(server))
	check(server.(*net.TCPConn).CloseWrite())

	six := must(net.Listen("tcp6", "[::1]:0"))
	_, server = pair(six, "tcp6", six.Addr().String())
	must(server.Write([]byte("to the client")))

	// IPv4 in a socket of IPv6.
	both := must(net.Listen("tcp", ":0"))
	pair(both, "tcp4", fmt.Sprintf("127.0.0.1:%d", port(both)))
	pair(both, "tcp6", fmt.Sprintf("[::1]:%d", port(both)))

	// Connected, and never accepted.
	full := must(net.Listen("tcp4", "127.0.0.1:0"))
	waiting := must(net.Dial("tcp4", full.Addr().String()))
	must(waiting.Write([]byte("is anybody there?")))
	must(net.Dial("tcp4", full.Addr().String()))
}

func udp() {
	bound := must(net.ListenPacket("udp4", "127.0.0.1:0"))
	connected := must(net.Dial("udp4", bound.LocalAddr().String()))
	must(connected.Write([]byte("datagram")))
	must(net.ListenPacket("udp", ":0"))
	must(net.ListenPacket("udp6", "[::1]:0"))
}

func unix(folder string) {
	path := filepath.Join(folder, "a socket")
	listener := must(net.Listen("unix", path))
	client, _ := pair(listener, "unix", path)
	must(client.Write([]byte("eleven byte")))
	// Connected, and never accepted.
	must(net.Dial("unix", path))

	name := fmt.Sprintf("@stillframe-sockets-%d", os.Getpid())
	pair(must(net.Listen("unix", name)), "unix", name)
	packets := must(net.Listen("unixpacket", filepath.Join(folder, "packets")))
	pair(packets, "unixpacket", packets.Addr().String())

	datagrams := filepath.Join(folder, "datagrams")
	must(net.ListenPacket("unixgram", datagrams))
	to := must(net.Dial("unixgram", datagrams))
	must(to.Write([]byte("one datagram")))

	_ = must(syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0))
}

// A socket that no table has, and files that are no sockets.
func others() {
	_ = must(syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0))
	reader, writer, err := os.Pipe()
	check(err)
	open = append(open, writer)
	go func() { _, _ = reader.Read(make([]byte, 1)) }()
}

// serve accepts and holds one connection after the other.
func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		check(err)
		go func() { _, _ = connection.Read(make([]byte, 1)) }()
	}
}

func dial(address string) {
	for {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			go func() { _, _ = connection.Read(make([]byte, 1)) }()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	if folder := os.Getenv("SOCKETS_FOLDER"); folder != "" {
		tcp()
		udp()
		unix(folder)
		others()
	}
	if address := os.Getenv("SOCKETS_LISTEN"); address != "" {
		go serve(must(net.Listen("tcp", address)))
	}
	if address := os.Getenv("SOCKETS_DIAL"); address != "" {
		dial(address)
	}
	// Until the goroutines are parked, and what was sent has come.
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready", os.Getpid())
	select {}
}
