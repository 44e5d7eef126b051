package history

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/paidui/paidui/tasks"
)

// place is where a record stands in the order of the searches.
type place struct {
	at time.Time
	id string
}

// compare is below 0 when p comes first: it is newer, or of the same time with the greater id.
func (p place) compare(other place) int {
	if c := other.at.Compare(p.at); c != 0 {
		return c
	}
	switch {
	case p.id > other.id:
		return -1
	case p.id < other.id:
		return 1
	}
	return 0
}

const (
	timeBytes = 8 // Unix microseconds
	sumBytes  = 8
)

// cursor names the last place of a page. It ends with a sum that binds it to its query, so that one which was made up,
// cut off or taken from another search is noticed.
func (q *Query) cursor(last place) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(last.at.UnixMicro()))
	raw = append(raw, last.id...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(raw, q.sum(raw)))
}

// after reads the query's cursor; the zero place is the beginning.
func (q *Query) after() (place, error) {
	if q.Cursor == "" {
		return place{}, nil
	}
	wrong := queryErrorf("cursor", "is not one that this search gave")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(raw) <= timeBytes+sumBytes {
		return place{}, wrong
	}
	body, sum := raw[:len(raw)-sumBytes], binary.BigEndian.Uint64(raw[len(raw)-sumBytes:])
	p := place{at: time.UnixMicro(int64(binary.BigEndian.Uint64(body))).UTC(), id: string(body[timeBytes:])}
	if sum != q.sum(body) || storable(p.at).IsZero() || !tasks.ValidID(p.id) {
		return place{}, wrong
	}
	return p, nil
}

func (q *Query) sum(body []byte) uint64 {
	h := fnv.New64a()
	parts := []string{string(q.State), q.Task, q.Queue, q.Tag, q.Since.UTC().Format(time.RFC3339Nano), q.Until.UTC().Format(time.RFC3339Nano), string(body)}
	if q.ErrorGroup != "" || q.Text != "" { // builds before have neither, and go on with the cursors of this one
		parts = append(parts, q.ErrorGroup, q.Text)
	}
	for _, part := range parts {
		_, _ = h.Write(append([]byte(part), 0)) // a hash takes everything
	}
	return h.Sum64()
}
