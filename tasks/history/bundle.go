package history

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Earlier builds keep the records of up to a thousand tasks that wait in one row of paidui_task_bundles, in a binary form. This one
// only reads bundles, and turns them into rows.

var pendingVersion, _ = versionOf(1, 0, tasks.StatePending)

const statePending = string(tasks.StatePending)

// bundleForm is the first byte of a bundle's records. Then come, all numbers as varints, and texts after their length:
//
//	the number of texts, and each text, which records share: parts of ids, names of tasks and queues
//	the number of records, and the Unix time of the first in milliseconds
//	each record: milliseconds since the one before; which text its id begins with, and the 16 bytes of its UUID; which
//	text its task is, and which its queue; its retries at most; its arguments; its request's id
const bundleForm = 1

var errBundle = errors.New("its records can't be read: another version of the program wrote them, or they are damaged")

// unpack returns the rows of a bundle, in order of their times.
func unpack(b *models.TaskBundle) ([]*row, error) {
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
	var rows []*row
	n, at := u.number(), u.signed()
	for ; n > 0 && !u.failed; n-- {
		at += int64(u.number())
		r := &row{state: statePending, version: pendingVersion, run: 1, at: time.UnixMilli(at).UTC()}
		prefix := text()
		var id uuid.UUID
		copy(id[:], u.bytes(len(id)))
		r.id = prefix + id.String()
		r.task, r.queue = text(), text()
		r.maxRetries = int(u.signed())
		r.args, r.request = u.text(), u.text()
		rows = append(rows, r)
	}
	if u.failed || u.rest != "" {
		return nil, fmt.Errorf("history: bundle %d: %w", b.ID, errBundle)
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
