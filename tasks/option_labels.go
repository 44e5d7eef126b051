package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks/broker"
)

// PriorityLevel is how soon a task is taken from its queue. JSON has it as "high", "normal" or "low".
type PriorityLevel int8

// The levels. A high task overtakes all others that wait in its queue; a low one waits for them, but not for ever.
const (
	Normal = PriorityLevel(broker.Normal)
	High   = PriorityLevel(broker.High)
	Low    = PriorityLevel(broker.Low)
)

var priorityNames = map[PriorityLevel]string{Normal: "normal", High: "high", Low: "low"}

// String is the level's name.
func (p PriorityLevel) String() string { return nameOf(priorityNames, p) }

// MarshalText gives the level's name.
func (p PriorityLevel) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *PriorityLevel) UnmarshalText(text []byte) error {
	return readName(priorityNames, p, text, errNoPriority)
}

// HistoryMode is what the history keeps of a task. JSON has it as "full", "meta" or "off".
type HistoryMode int8

// The modes.
const (
	HistoryFull HistoryMode = iota // all
	HistoryMeta                    // no arguments, no result, and the arguments hidden in the error: see Redact
	HistoryOff                     // nothing
)

var historyNames = map[HistoryMode]string{HistoryFull: "full", HistoryMeta: "meta", HistoryOff: "off"}

// String is the mode's name.
func (m HistoryMode) String() string { return nameOf(historyNames, m) }

// MarshalText gives the mode's name.
func (m HistoryMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a name.
func (m *HistoryMode) UnmarshalText(text []byte) error {
	return readName(historyNames, m, text, errNoHistory)
}

var (
	errNoPriority = errors.New("want high, normal or low")
	errNoHistory  = errors.New("want full, meta or off")
)

func nameOf[T ~int8](names map[T]string, v T) string {
	if name, ok := names[v]; ok {
		return name
	}
	return fmt.Sprintf("%d", v)
}

func readName[T ~int8](names map[T]string, into *T, text []byte, unknown error) error {
	for v, name := range names {
		if name == string(text) {
			*into = v
			return nil
		}
	}
	return unknown
}

// Priority says how soon the task is taken from its queue: High, Normal (the standard) or Low.
func Priority(level PriorityLevel) Option { return func(o *options) { o.priority = level } }

// History says what the history keeps of the task, where one is kept: HistoryFull is the standard.
func History(mode HistoryMode) Option { return func(o *options) { o.history = mode } }

// Header adds a pair that the handler finds in its Task. A later value of a key wins over an earlier one, so a call's
// headers add to its definition's. At most 32, each a key of 1 to 64 of the characters A-Z a-z 0-9 . _ - and up to 1 KiB
// of UTF-8, and 8 KiB in all.
func Header(key, value string) Option {
	return func(o *options) {
		o.change(func(e *extras) {
			at, found := slices.BinarySearchFunc(e.headers, key, func(h broker.Header, key string) int {
				return strings.Compare(h.Key, key)
			})
			e.headers = slices.Clone(e.headers)
			if !found {
				e.headers = slices.Insert(e.headers, at, broker.Header{Key: key})
			}
			e.headers[at].Value = value
		})
	}
}

// Tags adds labels by which tasks are found and revoked together. A call's tags add to its definition's. At most 16,
// each 1 to 64 characters without white space, commas and what visible.Hidden finds.
func Tags(tags ...string) Option {
	return func(o *options) {
		o.change(func(e *extras) {
			e.tags = slices.Clone(e.tags)
			for _, tag := range tags {
				if !slices.Contains(e.tags, tag) {
					e.tags = append(e.tags, tag)
				}
			}
		})
	}
}

// ValidTag reports whether tag can be a task's: 1 to 64 characters that make a visible.Line without white space and commas.
func ValidTag(tag string) bool {
	return len(tag) <= MaxTag*utf8.UTFMax && utf8.RuneCountInString(tag) <= MaxTag && visible.Line(tag) &&
		!strings.ContainsFunc(tag, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

func (e *extras) validateTags() error {
	if len(e.tags) > MaxTags {
		return optionErrorf("tags", "%d tags are more than %d", len(e.tags), MaxTags)
	}
	for _, tag := range e.tags {
		if !ValidTag(tag) {
			return optionErrorf("tags", "%s: want 1 to %d visible characters without white space and commas", quoted(tag), MaxTag)
		}
	}
	return nil
}

func (e *extras) validateHeaders() error {
	if len(e.headers) > MaxHeaders {
		return optionErrorf("headers", "%d headers are more than %d", len(e.headers), MaxHeaders)
	}
	size := 0
	for _, h := range e.headers {
		size += len(h.Key) + len(h.Value)
		switch {
		case len(h.Key) > maxHeaderKey || !consistsOf(h.Key, "._-"):
			return optionErrorf("headers", "key %s: want 1 to %d of the characters A-Z a-z 0-9 . _ -", quoted(h.Key), maxHeaderKey)
		case len(h.Value) > MaxHeader:
			return optionErrorf("headers", "%s: its %d bytes are more than %d", h.Key, len(h.Value), MaxHeader)
		case !utf8.ValidString(h.Value):
			return optionErrorf("headers", "%s: is not UTF-8", h.Key)
		}
	}
	if size > MaxHeaderSize {
		return optionErrorf("headers", "their %d bytes are more than %d", size, MaxHeaderSize)
	}
	return nil
}

const maxHeaderKey = 64

// quoted quotes s, of which it shows 80 bytes at most.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
