package redisx

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/models/tlsfile"
)

// URLError says what is wrong with a Redis URL, naming the setting and never the password. It does not mend itself:
// there is no use in trying again.
type URLError struct {
	Setting string // such as PAIDUI_BROKER_URL
	Msg     string
}

func (e *URLError) Error() string { return e.Setting + ": " + e.Msg }

// Redis listens on these ports unless the URL says otherwise.
const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// ParseURL reads the address of a Redis:
//
//	redis://[user:password@]host[:6379][/db]
//	rediss://…                                              the same over TLS
//	redis+sentinel://[user:password@]host[:26379],…/name[/db]
//	redis+cluster://[user:password@]host[:6379],…
//
// rediss+sentinel and rediss+cluster use TLS too. The query may hold db, pool_size, dial_timeout, read_timeout,
// write_timeout (Go durations); for a sentinel, sentinel_username and sentinel_password; and with TLS ca_file, and
// cert_file with key_file (see tlsfile), which Connect reads and ParseURL does not. All errors are *URLError and quote
// nothing behind the scheme: with an unescaped special character in the password, any part may be a piece of it.
func ParseURL(setting, raw string) (*redis.UniversalOptions, error) {
	o, _, err := parseURL(setting, raw)
	return o, err
}

// readURL is ParseURL that reads the files of TLS.
func readURL(setting, raw string) (*redis.UniversalOptions, error) {
	o, files, err := parseURL(setting, raw)
	if err != nil || !files.Given() {
		return o, err
	}
	if o.TLSConfig, err = files.Config(); err != nil {
		return nil, &URLError{Setting: setting, Msg: err.Error()}
	}
	return o, nil
}

func parseURL(setting, raw string) (*redis.UniversalOptions, tlsfile.Files, error) {
	fail := func(format string, args ...any) (*redis.UniversalOptions, tlsfile.Files, error) {
		return nil, tlsfile.Files{}, &URLError{Setting: setting, Msg: fmt.Sprintf(format, args...)}
	}
	if strings.TrimSpace(raw) == "" {
		return fail("is empty; want a URL such as redis://127.0.0.1:6379/1")
	}
	scheme, hosts, u, err := splitURL(raw)
	if err != nil {
		return fail("%v", err)
	}
	kind := strings.TrimPrefix(strings.TrimPrefix(scheme, "rediss"), "redis")
	port := redisPort
	if kind == "+sentinel" {
		port = sentinelPort
	}
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		// A command that met a dead connection is tried once more on a fresh one; a server that is away is reported
		// soon, and whoever can wait tries again.
		MaxRetries:    1,
		DialerRetries: 1,
		DialTimeout:   2 * time.Second,
	}
	if o.Addrs, err = addresses(hosts, port); err != nil {
		return fail("%v", err)
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if strings.HasPrefix(scheme, "rediss") {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // each server proves the name it is dialled by
	}
	path := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	switch kind {
	case "":
		if len(o.Addrs) > 1 {
			return fail("redis:// takes one host; for several use redis+sentinel:// or redis+cluster://")
		}
	case "+sentinel":
		if len(path) == 0 {
			return fail("redis+sentinel:// needs the master's name after the hosts: redis+sentinel://host1,host2/name")
		}
		o.MasterName, path = path[0], path[1:]
	case "+cluster":
		o.IsClusterMode = true
		if len(path) > 0 {
			return fail("a cluster has no database number: leave the path out")
		}
	}
	if len(path) > 1 {
		return fail("the path holds more than one database number")
	}
	if len(path) == 1 {
		if o.DB, err = strconv.Atoi(path[0]); err != nil || o.DB < 0 {
			return fail("the database is not a number from 0")
		}
	}
	query := u.Query()
	files, err := tlsfile.Take(query)
	if err != nil {
		return fail("%v", err)
	}
	if files.Given() && o.TLSConfig == nil {
		return fail("ca_file, cert_file and key_file are for TLS: begin the URL with rediss")
	}
	if err := applyQuery(o, query); err != nil {
		return fail("%v", err)
	}
	return o, files, nil
}

// splitURL takes the host list out before parsing, since net/url knows of no lists. Its errors do not quote the URL,
// which may hold a password.
func splitURL(raw string) (scheme, hosts string, rest *url.URL, err error) {
	scheme, after, ok := strings.Cut(raw, "://")
	if !ok {
		return "", "", nil, errors.New("is not a URL; want one such as redis://127.0.0.1:6379/1")
	}
	switch scheme {
	case "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster":
	default:
		return "", "", nil, fmt.Errorf("scheme %q is not one of redis, rediss, redis+sentinel, redis+cluster", scheme)
	}
	authority, tail := after, ""
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		authority, tail = after[:i], after[i:]
	}
	user := ""
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, authority = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + user + "host" + tail)
	if err != nil {
		return "", "", nil, errors.New("is not a URL: percent-encode special characters in the user, password and query (@ is %40, / is %2F)")
	}
	if u.Fragment != "" {
		return "", "", nil, errors.New("has a # part; percent-encode a # in the password as %23")
	}
	return scheme, authority, u, nil
}

func addresses(hosts, port string) ([]string, error) {
	var list []string
	for _, h := range strings.Split(hosts, ",") {
		if h == "" {
			return nil, errors.New("a host is missing")
		}
		u, err := url.Parse("redis://" + h)
		if err != nil || u.Hostname() == "" || u.Host != h {
			return nil, errors.New("a host is not host or host:port; percent-encode special characters in the password")
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("a port is not between 1 and 65535")
		}
		list = append(list, net.JoinHostPort(u.Hostname(), p))
	}
	return list, nil
}

func applyQuery(o *redis.UniversalOptions, query url.Values) error {
	durations := map[string]*time.Duration{
		"dial_timeout":  &o.DialTimeout,
		"read_timeout":  &o.ReadTimeout,
		"write_timeout": &o.WriteTimeout,
	}
	numbers := map[string]*int{"db": &o.DB, "pool_size": &o.PoolSize}
	texts := map[string]*string{
		"sentinel_username": &o.SentinelUsername,
		"sentinel_password": &o.SentinelPassword,
	}
	for name, values := range query {
		value := values[len(values)-1]
		switch {
		case durations[name] != nil:
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return fmt.Errorf("%s is not a duration such as 3s", name)
			}
			*durations[name] = d
		case numbers[name] != nil:
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return fmt.Errorf("%s is not a number from 0", name)
			}
			*numbers[name] = n
		case texts[name] != nil:
			*texts[name] = value
		default:
			return errors.New("a parameter is not one of db, pool_size, dial_timeout, read_timeout, write_timeout, sentinel_username, sentinel_password, ca_file, cert_file, key_file")
		}
	}
	if o.IsClusterMode && o.DB != 0 {
		return errors.New("a cluster has no database number: leave db out")
	}
	return nil
}
