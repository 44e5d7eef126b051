package models

import (
	"net/url"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
)

// TestOpenWithAPrivateAuthority: the server has a certificate of a private authority, and a user that needs one of it.
func TestOpenWithAPrivateAuthority(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("server")
	server, err := testenv.StartMariaDB("--ssl-ca="+a.File, "--ssl-cert="+cert, "--ssl-key="+key)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	address, err := server.Database(t.Context(), "shop")
	require.NoError(t, err)
	root, err := Open(t.Context(), address, Options{})
	require.NoError(t, err)
	require.NoError(t, root.Exec("CREATE USER careful@'%' IDENTIFIED BY 'secret' REQUIRE X509").Error)
	require.NoError(t, root.Exec("GRANT ALL ON shop.* TO careful@'%'").Error)
	require.NoError(t, Close(root))

	ours, oursKey := a.Issue("client")
	open := func(pairs ...string) (*gorm.DB, error) {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		return Open(t.Context(), "mysql://careful:secret@"+server.Addr()+"/shop?"+values.Encode(), Options{})
	}
	db, err := open("ca_file", a.File, "cert_file", ours, "key_file", oursKey)
	require.NoError(t, err)
	var cipher struct{ Value string }
	require.NoError(t, db.Raw("SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&cipher).Error)
	require.NotEmpty(t, cipher.Value)
	require.NoError(t, Close(db))

	_, err = open("ca_file", a.File)
	require.True(t, isMySQL(err, errAccessDenied), "the user needs a certificate: %v", err)
	_, err = open("tls", "true")
	require.ErrorIs(t, err, ErrConfig, "the machine's own trust store does not know the authority")
	require.ErrorContains(t, err, "ca_file")
	_, err = open("ca_file", "/no/such/file")
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, Setting+": wrong database configuration: ca_file: open /no/such/file")
}

func TestMySQLURLsWithFiles(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"mysql://u@h/d?ca_file=/ca":                 "",
		"mysql://u@h/d?tls=true&ca_file=/ca":        "",
		"mysql://u@h/d?cert_file=/c&key_file=/k":    "",
		"mysql://u@h/d?cert_file=/c":                "cert_file and key_file go together",
		"mysql://u@h/d?tls=skip-verify&ca_file=/ca": "ca_file, cert_file and key_file are for a host with tls=true, which may be left out then",
		"mysql://u@/d?socket=/run/s&ca_file=/ca":    "ca_file, cert_file and key_file are for a host with tls=true, which may be left out then",
	} {
		err := CheckURL(raw)
		if want == "" {
			require.NoError(t, err, raw)
		} else {
			require.EqualError(t, err, want, raw)
		}
	}
	config, _, err := mysqlConfig("mysql://u@h/d?ca_file=/ca")
	require.NoError(t, err)
	_, err = mysql.NewConnector(config)
	require.NoError(t, err)
}
