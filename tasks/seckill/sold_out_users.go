package seckill

import "math/bits"

// userSet is a set of users' ids, which are positive: a hash table with open addressing, 16 to 32 bytes a user. Once
// it is filled, any number of goroutines may look in it.
type userSet struct {
	slots []int64 // 0 is free; at most half of them are taken
	shift int
	n     int
}

func newUserSet(n int) *userSet {
	size := bits.Len(uint(2*n + 1))
	return &userSet{slots: make([]int64, 1<<size), shift: 64 - size}
}

func (s *userSet) full() bool { return 2*s.n+1 >= len(s.slots) }

// find returns the slot that has the user, or the free one where he belongs. It multiplies by the golden ratio
// (Knuth, The Art of Computer Programming, 6.4) and probes linearly.
func (s *userSet) find(userID int64) int {
	i := int(uint64(userID) * 0x9E3779B97F4A7C15 >> s.shift)
	for s.slots[i] != userID && s.slots[i] != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	return i
}

func (s *userSet) has(userID int64) bool { return s.slots[s.find(userID)] != 0 }

// add reports whether there was room.
func (s *userSet) add(userID int64) bool {
	i := s.find(userID)
	if s.slots[i] == userID {
		return true
	}
	if s.full() {
		return false
	}
	s.slots[i] = userID
	s.n++
	return true
}
