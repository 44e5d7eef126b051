package seckill

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

// numberRange is how many order numbers there are for one millisecond.
const numberRange = 1_000_000_000_000

// orderNumbers draws n numbers. Each is the UTC time to the millisecond, 17 digits, and 12 random ones, so that none
// can be guessed from another.
func orderNumbers(now time.Time, n int) ([]string, error) {
	random := make([]byte, 8*n)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("draw order numbers: %w", err)
	}
	var layout [32]byte
	stamp := now.UTC().AppendFormat(layout[:0], "20060102150405.000")
	stamp = append(stamp[:14], stamp[15:]...)
	numbers := make([]string, n)
	for i := range numbers {
		// The remainder favours no number by more than one in ten million.
		digits := binary.NativeEndian.Uint64(random[8*i:]) % numberRange
		var number [29]byte
		at := copy(number[:], stamp)
		for j := len(number) - 1; j >= at; j-- {
			number[j] = '0' + byte(digits%10)
			digits /= 10
		}
		numbers[i] = string(number[:])
	}
	return numbers, nil
}
