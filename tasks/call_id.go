package tasks

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)

const (
	maxID    = 128
	maxQueue = 64
)

// ValidID reports whether id can be a task's: 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -, but neither "." nor "..",
// which no URL can have as a part of its path.
func ValidID(id string) bool { return storedID(id) && id != "." && id != ".." }

// storedID reports whether a stored task may have the id.
func storedID(id string) bool { return len(id) <= maxID && consistsOf(id, "._:@-") }

// ValidQueue reports whether name can be a queue's: 1 to 64 letters, digits, '_' or '-', the first a letter or digit.
func ValidQueue(name string) bool {
	return len(name) <= maxQueue && consistsOf(name, "_-") && alphanumeric(name[0])
}

// consistsOf reports whether s is not empty and holds letters, digits and the given others only.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// NewID returns a fresh id for a task of the queue: the queue's name, '_' and a UUID version 7. It is unguessable
// (74 random bits) and, within one queue, sorts by the time it was made.
func NewID(queue string) string {
	return queue + "_" + uuid.Must(uuid.NewV7()).String()
}

const uuidLength = 36

// queueOf returns the queue in an id that NewID made; ok is false for an id that a caller chose.
func queueOf(id string) (queue string, ok bool) {
	cut := len(id) - uuidLength - 1
	if cut < 1 || id[cut] != '_' || uuid.Validate(id[cut+1:]) != nil {
		return "", false
	}
	return id[:cut], true
}

// IsMadeID reports whether id has the form of NewID's, which nobody guesses.
func IsMadeID(id string) bool {
	queue, ok := queueOf(id)
	if !ok || !ValidQueue(queue) {
		return false
	}
	_, _, ok = IDOrigin(id)
	return ok
}

// IDOrigin is when an id was made, in milliseconds, and 62 random bits that it has. ok is false for an id that does not end
// in a UUID version 7, as NewID's do.
func IDOrigin(id string) (made time.Time, random uint64, ok bool) {
	if len(id) < uuidLength {
		return time.Time{}, 0, false
	}
	u, err := uuid.Parse(id[len(id)-uuidLength:])
	if err != nil || u.Version() != 7 {
		return time.Time{}, 0, false
	}
	made = time.UnixMilli(int64(binary.BigEndian.Uint64(u[:8]) >> 16))
	return made, binary.BigEndian.Uint64(u[8:]) & (1<<62 - 1), true
}

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("task name %q: want 1 to 64 of the characters a-z 0-9 . _ -, the first a letter or digit", name)
	}
	return nil
}
