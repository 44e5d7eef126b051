package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// List is a list of words, written with commas between them.
type List []string

// UnmarshalText splits text at its commas; white space around a word and empty words are dropped.
func (l *List) UnmarshalText(text []byte) error {
	*l = words(string(text))
	return nil
}

// String is the list as it is written in a setting.
func (l List) String() string { return strings.Join(l, ",") }

// Networks is a list of networks, each written as an address or in CIDR notation.
type Networks []netip.Prefix

// UnmarshalText reads networks with commas between them; an address stands for the network of itself alone. The
// error names every one that is wrong.
func (n *Networks) UnmarshalText(text []byte) error {
	var (
		networks Networks
		errs     []error
	)
	for _, word := range words(string(text)) {
		network, err := parseNetwork(word)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		networks = append(networks, network)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	*n = networks
	return nil
}

// String is the list as it is written in a setting.
func (n Networks) String() string {
	texts := make([]string, len(n))
	for i, network := range n {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}

func parseNetwork(word string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(word); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q has a zone, which a network cannot have", word)
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", word)
	}
	if network != network.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set beyond its length; the network is %s", word, network.Masked())
	}
	return network, nil
}

// words splits text at its commas and drops what is empty.
func words(text string) []string {
	var list []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return list
}
