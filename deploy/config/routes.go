package config

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Routes send tasks to other queues than their own, by the first pattern that matches a task's name.
type Routes []Route

// Route is one rule. The pattern is path.Match's.
type Route struct{ Pattern, Queue string }

// UnmarshalText reads pattern=queue rules with commas between them. The error names every rule that is wrong.
func (r *Routes) UnmarshalText(text []byte) error {
	var routes Routes
	var errs []error
	for _, word := range words(string(text)) {
		route, err := parseRoute(word)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		routes = append(routes, route)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	*r = routes
	return nil
}

func parseRoute(word string) (Route, error) {
	pattern, queue, _ := strings.Cut(word, "=")
	route := Route{strings.TrimSpace(pattern), strings.TrimSpace(queue)}
	if _, err := path.Match(route.Pattern, ""); err != nil || route.Pattern == "" {
		return Route{}, fmt.Errorf("%q is not pattern=queue: %q is no pattern such as sms.*", word, route.Pattern)
	}
	if !queueName.MatchString(route.Queue) {
		return Route{}, fmt.Errorf("%q is not pattern=queue: queue name %q is not made of 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or digit",
			word, route.Queue)
	}
	return route, nil
}

// String is the rule as it is written in a setting.
func (r Route) String() string { return r.Pattern + "=" + r.Queue }

// String is the rules as they are written in a setting.
func (r Routes) String() string {
	texts := make([]string, len(r))
	for i, route := range r {
		texts[i] = route.String()
	}
	return strings.Join(texts, ",")
}
