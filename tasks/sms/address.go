package sms

import "net/netip"

// client is what shares the limits of one client address.
type client struct {
	address string // an IPv4 address, the /64 that a single IPv6 customer has, or "unknown": all of whom nothing is known
	network string // the /48 around an IPv6 address, which a provider may give to a customer as well; else address
}

func clientOf(addr string) client {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return client{"unknown", "unknown"}
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return client{ip.String(), ip.String()}
	}
	return client{netip.PrefixFrom(ip, 64).Masked().String(), netip.PrefixFrom(ip, 48).Masked().String()}
}

// networkFactor is how many times the allowance of a /64 its /48 has.
const networkFactor = 4

// windows of the client are to be taken one after the other: they can be on different nodes of a cluster.
func (c client) windows(scope, name string, w window) [][]window {
	w.scope, w.key = scope, "paidui:sms:{addr:"+c.address+"}:"+name
	list := [][]window{{w}}
	if c.network != c.address {
		w.key, w.limit = "paidui:sms:{addr:"+c.network+"}:"+name, networkFactor*w.limit
		list = append(list, []window{w})
	}
	return list
}
