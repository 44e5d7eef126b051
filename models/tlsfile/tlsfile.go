// Package tlsfile makes TLS configurations of the files that a store's URL names.
package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// The parameters of a store's URL.
const (
	caParameter   = "ca_file"
	certParameter = "cert_file"
	keyParameter  = "key_file"
)

// Files are paths of PEM files: of the authorities that a server must be certified by, and of this program's own
// certificate with its key. The zero value is the machine's trust store and no certificate.
type Files struct{ CA, Cert, Key string }

// Take removes the parameters of a URL's query that name files. It opens none; its errors quote nothing.
func Take(query url.Values) (Files, error) {
	var f Files
	for name, path := range map[string]*string{caParameter: &f.CA, certParameter: &f.Cert, keyParameter: &f.Key} {
		values, given := query[name]
		delete(query, name)
		if given && (len(values) != 1 || values[0] == "") {
			return Files{}, fmt.Errorf("%s is not the path of one file", name)
		}
		if given {
			*path = values[0]
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return Files{}, fmt.Errorf("%s and %s go together", certParameter, keyParameter)
	}
	return f, nil
}

// Given tells whether any file is named.
func (f Files) Given() bool { return f != Files{} }

// Config reads the files. The certificate is read again for each connection, so that one that is renewed in place is used
// without a restart; the authorities are not. An error names the parameter and the file.
func (f Files) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", caParameter, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", caParameter, f.CA)
		}
	}
	if f.Cert != "" {
		if _, err := f.certificate(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.certificate() }
	}
	return config, nil
}

func (f Files) certificate() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("%s %s with %s %s: %w", certParameter, f.Cert, keyParameter, f.Key, err)
	}
	return &pair, nil
}

// Untrusted tells errors of a handshake that no waiting mends: the server is not certified by the authorities that are
// trusted, or not for the name by which it is called.
func Untrusted(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &unverified)
}
