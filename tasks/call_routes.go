package tasks

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Routes send tasks to other queues than their definitions name, by the first pattern that matches a task's name. A
// queue that a call chooses itself wins over them.
type Routes []Route

// Route is one rule. The pattern is path.Match's: * is any number of characters, ? is one, [a-z] is one of these.
type Route struct{ Pattern, Queue string }

// ParseRoutes reads rules written as pattern=queue with commas between them. White space around a rule and empty rules
// are dropped. The error names every rule that is wrong.
func ParseRoutes(text string) (Routes, error) {
	var routes Routes
	var errs []error
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		pattern, queue, _ := strings.Cut(word, "=")
		r := Route{Pattern: strings.TrimSpace(pattern), Queue: strings.TrimSpace(queue)}
		if err := r.validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		routes = append(routes, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return routes, nil
}

func (r Route) validate() error {
	if _, err := path.Match(r.Pattern, ""); err != nil || r.Pattern == "" {
		return fmt.Errorf("route %q: %q is not a pattern such as sms.*", r.String(), r.Pattern)
	}
	if !ValidQueue(r.Queue) {
		return fmt.Errorf("route %q: %q is not the name of a queue: 1 to 64 letters, digits, '_' or '-', the first a letter or digit", r.String(), r.Queue)
	}
	return nil
}

// String is the rule as ParseRoutes reads it.
func (r Route) String() string { return r.Pattern + "=" + r.Queue }

// String is the rules as ParseRoutes reads them.
func (r Routes) String() string {
	texts := make([]string, len(r))
	for i, rule := range r {
		texts[i] = rule.String()
	}
	return strings.Join(texts, ",")
}

// Queue is where the rules send the task; ok is false when none matches.
func (r Routes) Queue(task string) (queue string, ok bool) {
	for _, rule := range r {
		if hit, err := path.Match(rule.Pattern, task); err == nil && hit {
			return rule.Queue, true
		}
	}
	return "", false
}
