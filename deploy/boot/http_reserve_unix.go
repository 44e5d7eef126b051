//go:build unix

package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// boundSocket is the descriptor of a TCP socket that is bound and does not listen, which package net has no way to make.
type boundSocket int

// backlog is how many connections may wait to be accepted; the system lowers it to its own limit.
const backlog = 65535

// reserve binds addr as net.Listen does: an empty or unspecified host is both IPv4 and IPv6 where the machine has both.
func reserve(ctx context.Context, addr string) (socket, net.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	if tcp.IP == nil || tcp.IP.IsUnspecified() {
		s, at, err := bind(syscall.AF_INET6, &syscall.SockaddrInet6{Port: tcp.Port})
		if err == nil || !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return s, at, err
		}
		return bind(syscall.AF_INET, &syscall.SockaddrInet4{Port: tcp.Port})
	}
	if ip := tcp.IP.To4(); ip != nil {
		return bind(syscall.AF_INET, &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip)})
	}
	zone, err := zoneOf(tcp)
	if err != nil {
		return nil, nil, err
	}
	return bind(syscall.AF_INET6, &syscall.SockaddrInet6{Port: tcp.Port, Addr: [16]byte(tcp.IP.To16()), ZoneId: zone})
}

// zoneOf is the index of the interface that a link-local address names.
func zoneOf(addr *net.TCPAddr) (uint32, error) {
	if addr.Zone == "" {
		return 0, nil
	}
	if index, err := strconv.ParseUint(addr.Zone, 10, 32); err == nil {
		return uint32(index), nil
	}
	i, err := net.InterfaceByName(addr.Zone)
	if err != nil {
		return 0, fmt.Errorf("the zone of %s: %w", addr, err)
	}
	return uint32(i.Index), nil
}

func bind(family int, to syscall.Sockaddr) (_ socket, _ net.Addr, err error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socket", err)
	}
	s := boundSocket(fd)
	defer func() {
		if err != nil {
			_ = s.Close() // err is the one that counts
		}
	}()
	// A port whose last connections are still being forgotten can be had at once.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, nil, os.NewSyscallError("setsockopt", err)
	}
	if family == syscall.AF_INET6 {
		only := 1
		if to.(*syscall.SockaddrInet6).Addr == [16]byte{} {
			only = 0
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, only); err != nil {
			return nil, nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := syscall.Bind(fd, to); err != nil {
		return nil, nil, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, nil, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		return s, &net.TCPAddr{IP: name.Addr[:], Port: name.Port}, nil
	case *syscall.SockaddrInet6:
		return s, &net.TCPAddr{IP: name.Addr[:], Port: name.Port}, nil
	}
	return nil, nil, fmt.Errorf("bound to a %T", name)
}

func (s boundSocket) listen() (net.Listener, error) {
	if err := syscall.Listen(int(s), backlog); err != nil {
		return nil, errors.Join(os.NewSyscallError("listen", err), s.Close())
	}
	file := os.NewFile(uintptr(s), "listener")
	ln, err := net.FileListener(file) // a copy of it
	return ln, errors.Join(err, file.Close())
}

func (s boundSocket) Close() error { return os.NewSyscallError("close", syscall.Close(int(s))) }
