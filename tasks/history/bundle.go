package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// A bundle is one row of task_bundles with the records of many tasks that wait. It costs the database a tenth of what a
// row of task_records for each would, and most of them never need one while they wait: see package history.
const (
	leastBundle = 64               // records; fewer become rows
	bundleSpan  = 10 * time.Second // between the first and the last of one
	idSkew      = 100 * time.Millisecond
	maxKindText = 2 << 10
)

var pendingVersion, _ = versionOf(1, 0, tasks.StatePending)

const statePending = string(tasks.StatePending)

// stub is a row that waits, with the parts of its id.
type stub struct {
	*row
	prefix string // of the id, before its UUID
	uuid   uuid.UUID
}

// stubOf is not ok for a row that must not go into a bundle. Only the record of whoever enqueues can, and only of a task
// whose id says when it was made, by which Find knows where to look. Tags have a table that points to rows.
func stubOf(r *row) (s stub, ok bool) {
	if r.version != pendingVersion || r.tags != "" || r.worker != "" || r.result != "" || r.err != "" || r.retries != 0 ||
		!r.started.IsZero() || !r.ended.IsZero() || strings.ContainsAny(r.task, kindMarks) || strings.ContainsAny(r.queue, kindMarks) {
		return s, false
	}
	prefix, id, ok := splitID(r.id)
	if !ok || timeOf(id).Sub(r.at).Abs() > idSkew {
		return s, false
	}
	return stub{r, prefix, id}, true
}

const uuidLength = 36

// splitID takes the UUID from an id that tasks.NewID made.
func splitID(id string) (prefix string, u uuid.UUID, ok bool) {
	cut := len(id) - uuidLength
	if cut < 1 || id[cut-1] != '_' {
		return "", u, false
	}
	u, err := uuid.Parse(id[cut:])
	return id[:cut], u, err == nil && u.Version() == 7 && !strings.ContainsAny(id[cut:], "ABCDEF")
}

// timeOf is when a UUID of version 7 was made, in milliseconds.
func timeOf(u uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(u[:8]) >> 16)).UTC()
}

// apart takes those of the rows that go into bundles from the others, if they are enough.
func apart(rows []*row) (stubs []stub, others []*row) {
	for _, r := range rows {
		if s, ok := stubOf(r); ok {
			stubs = append(stubs, s)
		} else {
			others = append(others, r)
		}
	}
	if len(stubs) < leastBundle {
		return nil, rows
	}
	return stubs, others
}

// bundlesOf packs stubs into as few bundles as their times allow. now is when they begin to wait to be looked at.
func bundlesOf(stubs []stub, now time.Time) (list []*models.TaskBundle) {
	slices.SortFunc(stubs, func(a, b stub) int { return a.at.Compare(b.at) })
	for len(stubs) > 0 {
		n := 1
		for n < len(stubs) && stubs[n].at.Sub(stubs[0].at) <= bundleSpan {
			n++
		}
		list = append(list, &models.TaskBundle{
			FirstAt: stubs[0].at, LastAt: stubs[n-1].at, LookAt: now.Add(firstLook), Tasks: n,
			Kinds: kindsOf(stubs[:n]), Probe: probeOf(stubs[:n]), Records: pack(stubs[:n]),
			Filter: filterOf(stubs[:n]),
		})
		stubs = stubs[n:]
	}
	return list
}

// The list of a bundle's kinds is lines of a task's name and its queue.
const (
	kindTab   = "\t"
	kindEnd   = "\n"
	kindMarks = kindTab + kindEnd
)

func kindsOf(stubs []stub) string {
	seen := make(map[kind]bool)
	var b strings.Builder
	for _, s := range stubs {
		k := kind{s.task, s.queue, statePending}
		if seen[k] {
			continue
		}
		seen[k] = true
		if b.WriteString(k.task + kindTab + k.queue + kindEnd); b.Len() > maxKindText {
			return ""
		}
	}
	return b.String()
}

// probes is how many tasks of a bundle are asked for first. Tasks run in about the order in which they were enqueued, so
// that of most bundles none has ended yet, which is found out so without opening them.
const probes = 8

