package redisx_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
)

// TestConnectWithAPrivateAuthority: the server has a certificate of a private authority, and asks for one of it.
func TestConnectWithAPrivateAuthority(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("server")
	port := strconv.Itoa(testenv.FreePort(t))
	testenv.Redis(t, testenv.WithArgs("--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", a.File, "--tls-auth-clients", "yes"))
	ours, oursKey := a.Issue("client")
	query := func(pairs ...string) string {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return "rediss://127.0.0.1:" + port + "/1?" + values.Encode()
	}

	client, err := redisx.Connect(t.Context(), "PAIDUI_X_URL", query("ca_file", a.File, "cert_file", ours, "key_file", oursKey))
	require.NoError(t, err)
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, client.Close())

	var wrong *redisx.URLError
	_, err = redisx.Connect(t.Context(), "PAIDUI_X_URL", query("cert_file", ours, "key_file", oursKey))
	require.ErrorAs(t, err, &wrong, "the machine's own trust store does not know the authority")
	require.ErrorContains(t, err, "PAIDUI_X_URL")
	require.ErrorContains(t, err, "ca_file")
	_, err = redisx.Connect(t.Context(), "PAIDUI_X_URL", query("ca_file", testenv.NewAuthority(t).File))
	require.ErrorAs(t, err, &wrong, "another authority")
	_, err = redisx.Connect(t.Context(), "PAIDUI_X_URL", query("ca_file", a.File))
	require.Error(t, err, "the server wants a certificate")
	_, err = redisx.Connect(t.Context(), "PAIDUI_X_URL", query("ca_file", "/no/such/file"))
	require.ErrorAs(t, err, &wrong)
	require.ErrorContains(t, err, "PAIDUI_X_URL: ca_file: open /no/such/file")
}

// TestEachFormOfURLTakesFiles: also where a sentinel or a cluster is asked first.
func TestEachFormOfURLTakesFiles(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"rediss://h/1?%s", "rediss+sentinel://h,i/name/1?%s&sentinel_password=p", "rediss+cluster://h,i?%s"} {
		o, err := redisx.ParseURL("S", fmt.Sprintf(form, "ca_file=/ca&cert_file=/cert&key_file=/key"))
		require.NoError(t, err, form)
		require.NotNil(t, o.TLSConfig)
		_, err = redisx.Connect(t.Context(), "S", fmt.Sprintf(form, "ca_file=/no/such/file"))
		require.EqualError(t, err, "S: ca_file: open /no/such/file: no such file or directory", form)
	}
	for raw, want := range map[string]string{
		"redis://h/1?ca_file=/ca":     "S: ca_file, cert_file and key_file are for TLS: begin the URL with rediss",
		"rediss://h/1?cert_file=/ca":  "S: cert_file and key_file go together",
		"rediss+cluster://h?ca_file=": "S: ca_file is not the path of one file",
	} {
		_, err := redisx.ParseURL("S", raw)
		require.EqualError(t, err, want, raw)
	}
}
