package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// forms are what a text can be held to by the tag form, beside what Checks have.
var forms = map[string]func(text string) error{
	"redis":    func(text string) error { return checkRedis(URL(text)) },
	"database": func(text string) error { return checkDatabase(URL(text)) },
	"web":      CheckWeb,
}

// redisSchemes are the forms of a Redis URL; those with several hosts are marked.
var redisSchemes = map[string]bool{
	"redis": false, "redis+sentinel": true, "redis+cluster": true,
	"rediss": false, "rediss+sentinel": true, "rediss+cluster": true,
}

// errPassword tells the usual reason why a URL with a password does not parse. The parser's own words are not
// repeated anywhere: they quote the URL.
var errPassword = errors.New("is no URL (a password writes : / ? # [ ] @ and % as %3A %2F %3F %23 %5B %5D %40 and %25)")

// sentinelPassword is the one place behind the hosts of a Redis URL where an @ may stand.
var sentinelPassword = regexp.MustCompile(`([?&]sentinel_password=)[^&#]*`)

// checkRedis wants one of redisSchemes and a host, or hosts with commas between them.
func checkRedis(u URL) error {
	scheme, rest, _ := strings.Cut(u.Reveal(), "://")
	several, known := redisSchemes[scheme]
	if !known {
		return fmt.Errorf("%q does not begin with redis://, rediss://, redis+sentinel:// or redis+cluster://", u.Redacted())
	}
	hosts, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		hosts, tail = rest[:end], rest[end:]
	}
	user := ""
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		user, hosts = hosts[:at+1], hosts[at+1:]
	}
	if strings.Contains(sentinelPassword.ReplaceAllString(tail, "$1"), "@") {
		return errPassword // its end stands where the path or the query should
	}
	list := strings.Split(hosts, ",")
	if len(list) > 1 && !several {
		return fmt.Errorf("%q has several hosts, which only redis+sentinel:// and redis+cluster:// can have", u.Redacted())
	}
	for _, host := range list {
		parsed, err := url.Parse("redis://" + user + host + tail)
		if err != nil {
			return errPassword
		}
		if parsed.Hostname() == "" {
			return fmt.Errorf("%q names no host", u.Redacted())
		}
	}
	return nil
}

// checkDatabase wants mysql://user:password@host:port/name or sqlite://FILE.
func checkDatabase(u URL) error {
	if file, ok := strings.CutPrefix(u.Reveal(), "sqlite://"); ok {
		if file == "" {
			return fmt.Errorf("%q names no file", u.Redacted())
		}
		return nil
	}
	if !strings.HasPrefix(u.Reveal(), "mysql://") {
		return fmt.Errorf("%q begins neither with mysql:// nor with sqlite://", u.Redacted())
	}
	parsed, err := url.Parse(u.Reveal())
	switch {
	case err != nil:
		return errPassword
	case parsed.User == nil && strings.Contains(parsed.Path+parsed.Fragment, "@"):
		return errPassword
	case parsed.Hostname() == "" && !parsed.Query().Has("socket"):
		return fmt.Errorf("%q names no host", u.Redacted())
	case strings.Trim(parsed.Path, "/") == "":
		return fmt.Errorf("%q names no database", u.Redacted())
	case strings.Contains(strings.Trim(parsed.Path, "/"), "/"):
		return fmt.Errorf("%q has more than a database's name behind its host", u.Redacted())
	}
	return nil
}

// CheckWeb wants an http:// or https:// URL, without a user, a query or a fragment.
func CheckWeb(text string) error { return checkWeb(text, true) }

// checkWeb wants an http:// or https:// URL: with or without a path, and never with anything behind that.
func checkWeb(text string, path bool) error {
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no URL", URL(text).Redacted())
	case !slices.Contains([]string{"http", "https"}, parsed.Scheme):
		return fmt.Errorf("%q begins neither with http:// nor with https://", URL(text).Redacted())
	case parsed.Hostname() == "":
		return fmt.Errorf("%q names no host", URL(text).Redacted())
	case parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return fmt.Errorf("%q has a user, a query or a fragment", URL(text).Redacted())
	case !path && parsed.Path != "":
		return fmt.Errorf("%q is no origin: it ends with a path", text)
	}
	return nil
}