// probeOf names some of the tasks, spread over all.
func probeOf(stubs []stub) string {
	ids := make([]string, 0, probes)
	for i := range min(probes, len(stubs)) {
		ids = append(ids, stubs[i*(len(stubs)-1)/max(min(probes, len(stubs))-1, 1)].id)
	}
	return strings.Join(ids, " ")
}

// mayHold tells whether a bundle with these kinds may hold tasks that the query wants.
func (q *Query) mayHold(kinds string) bool {
	if kinds == "" {
		return q.allows(kind{q.Task, q.Queue, statePending})
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(kinds, kindEnd), kindEnd) {
		task, queue, _ := strings.Cut(line, kindTab)
		if q.allows(kind{task, queue, statePending}) {
			return true
		}
	}
	return false
}

// bundleForm is the first byte of a bundle's records. Then come, all numbers as varints, and texts after their length:
//
//	the number of texts, and each text, which records share: parts of ids, names of tasks and queues
//	the number of records, and the Unix time of the first in milliseconds
//	each record: milliseconds since the one before; which text its id begins with, and the 16 bytes of its UUID; which
//	text its task is, and which its queue; its retries at most; its arguments; its request's id
const bundleForm = 1

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

var errBundle = errors.New("its records can't be read: another version of the program wrote them, or they are damaged")

// stubIn is a record in a bundle.
type stubIn struct {
	at                                 int64 // Unix milliseconds
	prefix, task, queue, args, request string
	uuid                               uuid.UUID
	maxRetries                         int64
}

// eachStub calls each with every record of a bundle, in order of their times. It may have called it before it fails.
func eachStub(b *models.TaskBundle, each func(*stubIn)) error {
	u := unpacker{rest: string(b.Records)}
	if u.bytes(1) != string(rune(bundleForm)) {
		u.failed = true
	}
	texts := make([]string, 0, 8)
	for n := u.number(); n > 0 && !u.failed; n-- {
		texts = append(texts, u.text())
	}
	text := func() string {
		if i := u.number(); i < uint64(len(texts)) {
			return texts[i]
		}
		u.failed = true
		return ""
	}
	n, at := u.number(), u.signed()
	for ; n > 0 && !u.failed; n-- {
		at += int64(u.number())
		s := stubIn{at: at, prefix: text()}
		copy(s.uuid[:], u.bytes(len(s.uuid)))
		s.task, s.queue = text(), text()
		s.maxRetries = u.signed()
		s.args, s.request = u.text(), u.text()
		if !u.failed {
			each(&s)
		}
	}
	if u.failed || u.rest != "" {
		return fmt.Errorf("history: bundle %d: %w", b.ID, errBundle)
	}
	return nil
}

// unpack returns what pack was given, in the same order.
func unpack(b *models.TaskBundle) ([]row, error) {
	rows := make([]row, 0, b.Tasks)
	err := eachStub(b, func(s *stubIn) {
		rows = append(rows, row{
			id: s.prefix + s.uuid.String(), task: s.task, queue: s.queue, state: statePending, version: pendingVersion, run: 1,
			maxRetries: int(s.maxRetries), args: s.args, request: s.request, at: time.UnixMilli(s.at).UTC(),
		})
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// unpacker reads a bundle's records. After it has failed, what it returns means nothing.
type unpacker struct {
	rest   string
	failed bool
}

func (u *unpacker) bytes(n int) string {
	if n < 0 || n > len(u.rest) {
		u.failed = true
		return ""
	}
	head := u.rest[:n]
	u.rest = u.rest[n:]
	return head
}

func (u *unpacker) number() (x uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := u.bytes(1)
		if u.failed {
			return 0
		}
		x |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return x
		}
	}
	u.failed = true
	return 0
}

func (u *unpacker) signed() int64 {
	x := u.number()
	return int64(x>>1) ^ -int64(x&1)
}

func (u *unpacker) text() string {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.failed = true
		return ""
	}
	return u.bytes(int(n))
}
