package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
)

// paging is how much of a list to show.
type paging struct {
	limit  int
	all    bool
	cursor string
}

// flags gives a list's command its flags; standard is how many rows it shows otherwise.
func (p *paging) flags(cmd *cobra.Command, standard int) {
	cmd.Flags().IntVar(&p.limit, "limit", standard, "how many to show")
	cmd.Flags().BoolVar(&p.all, "all", false, "show all, however many")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "go on where an earlier list ended")
}

const (
	maxRows    = 10_000 // of one table
	emptyPages = 50     // after so many pages without a row a search asks to be gone on with
)

// list is a page of the API's, whichever things it has.
type list struct {
	rows []json.RawMessage
	next string
}

func readList(a remote.Answer, name string) (list, error) {
	var fields map[string]json.RawMessage
	var l list
	if len(a.Data) > 0 && a.Data[0] == '[' { // an API of before
		return l, a.Decode(&l.rows)
	}
	if err := a.Decode(&fields); err != nil {
		return l, err
	}
	if err := (remote.Answer{Data: fields[name]}).Decode(&l.rows); err != nil {
		return l, fmt.Errorf("%s: %w", name, err)
	}
	var next *string
	if raw := fields["next_cursor"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &next); err != nil {
			return l, fmt.Errorf("next_cursor: %w", err)
		}
	}
	if next != nil {
		l.next = *next
	}
	return l, nil
}

// gather asks for a list page by page until there are as many rows as wanted, and decodes them. largest is how many the API
// gives at a time; 0 leaves that to it. With --json it prints each page's data, and returns no rows.
func gather[T any](ctx context.Context, s *session, path, name string, query url.Values, p paging, largest int) (rows []T, next string, err error) {
	if p.limit < 1 {
		return nil, "", remote.UsageErrorf("--limit: %d is less than 1", p.limit)
	}
	if query == nil {
		query = url.Values{}
	}
	wanted := p.limit
	if p.all {
		wanted = maxRows
		if s.json {
			wanted = int(^uint(0) >> 1)
		}
	}
	next = p.cursor
	for got, empty := 0, 0; ; {
		if largest > 0 {
			query.Set("limit", strconv.Itoa(min(largest, wanted-got)))
		}
		if next != "" {
			query.Set("cursor", next)
		}
		a, err := s.api.Do(ctx, remote.Request{Method: http.MethodGet, Path: path, Query: query})
		if err != nil {
			return nil, "", err
		}
		l, err := readList(a, name)
		if err != nil {
			return nil, "", err
		}
		if s.json {
			if err := s.printJSON(a.Data); err != nil {
				return nil, "", err
			}
		} else {
			for _, raw := range l.rows {
				var row T
				if err := (remote.Answer{Data: raw}).Decode(&row); err != nil {
					return nil, "", fmt.Errorf("%s: %w", name, err)
				}
				rows = append(rows, row)
			}
		}
		got += len(l.rows)
		if empty++; len(l.rows) > 0 {
			empty = 0
		}
		if next = l.next; next == "" || got >= wanted || empty >= emptyPages {
			return rows, next, nil
		}
	}
}

// more tells how to go on where a list has not ended.
func (s *session) more(next string, shown int) {
	if next == "" || s.json {
		return
	}
	if shown == 0 {
		s.note("none so far; the search goes on with --cursor %s", next)
		return
	}
	s.note("more with --all, or --cursor %s", next)
}

// none tells that a list is empty, which a table of names alone would leave open.
func (s *session) none(what string, shown int, next string) bool {
	if shown > 0 || s.json {
		return false
	}
	if next == "" {
		s.note("no %s", what)
	}
	return true
}
