package taskstest

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/keyring"
)

// Key makes a key as the setting payload_keys has it, with that id.
func Key(id string) string {
	raw := make([]byte, keyring.KeySize)
	_, _ = rand.Read(raw) // never fails
	return id + ":" + base64.StdEncoding.EncodeToString(raw)
}

// Keys makes a ring of what Key made.
func Keys(t testing.TB, entries ...string) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse(strings.Join(entries, ","))
	require.NoError(t, err)
	return ring
}
