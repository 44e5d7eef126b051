package config

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	minDistinct = 5 // characters of a secret; 16 random hexadecimal digits have fewer once in two million times

	minProxyBits4 = 8 // 10.0.0.0/8
	minProxyBits6 = 7 // fc00::/7
)

var workerName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// Validate checks c for program p, without I/O, and reports everything that is wrong in a *ValidationError. Load has
// called it; a program that changes its Config afterwards calls it again. The checks are those of Load.
func (s *Schema) Validate(p Program, c Config) error {
	return asError(s.mistakes(p, s.of(c)))
}

func (s *Schema) mistakes(p Program, values configuration) []Mistake {
	v := &validator{config: values.config(), values: values, program: p, settings: s.settings, checks: s.checks}
	for _, one := range v.settings {
		v.limits(one)
		v.form(one)
		v.secret(one)
	}
	v.addresses()
	v.certificate()
	v.origins()
	v.proxies()
	v.rest()
	if values.own.IsValid() {
		if checker, ok := values.own.Addr().Interface().(Checker); ok {
			for _, m := range checker.Check(p, v.config) {
				v.add(m.Variable, "%s", m.Reason)
			}
		}
	}
	order := map[string]int{}
	for i, one := range v.settings {
		order[one.Variable] = i
	}
	slices.SortStableFunc(v.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(order[a.Variable], order[b.Variable]), strings.Compare(a.Reason, b.Reason))
	})
	return v.mistakes
}

// validator collects the mistakes of a Config.
type validator struct {
	config   Config
	values   configuration
	program  Program
	settings []setting
	checks   Checks
	mistakes []Mistake
}

// add reports a mistake of the setting with that variable.
func (v *validator) add(variable, format string, args ...any) {
	s := byVariable(v.settings, variable)
	v.mistakes = append(v.mistakes, Mistake{Variable: s.Variable, Key: s.Key, Reason: fmt.Sprintf(format, args...)})
}

// limits holds a setting to its range, oneof and someof tags.
func (v *validator) limits(s setting) {
	least, most, _ := strings.Cut(s.Range, "..")
	switch value := v.values.field(s).Interface().(type) {
	case int:
		if s.Range != "" && (value < must(strconv.Atoi(least)) || value > must(strconv.Atoi(most))) {
			v.add(s.Variable, "%d is not between %s and %s", value, least, most)
		}
	case time.Duration:
		if s.Range != "" && (value < must(time.ParseDuration(least)) || value > must(time.ParseDuration(most))) {
			v.add(s.Variable, "%s is not between %s and %s", value, least, most)
		}
	case string:
		if len(s.OneOf) > 0 && !slices.Contains(s.OneOf, value) {
			v.add(s.Variable, "%q is not one of %s", value, strings.Join(s.OneOf, ", "))
		}
		for name := range strings.SplitSeq(value, ",") {
			if len(s.SomeOf) > 0 && !slices.Contains(s.SomeOf, strings.TrimSpace(name)) {
				v.add(s.Variable, "%q is not one of %s, or several of them with commas between", name, strings.Join(s.SomeOf, ", "))
			}
		}
	}
}

// form holds a text to its form: to what is known of that first, which is about passwords that are not what they seem, and
// then to what its client makes of it. Nothing at all is right, unless a program has a default for it: it brings its own,
// or does without.
func (v *validator) form(s setting) {
	field := v.values.field(s)
	if s.Form == "" {
		return
	}
	text := field.String() // of a string, a URL or a Secret, whatever that prints as
	if text == "" && (s.None || s.defaultFor(v.program) == "") {
		return
	}
	for _, check := range []func(string) error{forms[s.Form], v.checks[s.Form]} {
		if check == nil {
			continue
		}
		if err := check(text); err != nil {
			v.add(s.Variable, "%v", err)
			return
		}
	}
}

