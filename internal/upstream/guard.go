package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"sallyport/internal/identity"
)

// RefusedAddressError says that a name resolved to an address that the
// upstream's configuration does not allow.
type RefusedAddressError struct {
	Upstream identity.Upstream
	Why      string
}

// Error implements error; it names no address.
func (e *RefusedAddressError) Error() string {
	return fmt.Sprintf("upstream %s: address refused: %s", e.Upstream, e.Why)
}

// guard dials only addresses that the configuration allows, checked after name
// resolution, so that a name cannot be pointed elsewhere later (DNS rebinding).
type guard struct {
	name     identity.Upstream
	host     string // of the base URL
	onSite   bool   // class local: nothing but loopback and private addresses
	private  bool   // loopback and private addresses are allowed
	plain    bool   // no TLS: nothing but loopback and private addresses
	proxied  bool   // a proxy is dialled instead of the host
	resolver *net.Resolver
	dialer   net.Dialer
}

func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if g.proxied && host != g.host {
		if err := g.checkName(ctx); err != nil {
			return nil, err
		}
		return g.dialAllowed(ctx, network, host, port, proxyAddress)
	}
	return g.dialAllowed(ctx, network, host, port, g.check)
}

// dialAllowed resolves the host and dials the first address that answers, after
// every one of them passed the check: one bad address condemns the name.
func (g *guard) dialAllowed(ctx context.Context, network, host, port string, check func(netip.Addr) string) (net.Conn, error) {
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if why := check(a); why != "" {
			return nil, &RefusedAddressError{g.name, why}
		}
	}
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = g.dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve the host name: %w", err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// checkName guards the target behind a proxy: what resolves here must be
// allowed; a name that only the proxy can resolve is the proxy's business.
func (g *guard) checkName(ctx context.Context) error {
	addrs, err := g.resolve(ctx, g.host)
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if why := g.check(a); why != "" {
			return &RefusedAddressError{g.name, why}
		}
	}
	return nil
}

// check says why an address is refused, or nothing.
func (g *guard) check(a netip.Addr) string {
	if why := proxyAddress(a); why != "" {
		return why
	}
	inside := Private(a)
	switch {
	case inside && !g.private:
		return "it is private and the upstream is neither class local nor allow_private"
	case !inside && g.onSite:
		return "class local demands a loopback or private address"
	case !inside && g.plain:
		return "http:// is allowed to loopback and private addresses only"
	}
	return ""
}

// metadata lists the addresses where clouds serve instance credentials outside
// the link-local range.
var metadata = map[netip.Addr]bool{
	netip.MustParseAddr("fd00:ec2::254"):   true, // AWS IMDS over IPv6
	netip.MustParseAddr("100.100.100.200"): true, // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"):   true, // Azure WireServer
	netip.MustParseAddr("fd20:ce::254"):    true, // Google Cloud over IPv6
}

// proxyAddress refuses what neither an upstream nor a proxy may ever be.
func proxyAddress(a netip.Addr) string {
	switch {
	case a.IsLinkLocalUnicast():
		return "it is link-local"
	case metadata[a]:
		return "it is a cloud metadata service"
	case a.IsUnspecified(), a.IsMulticast(), !a.IsValid():
		return "it is not a unicast address"
	}
	return ""
}

// carrierNAT is the shared address space of RFC 6598.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// Private reports whether an address is loopback, private (RFC 1918, RFC 4193)
// or carrier-grade NAT space (RFC 6598).
func Private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || carrierNAT.Contains(a)
}
