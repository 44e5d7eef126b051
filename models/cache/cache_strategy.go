package cache

import (
	"fmt"
	"strings"
)

// Strategy is how a cache follows the committed writes. Strategies are combined with |. The zero Strategy is
// DeleteOnWrite.
type Strategy uint8

const (
	// DeleteOnWrite takes the value away, and the next reader loads it. With UpdateOnWrite it takes the value away before
	// that loads the new one, so that nobody reads the old one meanwhile.
	DeleteOnWrite Strategy = 1 << iota
	// UpdateOnWrite rewrites the value; until that is done, readers get the old one.
	UpdateOnWrite
	// Periodic has the value rewritten by a schedule that calls Refresh. Alone, it leaves writes unseen until then.
	Periodic
)

// follows tells whether writes change the cache.
func (s Strategy) follows() bool { return s == 0 || s&(DeleteOnWrite|UpdateOnWrite) != 0 }

// ParseStrategy reads strategies by their names, delete, update and periodic, with commas between them; "" is DeleteOnWrite.
func ParseStrategy(text string) (Strategy, error) {
	var s Strategy
	for name := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(name) {
		case "delete":
			s |= DeleteOnWrite
		case "update":
			s |= UpdateOnWrite
		case "periodic":
			s |= Periodic
		case "":
			if text == "" {
				return DeleteOnWrite, nil
			}
			fallthrough
		default:
			return 0, fmt.Errorf("cache strategy %q: want delete, update, periodic, or several of them with commas between", text)
		}
	}
	return s, nil
}

// String is what ParseStrategy reads.
func (s Strategy) String() string {
	if s == 0 {
		s = DeleteOnWrite
	}
	var set []string
	for i, name := range []string{"delete", "update", "periodic"} {
		if s&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}
