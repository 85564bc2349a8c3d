package main

import (
	"math/big"
	"net"
	"net/netip"
	"net/url"
)

func startNetwork() {
	start(func() {
		holdAddresses(net.IPv4(192, 168, 1, 2), net.ParseIP("2001:db8::1"), nil, net.IP{10, 0, 0, 1}, net.IP{1, 2, 3})
	})
	start(func() {
		holdNetip(netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fe80::1%eth0"), netip.Addr{},
			netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("::102:304"))
	})
	start(func() {
		holdPorts(netip.MustParseAddrPort("[::1]:443"), netip.MustParseAddrPort("1.2.3.4:80"), netip.MustParsePrefix("10.0.0.0/8"))
	})
	start(func() {
		_, network, _ := net.ParseCIDR("10.0.0.0/8")
		holdNetworks(&net.TCPAddr{IP: net.IPv6loopback, Port: 8080, Zone: "lo"}, network, net.HardwareAddr{0, 1, 2, 3, 4, 5})
	})
	huge, _ := new(big.Int).SetString("123456789012345678901234567890123456789012345678901234567890", 10)
	start(func() {
		holdBig(big.NewInt(0), big.NewInt(-42), huge, new(big.Int).Neg(huge), new(big.Int).Lsh(big.NewInt(1), 64), nil)
	})
	start(func() { holdAmount(&amount{*big.NewInt(1005), "EUR"}) })
	start(func() {
		u, _ := url.Parse("https://shop.example:8443/orders/7?full=1#top")
		holdURL(u)
	})
}

type amount struct {
	cents    big.Int
	currency string
}

//go:noinline
func holdAddresses(four, six, none, short, odd net.IP) {
	tell(is("four", four), is("six", six), is("none", none), is("short", short), is("odd", odd))
	park()
	use(four, six, none, short, odd)
}

//go:noinline
func holdNetip(four, zoned, none, mapped, six netip.Addr) {
	tell(is("four", four), is("zoned", zoned), is("none", none), is("mapped", mapped), is("six", six))
	park()
	use(four, zoned, none, mapped, six)
}

//go:noinline
func holdPorts(six, four netip.AddrPort, prefix netip.Prefix) {
	tell(is("six", six), is("four", four), is("prefix", prefix))
	park()
	use(six, four, prefix)
}

//go:noinline
func holdNetworks(a *net.TCPAddr, n *net.IPNet, hardware net.HardwareAddr) {
	tell(is("a.IP", a.IP), is("a.Port", a.Port), is("a.Zone", a.Zone), is("n.IP", n.IP), is("n.Mask", n.Mask),
		is("hardware", hardware), is("*a", *a))
	park()
	use(a, n, hardware)
}

//go:noinline
func holdBig(zero, negative, huge, hugely, power, none *big.Int) {
	tell(is("zero", zero), is("negative", negative), is("huge", huge), is("hugely", hugely), is("power", power), is("none", none))
	park()
	use(zero, negative, huge, hugely, power, none)
}

//go:noinline
func holdAmount(a *amount) {
	tell(at("*a", a), at("a.cents", &a.cents), is("a.currency", a.currency))
	park()
	use(a)
}

//go:noinline
func holdURL(u *url.URL) {
	tell(is("u.Host", u.Host), is("u.Path", u.Path), is("*u", *u))
	park()
	use(u)
}
