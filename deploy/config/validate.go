package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	minJWTSecret   = 32 // bytes: as long as the SHA-256 it keys
	minOperatorKey = 16 // bytes
	minDistinct    = 5  // characters of a secret; 16 random hexadecimal digits have fewer once in two million times

	minProxyBits4 = 8 // 10.0.0.0/8
	minProxyBits6 = 7 // fc00::/7
)

var workerName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// Validate checks c for program p, without I/O, and reports everything that is wrong in a *ValidationError. Load has
// called it; a program that changes its Config afterwards calls it again. The checks are those of Load.
func (c Config) Validate(p Program, checks URLChecks) error {
	return asError(c.mistakes(p, checks))
}

func (c Config) mistakes(p Program, checks URLChecks) []Mistake {
	v := &validator{config: c, program: p, settings: settings(), checks: checks}
	for _, s := range v.settings {
		v.limits(s)
	}
	v.addresses()
	v.certificate()
	v.urls()
	v.secrets()
	v.proxies()
	v.tencent()
	v.rest()
	order := map[string]int{}
	for i, s := range v.settings {
		order[s.Variable] = i
	}
	slices.SortStableFunc(v.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(order[a.Variable], order[b.Variable]), strings.Compare(a.Reason, b.Reason))
	})
	return v.mistakes
}

// validator collects the mistakes of a Config.
type validator struct {
	config   Config
	program  Program
	settings []setting
	checks   URLChecks
	mistakes []Mistake
}

// add reports a mistake of the setting with that field.
func (v *validator) add(field, format string, args ...any) {
	s := byField(v.settings, field)
	v.mistakes = append(v.mistakes, Mistake{Variable: s.Variable, Key: s.Key, Reason: fmt.Sprintf(format, args...)})
}

// limits holds a setting to its range, oneof and someof tags.
func (v *validator) limits(s setting) {
	least, most, _ := strings.Cut(s.Range, "..")
	switch value := s.value(v.config).(type) {
	case int:
		if s.Range != "" && (value < must(strconv.Atoi(least)) || value > must(strconv.Atoi(most))) {
			v.add(s.Field, "%d is not between %s and %s", value, least, most)
		}
	case time.Duration:
		if s.Range != "" && (value < must(time.ParseDuration(least)) || value > must(time.ParseDuration(most))) {
			v.add(s.Field, "%s is not between %s and %s", value, least, most)
		}
	case string:
		if len(s.OneOf) > 0 && !slices.Contains(s.OneOf, value) {
			v.add(s.Field, "%q is not one of %s", value, strings.Join(s.OneOf, ", "))
		}
		for name := range strings.SplitSeq(value, ",") {
			if len(s.SomeOf) > 0 && !slices.Contains(s.SomeOf, strings.TrimSpace(name)) {
				v.add(s.Field, "%q is not one of %s, or several of them with commas between", name, strings.Join(s.SomeOf, ", "))
			}
		}
	}
}

// must is for the values in the tags.
func must[T any](value T, err error) T {
	if err != nil {
		panic("config: the tags of Config are wrong: " + err.Error())
	}
	return value
}

func (v *validator) addresses() {
	c := v.config
	if err := checkAddr(c.HTTPAddr); err != nil {
		v.add("HTTPAddr", "%v", err)
	}
	if c.AdminAddr == "" && byField(v.settings, "AdminAddr").defaultFor(v.program) == "" {
		return // a program without an admin address
	}
	if err := checkAddr(c.AdminAddr); err != nil {
		v.add("AdminAddr", "%v", err)
	} else if v.serves() && c.AdminAddr == c.HTTPAddr && !strings.HasSuffix(c.AdminAddr, ":0") {
		v.add("AdminAddr", "%s is the address of the API already", c.AdminAddr)
	}
}

// certificate wants both files or none.
func (v *validator) certificate() {
	switch cert, key := v.config.TLSCertFile != "", v.config.TLSKeyFile != ""; {
	case cert && !key:
		v.add("TLSCertFile", "goes with PAIDUI_TLS_KEY_FILE, which is not set")
	case key && !cert:
		v.add("TLSKeyFile", "goes with PAIDUI_TLS_CERT_FILE, which is not set")
	}
}

// serves tells whether the program has the HTTP API in it.
func (v *validator) serves() bool { return v.program == API || v.program == Local }

func (v *validator) urls() {
	c := v.config
	v.store("BrokerURL", c.BrokerURL, checkRedis)
	v.store("CacheURL", c.CacheURL, checkRedis)
	v.store("CacheReplicaURL", c.CacheReplicaURL, checkRedis)
	v.store("DatabaseURL", c.DatabaseURL, checkDatabase)
	if err := checkWeb(c.BackendURL, true); err != nil {
		v.add("BackendURL", "%v", err)
	}
	for _, origin := range c.CORSOrigins {
		if origin == "*" {
			continue
		}
		if err := checkWeb(origin, false); err != nil {
			v.add("CORSOrigins", "%v", err)
		}
	}
}

