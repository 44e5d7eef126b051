package history

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// A bundle's filter tells of nearly every task that is not in the bundle that it is not, so that the bundle need not be
// opened: a Bloom filter (Bloom, Space/time trade-offs in hash coding with allowable errors, 1970) over the UUIDs of its
// tasks. It lies in the row, and the records, which are far larger, beside it.
const (
	filterBits   = 16 // of the filter, a task
	filterHashes = 8  // bits that a task sets; of 1,700 others one seems to be there
)

func filterOf(stubs []stub) []byte {
	f := make([]byte, (len(stubs)*filterBits+7)/8)
	for _, s := range stubs {
		eachBit(f, s.uuid, func(place int, bit byte) bool {
			f[place] |= bit
			return true
		})
	}
	return f
}

// mayContain is true when a task with that UUID may be in the bundle with the filter. What an earlier build wrote has none.
func mayContain(filter []byte, u uuid.UUID) bool {
	if len(filter) == 0 {
		return true
	}
	return eachBit(filter, u, func(place int, bit byte) bool { return filter[place]&bit != 0 })
}

// eachBit calls each with the bits of a UUID until it says false, and tells whether it never did. The bits come from the
// random ones of the UUID, by double hashing (Kirsch and Mitzenmacher, Less hashing, same performance, 2006).
func eachBit(filter []byte, u uuid.UUID, each func(place int, bit byte) bool) bool {
	random := mix(binary.BigEndian.Uint64(u[8:]))
	at, step := random>>32, random&0xffffffff|1
	for range filterHashes {
		n := at % uint64(8*len(filter))
		if !each(int(n/8), 1<<(n%8)) {
			return false
		}
		at += step
	}
	return true
}

// mix spreads what differs in a few bits over all: the end of SplitMix64 (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
