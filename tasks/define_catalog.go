package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Spec is a Definition without its types, for callers that learn the task's name at run time. It is safe for
// concurrent use.
type Spec interface {
	// Name is the task's stable name, such as "demo.add".
	Name() string
	// Queue is where the task goes unless an option says otherwise.
	Queue() string
	// Schema is the JSON Schema of the arguments.
	Schema() json.RawMessage
	// CheckArgs returns an *ArgsError when raw does not fit the arguments.
	CheckArgs(raw json.RawMessage) error
	// EnqueueJSON is Enqueue with arguments as JSON. With ErrDuplicate, id is the task that is there already.
	EnqueueJSON(ctx context.Context, c *Client, args json.RawMessage, opts ...Option) (id string, err error)
	// SignatureJSON binds arguments as JSON, and options. It returns an *ArgsError when the arguments do not fit.
	SignatureJSON(args json.RawMessage, opts ...Option) (Signature, error)
	// Options are those that hold unless a call says otherwise, where they differ from the standard.
	Options() Options
	// Encrypted tells whether the definition is Encrypted.
	Encrypted() bool
}

// Catalog is the set of tasks that a program knows. It does not change once made.
type Catalog struct {
	specs  []Spec
	byName map[string]Spec
}

// NewCatalog gathers definitions. Two of one name are an error, which names all such.
func NewCatalog(specs ...Spec) (*Catalog, error) {
	c := &Catalog{specs: slices.Clone(specs), byName: make(map[string]Spec, len(specs))}
	var errs []error
	for _, s := range specs {
		if _, taken := c.byName[s.Name()]; taken {
			errs = append(errs, fmt.Errorf("task %q is defined twice", s.Name()))
		}
		c.byName[s.Name()] = s
	}
	slices.SortFunc(c.specs, func(a, b Spec) int { return strings.Compare(a.Name(), b.Name()) })
	return c, errors.Join(errs...)
}

// Lookup finds a task by its name. A nil catalog has none.
func (c *Catalog) Lookup(name string) (Spec, bool) {
	if c == nil {
		return nil, false
	}
	s, ok := c.byName[name]
	return s, ok
}

// All lists the tasks by name.
func (c *Catalog) All() []Spec { return slices.Clone(c.specs) }
