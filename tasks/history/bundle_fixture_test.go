package history

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// What earlier builds wrote.
const (
	bundleSpan = 10 * time.Second // between the first and the last record of a bundle
	firstLook  = 2 * time.Second  // after which they looked at it
	uuidLength = 36
)

// stub is a row that waits, with the parts of its id.
type stub struct {
	*row
	prefix string // of the id, before its UUID
	uuid   uuid.UUID
}

// stubOf is not ok for a row of which an earlier build would have made a row at once.
func stubOf(r *row) (s stub, ok bool) {
	cut := len(r.id) - uuidLength
	if !r.isPlainPending() || cut < 1 || r.id[cut-1] != '_' {
		return s, false
	}
	u, err := uuid.Parse(r.id[cut:])
	return stub{r, r.id[:cut], u}, err == nil && u.Version() == 7
}

// bundlesOf packs stubs into as few bundles as their times allow.
func bundlesOf(stubs []stub, now time.Time) (list []*models.TaskBundle) {
	slices.SortFunc(stubs, func(a, b stub) int { return a.at.Compare(b.at) })
	for len(stubs) > 0 {
		n := 1
		for n < len(stubs) && stubs[n].at.Sub(stubs[0].at) <= bundleSpan {
			n++
		}
		list = append(list, &models.TaskBundle{
			FirstAt: stubs[0].at, LastAt: stubs[n-1].at, LookAt: now.Add(firstLook), Tasks: n,
			Kinds: "", Probe: probeOf(stubs[:n]), Records: pack(stubs[:n]),
		})
		stubs = stubs[n:]
	}
	return list
}

// probeOf names some of the tasks.
func probeOf(stubs []stub) string {
	var ids []string
	for _, s := range stubs[:min(8, len(stubs))] {
		ids = append(ids, s.id)
	}
	return strings.Join(ids, " ")
}

// bundled puts the records into bundles, as an earlier build does. They are due then.
func bundled(t require.TestingT, s *Store, then time.Time, records ...tasks.Record) {
	var stubs []stub
	for _, r := range rowsFrom(t, records...) {
		one, ok := stubOf(r)
		require.True(t, ok, "%+v", r)
		stubs = append(stubs, one)
	}
	for _, b := range bundlesOf(stubs, then.Add(-firstLook)) {
		require.NoError(t, s.db.Create(b).Error)
	}
}

func pack(stubs []stub) []byte {
	size := 64
	for _, s := range stubs {
		size += len(s.args) + len(s.request) + 32
	}
	records := make([]byte, 0, size)
	var texts []string
	places := make(map[string]uint64)
	refer := func(text string) {
		place, known := places[text]
		if !known {
			place = uint64(len(texts))
			places[text] = place
			texts = append(texts, text)
		}
		records = binary.AppendUvarint(records, place)
	}
	add := func(text string) {
		records = binary.AppendUvarint(records, uint64(len(text)))
		records = append(records, text...)
	}
	at := stubs[0].at.UnixMilli()
	for _, s := range stubs {
		next := s.at.UnixMilli()
		records = binary.AppendUvarint(records, uint64(next-at))
		at = next
		refer(s.prefix)
		records = append(records, s.uuid[:]...)
		refer(s.task)
		refer(s.queue)
		records = binary.AppendVarint(records, int64(s.maxRetries))
		add(s.args)
		add(s.request)
	}
	head := binary.AppendUvarint([]byte{bundleForm}, uint64(len(texts)))
	for _, text := range texts {
		head = binary.AppendUvarint(head, uint64(len(text)))
		head = append(head, text...)
	}
	head = binary.AppendUvarint(head, uint64(len(stubs)))
	head = binary.AppendVarint(head, stubs[0].at.UnixMilli())
	return append(head, records...)
}
