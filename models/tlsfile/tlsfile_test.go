package tlsfile_test

import (
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/tlsfile"
)

func TestTake(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]tlsfile.Files{
		"":                       {},
		"db=1":                   {},
		"db=1&ca_file=/a%20b":    {CA: "/a b"},
		"cert_file=c&key_file=k": {Cert: "c", Key: "k"},
	} {
		query, err := url.ParseQuery(text)
		require.NoError(t, err)
		files, err := tlsfile.Take(query)
		require.NoError(t, err)
		require.Equal(t, want, files, text)
		require.Equal(t, want != tlsfile.Files{}, files.Given())
		delete(query, "db")
		require.Empty(t, query, "nobody else knows these")
	}
	for text, want := range map[string]string{
		"ca_file=":               "ca_file is not the path of one file",
		"ca_file=a&ca_file=b":    "ca_file is not the path of one file",
		"cert_file=c":            "cert_file and key_file go together",
		"ca_file=a&key_file=key": "cert_file and key_file go together",
	} {
		query, err := url.ParseQuery(text)
		require.NoError(t, err)
		_, err = tlsfile.Take(query)
		require.EqualError(t, err, want, text)
	}
}

func TestMistakesNameTheParameterAndTheFile(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("client")
	_, otherKey := a.Issue("other")
	missing, garbage := filepath.Join(t.TempDir(), "missing.pem"), filepath.Join(t.TempDir(), "garbage.pem")
	require.NoError(t, os.WriteFile(garbage, []byte("garbage"), 0o600))
	for _, c := range []struct {
		files tlsfile.Files
		names []string
	}{
		{tlsfile.Files{CA: missing}, []string{"ca_file", missing}},
		{tlsfile.Files{CA: garbage}, []string{"ca_file", garbage}},
		{tlsfile.Files{Cert: missing, Key: key}, []string{"cert_file", missing}},
		{tlsfile.Files{Cert: cert, Key: garbage}, []string{"key_file", garbage}},
		{tlsfile.Files{Cert: cert, Key: otherKey}, []string{"key_file", otherKey, "match"}},
	} {
		_, err := c.files.Config()
		for _, name := range c.names {
			require.ErrorContains(t, err, name)
		}
	}
}

// TestARenewedCertificateIsUsed: one that is replaced in place goes with the next connection.
func TestARenewedCertificateIsUsed(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("client")
	config, err := tlsfile.Files{CA: a.File, Cert: cert, Key: key}.Config()
	require.NoError(t, err)
	serial := func() string {
		pair, err := config.GetClientCertificate(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		require.NoError(t, err)
		return leaf.SerialNumber.String()
	}
	first := serial()
	a.Issue("client")
	require.NotEqual(t, first, serial())
}
