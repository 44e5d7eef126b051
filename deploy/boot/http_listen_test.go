package boot

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListen(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "PAIDUI_HTTP_ADDR", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	taken := ln.Addr().String()

	_, err = Listen(t.Context(), "PAIDUI_HTTP_ADDR", taken)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, "PAIDUI_HTTP_ADDR: "+taken+" is taken by another program: address already in use")

	_, err = Listen(t.Context(), "PAIDUI_ADMIN_ADDR", "192.0.2.1:0")
	require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
	require.ErrorContains(t, err, "PAIDUI_ADMIN_ADDR: 192.0.2.1:0 is not an address of this machine")

	_, err = Listen(t.Context(), "PAIDUI_ADMIN_ADDR", "127.0.0.1")
	require.ErrorContains(t, err, "PAIDUI_ADMIN_ADDR: ")
}
