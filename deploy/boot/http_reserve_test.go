package boot

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReservedAddressesRefuseUntilTheyListen takes addresses of every form.
func TestReservedAddressesRefuseUntilTheyListen(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", ":0", "0.0.0.0:0", "[::]:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			if probe, err := net.Listen("tcp", addr); err != nil {
				t.Skip("this machine can't listen on it: ", err)
			} else {
				require.NoError(t, probe.Close())
			}
			r, err := Reserve(t.Context(), "PAIDUI_HTTP_ADDR", addr)
			require.NoError(t, err)
			at := r.Addr().(*net.TCPAddr)
			dial := &net.TCPAddr{IP: at.IP, Port: at.Port}
			if at.IP.IsUnspecified() {
				dial.IP = net.IPv4(127, 0, 0, 1)
			}
			_, err = net.DialTCP("tcp", nil, dial)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)

			ln, err := r.Listen()
			require.NoError(t, err)
			require.Equal(t, at.Port, ln.Addr().(*net.TCPAddr).Port)
			conn, err := net.DialTCP("tcp", nil, dial)
			require.NoError(t, err)
			accepted, err := ln.Accept()
			require.NoError(t, err)
			require.NoError(t, accepted.Close())
			require.NoError(t, conn.Close())

			_, err = r.Listen()
			require.ErrorIs(t, err, net.ErrClosed, "it listens once")
			require.NoError(t, r.Close())
			require.NoError(t, r.Close())
			_, err = net.DialTCP("tcp", nil, dial)
			require.Error(t, err, "it is free")
		})
	}
}

func TestReserveSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	taken := ln.Addr().String()
	_, err = Reserve(t.Context(), "PAIDUI_HTTP_ADDR", taken)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, "PAIDUI_HTTP_ADDR: "+taken+" is taken by another program: address already in use")
	_, err = Reserve(t.Context(), "PAIDUI_HTTP_ADDR", "192.0.2.1:0")
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	_, err = Reserve(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1")
	require.ErrorContains(t, err, "PAIDUI_HTTP_ADDR: ")

	r, err := Reserve(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	other, err := net.Listen("tcp", r.Addr().String())
	if err == nil { // Linux allows it, for nobody listens there
		defer other.Close()
		_, err = r.Listen()
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	}
	require.NoError(t, r.Close())
}
