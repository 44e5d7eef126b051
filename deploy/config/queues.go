package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxWeight is the largest weight of a queue.
const maxWeight = 1000

// queueName is what a queue may be called: the name is part of Redis keys and of task ids. It is the rule of package
// tasks, which this package does not know; a test of deploy/boot holds the two together.
var queueName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Queues maps the names of queues to their weights, 1..1000: a queue of weight 6 is asked first six times as often
// as one of weight 1.
type Queues map[string]int

// UnmarshalText reads name:weight pairs with commas between them; a name alone has weight 1. The error names every
// pair that is wrong.
func (q *Queues) UnmarshalText(text []byte) error {
	queues := Queues{}
	var errs []error
	for _, word := range words(string(text)) {
		name, weight, err := parseQueue(word)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, twice := queues[name]; twice {
			errs = append(errs, fmt.Errorf("queue %q is listed twice", name))
			continue
		}
		queues[name] = weight
	}
	if len(errs) == 0 && len(queues) == 0 {
		errs = append(errs, errors.New("names no queue"))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	*q = queues
	return nil
}

// String is the list as it is written in a setting, the heaviest queue first.
func (q Queues) String() string {
	names := slices.SortedFunc(maps.Keys(q), func(a, b string) int {
		return cmp.Or(cmp.Compare(q[b], q[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s:%d", name, q[name])
	}
	return strings.Join(names, ",")
}

func parseQueue(word string) (name string, weight int, err error) {
	name, number, weighted := strings.Cut(word, ":")
	name, number = strings.TrimSpace(name), strings.TrimSpace(number)
	if !queueName.MatchString(name) {
		return "", 0, fmt.Errorf("queue name %q is not made of 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or digit", name)
	}
	if !weighted {
		return name, 1, nil
	}
	weight, err = parseWhole(number)
	if err != nil || weight < 1 || weight > maxWeight {
		return "", 0, fmt.Errorf("weight %q of queue %q is not a whole number from 1 to %d", number, name, maxWeight)
	}
	return name, weight, nil
}

// maxLength is the largest bound of a queue.
const maxLength = 1_000_000_000

// Lengths maps the names of queues to with how many pending tasks they take no more. Those that it does not name have no bound.
type Lengths map[string]int

// UnmarshalText reads name:length pairs with commas between them. The error names every pair that is wrong.
func (l *Lengths) UnmarshalText(text []byte) error {
	lengths := Lengths{}
	var errs []error
	for _, word := range words(string(text)) {
		name, length, err := parseLength(word)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, twice := lengths[name]; twice {
			errs = append(errs, fmt.Errorf("queue %q is listed twice", name))
			continue
		}
		lengths[name] = length
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	*l = lengths
	return nil
}

// String is the list as it is written in a setting, by name.
func (l Lengths) String() string {
	names := slices.Sorted(maps.Keys(l))
	for i, name := range names {
		names[i] = fmt.Sprintf("%s:%d", name, l[name])
	}
	return strings.Join(names, ",")
}

func parseLength(word string) (name string, length int, err error) {
	name, number, _ := strings.Cut(word, ":")
	name, number = strings.TrimSpace(name), strings.TrimSpace(number)
	if !queueName.MatchString(name) {
		return "", 0, fmt.Errorf("queue name %q is not made of 1 to 64 of A-Z a-z 0-9 _ -, the first a letter or digit", name)
	}
	length, err = parseWhole(number)
	if err != nil || length < 1 || length > maxLength {
		return "", 0, fmt.Errorf("length %q of queue %q is not a whole number from 1 to %d", number, name, maxLength)
	}
	return name, length, nil
}