// store checks where a store is: its form first, which is about passwords that are not what they seem, and then
// what its client makes of it.
func (v *validator) store(field string, u URL, form func(URL) error) {
	s := byField(v.settings, field)
	if u == "" && s.defaultFor(v.program) == "" {
		return // the program brings its own
	}
	err := form(u)
	if check := v.checks[s.Variable]; err == nil && check != nil {
		err = check(u.Reveal())
	}
	if err != nil {
		v.add(field, "%v", err)
	}
}

// secrets are required only where they are used, and hard to guess wherever they are set.
func (v *validator) secrets() {
	for _, secret := range []struct {
		field    string
		value    Secret
		least    int
		required bool
	}{
		{"JWTSecret", v.config.JWTSecret, minJWTSecret, true},
		{"JWTSecretPrevious", v.config.JWTSecretPrevious, minJWTSecret, false},
		{"OperatorKey", v.config.OperatorKey, minOperatorKey, true},
	} {
		switch distinct := distinctBytes(secret.value.Reveal()); {
		case secret.value == "" && secret.required && v.program == API:
			v.add(secret.field, "is required, with at least %d bytes; `openssl rand -hex %d` makes one", secret.least, secret.least)
		case secret.value == "":
		case len(secret.value) < secret.least:
			v.add(secret.field, "has %d bytes; it needs at least %d", len(secret.value), secret.least)
		case distinct < minDistinct:
			v.add(secret.field, "has %d different characters only and is soon guessed; `openssl rand -hex %d` makes one", distinct, secret.least)
		}
	}
	if check, keys := v.checks[byField(v.settings, "PayloadKeys").Variable], v.config.PayloadKeys.Reveal(); check != nil {
		if err := check(keys); err != nil {
			v.add("PayloadKeys", "%v", err)
		}
	}
	if c := v.config; c.OperatorKey != "" && (c.OperatorKey == c.JWTSecret || c.OperatorKey == c.JWTSecretPrevious) {
		v.add("OperatorKey", "is the same as a JWT secret: an operator could log in as any user; `openssl rand -hex %d` makes one", minOperatorKey)
	}
}

func distinctBytes(text string) int {
	seen := map[byte]bool{}
	for i := range len(text) {
		seen[text[i]] = true
	}
	return len(seen)
}

// proxies refuses a network that no operator's proxies fill: the clients in it say themselves what address they have.
func (v *validator) proxies() {
	for _, network := range v.config.TrustedProxies {
		bits, least := network.Bits(), minProxyBits6
		switch addr := network.Addr(); {
		case addr.Is4():
			least = minProxyBits4
		case addr.Is4In6():
			bits, least = bits-96, minProxyBits4
		}
		if bits < least {
			v.add("TrustedProxies", "%s is far more than your proxies: every client in it could say that it has another's address", network)
		}
	}
}

func (v *validator) tencent() {
	c := v.config
	if c.SMSProvider != SMSTencent {
		return
	}
	if host := c.TencentEndpoint; strings.Contains(host, "://") {
		if err := checkWeb(host, true); err != nil {
			v.add("TencentEndpoint", "%v", err)
		}
	} else if u, err := url.Parse("//" + host); err != nil || u.Host != host || u.Hostname() == "" {
		v.add("TencentEndpoint", "%q is neither a host nor a URL", host)
	}
	if v.program != Worker && v.program != Local {
		return // only workers send
	}
	for field, value := range map[string]string{
		"TencentSecretID":   c.TencentSecretID.Reveal(),
		"TencentSecretKey":  c.TencentSecretKey.Reveal(),
		"TencentAppID":      c.TencentAppID,
		"TencentSignName":   c.TencentSignName,
		"TencentTemplateID": c.TencentTemplateID,
		"TencentRegion":     c.TencentRegion,
	} {
		if value == "" {
			v.add(field, "is required with the SMS provider %s", SMSTencent)
		}
	}
}

func (v *validator) rest() {
	c := v.config
	if c.Timezone == "" || c.Timezone == "Local" {
		v.add("Timezone", "%q would differ from machine to machine; name a zone such as Asia/Shanghai or UTC", c.Timezone)
	} else if _, err := time.LoadLocation(c.Timezone); err != nil {
		v.add("Timezone", "%q is no time zone such as Asia/Shanghai or UTC", c.Timezone)
	}
	if c.WorkerName != "" && (!workerName.MatchString(c.WorkerName) || c.WorkerName == "." || c.WorkerName == "..") {
		v.add("WorkerName", "%q is not made of 1 to 64 of A-Z a-z 0-9 . _ @ -", c.WorkerName)
	}
	for _, route := range c.Routes {
		if _, err := parseRoute(route.String()); err != nil {
			v.add("Routes", "%v", err)
		}
	}
	if len(c.Queues) == 0 {
		v.add("Queues", "names no queue")
	}
	for name, weight := range c.Queues {
		if !queueName.MatchString(name) || weight < 1 || weight > maxWeight {
			v.add("Queues", "%s:%d is no queue", name, weight)
		}
	}
}

// checkAddr wants host:port; the host may be empty, and port 0 is any free one.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is no address such as 127.0.0.1:8000", addr)
	}
	if n, err := parseWhole(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("port %q of %q is not a number from 0 to 65535", port, addr)
	}
	if strings.ContainsAny(host, " /@?#,") {
		return fmt.Errorf("host %q of %q is neither a name nor an IP address", host, addr)
	}
	return nil
}