// secret holds one to its length. It is required only where it is used, and hard to guess wherever it is set.
func (v *validator) secret(s setting) {
	required := slices.Contains(s.Required, string(v.program))
	if s.Field == "OperatorKey" && !s.own && (v.config.OperatorKeys != "" || v.config.OperatorKeysFile != "") {
		required = false // others have keys
	}
	field := v.values.field(s)
	if s.Bytes == 0 {
		if required && field.IsZero() {
			v.add(s.Variable, "is required")
		}
		return
	}
	text := field.String()
	switch distinct := distinctBytes(text); {
	case text == "" && required:
		v.add(s.Variable, "is required, with at least %d bytes; `openssl rand -hex %d` makes one", s.Bytes, s.Bytes)
	case text == "":
	case len(text) < s.Bytes:
		v.add(s.Variable, "has %d bytes; it needs at least %d", len(text), s.Bytes)
	case distinct < minDistinct:
		v.add(s.Variable, "has %d different characters only and is soon guessed; `openssl rand -hex %d` makes one", distinct, s.Bytes)
	}
}

// must is for the values in the tags.
func must[T any](value T, err error) T {
	if err != nil {
		panic("config: a tag is wrong: " + err.Error())
	}
	return value
}

func (v *validator) addresses() {
	c := v.config
	if err := checkAddr(c.HTTPAddr); err != nil {
		v.add("PAIDUI_HTTP_ADDR", "%v", err)
	}
	if c.AdminAddr == "" && byVariable(v.settings, "PAIDUI_ADMIN_ADDR").defaultFor(v.program) == "" {
		return // a program without an admin address
	}
	if err := checkAddr(c.AdminAddr); err != nil {
		v.add("PAIDUI_ADMIN_ADDR", "%v", err)
	} else if v.serves() && c.AdminAddr == c.HTTPAddr && !strings.HasSuffix(c.AdminAddr, ":0") {
		v.add("PAIDUI_ADMIN_ADDR", "%s is the address of the API already", c.AdminAddr)
	}
}

// certificate wants both files or none.
func (v *validator) certificate() {
	switch cert, key := v.config.TLSCertFile != "", v.config.TLSKeyFile != ""; {
	case cert && !key:
		v.add("PAIDUI_TLS_CERT_FILE", "goes with PAIDUI_TLS_KEY_FILE, which is not set")
	case key && !cert:
		v.add("PAIDUI_TLS_KEY_FILE", "goes with PAIDUI_TLS_CERT_FILE, which is not set")
	}
}

// serves tells whether the program has the HTTP API in it.
func (v *validator) serves() bool { return v.program == API || v.program == Local }

func (v *validator) origins() {
	for _, origin := range v.config.CORSOrigins {
		if origin == "*" {
			continue
		}
		if err := checkWeb(origin, false); err != nil {
			v.add("PAIDUI_CORS_ORIGINS", "%v", err)
		}
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
			v.add("PAIDUI_TRUSTED_PROXIES", "%s is far more than your proxies: every client in it could say that it has another's address", network)
		}
	}
}

func (v *validator) rest() {
	c := v.config
	if c.Timezone == "" || c.Timezone == "Local" {
		v.add("PAIDUI_TIMEZONE", "%q would differ from machine to machine; name a zone such as Asia/Shanghai or UTC", c.Timezone)
	} else if _, err := time.LoadLocation(c.Timezone); err != nil {
		v.add("PAIDUI_TIMEZONE", "%q is no time zone such as Asia/Shanghai or UTC", c.Timezone)
	}
	if c.WorkerName != "" && (!workerName.MatchString(c.WorkerName) || c.WorkerName == "." || c.WorkerName == "..") {
		v.add("PAIDUI_WORKER_NAME", "%q is not made of 1 to 64 of A-Z a-z 0-9 . _ @ -", c.WorkerName)
	}
	for _, route := range c.Routes {
		if _, err := parseRoute(route.String()); err != nil {
			v.add("PAIDUI_ROUTES", "%v", err)
		}
	}
	for name, length := range c.QueueMaxLength {
		if !queueName.MatchString(name) || length < 1 || length > maxLength {
			v.add("PAIDUI_QUEUE_MAX_LENGTH", "%s:%d is no bound of a queue", name, length)
		}
	}
	if len(c.Queues) == 0 {
		v.add("PAIDUI_QUEUES", "names no queue")
	}
	for name, weight := range c.Queues {
		if !queueName.MatchString(name) || weight < 1 || weight > maxWeight {
			v.add("PAIDUI_QUEUES", "%s:%d is no queue", name, weight)
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
