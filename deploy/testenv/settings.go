package testenv

import (
	"flag"
	"strconv"
)

// RoundsUnderRace is how many cases each property test of the package draws under the race detector, unless -rapid.checks
// says otherwise. It is for properties that are explored step by step, where the detector finds nothing and takes most of the
// time: make test draws the full number without it. Call it in TestMain, before Main.
func RoundsUnderRace(n int) {
	if f := flag.Lookup("rapid.checks"); f != nil && raceDetector {
		_ = f.Value.Set(strconv.Itoa(n)) // it takes a number
	}
}

// Rounds is n, or a quarter of it under the race detector: for tests that draw cases by themselves, as RoundsUnderRace is for
// properties.
func Rounds(n int) int {
	if raceDetector {
		return max(n/4, 1)
	}
	return n
}

// AtOnce is how many parallel tests of the package run at the same time, unless -parallel says otherwise; without it, as many
// as there are processors. It is for tests that mostly wait for servers and timers. Call it in TestMain, before Main.
func AtOnce(n int) {
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set(strconv.Itoa(n)) // it takes a number
	}
}
